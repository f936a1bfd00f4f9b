//! Who is at work: counts what runs in the background, so that a test or a shutdown can wait until nothing does.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::Notify;

/// Counts work in the background. Clones share one count.
#[derive(Clone, Debug, Default)]
pub struct Activity(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    busy: AtomicUsize,
    epoch: AtomicU64,
    changed: Notify,
}

/// Work under way; over when it is dropped.
#[derive(Debug)]
pub struct Busy(Activity);

impl Activity {
    /// Nothing under way.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that work is under way until the answer is dropped.
    #[must_use]
    pub fn begin(&self) -> Busy {
        self.0.busy.fetch_add(1, Ordering::SeqCst);
        self.0.epoch.fetch_add(1, Ordering::SeqCst);
        Busy(self.clone())
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.0.busy.load(Ordering::SeqCst) == 0
    }

    /// Rises with every beginning and end: equal before and after a look means that nothing happened meanwhile.
    pub fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::SeqCst)
    }

    /// Completes when the epoch is no longer `seen`.
    pub async fn changed_since(&self, seen: u64) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.epoch() != seen {
                return;
            }
            changed.await;
        }
    }

    /// Says that something changed that a waiter may want to look at.
    pub fn touch(&self) {
        self.0.epoch.fetch_add(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.busy.fetch_sub(1, Ordering::SeqCst);
        self.0.touch();
    }
}
