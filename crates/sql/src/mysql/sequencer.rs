//! Gives committed rows their positions.
//!
//! A number taken inside a transaction can become visible after a later one, and a subscriber that has read past
//! it would miss it. So rows are inserted without a position, and one pass after another numbers what is
//! committed. A pass holds the row lock of `merx_sequencer` from its first statement to its commit: that is the
//! fence. However many processes run a sequencer, passes never overlap, and every position of one pass is visible
//! before the next pass gives out a higher one.
//!
//! Within a pass rows are numbered in their order of arrival (an invisible AUTO_INCREMENT column added to every
//! sequenced table). That is no promise of commit order in general. Two transactions on one aggregate, however,
//! do not overlap (the version of its stream, or a guarded row, makes the second one wait or run again), so for
//! the rows of one aggregate arrival order is commit order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use merx_kernel::Result;
use mysql::{Conn, prelude::Queryable};

use crate::{
    db::Shared,
    listen::Channels,
    mysql::{
        connect::{Connector, Isolation},
        session::meaning,
    },
    options::SequencedTable,
};

/// The column that keeps the order of arrival.
pub(crate) const ARRIVAL: &str = "merx_arrival";

/// Makes the sequencer's row; answers the last position given out.
pub(crate) fn prepare(conn: &mut Conn) -> Result<i64> {
    for sql in [
        "CREATE TABLE IF NOT EXISTS merx_sequencer \
         (id BIGINT PRIMARY KEY, ceiling BIGINT NOT NULL, passes BIGINT NOT NULL) ENGINE=InnoDB",
        "INSERT IGNORE INTO merx_sequencer (id, ceiling, passes) VALUES (1, 0, 0)",
    ] {
        conn.query_drop(sql).map_err(|e| meaning(e, sql))?;
    }
    ceiling(conn)
}

fn ceiling(conn: &mut Conn) -> Result<i64> {
    let sql = "SELECT ceiling FROM merx_sequencer WHERE id = 1";
    Ok(conn.query_first(sql).map_err(|e| meaning(e, sql))?.unwrap_or(0))
}

#[derive(Default)]
struct BellState {
    channels: BTreeSet<String>,
    closed: bool,
}

/// Tells the sequencer that something was committed.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<BellState>,
    rung: Condvar,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, BellState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a pass was rung for.
enum Ring {
    Channels(BTreeSet<String>),
    Nothing,
    Closed,
}

/// Held by the writers; the bell is closed when the last of them is gone.
pub(crate) struct Ringer {
    bell: Arc<Bell>,
    sequenced: BTreeSet<String>,
}

impl Ringer {
    pub(crate) fn new(sequenced: &[SequencedTable]) -> Self {
        let sequenced = sequenced.iter().map(|t| t.channel.to_string()).collect();
        Self { bell: Arc::default(), sequenced }
    }

    pub(crate) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// Wakes plain channels now and those of sequenced tables after the next pass.
    pub(crate) fn wake(&self, channels: &Channels, wakes: BTreeSet<String>) {
        let (later, now): (BTreeSet<_>, BTreeSet<_>) =
            wakes.into_iter().partition(|c| self.sequenced.contains(c));
        channels.wake(&now);
        if !later.is_empty() {
            self.bell.lock().channels.extend(later);
            self.bell.rung.notify_one();
        }
    }
}

impl Drop for Ringer {
    fn drop(&mut self) {
        self.bell.lock().closed = true;
        self.bell.rung.notify_one();
    }
}

pub(crate) struct Sequencer {
    connector: Arc<Connector>,
    shared: Arc<Shared>,
    bell: Arc<Bell>,
    conn: Option<Conn>,
    /// Tables known to exist with their arrival column, by channel.
    tables: BTreeMap<String, String>,
    /// The highest position seen, to notice the passes of other processes.
    ceiling: i64,
}

impl Sequencer {
    /// How often it looks for the work of other processes.
    const LOOK_EVERY: Duration = Duration::from_millis(200);
    /// Every how many looks it searches for rows a dead process left behind.
    const SEARCH_EVERY: u32 = 5;
    /// The most rows of one table in one pass.
    const PASS_MAX: usize = 500;

    pub(crate) fn new(connector: Arc<Connector>, shared: Arc<Shared>, bell: Arc<Bell>) -> Self {
        Self { connector, shared, bell, conn: None, tables: BTreeMap::new(), ceiling: 0 }
    }

    pub(crate) fn run(mut self) {
        let mut looks = 0u32;
        let mut owed: BTreeSet<String> =
            self.shared.sequenced.iter().map(|t| t.channel.to_string()).collect();
        loop {
            let ring = self.wait();
            let closed = matches!(ring, Ring::Closed);
            if let Ring::Channels(channels) = ring {
                owed.extend(channels);
            } else {
                looks = looks.wrapping_add(1);
            }
            let outcome = if owed.is_empty() && !closed && !looks.is_multiple_of(Self::SEARCH_EVERY) {
                self.look()
            } else {
                let search = owed.is_empty() || closed;
                let channels: Vec<String> = if search {
                    self.shared.sequenced.iter().map(|t| t.channel.to_string()).collect()
                } else {
                    owed.iter().cloned().collect()
                };
                looks = if search { 1 } else { looks };
                self.number(&channels, search).map(|()| owed.clear())
            };
            if let Err(error) = outcome {
                tracing::warn!(error = %error.chain(), "rows could not be given positions; trying again");
                self.conn = None;
            }
            if closed {
                return;
            }
        }
    }

