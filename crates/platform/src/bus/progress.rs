//! How far every subscription has come, shared between the relays, the checkpoint and whoever asks.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use merx_kernel::{Result, Timestamp};
use merx_sql::Db;
use tokio::sync::Notify;

use crate::store::Store;

/// How far one subscription is behind one publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The subscription.
    pub subscription: &'static str,
    /// The publisher.
    pub publisher: &'static str,
    /// Everything up to this position is handled or in the deliveries table.
    pub cursor: i64,
    /// Facts published for it and not yet handled; those in the deliveries table apart.
    pub facts: i64,
    /// The age of the oldest of them.
    pub age: Duration,
}

/// What is left when everything that could be done was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Subjects that wait for another try of a fact.
    pub waiting: usize,
    /// When the first of them is tried.
    pub next_at: Option<Timestamp>,
    /// Dead letters.
    pub dead: i64,
}

/// One subscription on one publisher.
#[derive(Clone, Debug)]
pub(super) struct FeedProgress {
    pub(super) store: Store,
    pub(super) cursor: i64,
    pub(super) durable: i64,
    pub(super) read_to: i64,
    pub(super) busy: bool,
    pub(super) waiting: usize,
    pub(super) next_at: Option<Timestamp>,
}

/// (subscription, publisher).
pub(super) type FeedKey = (&'static str, &'static str);

/// The cursors of one context that are to be written.
type Moved = (Store, Vec<(FeedKey, i64)>);

#[derive(Default)]
pub(super) struct Progress {
    feeds: Mutex<BTreeMap<FeedKey, FeedProgress>>,
    pub(super) dirty: Notify,
}

impl Progress {
    pub(super) fn feeds(&self) -> MutexGuard<'_, BTreeMap<FeedKey, FeedProgress>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a feed's state; wakes the checkpoint when its cursor has moved.
    pub(super) fn update(&self, key: FeedKey, mut now: FeedProgress) {
        let mut feeds = self.feeds();
        if let Some(old) = feeds.get(&key) {
            now.durable = now.durable.max(old.durable);
        }
        let moved = now.cursor > now.durable;
        feeds.insert(key, now);
        drop(feeds);
        if moved {
            self.dirty.notify_one();
        }
    }

    /// Writes every cursor that has moved: one transaction for each subscribing context.
    pub(super) async fn checkpoint(&self, db: &Db, now: Timestamp) -> Result<()> {
        let mut moved: BTreeMap<&'static str, Moved> = BTreeMap::new();
        for (key, feed) in self.feeds().iter().filter(|(_, feed)| feed.cursor > feed.durable) {
            let entry = moved.entry(feed.store.context()).or_insert_with(|| (feed.store.clone(), Vec::new()));
            entry.1.push((*key, feed.cursor));
        }
        for (store, cursors) in moved.into_values() {
            let rows = cursors.clone();
            db.write("bus.checkpoint", move |tx| {
                rows.iter().try_for_each(|((subscription, publisher), cursor)| {
                    store.cursors.advance(tx, subscription, publisher, *cursor, now)
                })
            })
            .await?;
            let mut feeds = self.feeds();
            for (key, cursor) in cursors {
                if let Some(feed) = feeds.get_mut(&key) {
                    feed.durable = feed.durable.max(cursor);
                }
            }
        }
        Ok(())
    }
}
