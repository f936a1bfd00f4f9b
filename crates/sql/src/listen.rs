//! Wakes: a hint after a commit that something new is there to read. Never the truth; readers poll as a fallback.
//!
//! Who waits is woken in the order of waiting. `tokio::sync::watch` draws that order from chance, and a run would not be a
//! function of its seed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

#[derive(Default)]
struct Channel {
    wakes: AtomicU64,
    woken: Notify,
}

#[derive(Default)]
pub(crate) struct Channels {
    all: Mutex<BTreeMap<String, Arc<Channel>>>,
}

impl Channels {
    pub(crate) fn listen(&self, channel: &str) -> Listener {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = all.entry(channel.to_owned()).or_default().clone();
        Listener { seen: channel.wakes.load(Ordering::SeqCst), channel }
    }

    pub(crate) fn wake<'a>(&self, channels: impl IntoIterator<Item = &'a String>) {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        for channel in channels.into_iter().filter_map(|name| all.get(name)) {
            channel.wakes.fetch_add(1, Ordering::SeqCst);
            channel.woken.notify_waiters();
        }
    }
}

/// Hears the wakes of one channel. A wake that comes while nobody waits is remembered: listen first, then read,
/// then wait, and nothing is missed.
#[derive(Clone)]
pub struct Listener {
    channel: Arc<Channel>,
    seen: u64,
}

impl Listener {
    /// Completes when the channel was woken since the last call (or since listening began).
    pub async fn changed(&mut self) {
        loop {
            let woken = self.channel.woken.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let wakes = self.channel.wakes.load(Ordering::SeqCst);
            if wakes != self.seen {
                self.seen = wakes;
                return;
            }
            woken.await;
        }
    }
}
