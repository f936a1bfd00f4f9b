//! What a run did, as one hash: two runs of one seed must be equal.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use merx_sql::Observer;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A transaction was committed.
    Committed {
        /// Its label.
        label: &'static str,
        /// The statements it ran.
        statements: u64,
        /// The rows it wrote.
        rows_written: u64,
    },
    /// Somebody outside saw something: an answer, a page, a figure.
    Seen(String),
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Committed { label, statements, rows_written } => {
                write!(f, "{label}: {statements} statements, {rows_written} rows")
            }
            Self::Seen(text) => f.write_str(text),
        }
    }
}

/// What happened, in order: the committed transactions, and what was seen from outside.
#[derive(Debug, Default)]
pub struct Trace(Mutex<Vec<Happened>>);

impl Observer for Trace {
    fn committed(&self, label: &'static str, statements: u64, rows_written: u64) {
        self.all().push(Happened::Committed { label, statements, rows_written });
    }
}

impl Trace {
    fn all(&self) -> MutexGuard<'_, Vec<Happened>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what was seen from outside.
    pub fn see(&self, what: impl Into<String>) {
        self.all().push(Happened::Seen(what.into()));
    }

    /// What happened since the last call.
    pub fn take(&self) -> Vec<Happened> {
        std::mem::take(&mut *self.all())
    }

    /// FNV-1a over everything since the last [`Self::take`].
    pub fn hash(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for happened in self.all().iter() {
            // A byte that no text holds keeps "ab", "c" apart from "a", "bc".
            for byte in happened.to_string().bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        hash
    }
}
