//! Inline projections: tables written in the transaction of the events they show, rebuilt from the log and compared.

mod beside;

use std::{ops::Range, sync::Arc, time::Duration};

use aws_lc_rs::digest::{Context, SHA256, digest};
use merx_kernel::{Clock, Error, Result};
use merx_sql::{Db, DbOptions, EventLog, Migration, Query, Reader, RecordedEvent, Row, Tx, ValueRef, params};
use serde::Serialize;

use crate::store::Store;

pub use beside::{Rebuilding, Rebuilt, rebuild_beside};

/// Events applied in one transaction of a rebuild into scratch.
const CHUNK: i64 = 500;
/// How often, and how long apart, a comparison looks whether every event has its position.
const LOOKS_MAX: usize = 50;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A projection of a context's own events.
#[derive(Clone, Copy)]
pub struct Projection {
    /// Its name, for people.
    pub name: &'static str,
    /// The tables it alone writes.
    pub tables: &'static [&'static str],
    /// Shows one more event. Takes everything from the event and the tables of the projection, and nothing from
    /// elsewhere: that is what makes a rebuild equal.
    pub apply: fn(&mut Tx<'_>, &RecordedEvent) -> Result<()>,
}

impl std::fmt::Debug for Projection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Projection")
            .field("name", &self.name)
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

/// What a table holds, in one figure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Checksum {
    /// The table.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over the sorted SHA-256 of the rows, in hexadecimal: independent of the order of rows.
    pub sha256: String,
}

/// A projection compared with what its events make of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The projection.
    pub projection: &'static str,
    /// What is there.
    pub live: Vec<Checksum>,
    /// What the events make.
    pub rebuilt: Vec<Checksum>,
}

impl Comparison {
    /// Whether both are the same.
    pub fn is_equal(&self) -> bool {
        self.live == self.rebuilt
    }
}

/// The checksum of a table as it is in `q`'s snapshot.
///
/// # Errors
/// What the database answers.
pub fn checksum(q: &mut impl Query, table: &'static str) -> Result<Checksum> {
    let hashes = q.query(&format!("SELECT * FROM {table}"), params![], |row| hash_row(row, row.columns()))?;
    Ok(checksum_of(table, hashes))
}

/// The hash of one row.
type RowHash = [u8; 32];

fn checksum_of(table: &'static str, mut hashes: Vec<RowHash>) -> Checksum {
    hashes.sort_unstable();
    let mut whole = Context::new(&SHA256);
    for hash in &hashes {
        whole.update(hash);
    }
    let sha256 = whole.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Checksum { table, rows: hashes.len() as u64, sha256 }
}

/// Of the first `columns` of a row.
fn hash_row(row: &Row<'_>, columns: usize) -> Result<RowHash> {
    let mut text = Vec::new();
    for index in 0..columns {
        text_of(row.value(index)?, &mut text);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &text).as_ref());
    Ok(hash)
}

/// Kind, length and bytes of a value, so that no two different rows have one text.
fn text_of(value: ValueRef<'_>, text: &mut Vec<u8>) {
    let mut add = |kind: u8, bytes: &[u8]| {
        text.push(kind);
        text.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        text.extend_from_slice(bytes);
    };
    match value {
        ValueRef::Null => add(0, &[]),
        ValueRef::Int(n) => add(1, &n.to_be_bytes()),
        ValueRef::Text(t) => add(2, t.as_bytes()),
        ValueRef::Blob(b) => add(3, b),
    }
}

/// Rebuilds every projection of a context into a scratch database in memory and compares it with what is there. The
/// live tables are only read. `migrations` are the context's own.
///
/// # Errors
/// `Unavailable` when events wait too long for their positions; what the database or a projection answers.
pub async fn compare(
    db: &Db,
    clock: Arc<dyn Clock>,
    store: &Store,
    migrations: &[Migration],
    projections: &[Projection],
) -> Result<Vec<Comparison>> {
    let (live, last) = snapshot(db, &*clock, store, projections).await?;
    let scratch = scratch(clock, store, migrations).await?;
    replay(db, store, &scratch, projections, 0..last, &mut |_| {}).await?;
    let mut all = Vec::with_capacity(projections.len());
    for (projection, live) in projections.iter().zip(live) {
        let tables = projection.tables;
        let rebuilt = scratch
            .read("projection.checksum", move |q| tables.iter().map(|table| checksum(q, table)).collect())
            .await?;
        all.push(Comparison { projection: projection.name, live, rebuilt });
    }
    Ok(all)
}

/// A database in memory with the tables of a context.
async fn scratch(clock: Arc<dyn Clock>, store: &Store, migrations: &[Migration]) -> Result<Db> {
    let scratch = Db::inline(DbOptions::new(clock), &store.sequenced_tables())?;
    let mut tables = store.migrations();
    tables.extend_from_slice(migrations);
    scratch.migrate(store.context(), &tables).await?;
    Ok(scratch)
}

/// The checksums of the live tables, and the position of the last event they show: one snapshot of both.
async fn snapshot(
    db: &Db,
    clock: &dyn Clock,
    store: &Store,
    projections: &[Projection],
) -> Result<(Vec<Vec<Checksum>>, i64)> {
    let projections = projections.to_vec();
    let look = move |q: &mut Reader<'_>| {
        let of = |q: &mut _, tables: &[&'static str]| {
            tables.iter().map(|table| checksum(q, table)).collect::<Result<Vec<_>>>()
        };
        projections.iter().map(|p| of(q, p.tables)).collect::<Result<Vec<_>>>()
    };
    look_settled(db, clock, store, look).await
}

