//! Whether somebody is there.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Whether a process is behind the door. Who waits for one is woken in the order of waiting.
pub(super) struct Up {
    is_up: AtomicBool,
    changed: Notify,
}

impl Up {
    pub(super) fn new(is_up: bool) -> Self {
        Self { is_up: AtomicBool::new(is_up), changed: Notify::new() }
    }
    pub(super) fn set(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::SeqCst);
        self.changed.notify_waiters();
    }
    pub(super) async fn becomes(&self, is_up: bool) {
        loop {
            // From here on no change is missed.
            let changed = self.changed.notified();
            if self.is_up.load(Ordering::SeqCst) == is_up {
                return;
            }
            changed.await;
        }
    }
}
