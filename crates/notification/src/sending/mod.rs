//! Sends what waits: mails, and webhooks in a lane for each endpoint. The queue is the rows themselves with the moment of
//! their next try; a restart takes up where the last process ended.

mod mail;
mod nudge;
mod webhook;

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use merx_contracts::ids::{MailId, MessageId, WebhookId};
use merx_kernel::{Result, Timestamp};
use merx_platform::{Tasks, activity::Busy, tasks::panic_text};
use merx_sql::Reader;
use tokio_util::sync::CancellationToken;

pub use nudge::Nudge;

use crate::{
    State,
    domain::Mail,
    store::{self, deliveries::DeliveryRow},
};

/// How often the tables are read although nobody nudged: another process may have written.
const POLL_EVERY: Duration = Duration::from_secs(30);
/// How long to wait when the tables cannot be read.
const READ_PAUSE: Duration = Duration::from_secs(1);
/// How long a try may be under way before another process takes it up. Longer than any try.
const LEASE: Duration = Duration::from_secs(180);
/// How often old deliveries are looked for, and how many go at a time.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
const PRUNE_MAX: i64 = 1_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What one job is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Job {
    Mail(MailId),
    Delivery(WebhookId, MessageId),
}

/// Starts the loop.
pub(crate) fn start(state: &State, tasks: &Tasks) {
    let own = state.clone();
    drop(tasks.spawn_loop("notification.sending", move |stop| run(own.clone(), stop)));
    let own = state.clone();
    drop(tasks.spawn_every("notification.prune", PRUNE_EVERY, move || prune(own.clone())));
}

/// Forgets deliveries that are older than they are kept.
async fn prune(state: State) -> Result<()> {
    let before = state.clock.now().minus(DAY * state.config.webhooks.kept_days);
    loop {
        let gone = state
            .db
            .write_low("notification.prune", move |tx| store::deliveries::prune(tx, before, PRUNE_MAX))
            .await?;
        if gone == 0 {
            return Ok(());
        }
    }
}

/// What the tables say.
#[derive(Default)]
struct Seen {
    mails: Vec<Mail>,
    deliveries: Vec<DeliveryRow>,
    /// The first moment at which something not yet due is.
    next_at: Option<Timestamp>,
}

/// What there is room for.
struct Room {
    busy: BTreeSet<Job>,
    mails: usize,
    mails_free: usize,
    lanes: BTreeMap<WebhookId, usize>,
    lane_max: usize,
}

/// What is under way.
#[derive(Default)]
struct Under {
    jobs: FuturesUnordered<BoxFuture<'static, Job>>,
    now: BTreeSet<Job>,
    mails: usize,
    lanes: BTreeMap<WebhookId, usize>,
    /// Told as long as anything is under way.
    busy: Option<Busy>,
}

impl Under {
    fn begin(&mut self, job: Job, work: BoxFuture<'static, ()>) {
        if !self.now.insert(job) {
            return;
        }
        match job {
            Job::Mail(_) => self.mails += 1,
            Job::Delivery(webhook, _) => *self.lanes.entry(webhook).or_default() += 1,
        }
        let guarded = async move {
            // A job that panics is taken up again when its lease is over; the loop goes on.
            if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
                tracing::error!(job = ?job, error = %panic_text(&*panic), "a try to send panicked");
            }
            job
        };
        self.jobs.push(guarded.boxed());
    }

    fn room(&self, state: &State) -> Room {
        Room {
            busy: self.now.clone(),
            mails: self.mails,
            mails_free: state.config.mail.concurrent_max.saturating_sub(self.mails),
            lanes: self.lanes.clone(),
            lane_max: state.config.webhooks.concurrent_per_endpoint_max,
        }
    }

    fn end(&mut self, job: Job) {
        self.now.remove(&job);
        match job {
            Job::Mail(_) => self.mails -= 1,
            Job::Delivery(webhook, _) => {
                if let Some(count) = self.lanes.get_mut(&webhook) {
                    *count -= 1;
                    if *count == 0 {
                        self.lanes.remove(&webhook);
                    }
                }
            }
        }
    }
}