/// What `look` sees, and the position of the last event of that same snapshot. Where positions come after the commit, it
/// waits for a moment in which none is outstanding.
async fn look_settled<T: Send + 'static>(
    db: &Db,
    clock: &dyn Clock,
    store: &Store,
    look: impl Fn(&mut Reader<'_>) -> Result<T> + Clone + Send + 'static,
) -> Result<(T, i64)> {
    let mut placed = db.listen(store.events.channel());
    for _ in 0..LOOKS_MAX {
        let (events, look) = (store.events.clone(), look.clone());
        let seen = db
            .read("projection.checksum", move |q| {
                let last = match settled_position(q, &events) {
                    Err(error) if error.is("projection.unsequenced") => return Ok(None),
                    answer => answer?,
                };
                Ok(Some((look(q)?, last)))
            })
            .await?;
        if let Some(seen) = seen {
            return Ok(seen);
        }
        tokio::select! {
            biased;
            () = placed.changed() => {}
            () = clock.sleep(LOOK_EVERY) => {}
        }
    }
    Err(unsequenced())
}

fn unsequenced() -> Error {
    Error::unavailable("projection.unsequenced", "Events wait for their positions; try again in a moment.")
}

/// Applies the events after the first position up to the last to the projections in `target`, and tells `progress` the
/// position after each chunk; answers how many there were.
async fn replay(
    db: &Db,
    store: &Store,
    target: &Db,
    projections: &[Projection],
    positions: Range<i64>,
    progress: &mut (dyn FnMut(i64) + Send),
) -> Result<u64> {
    let (mut position, last) = (positions.start, positions.end);
    let mut count = 0;
    while position < last {
        let log = store.events.clone();
        let mut events = db.read("projection.read", move |q| log.read_after(q, position, CHUNK)).await?;
        let Some(end) = events.last().and_then(|event| event.position) else { break };
        position = end;
        events.retain(|event| event.position.is_some_and(|at| at <= last));
        count += events.len() as u64;
        let projections = projections.to_vec();
        target
            .write_low("projection.apply", move |tx| {
                events.iter().try_for_each(|event| projections.iter().try_for_each(|p| (p.apply)(tx, event)))
            })
            .await?;
        progress(position.min(last));
    }
    Ok(count)
}

/// The position of the last event, when every event that can be seen has its position. One statement, so that both
/// are of one moment even where each statement sees a newer one (READ COMMITTED).
fn settled_position(q: &mut impl Query, events: &EventLog) -> Result<i64> {
    let sql =
        format!("SELECT COALESCE(MAX(position), 0), COUNT(*) - COUNT(position) FROM {}", events.table());
    let (last, outstanding) =
        q.query_one(&sql, params![], |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?)))?;
    if outstanding > 0 { Err(unsequenced()) } else { Ok(last) }
}

/// Empties the tables of a projection; answers the position of the last event whose rows went with them.
///
/// On MySQL and MariaDB others write meanwhile, and each statement here sees what was committed before it:
/// - Whoever writes a row before its DELETE makes the DELETE wait for his commit. Then his row is gone, and his event
///   may have no position yet. Asked before the DELETE, his event would not have been seen: so it is asked after.
/// - Whoever changes a row after its DELETE waits for our commit, and finds the rebuilt row. His event is not
///   committed, so it is beyond the position answered here.
/// - Whoever inserts a row after the DELETE and commits before we ask has a row, and his event would be shown a second
///   time: a table that is not empty any more sends us back to the beginning.
fn emptied(tx: &mut Tx<'_>, events: &EventLog, projection: &Projection) -> Result<i64> {
    for table in projection.tables {
        tx.execute(&format!("DELETE FROM {table}"), params![])?;
    }
    let last = settled_position(tx, events)?;
    for table in projection.tables {
        let rows: i64 =
            tx.query_one(&format!("SELECT COUNT(*) FROM {table}"), params![], |row| row.get(0))?;
        if rows > 0 {
            return Err(merx_sql::contention(format!("rows came into {table} while it was emptied")));
        }
    }
    Ok(last)
}

/// Empties a projection and builds it again from the log, in one transaction: readers see the old one or the new
/// one. Answers how many events made it.
///
/// # Errors
/// `Unavailable` `projection.unsequenced` while events wait for their positions: they are in the live tables and
/// would be missing in the rebuilt ones. What the database or the projection answers.
pub async fn rebuild(db: &Db, store: &Store, projection: Projection) -> Result<u64> {
    let log = store.events.clone();
    db.write_low("projection.rebuild", move |tx| {
        let last = emptied(tx, &log, &projection)?;
        let (mut position, mut count) = (0, 0);
        while position < last {
            let events = log.read_after(tx, position, CHUNK)?;
            let Some(end) = events.last().and_then(|event| event.position) else { break };
            for event in events.iter().filter(|event| event.position.is_some_and(|at| at <= last)) {
                (projection.apply)(tx, event)?;
                count += 1;
            }
            position = end;
        }
        Ok(count)
    })
    .await
}
