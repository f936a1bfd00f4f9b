//! A rebuild beside a shop at work.
//!
//! A copy is built from the events in a database in memory, and the live tables are made equal to it row by row. Nobody
//! waits for it: the events are read a chunk at a time, and what differs is replaced in small transactions of the low lane.
//!
//! The shop goes on writing meanwhile. So each round looks at the live rows and at the position of the last event they
//! show in one snapshot, brings the copy to exactly that position, and compares. A row that differs is replaced only while it
//! still is what the snapshot saw; one that was changed in between is left to the next round, which looks at it alone. It
//! ends with a round that looked at every row and found nothing: then the live tables are what the events make of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use merx_kernel::{Clock, Error, Result};
use merx_sql::{Db, Migration, Query, Reader, Row, Tx, Value, params};
use serde::{Deserialize, Serialize};

use super::{Checksum, Projection, RowHash, checksum_of, hash_row, look_settled, replay, scratch, text_of};
use crate::store::Store;

/// Rows replaced in one transaction.
const MEND_CHUNK: usize = 100;
/// More rows than these are not looked for one by one: the whole table is read again.
const NARROW_MAX: usize = 2_000;
/// After so many rounds rows that keep changing are given up; the shop has to rest for them.
const ROUNDS_MAX: u32 = 100;

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "stage")]
pub enum Rebuilding {
    /// Events are read into the copy.
    Events {
        /// The position reached.
        position: i64,
        /// The position of the last event.
        last: i64,
    },
    /// Rows are compared.
    Compared {
        /// Which round this was, from 1.
        round: u32,
        /// How many rows differ.
        differing: u64,
    },
}

/// What came of a rebuild of a context's projections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// Events that made the copy.
    pub events: u64,
    /// Rows that differed from what the events make, and were replaced, added or removed.
    pub mended: u64,
    /// The tables as they were at the first look.
    pub before: Vec<Checksum>,
    /// The tables as they are, equal to what the events make: other than before where rows were mended or the shop went on.
    pub after: Vec<Checksum>,
}

/// The columns of a table, and which of them are its key.
#[derive(Clone)]
struct Shape {
    table: &'static str,
    columns: Vec<String>,
    key: Vec<usize>,
}

/// A key as text that sorts.
type KeyText = Vec<u8>;
/// The rows of each table by key: the key itself, and the hash of the whole row.
type Rows = Vec<BTreeMap<KeyText, (Vec<Value>, RowHash)>>;
/// The keys of each table that are to be looked at; `None` for all there are.
type Scope = Option<Arc<Vec<BTreeMap<KeyText, Vec<Value>>>>>;

/// A row that is not what the events make of it.
#[derive(Clone)]
struct Wrong {
    /// Which of the tables.
    table: usize,
    key: Vec<Value>,
    /// What the snapshot saw; `None` for no row.
    live: Option<RowHash>,
    /// What it should be: every column, or no row.
    right: Option<Vec<Value>>,
}

/// Builds the projections of a context again while others write to them; `progress` is told how far it is.
/// `migrations` are the context's own.
///
/// # Errors
/// `projection.unsettled` when rows keep changing faster than they can be compared; `projection.unsequenced`; what the
/// database or a projection answers. However it ends, each row is as it was or as it should be.
pub async fn rebuild_beside(
    db: &Db,
    clock: Arc<dyn Clock>,
    store: &Store,
    migrations: &[Migration],
    projections: &[Projection],
    progress: &mut (dyn FnMut(Rebuilding) + Send),
) -> Result<Rebuilt> {
    let scratch = scratch(clock.clone(), store, migrations).await?;
    let shapes = Arc::new(shapes(&scratch, projections).await?);
    let mut beside = Beside { db, clock, store, projections, scratch, shapes, position: 0, events: 0 };
    beside.catch_up(progress).await?;
    let (mut mended, mut before, mut scope) = (0, None, None);
    for round in 1..=ROUNDS_MAX {
        let (live, right) = beside.look(&scope, progress).await?;
        before.get_or_insert_with(|| beside.checksums(&live));
        let wrong = beside.differing(&live, &right).await?;
        progress(Rebuilding::Compared { round, differing: wrong.len() as u64 });
        if wrong.is_empty() && scope.is_none() {
            let (before, after) = (before.unwrap_or_default(), beside.checksums(&live));
            return Ok(Rebuilt { events: beside.events, mended, before, after });
        }
        scope = beside.scope_of(&wrong);
        mended += beside.mend(wrong).await?;
    }
    Err(Error::unavailable(
        "projection.unsettled",
        "Some rows change faster than they can be compared with their events. Try again when there is less to do, \
         or with the shop stopped.",
    ))
}

