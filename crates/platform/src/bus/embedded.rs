//! The bus in one process, on the outbox tables themselves: nothing is copied, and a commit wakes the readers.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use merx_contracts::ids::MessageId;
use merx_kernel::{Clock, Error, Result, Timestamp};
use merx_sql::Db;
use tokio_util::sync::CancellationToken;

use super::{
    Bus, CHECKPOINT_EVERY, Lag, Settled, Subscription,
    deliver::Courier,
    metrics::BusMetrics,
    progress::Progress,
    publisher_of,
    relay::{Relay, by_publisher},
};
use crate::{
    activity::Activity,
    module::Deps,
    store::{DeliveryState, Store},
    tasks::Tasks,
};

/// How often a relay reads although nobody woke it: another process may have published.
const POLL_EVERY: Duration = Duration::from_secs(5);
/// Rows removed in one transaction of the housekeeping.
const PRUNE_CHUNK: i64 = 500;

/// The embedded backend.
pub struct EmbeddedBus {
    db: Db,
    clock: Arc<dyn Clock>,
    activity: Activity,
    subscriptions: Vec<Subscription>,
    publishers: Vec<Store>,
    progress: Arc<Progress>,
    metrics: BusMetrics,
    relays: Vec<Arc<Relay>>,
}

impl EmbeddedBus {
    /// A bus between the contexts of `publishers` and `subscriptions`, all on one database.
    ///
    /// # Errors
    /// `Internal` for two subscriptions of one name, or one that wants facts only of contexts that are not there.
    pub fn new(deps: &Deps, publishers: &[Store], subscriptions: Vec<Subscription>) -> Result<Self> {
        let metrics = BusMetrics::register(&deps.metrics);
        let progress = Arc::new(Progress::default());
        let mut names = BTreeSet::new();
        let mut couriers = Vec::new();
        for subscription in &subscriptions {
            if !names.insert(subscription.name) {
                return Err(Error::internal(format!("two subscriptions are named {}", subscription.name)));
            }
            let wanted: BTreeSet<&str> = subscription.types.iter().map(|kind| publisher_of(kind)).collect();
            let mut heard = 0;
            for publisher in wanted {
                let Some(store) = publishers.iter().find(|store| store.context() == publisher) else {
                    // Who hears of everybody is wired with some of them in tests.
                    tracing::warn!(subscription = subscription.name, publisher, "a publisher is not here");
                    continue;
                };
                heard += 1;
                couriers.push(Arc::new(Courier {
                    db: deps.db.clone(),
                    clock: deps.clock.clone(),
                    entropy: deps.entropy.clone(),
                    subscription: subscription.clone(),
                    publisher: store.context(),
                    metrics: metrics.clone(),
                    faults: deps.faults.clone(),
                }));
            }
            if heard == 0 {
                let name = subscription.name;
                return Err(Error::internal(format!("{name} wants facts of contexts that are not here")));
            }
        }
        let relays = by_publisher(couriers)
            .into_iter()
            .filter_map(|(publisher, couriers)| {
                Some(Arc::new(Relay {
                    db: deps.db.clone(),
                    clock: deps.clock.clone(),
                    activity: deps.activity.clone(),
                    publisher: publishers.iter().find(|store| store.context() == publisher)?.clone(),
                    couriers,
                    progress: progress.clone(),
                    poll_every: POLL_EVERY,
                    faults: deps.faults.clone(),
                }))
            })
            .collect();
        Ok(Self {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            activity: deps.activity.clone(),
            subscriptions,
            publishers: publishers.to_vec(),
            progress,
            metrics,
            relays,
        })
    }

