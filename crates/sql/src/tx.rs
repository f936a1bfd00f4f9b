//! The two faces of a transaction: [`Reader`] reads one snapshot, [`Tx`] reads and writes.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicI64, Ordering},
};

use merx_kernel::{Error, Result};

use crate::{
    error,
    value::{Row, Value},
};

/// One statement at a time on one connection inside one transaction.
pub(crate) trait Session {
    fn query(
        &mut self,
        sql: &str,
        params: &[Value],
        each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()>;
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64>;
    /// The error that ended the transaction underneath the closure, if one did. Later statements are refused,
    /// because the engine would run each of them in a transaction of its own.
    fn broken(&self) -> Option<&Error>;
}

/// What a closure did, for the cost account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub statements: u64,
    pub rows_read: u64,
    pub rows_written: u64,
}

/// Reading, which [`Reader`] and [`Tx`] share.
pub trait Query {
    /// Every row, mapped.
    ///
    /// # Errors
    /// What the database or `map` answered.
    fn query<T>(
        &mut self,
        sql: &str,
        params: Vec<Value>,
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>>;

    /// The row, if there is one.
    ///
    /// # Errors
    /// As [`Self::query`]; `Internal` when there are several.
    fn query_opt<T>(
        &mut self,
        sql: &str,
        params: Vec<Value>,
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut rows = self.query(sql, params, map)?;
        if rows.len() > 1 {
            return Err(Error::internal(format!("expected at most one row, got {}: {sql}", rows.len())));
        }
        Ok(rows.pop())
    }

    /// The one row.
    ///
    /// # Errors
    /// As [`Self::query`]; `Internal` when there is none or there are several.
    fn query_one<T>(
        &mut self,
        sql: &str,
        params: Vec<Value>,
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.query_opt(sql, params, map)?
            .ok_or_else(|| Error::internal(format!("expected one row, got none: {sql}")))
    }

    /// Events of a stream between two snapshots of it ([`crate::DbOptions::snapshot_every`]); `None` where no snapshots
    /// are read or written.
    fn snapshot_every(&self) -> Option<i64> {
        None
    }
}

fn query_counted<T>(
    session: &mut dyn Session,
    counts: &mut Counts,
    sql: &str,
    params: &[Value],
    mut map: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    counts.statements += 1;
    let mut out = Vec::new();
    session.query(sql, params, &mut |row| {
        out.push(map(row)?);
        Ok(())
    })?;
    counts.rows_read += out.len() as u64;
    Ok(out)
}

/// Reads one consistent snapshot.
pub struct Reader<'a> {
    session: &'a mut dyn Session,
    pub(crate) counts: Counts,
    pub(crate) snapshot_every: Option<i64>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(session: &'a mut dyn Session) -> Self {
        Self { session, counts: Counts::default(), snapshot_every: None }
    }
}

impl Query for Reader<'_> {
    fn query<T>(
        &mut self,
        sql: &str,
        params: Vec<Value>,
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        query_counted(self.session, &mut self.counts, sql, &params, map)
    }

    fn snapshot_every(&self) -> Option<i64> {
        self.snapshot_every
    }
}

/// Whether an [`Tx::insert_new`] made the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Inserted {
    /// The row is new.
    New,
    /// A row with this key was there before; nothing changed.
    Exists,
}

impl Inserted {
    /// Whether the row is new.
    pub const fn is_new(self) -> bool {
        matches!(self, Self::New)
    }
}

/// Where the numbers of [`Tx::next_position`] come from.
pub(crate) enum Positions<'a> {
    /// The single writer of SQLite counts; commit order is number order.
    Writer(&'a mut i64),
    /// The sequencer gives them after the commit.
    AfterCommit,
    /// Taken before the commit: what happens without [`merx_kernel::Guard::SequencerGap`].
    BeforeCommit(&'a AtomicI64),
}

/// A transaction that writes. All of it is kept or none.
pub struct Tx<'a> {
    session: &'a mut dyn Session,
    positions: Positions<'a>,
    pub(crate) counts: Counts,
    pub(crate) wakes: BTreeSet<String>,
    pub(crate) snapshot_every: Option<i64>,
}

