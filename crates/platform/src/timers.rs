//! Fires durable timers: at least once, not before they are due, however often the process died in between.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use merx_kernel::{Clock, Entropy, Error, ErrorKind, Result, Timestamp};
use merx_sql::{Db, Tx};
use tokio_util::sync::CancellationToken;

use crate::{
    activity::{Activity, Busy},
    faults::{Point, Seam},
    module::Deps,
    store::{Store, TimerRow},
    tasks::{Tasks, panic_text},
    telemetry::Metrics,
    time::Backoff,
    trace::{self, TraceContext},
};

/// How many timers of one context fire at a time.
pub const FIRING_MAX: usize = 16;
/// A timer that failed this often raises an alert; it is still tried, for what it does must be done.
pub const ALERT_AFTER: i64 = 8;

const BATCH_MAX: i64 = 64;
const BACKOFF: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(300) };
/// How often the table is read although nobody woke the runner: another process may have set a timer.
const POLL_EVERY: Duration = Duration::from_secs(30);
const READ_PAUSE: Duration = Duration::from_secs(1);
const HANDLER_LIMIT: Duration = Duration::from_secs(60);
/// How late a simulation lets a timer be.
const LATE_MAX: Duration = Duration::from_secs(90);

/// A timer that is due.
#[derive(Clone, Debug)]
pub struct DueTimer {
    store: Store,
    row: TimerRow,
}

impl DueTimer {
    /// A due timer outside the runner: for tests of handlers.
    pub const fn new(store: Store, row: TimerRow) -> Self {
        Self { store, row }
    }
    /// For whom it was set.
    pub const fn key(&self) -> u128 {
        self.row.key
    }
    /// When it was due.
    pub const fn due_at(&self) -> Timestamp {
        self.row.due_at
    }
    /// How often it fired before and failed.
    pub const fn tries(&self) -> i64 {
        self.row.tries
    }
    /// Removes the timer in the transaction of its effect. `false`: it was meanwhile taken back, set to another
    /// time, or has had its effect, and the handler is to return `Ok` without one.
    ///
    /// # Errors
    /// What the database answers.
    pub fn fired(&self, tx: &mut Tx<'_>) -> Result<bool> {
        self.store.timers.fired(tx, &self.row.kind, self.row.key, self.row.due_at)
    }
}

/// What happens when a timer is due.
#[async_trait]
pub trait OnTimer: Send + Sync + 'static {
    /// Has the effect and removes the timer (or sets it anew) in one transaction. An error tries again later.
    ///
    /// # Errors
    /// The effect could not be had.
    async fn fire(&self, timer: DueTimer) -> Result<()>;
}

#[async_trait]
impl<F, R> OnTimer for F
where
    F: Fn(DueTimer) -> R + Send + Sync + 'static,
    R: Future<Output = Result<()>> + Send + 'static,
{
    async fn fire(&self, timer: DueTimer) -> Result<()> {
        self(timer).await
    }
}

/// What a context does with the timers of one kind.
#[derive(Clone)]
pub struct TimerHandler {
    /// The kind.
    pub kind: &'static str,
    /// What it does.
    pub handler: Arc<dyn OnTimer>,
}

impl TimerHandler {
    /// A handler of timers of `kind`.
    pub fn new(kind: &'static str, handler: impl OnTimer) -> Self {
        Self { kind, handler: Arc::new(handler) }
    }
}

impl std::fmt::Debug for TimerHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimerHandler").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Fires the timers of one context.
pub struct TimerRunner {
    db: Db,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    activity: Activity,
    metrics: Metrics,
    store: Store,
    faults: Seam,
    handlers: BTreeMap<&'static str, Arc<dyn OnTimer>>,
}

type Name = (String, u128);

enum Event {
    Read(Result<Vec<TimerRow>>),
    Fired(TimerRow, Result<()>),
}

type Jobs = FuturesUnordered<BoxFuture<'static, Event>>;

