//! Wakes the loop, and keeps the platform from thinking that all is done in between.

use std::sync::{Mutex, PoisonError};

use merx_platform::activity::{Activity, Busy};
use tokio::sync::Notify;

/// Says that something waits to be sent.
#[derive(Debug)]
pub struct Nudge {
    activity: Activity,
    slot: Mutex<Option<Busy>>,
    notify: Notify,
}

impl Nudge {
    /// Nothing waits yet.
    pub fn new(activity: Activity) -> Self {
        Self { activity, slot: Mutex::new(None), notify: Notify::new() }
    }

    /// Wakes the loop. Called after the commit; a nudge that a crash loses is made up for by the next look.
    pub fn now(&self) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = Some(self.activity.begin());
        }
        drop(slot);
        self.notify.notify_one();
    }

    /// Takes the nudges so far.
    pub(super) fn take(&self) -> Option<Busy> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn begin(&self) -> Busy {
        self.activity.begin()
    }

    pub(super) async fn nudged(&self) {
        self.notify.notified().await;
    }
}