impl<'a> Tx<'a> {
    /// The most parameters one statement carries; SQLite allows 32,766 and MySQL 65,535.
    const PARAMETERS_MAX: usize = 30_000;

    pub(crate) fn new(session: &'a mut dyn Session, positions: Positions<'a>) -> Self {
        Self { session, positions, counts: Counts::default(), wakes: BTreeSet::new(), snapshot_every: None }
    }

    pub(crate) fn broken(&self) -> Option<Error> {
        self.session.broken().map(error::same_again)
    }

    /// Runs a statement; answers how many rows it matched (an `UPDATE` that changes nothing counts its rows).
    ///
    /// # Errors
    /// `sql.duplicate` (Conflict) for a key that exists; what the database answered otherwise.
    pub fn execute(&mut self, sql: &str, params: Vec<Value>) -> Result<u64> {
        self.counts.statements += 1;
        let rows = self.session.execute(sql, &params)?;
        self.counts.rows_written += rows;
        Ok(rows)
    }

    /// Runs an update that changes one row or does not happen: `… WHERE id = ? AND version = ?`.
    /// Answers whether it happened.
    ///
    /// # Errors
    /// As [`Self::execute`]; `Internal` when it matched several rows.
    pub fn guarded(&mut self, sql: &str, params: Vec<Value>) -> Result<bool> {
        match self.execute(sql, params)? {
            0 => Ok(false),
            1 => Ok(true),
            n => Err(Error::internal(format!("a guarded statement matched {n} rows: {sql}"))),
        }
    }

    /// Runs a plain `INSERT` of one row whose key may exist already.
    ///
    /// # Errors
    /// As [`Self::execute`], but a key that exists is [`Inserted::Exists`].
    pub fn insert_new(&mut self, sql: &str, params: Vec<Value>) -> Result<Inserted> {
        match self.execute(sql, params) {
            Ok(_) => Ok(Inserted::New),
            Err(e) if e.is("sql.duplicate") => Ok(Inserted::Exists),
            Err(e) => Err(e),
        }
    }

    /// Inserts many rows by one statement (by several only beyond 30,000 parameters). `head` is
    /// `INSERT INTO t (a, b) VALUES`.
    ///
    /// # Errors
    /// As [`Self::execute`]; `Internal` when a row has not `columns` values.
    pub fn insert_rows(&mut self, head: &str, columns: usize, rows: Vec<Vec<Value>>) -> Result<()> {
        if columns == 0 || rows.iter().any(|row| row.len() != columns) {
            return Err(Error::internal(format!("every row needs {columns} values: {head}")));
        }
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let chunk: Vec<Vec<Value>> =
                rows.by_ref().take((Self::PARAMETERS_MAX / columns).max(1)).collect();
            let marks = format!("({})", vec!["?"; columns].join(", "));
            let sql = format!("{head} {}", vec![marks.as_str(); chunk.len()].join(", "));
            self.execute(&sql, chunk.into_iter().flatten().collect())?;
        }
        Ok(())
    }

    /// The position for a row of a sequenced table: a number on SQLite, where the single writer is the
    /// sequencer; `None` on MySQL, where the row is inserted without one and gets it after the commit.
    pub fn next_position(&mut self) -> Option<i64> {
        match &mut self.positions {
            Positions::Writer(last) => {
                **last += 1;
                Some(**last)
            }
            Positions::AfterCommit => None,
            Positions::BeforeCommit(last) => Some(last.fetch_add(1, Ordering::SeqCst) + 1),
        }
    }

    /// Wakes the listeners of `channel` once this is committed (on MySQL, for the channel of a sequenced table:
    /// once its rows have their positions).
    pub fn wake(&mut self, channel: &str) {
        if !self.wakes.contains(channel) {
            self.wakes.insert(channel.to_owned());
        }
    }
}

impl Query for Tx<'_> {
    fn query<T>(
        &mut self,
        sql: &str,
        params: Vec<Value>,
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        query_counted(self.session, &mut self.counts, sql, &params, map)
    }

    fn snapshot_every(&self) -> Option<i64> {
        self.snapshot_every
    }
}