/// What the runner knows between two events.
#[derive(Default)]
struct Run {
    jobs: Jobs,
    /// The table is to be read.
    look: bool,
    reading: bool,
    /// The timers at work.
    firing: BTreeSet<Name>,
    /// Those that ended without an error since the last look: their rows should be gone.
    done: BTreeSet<(Name, Timestamp)>,
    /// One ended while the look was under way, so that the look may have seen it before its end.
    ended_since_look: bool,
    next_at: Option<Timestamp>,
    busy: Option<Busy>,
}

impl Run {
    fn end(&mut self, row: &TimerRow, ok: bool) {
        let name = (row.kind.clone(), row.key);
        self.firing.remove(&name);
        (self.ended_since_look, self.look) = (true, true);
        if ok {
            self.done.insert((name, row.due_at));
        }
    }
}

impl TimerRunner {
    /// A runner for the timers of `store`.
    pub fn new(deps: &Deps, store: Store, handlers: &[TimerHandler]) -> Self {
        Self {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            entropy: deps.entropy.clone(),
            activity: deps.activity.clone(),
            metrics: deps.metrics.clone(),
            store,
            faults: deps.faults.clone(),
            handlers: handlers.iter().map(|handler| (handler.kind, handler.handler.clone())).collect(),
        }
    }