    /// Starts to carry facts, until the tasks are shut down.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        for relay in &self.relays {
            let relay = relay.clone();
            drop(tasks.spawn_loop("bus.relay", move |stop| {
                let relay = relay.clone();
                async move { relay.run(stop).await }
            }));
        }
        let bus = self.clone();
        drop(tasks.spawn_loop("bus.checkpoint", move |stop| {
            let bus = bus.clone();
            async move { bus.keep_checkpoints(stop).await }
        }));
    }

    /// Makes cursors durable a second after they moved, as long as `stop` is not given; the relays do it last.
    async fn keep_checkpoints(&self, stop: CancellationToken) -> Result<()> {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.progress.dirty.notified() => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.clock.sleep(CHECKPOINT_EVERY) => {}
            }
            if let Err(error) = self.checkpoint().await {
                // The cursors are as dirty as before: the next run of this loop writes them.
                self.progress.dirty.notify_one();
                return Err(error);
            }
        }
    }

    /// Removes facts that every subscription has passed and that are older than `facts`, and inbox entries older
    /// than `inbox`; answers how many rows went.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn prune(&self, facts: Duration, inbox: Duration) -> Result<u64> {
        let now = self.clock.now();
        let mut total = 0;
        for publisher in &self.publishers {
            let passed = self.passed(publisher);
            let (outbox, taken) = (publisher.outbox, publisher.inbox);
            let (facts_before, inbox_before) = (now.minus(facts), now.minus(inbox));
            loop {
                let gone = self
                    .db
                    .write_low("bus.prune", move |tx| {
                        let facts = outbox.prune(tx, passed, facts_before, PRUNE_CHUNK)?;
                        Ok(facts + taken.prune(tx, inbox_before, PRUNE_CHUNK)?)
                    })
                    .await?;
                total += gone;
                if gone == 0 {
                    break;
                }
            }
        }
        Ok(total)
    }

    /// Up to where every subscription has durably read `publisher`: these facts count as sent.
    fn passed(&self, publisher: &Store) -> i64 {
        let feeds = self.progress.feeds();
        let of_publisher = feeds.iter().filter(|((_, name), _)| *name == publisher.context());
        let wanted = self.subscriptions.iter().any(|s| !s.types_of(publisher.context()).is_empty());
        of_publisher.map(|(_, feed)| feed.durable).min().unwrap_or(if wanted { 0 } else { i64::MAX })
    }

    /// Whether everything published was read and nothing is under way or due.
    async fn is_settled(&self) -> Result<bool> {
        let now = self.clock.now();
        for relay in &self.relays {
            let outbox = relay.publisher.outbox;
            let feeds: Vec<_> = relay
                .couriers
                .iter()
                .map(|c| (c.subscription.store.deliveries, c.subscription.name, c.publisher))
                .collect();
            let (last, unnumbered, due) = self
                .db
                .read("bus.settled", move |q| {
                    let mut due = false;
                    for (deliveries, name, publisher) in feeds {
                        // A dead letter that was just sent on its way again is due, and no relay knows it yet.
                        due |= deliveries.waiting_keys(q, name, publisher)?.iter().any(|(_, at)| *at <= now);
                    }
                    Ok((outbox.last_position(q)?, outbox.unnumbered(q)?, due))
                })
                .await?;
            let feeds = self.progress.feeds();
            let settled = relay.couriers.iter().all(|courier| {
                feeds.get(&(courier.subscription.name, courier.publisher)).is_some_and(|feed| {
                    !feed.busy && feed.read_to >= last && feed.next_at.is_none_or(|at| at > now)
                })
            });
            if unnumbered > 0 || due || !settled {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn subscription(&self, name: &str) -> Result<&Subscription> {
        self.subscriptions.iter().find(|subscription| subscription.name == name).ok_or_else(|| {
            Error::not_found("bus.no_subscription", format!("There is no subscription `{name}`."))
        })
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
    async fn settled(&self) -> Result<Settled> {
        loop {
            let seen = self.activity.epoch();
            if self.activity.is_idle() && self.is_settled().await? && self.activity.epoch() == seen {
                break;
            }
            self.activity.changed_since(seen).await;
        }
        let stores: Vec<Store> = self.publishers.clone();
        let dead = self
            .db
            .read("bus.dead", move |q| {
                stores.iter().map(|store| store.deliveries.count(q, DeliveryState::Dead)).sum::<Result<i64>>()
            })
            .await?;
        let feeds = self.progress.feeds();
        Ok(Settled {
            waiting: feeds.values().map(|feed| feed.waiting).sum(),
            next_at: feeds.values().filter_map(|feed| feed.next_at).min(),
            dead,
        })
    }

    async fn lag(&self) -> Result<Vec<Lag>> {
        let now = self.clock.now();
        let mut all = Vec::new();
        for relay in &self.relays {
            for courier in &relay.couriers {
                let key = (courier.subscription.name, courier.publisher);
                let cursor = self.progress.feeds().get(&key).map_or(0, |feed| feed.cursor);
                let (outbox, types) =
                    (relay.publisher.outbox, courier.subscription.types_of(courier.publisher));
                let (facts, oldest): (i64, Option<Timestamp>) =
                    self.db.read("bus.lag", move |q| outbox.waiting_after(q, cursor, &types)).await?;
                let age = oldest.map_or(Duration::ZERO, |at| now.since(at));
                let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                self.metrics.lag(key.0, facts, age_ms);
                all.push(Lag { subscription: key.0, publisher: key.1, cursor, facts, age });
            }
        }
        Ok(all)
    }

    async fn checkpoint(&self) -> Result<()> {
        self.progress.checkpoint(&self.db, self.clock.now()).await
    }

    async fn redrive(&self, subscription: &str, message: MessageId) -> Result<bool> {
        let found = self.subscription(subscription)?;
        let (deliveries, name, now) = (found.store.deliveries, found.name, self.clock.now());
        self.db.write("bus.redrive", move |tx| deliveries.redrive(tx, name, message, now)).await
    }

    async fn give_up(&self, subscription: &str, message: MessageId, reason: String) -> Result<bool> {
        let found = self.subscription(subscription)?;
        let (deliveries, name, now) = (found.store.deliveries, found.name, self.clock.now());
        self.db.write("bus.give_up", move |tx| deliveries.give_up(tx, name, message, &reason, now)).await
    }
}
