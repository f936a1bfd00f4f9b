//! The event store of one context: streams of events with optimistic versions and subscriber positions.

use std::sync::Arc;

use merx_kernel::{Guard, Id, Result, Timestamp};

use crate::{
    error,
    migrate::Migration,
    options::SequencedTable,
    params,
    snapshots::SnapshotTexts,
    tx::{Query, Tx},
    value::{FromValue, Row, Value, ValueRef},
};

/// The identity of a stream: the 128 bits of its aggregate's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u128);

impl<K> From<Id<K>> for StreamId {
    fn from(id: Id<K>) -> Self {
        Self(id.bits())
    }
}

impl StreamId {
    /// The id of the aggregate.
    pub const fn id<K>(self) -> Id<K> {
        Id::from_bits(self.0)
    }
}

impl From<StreamId> for Value {
    fn from(stream: StreamId) -> Self {
        Self::Blob(stream.0.to_be_bytes().to_vec())
    }
}

impl FromValue for StreamId {
    fn from_value(value: ValueRef<'_>) -> Option<Self> {
        <[u8; 16]>::from_value(value).map(|bytes| Self(u128::from_be_bytes(bytes)))
    }
}

/// An event about to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its name, past tense: `OrderPlaced`.
    pub name: &'static str,
    /// The version of its shape, from 1; readers upcast old ones.
    pub schema: i64,
    /// JSON without personal data.
    pub body: String,
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream, from 1 without gaps.
    pub version: i64,
    /// Its place among all events of the database for subscribers; rises, may have gaps. `None` on MySQL for the
    /// moment between its commit and the sequencer.
    pub position: Option<i64>,
    /// Its name.
    pub name: String,
    /// The version of its shape.
    pub schema: i64,
    /// JSON.
    pub body: String,
    /// When it was decided.
    pub recorded_at: Timestamp,
}

impl RecordedEvent {
    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            stream: row.get(0)?,
            version: row.get(1)?,
            position: row.get(2)?,
            name: row.get(3)?,
            schema: row.get(4)?,
            body: row.get(5)?,
            recorded_at: row.get(6)?,
        })
    }
}

/// Which events of a log are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this stream only.
    pub stream: Option<StreamId>,
    /// Of these names only; empty for all.
    pub names: Vec<String>,
    /// Recorded at this moment or before only.
    pub until: Option<Timestamp>,
}

/// The event table `<context>_events` of one context.
#[derive(Clone)]
pub struct EventLog {
    texts: Arc<Texts>,
}

struct Texts {
    table: String,
    load: String,
    read_after: String,
    head: String,
    version: String,
    insert: String,
    columns: &'static str,
    snapshots: SnapshotTexts,
}

impl EventLog {
    /// The number of its migration, and the next that of the snapshots; platform uses others below 100, contexts begin
    /// at 100.
    pub const MIGRATION: u32 = 1;

    /// The log of `context`.
    pub fn new(context: &'static str) -> Self {
        let table = format!("{context}_events");
        let columns = "stream, version, position, name, schema_number, body, recorded_at";
        Self {
            texts: Arc::new(Texts {
                load: format!("SELECT {columns} FROM {table} WHERE stream = ? ORDER BY version"),
                read_after: format!(
                    "SELECT {columns} FROM {table} WHERE position > ? ORDER BY position LIMIT ?"
                ),
                head: format!("SELECT COALESCE(MAX(position), 0) FROM {table}"),
                version: format!("SELECT COALESCE(MAX(version), 0) FROM {table} WHERE stream = ?"),
                insert: format!("INSERT INTO {table} ({columns}) VALUES"),
                snapshots: SnapshotTexts::new(context, &table, columns),
                columns,
                table,
            }),
        }
    }

    /// The table, which is also the channel woken when events of it can be read.
    pub fn table(&self) -> &str {
        &self.texts.table
    }

    /// The channel to listen on.
    pub fn channel(&self) -> &str {
        &self.texts.table
    }

    /// For [`crate::Db::open`].
    pub fn sequenced_table(&self) -> SequencedTable {
        SequencedTable::new(self.texts.table.clone(), self.texts.table.clone())
    }

    pub(crate) fn snapshots(&self) -> &SnapshotTexts {
        &self.texts.snapshots
    }

