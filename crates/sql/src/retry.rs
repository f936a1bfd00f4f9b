//! How often and how soon a closure is run again.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use merx_kernel::Result;

use crate::error;

/// Exponential back-off with jitter, bounded in number.
pub(crate) struct Backoff {
    tries: u32,
    /// The last `sql.stream_moved`, with the version it was about.
    moved: Option<String>,
}

impl Backoff {
    /// The most times a closure runs.
    const TRIES_MAX: u32 = 10;
    const FIRST: Duration = Duration::from_millis(2);
    const PAUSE_MAX: Duration = Duration::from_millis(50);

    pub(crate) fn new() -> Self {
        Self { tries: 1, moved: None }
    }

    /// How long to wait before the closure that ended so runs again; `None` when it does not.
    pub(crate) fn after<T>(&mut self, outcome: &Result<T>) -> Option<Duration> {
        let error = outcome.as_ref().err().filter(|e| error::runs_again(e))?;
        if error.is("sql.stream_moved") {
            // Twice on one version: the closure does not load the stream, its decision is stale for good.
            let chain = Some(error.chain());
            if self.moved == chain {
                return None;
            }
            self.moved = chain;
        }
        if self.tries >= Self::TRIES_MAX {
            return None;
        }
        let pause = Self::FIRST.saturating_mul(1 << self.tries.min(16)).min(Self::PAUSE_MAX);
        self.tries += 1;
        // Anything from half to one and a half times the pause, so that two who collided part ways.
        Some(pause / 2 + pause.mul_f64(spread()))
    }
}

/// A number from 0 to 1, different at each call and in each process. It need not be unpredictable, only spread.
fn spread() -> f64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) ^ (u64::from(std::process::id()) << 32);
    let mut mixed = count.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from(u32::try_from(mixed >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
