//! What a run did, as one hash: two runs of one seed must be equal.

use std::sync::{Mutex, PoisonError};

use merx_sql::Observer;

/// The committed transactions, in order.
#[derive(Debug, Default)]
pub struct Trace(Mutex<Vec<(&'static str, u64, u64)>>);

impl Observer for Trace {
    fn committed(&self, label: &'static str, statements: u64, rows_written: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((label, statements, rows_written));
    }
}

impl Trace {
    /// Label, statements and rows written of each transaction since the last call.
    pub fn take(&self) -> Vec<(&'static str, u64, u64)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// FNV-1a over everything seen since the last [`Self::take`].
    pub fn hash(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut eat = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        };
        for (label, statements, rows) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            eat(label.as_bytes());
            eat(&statements.to_be_bytes());
            eat(&rows.to_be_bytes());
        }
        hash
    }
}
