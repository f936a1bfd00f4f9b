//! Snapshots: what the first events of a long stream add up to, so that a load need not fold them again.
//!
//! A snapshot is a copy and never the truth: the table may be emptied at any time, and one whose shape the program does
//! not know is as good as none. Streams that are shorter than [`SNAPSHOT_EVERY`] have none and cost nothing more.

use merx_kernel::Result;

use crate::{
    events::{EventLog, RecordedEvent, StreamId},
    migrate::Migration,
    params,
    tx::{Inserted, Query, Tx},
};

/// Events of one stream between two snapshots, unless [`crate::DbOptions::snapshot_every`] says otherwise.
pub const SNAPSHOT_EVERY: i64 = 50;

/// A kept state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// How many events it holds.
    pub version: i64,
    /// The state, as its aggregate writes it.
    pub body: String,
}

/// The texts of one context.
pub(crate) struct SnapshotTexts {
    table: String,
    load: String,
    insert: String,
}

impl SnapshotTexts {
    pub(crate) fn new(context: &str, events: &str, columns: &str) -> Self {
        let table = format!("{context}_snapshots");
        let latest = format!("FROM {table} WHERE stream = ? AND schema_number = ? AND version <= ?");
        Self {
            load: format!(
                "SELECT {columns} FROM {events} WHERE stream = ? AND version <= ? \
                 AND version > COALESCE((SELECT MAX(version) {latest}), 0) \
                 UNION ALL SELECT * FROM (SELECT stream, version, NULL AS position, '' AS name, schema_number, body, \
                 0 AS recorded_at {latest} ORDER BY version DESC LIMIT 1) latest"
            ),
            insert: format!("INSERT INTO {table} (stream, schema_number, version, body) VALUES (?, ?, ?, ?)"),
            table,
        }
    }

    pub(crate) fn migration(&self, number: u32) -> Migration {
        let table = &self.table;
        let text = format!(
            "CREATE TABLE {table} (
                stream BINARY(16) NOT NULL,
                schema_number BIGINT NOT NULL,
                version BIGINT NOT NULL,
                body MEDIUMTEXT NOT NULL,
                PRIMARY KEY (stream, schema_number, version)
            )"
        );
        Migration::same(number, "snapshots", text)
    }
}

impl EventLog {
    /// The last snapshot of a stream under `schema` up to `version`, and the events after it up to there, in order: one
    /// statement, whether or not there is a snapshot.
    ///
    /// # Errors
    /// What the database answered.
    pub fn load_tail(
        &self,
        q: &mut impl Query,
        stream: impl Into<StreamId>,
        schema: i64,
        version: i64,
    ) -> Result<(Option<Snapshot>, Vec<RecordedEvent>)> {
        let stream = stream.into();
        let values = params![stream, version, stream, schema, version, stream, schema, version];
        let mut rows = q.query(&self.snapshots().load, values, RecordedEvent::from_row)?;
        // Events are named; the snapshot is the one row that is not. Sorted here, so that no engine makes a table of it.
        let snapshot = rows.iter().position(|row| row.name.is_empty()).map(|at| rows.swap_remove(at));
        rows.sort_unstable_by_key(|event| event.version);
        Ok((snapshot.map(|row| Snapshot { version: row.version, body: row.body }), rows))
    }

    /// Keeps what the first `version` events of a stream add up to, in the transaction of the last of them.
    ///
    /// # Errors
    /// What the database answered.
    pub fn keep_snapshot(
        &self,
        tx: &mut Tx<'_>,
        stream: impl Into<StreamId>,
        schema: i64,
        snapshot: &Snapshot,
    ) -> Result<()> {
        let values = params![stream.into(), schema, snapshot.version, &snapshot.body];
        match tx.insert_new(&self.snapshots().insert, values)? {
            // Another program of this schema has kept it: the same events, the same state.
            Inserted::New | Inserted::Exists => Ok(()),
        }
    }

    /// The table of snapshots.
    pub fn snapshots_table(&self) -> &str {
        &self.snapshots().table
    }
}