    fn wait(&self) -> Ring {
        let state = self.bell.lock();
        let idle = |state: &mut BellState| state.channels.is_empty() && !state.closed;
        let (mut state, _) = self
            .bell
            .rung
            .wait_timeout_while(state, Self::LOOK_EVERY, idle)
            .unwrap_or_else(PoisonError::into_inner);
        if !state.channels.is_empty() {
            Ring::Channels(std::mem::take(&mut state.channels))
        } else if state.closed {
            Ring::Closed
        } else {
            Ring::Nothing
        }
    }

    /// Wakes everybody when another process has given out positions.
    fn look(&mut self) -> Result<()> {
        let conn = self.connection()?;
        let now = ceiling(conn)?;
        if now > self.ceiling {
            self.ceiling = now;
            self.shared
                .channels
                .wake(self.shared.sequenced.iter().map(|t| t.channel.to_string()).collect::<Vec<_>>().iter());
        }
        Ok(())
    }

    fn connection(&mut self) -> Result<&mut Conn> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.connector.connect(Isolation::ReadCommitted)?,
        };
        Ok(self.conn.insert(conn))
    }

    /// Numbers every committed row of these channels, then wakes them. A search wakes only those that had rows.
    fn number(&mut self, channels: &[String], search: bool) -> Result<()> {
        let tables = self.tables_of(channels)?;
        let mut woken: BTreeSet<String> =
            if search { BTreeSet::new() } else { channels.iter().cloned().collect() };
        loop {
            let mut more = false;
            if !search || self.any_waiting(&tables)? {
                for (channel, rows) in self.pass(&tables)? {
                    more |= rows == Self::PASS_MAX;
                    woken.insert(channel);
                }
            }
            if !more {
                break;
            }
        }
        self.shared.channels.wake(&woken);
        if search { self.look() } else { Ok(()) }
    }

    /// The tables of these channels that exist by now.
    fn tables_of(&mut self, channels: &[String]) -> Result<Vec<(String, String)>> {
        if channels.iter().any(|c| !self.tables.contains_key(c)) {
            let sql = "SELECT table_name FROM information_schema.columns \
                       WHERE table_schema = DATABASE() AND column_name = ?";
            let conn = self.connection()?;
            let ready: BTreeSet<String> =
                conn.exec(sql, (ARRIVAL,)).map_err(|e| meaning(e, sql))?.into_iter().collect();
            for one in &self.shared.sequenced {
                if ready.contains(one.table.as_ref()) {
                    self.tables.insert(one.channel.to_string(), one.table.to_string());
                }
            }
        }
        Ok(channels.iter().filter_map(|c| self.tables.get(c).map(|t| (c.clone(), t.clone()))).collect())
    }

    fn any_waiting(&mut self, tables: &[(String, String)]) -> Result<bool> {
        let conn = self.connection()?;
        for (_, table) in tables {
            let sql = format!("SELECT 1 FROM {table} WHERE position IS NULL LIMIT 1");
            if conn.query_first::<i64, _>(&sql).map_err(|e| meaning(e, &sql))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One fenced pass; answers how many rows of each channel were numbered.
    fn pass(&mut self, tables: &[(String, String)]) -> Result<Vec<(String, usize)>> {
        let conn = self.connection()?;
        let outcome = pass_on(conn, tables);
        match outcome {
            Ok((numbered, ceiling)) => {
                self.ceiling = self.ceiling.max(ceiling);
                Ok(numbered)
            }
            Err(error) => {
                // A connection with an open transaction is not used again; dropping it rolls back.
                self.conn = None;
                Err(error)
            }
        }
    }
}

fn pass_on(conn: &mut Conn, tables: &[(String, String)]) -> Result<(Vec<(String, usize)>, i64)> {
    let run = |conn: &mut Conn, sql: &str| conn.query_drop(sql).map_err(|e| meaning(e, sql));
    run(conn, "START TRANSACTION")?;
    // The fence: taken first, held to the commit.
    run(conn, "UPDATE merx_sequencer SET passes = passes + 1 WHERE id = 1")?;
    let before = ceiling(conn)?;
    let mut position = before;
    let mut numbered = Vec::new();
    for (channel, table) in tables {
        let sql = format!(
            "SELECT {ARRIVAL} FROM {table} WHERE position IS NULL ORDER BY {ARRIVAL} LIMIT {}",
            Sequencer::PASS_MAX
        );
        let arrivals: Vec<i64> = conn.query(&sql).map_err(|e| meaning(e, &sql))?;
        if arrivals.is_empty() {
            continue;
        }
        let mut cases = String::new();
        let mut list = String::new();
        for arrival in &arrivals {
            position += 1;
            let comma = if list.is_empty() { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(cases, " WHEN {arrival} THEN {position}");
            let _ = write!(list, "{comma}{arrival}");
        }
        run(
            conn,
            &format!("UPDATE {table} SET position = CASE {ARRIVAL}{cases} END WHERE {ARRIVAL} IN ({list})"),
        )?;
        numbered.push((channel.clone(), arrivals.len()));
    }
    if position > before {
        run(conn, &format!("UPDATE merx_sequencer SET ceiling = {position} WHERE id = 1"))?;
    }
    run(conn, "COMMIT")?;
    Ok((numbered, position))
}