struct Beside<'a> {
    db: &'a Db,
    clock: Arc<dyn Clock>,
    store: &'a Store,
    projections: &'a [Projection],
    scratch: Db,
    shapes: Arc<Vec<Shape>>,
    /// How far the copy is.
    position: i64,
    events: u64,
}

impl Beside<'_> {
    /// Reads the events there are now, before anything is compared.
    async fn catch_up(&mut self, progress: &mut (dyn FnMut(Rebuilding) + Send)) -> Result<()> {
        let ((), last) = look_settled(self.db, &*self.clock, self.store, |_| Ok(())).await?;
        self.replay_to(last, progress).await
    }

    async fn replay_to(&mut self, last: i64, progress: &mut (dyn FnMut(Rebuilding) + Send)) -> Result<()> {
        let mut told = |position| progress(Rebuilding::Events { position, last });
        let positions = self.position..last;
        self.events +=
            replay(self.db, self.store, &self.scratch, self.projections, positions, &mut told).await?;
        self.position = self.position.max(last);
        Ok(())
    }

    /// The live rows in `scope`, and what the events make of them up to the same moment.
    async fn look(
        &mut self,
        scope: &Scope,
        progress: &mut (dyn FnMut(Rebuilding) + Send),
    ) -> Result<(Rows, Rows)> {
        let (shapes, keys) = (self.shapes.clone(), scope.clone());
        let look = move |q: &mut Reader<'_>| rows(q, &shapes, &keys);
        let (live, last) = look_settled(self.db, &*self.clock, self.store, look.clone()).await?;
        self.replay_to(last, progress).await?;
        Ok((live, self.scratch.read("projection.rows", look).await?))
    }

    fn checksums(&self, rows: &Rows) -> Vec<Checksum> {
        let tables = self.shapes.iter().zip(rows);
        tables.map(|(shape, rows)| checksum_of(shape.table, rows.values().map(|r| r.1).collect())).collect()
    }

    /// Every row that is not the same in both, with what it should be.
    async fn differing(&self, live: &Rows, right: &Rows) -> Result<Vec<Wrong>> {
        let mut all = Vec::new();
        for (table, (live, right)) in live.iter().zip(right).enumerate() {
            let keys: BTreeSet<&KeyText> = live.keys().chain(right.keys()).collect();
            for key in keys {
                let (now, should) = (live.get(key), right.get(key));
                let hash = |row: Option<&(Vec<Value>, RowHash)>| row.map(|row| row.1);
                if let Some((key, _)) = now.or(should).filter(|_| hash(now) != hash(should)) {
                    all.push(Wrong { table, key: key.clone(), live: hash(now), right: None });
                }
            }
        }
        let shapes = self.shapes.clone();
        let read = move |q: &mut Reader<'_>| {
            for wrong in &mut all {
                wrong.right = shapes[wrong.table].row(q, &wrong.key)?.map(|(values, _)| values);
            }
            Ok(all)
        };
        self.scratch.read("projection.rows", read).await
    }

    /// The next round looks at these rows alone, unless there are none or too many.
    fn scope_of(&self, wrong: &[Wrong]) -> Scope {
        if wrong.is_empty() || wrong.len() > NARROW_MAX {
            return None;
        }
        let mut keys = vec![BTreeMap::new(); self.shapes.len()];
        for wrong in wrong {
            keys[wrong.table].insert(key_text(&wrong.key), wrong.key.clone());
        }
        Some(Arc::new(keys))
    }

    /// Replaces the rows that still are what was seen; answers how many.
    async fn mend(&self, wrong: Vec<Wrong>) -> Result<u64> {
        let mut mended = 0;
        for chunk in wrong.chunks(MEND_CHUNK) {
            let (chunk, shapes) = (chunk.to_vec(), self.shapes.clone());
            let write = move |tx: &mut Tx<'_>| {
                // What is taken out first makes room in unique indexes for what is put in.
                let mut out = Vec::new();
                for wrong in &chunk {
                    if wrong.take_out(&shapes[wrong.table], tx)? {
                        out.push(wrong);
                    }
                }
                for wrong in &out {
                    wrong.put_in(&shapes[wrong.table], tx)?;
                }
                Ok(out.len() as u64)
            };
            mended += self.db.write_low("projection.mend", write).await?;
        }
        Ok(mended)
    }
}

