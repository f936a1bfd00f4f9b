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
    faults::{Point, Seam},
    store::{OutboxRow, Store},
};

/// How long the relay waits before it reads again after the database failed.
const READ_PAUSE: Duration = Duration::from_secs(1);
/// How long a simulation holds a fact back, so that facts of other subjects overtake it.
const REORDERED_MAX: Duration = Duration::from_millis(500);

/// What a relay is made of.
pub(super) struct Relay {
    pub(super) db: Db,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) activity: Activity,
    pub(super) publisher: Store,
    pub(super) couriers: Vec<Arc<Courier>>,
    pub(super) progress: Arc<Progress>,
    pub(super) poll_every: Duration,
    pub(super) faults: Seam,
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

/// A run of the relay: what it knows between two events.
struct Run<'a> {
    relay: &'a Relay,
    feeds: Vec<Feed>,
    jobs: Jobs,
    /// There may be more to read.
    more: bool,
    reading: bool,
    /// The database failed; nothing is read before this.
    read_again_at: Option<Timestamp>,
    /// Something may lie in the deliveries tables that the lanes do not know.
    look: bool,
    busy: Option<Busy>,
}

impl Relay {
    /// Runs until `stop`; then waits for the handlers under way and makes the cursors durable.
    pub(super) async fn run(&self, stop: CancellationToken) -> Result<()> {
        // Listening begins before the first read, so that nothing is missed in between.
        let mut published = self.db.listen(&self.publisher.outbox.channel());
        let mut redriven = self.redrive_listeners();
        if !Guard::Outbox.on() {
            self.publisher.outbox.forget_unsent();
        }
        let mut run = Run {
            relay: self,
            feeds: self.feeds().await?,
            jobs: Jobs::new(),
            more: true,
            reading: false,
            read_again_at: None,
            look: false,
            busy: None,
        };
        loop {
            let stopping = stop.is_cancelled();
            if !stopping {
                run.start_work();
            }
            run.report();
            if stopping && run.jobs.is_empty() {
                return self.progress.checkpoint(&self.db, self.clock.now()).await;
            }
            let pause = run.pause();
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {}
                Some(event) = run.jobs.next() => run.take(event)?,
                () = published.changed() => run.more = true,
                () = any_changed(&mut redriven) => run.look = true,
                () = self.clock.sleep(pause), if !stopping => run.more |= pause == self.poll_every,
            }
        }
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
}

impl Run<'_> {
    /// Starts every piece of work there is room for, and reads on if there is room for more facts.
    fn start_work(&mut self) {
        let now = self.relay.clock.now();
        for (index, feed) in self.feeds.iter_mut().enumerate() {
            while feed.lanes.running() < CONCURRENT_MAX {
                let Some(work) = feed.lanes.next(now) else { break };
                let courier = feed.courier.clone();
                self.jobs.push(async move { Event::Worked(index, courier.work(work).await) }.boxed());
            }
        }
        let open = self.feeds.iter().map(|feed| feed.lanes.open()).max().unwrap_or(0);
        let paused = self.read_again_at.is_some_and(|at| at > now);
        if self.look && !paused {
            self.look_for_held();
        }
        if self.more && !self.reading && !paused && open < WINDOW_MAX {
            (self.reading, self.more, self.read_again_at) = (true, false, None);
            // Every feed has read as far, or begins further on.
            let position = self.feeds.iter().map(|feed| feed.lanes.read_to()).min().unwrap_or(0);
            self.jobs.push(self.relay.read_after(position));
        }
    }

    fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Read(Ok(rows)) => {
                self.reading = false;
                self.more |= i64::try_from(rows.len()).is_ok_and(|n| n == BATCH_MAX);
                self.take_in(rows);
            }
            Event::Read(Err(error)) => {
                let publisher = self.relay.publisher.context();
                tracing::warn!(publisher, error = %error.chain(), "outbox could not be read");
                (self.reading, self.more) = (false, true);
                self.pause_reading();
            }
            Event::Worked(index, done) => {
                if let Some(error) =
                    self.relay.faults.error(Point::BusRelayDies, self.relay.publisher.context())
                {
                    return Err(error);
                }
                self.feeds[index].lanes.release(done.subject, &done.positions, done.outcome);
            }
            Event::HeldKeys(index, Ok(keys)) => {
                keys.into_iter().for_each(|(subject, at)| self.feeds[index].lanes.hold(subject, at));
            }
            Event::HeldKeys(_, Err(error)) => {
                tracing::warn!(error = %error.chain(), "held facts could not be read");
                self.look = true;
                self.pause_reading();
            }
        }
        Ok(())
    }

    /// Hands rows to the feeds that want them.
    fn take_in(&mut self, rows: Vec<OutboxRow>) {
        let (faults, now) = (&self.relay.faults, self.relay.clock.now());
        for mut row in rows {
            if !Guard::PartitionKey.on() {
                row.subject = format!("{}#{}", row.subject, row.position);
            }
            for feed in self.feeds.iter_mut().filter(|feed| row.position > feed.lanes.read_to()) {
                let wanted = feed.types.contains(&row.kind.as_str());
                if !wanted || feed.known.remove(&row.position) {
                    feed.lanes.passed(row.position);
                    continue;
                }
                feed.lanes.push(row.clone());
                let name = feed.courier.subscription.name;
                if feed.lanes.can_hold_back(&row.subject)
                    && let Some(span) = faults.span(Point::BusReordered, name, REORDERED_MAX)
                {
                    feed.lanes.hold_back(&row.subject, now.plus(span));
                }
            }
        }
    }

    fn pause_reading(&mut self) {
        self.read_again_at = Some(self.relay.clock.now().plus(READ_PAUSE));
    }

    /// A dead letter was sent on its way again: the deliveries tables have something the lanes do not know.
    fn look_for_held(&mut self) {
        (self.look, self.read_again_at) = (false, None);
        for (index, feed) in self.feeds.iter().enumerate() {
            let courier = feed.courier.clone();
            self.jobs.push(async move { Event::HeldKeys(index, held_keys(&courier).await) }.boxed());
        }
    }

    /// How long nothing is to be done unless something happens.
    fn pause(&self) -> Duration {
        let next_at =
            self.feeds.iter().filter_map(|feed| feed.lanes.next_at()).chain(self.read_again_at).min();
        let poll = self.relay.poll_every;
        next_at.map_or(poll, |at| at.since(self.relay.clock.now())).min(poll)
    }

    /// Tells the others how far every subscription has come and whether something is under way.
    fn report(&mut self) {
        let busy = !self.jobs.is_empty();
        self.busy = match (busy, self.busy.take()) {
            (false, _) => None,
            (true, None) => Some(self.relay.activity.begin()),
            (true, some) => some,
        };
        for feed in &self.feeds {
            let key = (feed.courier.subscription.name, self.relay.publisher.context());
            self.relay.progress.update(key, feed.progress(busy));
        }
        self.relay.activity.touch();
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
