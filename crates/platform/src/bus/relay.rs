//! Reads one publisher's outbox and feeds its subscriptions: one loop a publisher, one read for all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, select_all},
    stream::FuturesUnordered,
};
use merx_kernel::{Clock, Guard, Result, Timestamp};
use merx_sql::{Db, Listener};
use tokio_util::sync::CancellationToken;

use super::{
    BATCH_MAX, CONCURRENT_MAX, WINDOW_MAX,
    deliver::{Courier, Finished, held_keys},
    lanes::Lanes,
    progress::{FeedProgress, Progress},
};
use crate::{
    activity::{Activity, Busy},
    store::{OutboxRow, Store},
};

/// How long the relay waits before it reads again after the database failed.
const READ_PAUSE: Duration = Duration::from_secs(1);

/// What a relay is made of.
pub(super) struct Relay {
    pub(super) db: Db,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) activity: Activity,
    pub(super) publisher: Store,
    pub(super) couriers: Vec<Arc<Courier>>,
    pub(super) progress: Arc<Progress>,
    pub(super) poll_every: Duration,
}

/// One subscription on this publisher.
struct Feed {
    courier: Arc<Courier>,
    types: Vec<&'static str>,
    lanes: Lanes,
    /// Positions that lie in the deliveries table although the cursor was not moved past them in time.
    known: BTreeSet<i64>,
    start: i64,
}

enum Event {
    Read(Result<Vec<OutboxRow>>),
    Worked(usize, Finished),
    HeldKeys(usize, Result<Vec<(String, Timestamp)>>),
}

type Jobs = FuturesUnordered<BoxFuture<'static, Event>>;

impl Relay {
    /// Runs until `stop`; then waits for the handlers under way and makes the cursors durable.
    pub(super) async fn run(&self, stop: CancellationToken) -> Result<()> {
        // Listening begins before the first read, so that nothing is missed in between.
        let mut published = self.db.listen(&self.publisher.outbox.channel());
        let mut redriven = self.redrive_listeners();
        if !Guard::Outbox.on() {
            self.publisher.outbox.forget_unsent();
        }
        let mut feeds = self.feeds().await?;
        let mut jobs = Jobs::new();
        let mut more = true;
        let mut reading = false;
        let mut busy: Option<Busy> = None;
        let mut retry_read_at: Option<Timestamp> = None;
        loop {
            let now = self.clock.now();
            let stopping = stop.is_cancelled();
            if !stopping {
                start_work(&mut feeds, &jobs, now);
                let open = feeds.iter().map(|feed| feed.lanes.open()).max().unwrap_or(0);
                let paused = retry_read_at.is_some_and(|at| at > now);
                if more && !reading && !paused && open < WINDOW_MAX {
                    (reading, more, retry_read_at) = (true, false, None);
                    jobs.push(self.read_after(read_to(&feeds)));
                }
            }
            if jobs.is_empty() && stopping {
                break;
            }
            busy = match (jobs.is_empty(), busy) {
                (true, _) => None,
                (false, None) => Some(self.activity.begin()),
                (false, some) => some,
            };
            self.report(&feeds, !jobs.is_empty());
            let next_at = feeds.iter().filter_map(|feed| feed.lanes.next_at()).chain(retry_read_at).min();
            let until_next = next_at.map_or(self.poll_every, |at| at.since(now)).min(self.poll_every);
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {}
                Some(event) = jobs.next() => match event {
                    Event::Read(Ok(rows)) => {
                        reading = false;
                        more |= i64::try_from(rows.len()).is_ok_and(|n| n == BATCH_MAX);
                        take_in(&mut feeds, rows);
                    }
                    Event::Read(Err(error)) => {
                        let publisher = self.publisher.context();
                        tracing::warn!(publisher, error = %error.chain(), "outbox could not be read");
                        (reading, more) = (false, true);
                        retry_read_at = Some(self.clock.now().plus(READ_PAUSE));
                    }
                    Event::Worked(index, done) => {
                        feeds[index].lanes.release(done.subject, &done.positions, done.outcome);
                    }
                    Event::HeldKeys(index, Ok(keys)) => {
                        keys.into_iter().for_each(|(subject, at)| feeds[index].lanes.hold(subject, at));
                    }
                    Event::HeldKeys(_, Err(error)) => {
                        tracing::warn!(error = %error.chain(), "held facts could not be read");
                    }
                },
                () = published.changed() => more = true,
                () = any_changed(&mut redriven) => {
                    for (index, feed) in feeds.iter().enumerate() {
                        let courier = feed.courier.clone();
                        jobs.push(async move { Event::HeldKeys(index, held_keys(&courier).await) }.boxed());
                    }
                }
                () = self.clock.sleep(until_next), if !stopping => more |= until_next == self.poll_every,
            }
        }
        self.report(&feeds, false);
        self.progress.checkpoint(&self.db, self.clock.now()).await
    }

    fn redrive_listeners(&self) -> Vec<Listener> {
        let channels: BTreeSet<String> =
            self.couriers.iter().map(|courier| courier.subscription.store.deliveries.channel()).collect();
        channels.into_iter().map(|channel| self.db.listen(&channel)).collect()
    }

    /// The state of every feed as the tables have it.
    async fn feeds(&self) -> Result<Vec<Feed>> {
        let mut feeds = Vec::with_capacity(self.couriers.len());
        for courier in &self.couriers {
            let (store, name) = (courier.subscription.store.clone(), courier.subscription.name);
            let publisher = self.publisher.context();
            let (start, known, held) = self
                .db
                .read("bus.start", move |q| {
                    let key = (name.to_owned(), publisher.to_owned());
                    let start = store.cursors.all(q)?.get(&key).copied().unwrap_or(0);
                    let known = store.deliveries.positions_after(q, name, publisher, start)?;
                    Ok((start, known, store.deliveries.waiting_keys(q, name, publisher)?))
                })
                .await?;
            let mut lanes = Lanes::starting_at(start);
            held.into_iter().for_each(|(subject, at)| lanes.hold(subject, at));
            let types = courier.subscription.types_of(publisher);
            let feed = Feed { courier: courier.clone(), types, lanes, known, start };
            self.progress.update((name, publisher), feed.progress(true));
            feeds.push(feed);
        }
        Ok(feeds)
    }

    fn read_after(&self, position: i64) -> BoxFuture<'static, Event> {
        let (db, outbox) = (self.db.clone(), self.publisher.outbox);
        async move {
            if !Guard::Outbox.on()
                && let Err(error) = outbox.send_unsent(&db).await
            {
                return Event::Read(Err(error));
            }
            Event::Read(db.read("bus.read", move |q| outbox.read_after(q, position, BATCH_MAX)).await)
        }
        .boxed()
    }

    fn report(&self, feeds: &[Feed], busy: bool) {
        for feed in feeds {
            let key = (feed.courier.subscription.name, self.publisher.context());
            self.progress.update(key, feed.progress(busy));
        }
        self.activity.touch();
    }
}