impl Shape {
    fn select(&self) -> String {
        format!("SELECT {} FROM {}", self.columns.join(", "), self.table)
    }

    /// One row, whole, with its hash.
    fn row(&self, q: &mut impl Query, key: &[Value]) -> Result<Option<(Vec<Value>, RowHash)>> {
        let conditions: Vec<String> =
            self.key.iter().map(|at| format!("{} = ?", self.columns[*at])).collect();
        let sql = format!("{} WHERE {}", self.select(), conditions.join(" AND "));
        let columns = self.columns.len();
        q.query_opt(&sql, key.to_vec(), |row| {
            Ok((values(row, &(0..columns).collect::<Vec<_>>())?, hash_row(row, columns)?))
        })
    }
}

impl Wrong {
    /// Takes the row out if it is what was seen; `false` when it is something else by now, and is to be left alone.
    fn take_out(&self, shape: &Shape, tx: &mut Tx<'_>) -> Result<bool> {
        let now = shape.row(tx, &self.key)?;
        if now.as_ref().map(|row| row.1) != self.live {
            return Ok(false);
        }
        let Some((values, _)) = now else { return Ok(true) };
        // Every column once more: on MariaDB somebody may come between the look and this.
        let (mut conditions, mut wanted) = (Vec::with_capacity(values.len()), params![]);
        for (column, value) in shape.columns.iter().zip(values) {
            if value == Value::Null {
                conditions.push(format!("{column} IS NULL"));
            } else {
                conditions.push(format!("{column} = ?"));
                wanted.push(value);
            }
        }
        tx.guarded(&format!("DELETE FROM {} WHERE {}", shape.table, conditions.join(" AND ")), wanted)
    }

    fn put_in(&self, shape: &Shape, tx: &mut Tx<'_>) -> Result<()> {
        let Some(values) = &self.right else { return Ok(()) };
        let marks = vec!["?"; values.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", shape.table, shape.columns.join(", "));
        // One that came meanwhile is looked at in the next round.
        let _ = tx.insert_new(&sql, values.clone())?;
        Ok(())
    }
}

/// The columns of the projections' tables. The copy has the same tables as the live database, whatever its engine.
async fn shapes(scratch: &Db, projections: &[Projection]) -> Result<Vec<Shape>> {
    let tables: Vec<&'static str> = projections.iter().flat_map(|p| p.tables).copied().collect();
    let read = move |q: &mut Reader<'_>| {
        let shape = |table: &'static str| {
            let sql = format!("SELECT name, pk FROM pragma_table_info('{table}') ORDER BY cid");
            let read = |row: &Row<'_>| Ok((row.get::<String>(0)?, row.get::<i64>(1)?));
            let (columns, ranks): (Vec<String>, Vec<i64>) =
                q.query(&sql, params![], read)?.into_iter().unzip();
            let mut key: Vec<usize> = (0..ranks.len()).filter(|at| ranks[*at] > 0).collect();
            key.sort_by_key(|at| ranks[*at]);
            if key.is_empty() {
                return Err(Error::internal(format!("the table {table} of a projection has no primary key")));
            }
            Ok(Shape { table, columns, key })
        };
        tables.into_iter().map(shape).collect()
    };
    scratch.read("projection.shapes", read).await
}

fn rows(q: &mut Reader<'_>, shapes: &[Shape], scope: &Scope) -> Result<Rows> {
    let mut all = Vec::with_capacity(shapes.len());
    for (table, shape) in shapes.iter().enumerate() {
        let mut rows = BTreeMap::new();
        if let Some(scope) = scope {
            for (text, key) in &scope[table] {
                if let Some((_, hash)) = shape.row(q, key)? {
                    rows.insert(text.clone(), (key.clone(), hash));
                }
            }
        } else {
            let read = |row: &Row<'_>| Ok((values(row, &shape.key)?, hash_row(row, shape.columns.len())?));
            let all = q.query(&shape.select(), params![], read)?;
            rows.extend(all.into_iter().map(|(key, hash)| (key_text(&key), (key, hash))));
        }
        all.push(rows);
    }
    Ok(all)
}

fn values(row: &Row<'_>, columns: &[usize]) -> Result<Vec<Value>> {
    columns.iter().map(|at| row.value(*at).map(|value| value.to_owned())).collect()
}

fn key_text(key: &[Value]) -> KeyText {
    let mut text = Vec::new();
    key.iter().for_each(|value| text_of(value.as_value_ref(), &mut text));
    text
}