    /// Starts to fire timers, until the tasks are shut down.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        if self.handlers.is_empty() {
            return;
        }
        let runner = self.clone();
        drop(tasks.spawn_loop("timers", move |stop| {
            let runner = runner.clone();
            async move { runner.run(stop).await }
        }));
    }

    /// Whether no timer is due; together with an idle [`Activity`] this means that none is firing either.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn is_settled(&self) -> Result<bool> {
        let now = self.clock.now();
        Ok(self.next(1).await?.first().is_none_or(|timer| timer.next_at > now))
    }

    /// When the next timer fires.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn next_at(&self) -> Result<Option<Timestamp>> {
        Ok(self.next(1).await?.first().map(|timer| timer.next_at))
    }

    async fn next(&self, limit: i64) -> Result<Vec<TimerRow>> {
        if self.handlers.is_empty() {
            return Ok(Vec::new());
        }
        let timers = self.store.timers;
        let kinds: Vec<&'static str> = self.handlers.keys().copied().collect();
        self.db.read("timers.next", move |q| timers.next(q, &kinds, limit)).await
    }

    /// Runs until `stop`, then waits for the handlers under way.
    async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<()> {
        let mut changed = self.db.listen(&self.store.timers.channel());
        let mut run = Run { look: true, ..Run::default() };
        loop {
            let stopping = stop.is_cancelled();
            if run.look && !run.reading && !stopping {
                (run.look, run.reading, run.ended_since_look) = (false, true, false);
                let runner = self.clone();
                run.jobs.push(async move { Event::Read(runner.next(BATCH_MAX).await) }.boxed());
            }
            if run.jobs.is_empty() && stopping {
                return Ok(());
            }
            run.busy = match (run.jobs.is_empty(), run.busy.take()) {
                (true, _) => None,
                (false, None) => Some(self.activity.begin()),
                (false, some) => some,
            };
            let wait = run.next_at.map_or(POLL_EVERY, |at| at.since(self.clock.now())).min(POLL_EVERY);
            // While a look is under way its answer says when to wake; a full house waits for a place.
            let may_wait = !stopping && !run.reading && run.firing.len() < FIRING_MAX;
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {}
                Some(event) = run.jobs.next() => self.take(&mut run, event, stopping),
                () = changed.changed() => run.look = true,
                () = self.clock.sleep(wait), if may_wait => run.look = true,
            }
        }
    }

    fn take(self: &Arc<Self>, run: &mut Run, event: Event, stopping: bool) {
        match event {
            Event::Read(Ok(rows)) => {
                run.reading = false;
                // What ended meanwhile may still be in these rows.
                if !run.ended_since_look && !stopping {
                    self.fire_due(rows, run);
                }
            }
            Event::Read(Err(error)) => {
                tracing::warn!(context = self.store.context(), error = %error.chain(), "timers could not be read");
                run.reading = false;
                run.next_at = Some(self.clock.now().plus(READ_PAUSE));
            }
            Event::Fired(row, result) => {
                run.end(&row, result.is_ok());
                self.note(&row, result);
            }
        }
    }

    /// Fires what is due, as far as there is room, and notes when to look again.
    fn fire_due(self: &Arc<Self>, rows: Vec<TimerRow>, run: &mut Run) {
        let now = self.clock.now();
        let done = std::mem::take(&mut run.done);
        run.next_at = None;
        let mut late_at = None;
        for row in rows {
            if row.next_at > now {
                run.next_at = Some(row.next_at);
                break;
            }
            let name = (row.kind.clone(), row.key);
            if run.firing.len() >= FIRING_MAX || run.firing.contains(&name) {
                continue;
            }
            if let Some(late) = self.faults.span(Point::TimerLate, &row.kind, LATE_MAX) {
                let at = now.plus(late);
                late_at = Some(late_at.map_or(at, |earlier: Timestamp| earlier.min(at)));
                continue;
            }
            run.firing.insert(name.clone());
            let runner = self.clone();
            // A handler that forgets to remove its timer would fire for ever without a pause.
            let forgotten = done.contains(&(name, row.due_at));
            run.jobs.push(async move { runner.fire(row, forgotten).await }.boxed());
        }
        run.next_at = [run.next_at, late_at].into_iter().flatten().min();
    }

    async fn fire(&self, row: TimerRow, forgotten: bool) -> Event {
        let result = if forgotten {
            Err(Error::internal("the handler had no error and did not remove the timer"))
        } else {
            self.attempt(&row).await
        };
        if result.is_err() {
            let tries = row.tries + 1;
            let wait = BACKOFF.wait(u32::try_from(tries).unwrap_or(u32::MAX), &*self.entropy);
            let (timers, failed, next_at) = (self.store.timers, row.clone(), self.clock.now().plus(wait));
            let written =
                self.db.write("timers.put_off", move |tx| timers.put_off(tx, &failed, tries, next_at)).await;
            if let Err(error) = written {
                tracing::warn!(error = %error.chain(), "a failed timer could not be put off");
                self.clock.sleep(READ_PAUSE).await;
            }
        }
        Event::Fired(row, result)
    }

    async fn attempt(&self, row: &TimerRow) -> Result<()> {
        let Some(handler) = self.handlers.get(row.kind.as_str()) else {
            return Err(Error::internal("a timer without a handler was read"));
        };
        let timer = DueTimer { store: self.store.clone(), row: row.clone() };
        let fired = async {
            tokio::select! {
                biased;
                fired = self.hand_over(&**handler, timer) => fired,
                () = self.clock.sleep(HANDLER_LIMIT) => Err(Error::new(
                    ErrorKind::Timeout,
                    "timers.handler_timeout",
                    format!("the handler took longer than {HANDLER_LIMIT:?}"),
                )),
            }
        };
        // Nobody asked for it: what it does, and what others do because of it, is a trace of its own.
        let fired = trace::scope(Some(TraceContext::new(&*self.entropy)), fired);
        AssertUnwindSafe(fired).catch_unwind().await.unwrap_or_else(|panic| {
            Err(Error::internal(format!("the handler panicked: {}", panic_text(&*panic))))
        })
    }

    /// Calls the handler; in a simulation twice, or with a failure before or after it.
    async fn hand_over(&self, handler: &dyn OnTimer, timer: DueTimer) -> Result<()> {
        let (faults, kind) = (&self.faults, timer.row.kind.clone());
        if let Some(error) = faults.error(Point::TimerFailsBefore, &kind) {
            return Err(error);
        }
        if faults.strikes(Point::TimerTwice, &kind) {
            handler.fire(timer.clone()).await?;
        }
        handler.fire(timer).await?;
        faults.error(Point::TimerFailsAfter, &kind).map_or(Ok(()), Err)
    }

    fn note(&self, row: &TimerRow, result: Result<()>) {
        let Err(error) = result else { return };
        let (context, kind, tries) = (self.store.context(), row.kind.as_str(), row.tries + 1);
        if tries >= ALERT_AFTER {
            self.metrics.alert("timer_failing");
            tracing::error!(context, kind, tries, error = %error.chain(), "timer keeps failing");
        } else {
            tracing::warn!(context, kind, tries, error = %error.chain(), "timer failed and will be tried again");
        }
    }
}