impl Feed {
    fn progress(&self, busy: bool) -> FeedProgress {
        FeedProgress {
            store: self.courier.subscription.store.clone(),
            cursor: self.lanes.cursor(),
            durable: self.start,
            read_to: self.lanes.read_to(),
            busy,
            waiting: self.lanes.waiting(),
            next_at: self.lanes.next_at(),
        }
    }
}

/// How far the outbox was read: every feed has the same, or starts further on.
fn read_to(feeds: &[Feed]) -> i64 {
    feeds.iter().map(|feed| feed.lanes.read_to()).min().unwrap_or(0)
}

/// Hands rows to the feeds that want them.
fn take_in(feeds: &mut [Feed], rows: Vec<OutboxRow>) {
    for row in rows {
        for feed in feeds.iter_mut().filter(|feed| row.position > feed.lanes.read_to()) {
            let wanted = feed.types.contains(&row.kind.as_str());
            if wanted && !feed.known.remove(&row.position) {
                feed.lanes.push(row.clone());
            } else {
                feed.lanes.passed(row.position);
            }
        }
    }
}

fn start_work(feeds: &mut [Feed], jobs: &Jobs, now: Timestamp) {
    for (index, feed) in feeds.iter_mut().enumerate() {
        while feed.lanes.running() < CONCURRENT_MAX {
            let Some(work) = feed.lanes.next(now) else { break };
            let courier = feed.courier.clone();
            jobs.push(async move { Event::Worked(index, courier.work(work).await) }.boxed());
        }
    }
}

/// Completes when any of them was woken.
async fn any_changed(listeners: &mut [Listener]) {
    if listeners.is_empty() {
        return std::future::pending().await;
    }
    select_all(listeners.iter_mut().map(|listener| listener.changed().boxed())).await;
}

/// The couriers of every publisher that somebody wants facts of.
pub(super) fn by_publisher(couriers: Vec<Arc<Courier>>) -> BTreeMap<&'static str, Vec<Arc<Courier>>> {
    let mut all: BTreeMap<&'static str, Vec<Arc<Courier>>> = BTreeMap::new();
    for courier in couriers {
        all.entry(courier.publisher).or_default().push(courier);
    }
    all
}