    /// The migrations that make the tables.
    pub fn migrations(&self) -> Vec<Migration> {
        let table = &self.texts.table;
        let text = format!(
            "CREATE TABLE {table} (
                stream BINARY(16) NOT NULL,
                version BIGINT NOT NULL,
                position BIGINT,
                name VARCHAR(100) NOT NULL,
                schema_number BIGINT NOT NULL,
                body MEDIUMTEXT NOT NULL,
                recorded_at BIGINT NOT NULL,
                PRIMARY KEY (stream, version)
            );
            CREATE UNIQUE INDEX {table}_position ON {table} (position)"
        );
        vec![
            Migration::same(Self::MIGRATION, "events", text),
            self.texts.snapshots.migration(Self::MIGRATION + 1),
        ]
    }

    /// All events of a stream in order.
    ///
    /// # Errors
    /// What the database answered.
    pub fn load(&self, q: &mut impl Query, stream: impl Into<StreamId>) -> Result<Vec<RecordedEvent>> {
        q.query(&self.texts.load, params![stream.into()], RecordedEvent::from_row)
    }

    /// The version of a stream; 0 when it has no event.
    ///
    /// # Errors
    /// What the database answered.
    pub fn version(&self, q: &mut impl Query, stream: impl Into<StreamId>) -> Result<i64> {
        q.query_one(&self.texts.version, params![stream.into()], |row| row.get(0))
    }

    /// Appends `events`, decided on `expected_version` of the stream; answers its new version.
    ///
    /// # Errors
    /// `sql.stream_moved` (Conflict) when somebody else appended meanwhile. [`crate::Db::write`] runs the closure
    /// again then, so a closure that loads the stream itself decides anew.
    pub fn append(
        &self,
        tx: &mut Tx<'_>,
        stream: impl Into<StreamId>,
        expected_version: i64,
        events: &[NewEvent],
        at: Timestamp,
    ) -> Result<i64> {
        let stream = stream.into();
        if events.is_empty() {
            return Ok(expected_version);
        }
        let base = if Guard::EventVersion.on() { expected_version } else { self.version(tx, stream)? };
        let mut version = base;
        let mut rows = Vec::with_capacity(events.len());
        for event in events {
            version += 1;
            let position = tx.next_position();
            rows.push(params![stream, version, position, event.name, event.schema, &event.body, at]);
        }
        match tx.insert_rows(&self.texts.insert, 7, rows) {
            Ok(()) => {}
            Err(e) if e.is("sql.duplicate") => return Err(error::stream_moved(expected_version)),
            Err(e) => return Err(e),
        }
        tx.wake(&self.texts.table);
        Ok(version)
    }

    /// The next events after `position` in the order subscribers see them; nothing that comes later will be
    /// placed before one of these.
    ///
    /// # Errors
    /// What the database answered.
    pub fn read_after(&self, q: &mut impl Query, position: i64, limit: i64) -> Result<Vec<RecordedEvent>> {
        q.query(&self.texts.read_after, params![position, limit], RecordedEvent::from_row)
    }

    /// As [`Self::read_after`], those that `filter` wants.
    ///
    /// # Errors
    /// What the database answered.
    pub fn search(
        &self,
        q: &mut impl Query,
        filter: &EventFilter,
        position: i64,
        limit: i64,
    ) -> Result<Vec<RecordedEvent>> {
        let mut sql = format!("SELECT {} FROM {} WHERE position > ?", self.texts.columns, self.texts.table);
        let mut values = params![position];
        if let Some(stream) = filter.stream {
            sql.push_str(" AND stream = ?");
            values.push(stream.into());
        }
        if !filter.names.is_empty() {
            sql.push_str(&format!(" AND name IN ({})", vec!["?"; filter.names.len()].join(", ")));
            values.extend(filter.names.iter().map(Value::from));
        }
        if let Some(until) = filter.until {
            sql.push_str(" AND recorded_at <= ?");
            values.push(until.into());
        }
        sql.push_str(" ORDER BY position LIMIT ?");
        values.push(limit.into());
        q.query(&sql, values, RecordedEvent::from_row)
    }

    /// The position of the last event subscribers can see; 0 when there is none.
    ///
    /// # Errors
    /// What the database answered.
    pub fn last_position(&self, q: &mut impl Query) -> Result<i64> {
        q.query_one(&self.texts.head, params![], |row| row.get(0))
    }
}