async fn run(state: State, stop: CancellationToken) -> Result<()> {
    let mut under = Under::default();
    loop {
        let mut wait = POLL_EVERY;
        if !stop.is_cancelled() {
            // Taken before the look: what is written after it nudges again.
            let nudged = state.nudge.take();
            let room = under.room(&state);
            match look(&state, room).await {
                Ok(seen) => {
                    let now = state.clock.now();
                    wait = seen.next_at.map_or(POLL_EVERY, |at| at.since(now)).min(POLL_EVERY);
                    begin(&state, &mut under, seen);
                }
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "what waits to be sent could not be read");
                    wait = READ_PAUSE;
                }
            }
            if under.jobs.is_empty() {
                under.busy = None;
            } else if under.busy.is_none() {
                under.busy = nudged;
                if under.busy.is_none() {
                    under.busy = Some(state.nudge.begin());
                }
            }
        } else if under.jobs.is_empty() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = stop.cancelled(), if !stop.is_cancelled() => {}
            Some(job) = under.jobs.next() => under.end(job),
            () = state.nudge.nudged(), if !stop.is_cancelled() => {}
            () = state.clock.sleep(wait), if !stop.is_cancelled() => {}
        }
    }
}

/// Sends what is due at this moment until nothing is, without the loop: for a shop at rest, and for tests.
///
/// # Errors
/// What the database answers when the queue is read.
pub async fn send_due(state: &State) -> Result<()> {
    let mut under = Under::default();
    loop {
        let room = under.room(state);
        let seen = look(state, room).await?;
        begin(state, &mut under, seen);
        match under.jobs.next().await {
            Some(job) => under.end(job),
            None => return Ok(()),
        }
    }
}

/// Reads what is due and has room, in one snapshot.
async fn look(state: &State, room: Room) -> Result<Seen> {
    let now = state.clock.now();
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let Room { busy, mails, mails_free, lanes, lane_max } = room;
    let read = move |q: &mut Reader<'_>| {
        let mut seen = Seen::default();
        // What is under way may still look as if it were due, so that many more are read.
        for mail in store::mails::next(q, count(mails_free + mails + 1))? {
            match mail.next_at {
                Some(at) if at > now => seen.earlier(at),
                _ if busy.contains(&Job::Mail(mail.ask.id)) || seen.mails.len() >= mails_free => {}
                _ => seen.mails.push(mail),
            }
        }
        for (webhook, at) in store::deliveries::lanes(q)? {
            if at > now {
                seen.earlier(at);
                continue;
            }
            let taken = lanes.get(&webhook).copied().unwrap_or(0);
            let free = lane_max.saturating_sub(taken);
            if free == 0 {
                continue;
            }
            let due = store::deliveries::due(q, webhook, now, count(free + taken))?;
            // All of the lane's due ones were read: the next moment is unknown, and asked for after them.
            let fresh = due.into_iter().filter(|d| !busy.contains(&Job::Delivery(webhook, d.message)));
            seen.deliveries.extend(fresh.take(free));
        }
        Ok(seen)
    };
    state.db.read("notification.look", read).await
}

impl Seen {
    fn earlier(&mut self, at: Timestamp) {
        self.next_at = Some(self.next_at.map_or(at, |next| next.min(at)));
    }
}

fn begin(state: &State, under: &mut Under, seen: Seen) {
    for mail in seen.mails {
        let (job, state) = (Job::Mail(mail.ask.id), state.clone());
        under.begin(job, async move { mail::send(&state, mail).await }.boxed());
    }
    for delivery in seen.deliveries {
        let (job, state) = (Job::Delivery(delivery.webhook, delivery.message), state.clone());
        under.begin(job, async move { webhook::send(&state, delivery).await }.boxed());
    }
}
