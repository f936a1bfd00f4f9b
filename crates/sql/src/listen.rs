//! Wakes: a hint after a commit that something new is there to read. Never the truth; readers poll as a fallback.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

#[derive(Default)]
pub(crate) struct Channels {
    senders: Mutex<BTreeMap<String, watch::Sender<u64>>>,
}

impl Channels {
    pub(crate) fn listen(&self, channel: &str) -> Listener {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        Listener { wakes: senders.entry(channel.to_owned()).or_default().subscribe() }
    }

    pub(crate) fn wake<'a>(&self, channels: impl IntoIterator<Item = &'a String>) {
        let senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        for channel in channels {
            if let Some(sender) = senders.get(channel) {
                sender.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    }
}

/// Hears the wakes of one channel. A wake that comes while nobody waits is remembered: listen first, then read,
/// then wait, and nothing is missed.
#[derive(Clone)]
pub struct Listener {
    wakes: watch::Receiver<u64>,
}

impl Listener {
    /// Completes when the channel was woken since the last call (or since listening began).
    pub async fn changed(&mut self) {
        if self.wakes.changed().await.is_err() {
            // The database is gone; there will be no more wakes.
            std::future::pending::<()>().await;
        }
    }
}
