//! Storage: one synchronous transaction over SQLite, MySQL and MariaDB.
//!
//! [`Db::write`] runs a closure in a transaction and answers when it is durable; [`Db::read`] runs one on a
//! consistent snapshot. Closures may run again and must have no other effect. A third mode, [`Db::inline`], runs
//! everything on the caller's task over a database in memory, for simulation and fast tests.
//!
//! On top of it: [`EventLog`] with optimistic versions, positions that subscribers can trust ([`Tx::next_position`]),
//! migrations ([`Db::migrate`]) and counts ([`Db::stats`]).

mod backup;
mod db;
mod error;
mod events;
mod job;
mod lanes;
mod listen;
mod migrate;
mod mysql;
mod options;
mod retry;
mod snapshots;
mod sqlite;
mod stats;
mod tx;
mod value;

pub use backup::{BackupProgress, back_up_file, check_file};
pub use db::Db;
pub use error::contention;
pub use events::{EventFilter, EventLog, NewEvent, RecordedEvent, StreamId};
pub use listen::Listener;
pub use migrate::{Migration, PendingMigration};
pub use options::{DbOptions, FaultPoint, Faults, Observer, OnFatal, SequencedTable};
pub use snapshots::{SNAPSHOT_EVERY, Snapshot};
pub use stats::{LabelStats, Stats};
pub use tx::{Inserted, Query, Reader, Tx};
pub use value::{FromValue, Row, Value, ValueRef};
