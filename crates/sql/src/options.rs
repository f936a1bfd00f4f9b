//! What a [`crate::Db`] is told when it is opened.

use std::{borrow::Cow, sync::Arc};

use merx_kernel::{Clock, Error};

use crate::snapshots::SNAPSHOT_EVERY;

/// Hears of every committed write transaction, in commit order on SQLite and inline. A simulation hashes this
/// trace to compare two runs.
pub trait Observer: Send + Sync + 'static {
    /// A closure was committed.
    fn committed(&self, label: &'static str, statements: u64, rows_written: u64);
}

/// Where a fault can be put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultPoint {
    /// All closures of the batch have run; nothing is kept yet. A fault here loses the batch.
    BeforeCommit,
    /// The batch is kept, nobody knows yet. A fault here leaves the callers with an unknown outcome.
    AfterCommit,
}

/// Decides where a test wants a fault.
pub trait Faults: Send + Sync + 'static {
    /// Whether the batch of transactions with these labels fails here.
    fn strikes(&self, point: FaultPoint, labels: &[&'static str]) -> bool;

    /// How many turns all other tasks have before the transaction with this label is answered. Inline only: there an
    /// answer is there at once, and tasks would never come in between each other's transactions as they do with threads.
    fn turns(&self, _label: &'static str) -> u32 {
        0
    }
}

/// Called when a commit has an unknown outcome. The server stops the process: the file decides at the next start.
pub type OnFatal = Arc<dyn Fn(&Error) + Send + Sync>;

/// How a [`crate::Db`] is opened.
#[derive(Clone)]
pub struct DbOptions {
    /// Time, for back-off.
    pub clock: Arc<dyn Clock>,
    /// Hears of commits.
    pub observer: Option<Arc<dyn Observer>>,
    /// Puts faults in, for tests.
    pub faults: Option<Arc<dyn Faults>>,
    /// What to do when SQLite cannot say whether a commit was kept. Unless told: abort the process.
    pub on_fatal: OnFatal,
    /// Read an SQLite file that another process may be writing; writing is refused, no lock is taken.
    pub read_only: bool,
    /// Connections that read.
    pub readers: usize,
    /// Connections that write, on MySQL. SQLite has one.
    pub writers: usize,
    /// Jobs that may wait before new ones are refused with `sql.overloaded`.
    pub queue_max: usize,
    /// The most pages an SQLite file may have (4 KiB each); unlimited unless told.
    pub pages_max: Option<u32>,
    /// Events of a stream between two snapshots of it; `None` neither reads nor writes any.
    pub snapshot_every: Option<i64>,
}

impl DbOptions {
    /// The usual options.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            observer: None,
            faults: None,
            on_fatal: Arc::new(|_| std::process::abort()),
            read_only: false,
            readers: 4,
            writers: 8,
            queue_max: 8192,
            pages_max: None,
            snapshot_every: Some(SNAPSHOT_EVERY),
        }
    }
}

/// A table whose rows carry a `position BIGINT` (nullable, unique) that rises in the order subscribers see them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SequencedTable {
    /// The table.
    pub table: Cow<'static, str>,
    /// The channel woken when rows of it have positions.
    pub channel: Cow<'static, str>,
}

impl SequencedTable {
    /// `table`, whose listeners wait on `channel`.
    pub fn new(table: impl Into<Cow<'static, str>>, channel: impl Into<Cow<'static, str>>) -> Self {
        Self { table: table.into(), channel: channel.into() }
    }
}
