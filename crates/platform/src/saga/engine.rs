//! Carries sagas out: inline for a request, again after a start, later when they are parked.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, RwLock, Weak,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use merx_contracts::ids::SagaId;
use merx_kernel::{Clock, Entropy, Result, Timestamp};
use merx_sql::Db;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    AnySaga, End, NewSaga, SagaLog, SagaRow, SagaStatus,
    drive::Drive,
    fault::Fault,
    room::{Place, Queued},
};
use crate::{
    activity::{Activity, Busy},
    tasks::Tasks,
    telemetry::Metrics,
    time::Backoff,
};

/// Rows read at a time by the engine.
const PAGE: i64 = 100;
/// How often the log is looked at although nothing woke the engine.
const POLL: Duration = Duration::from_secs(30);
/// A saga that should be going and has not changed for so long was forgotten by its process.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);

/// How long ended sagas are kept for operators.
const ENDED_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Ended sagas forgotten in one transaction.
const PRUNED_MAX: i64 = 500;

/// Named limits of the engine.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Failures in a row after which a saga is stuck and an alert is raised.
    pub failures_max: i64,
    /// The waits between failures.
    pub backoff: Backoff,
    /// How often a stuck saga is still tried, in case what it needs has come back.
    pub stuck_retry: Duration,
    /// The longest that one action, undo or finish may take; longer is a failure.
    pub step_timeout: Duration,
    /// Sagas carried on at the same time without anybody waiting for them: those of timers and facts, those that a
    /// start takes up, those that were parked. What a request waits for is bounded by the requests.
    pub background_max: usize,
    /// Runs nobody awaits that wait in memory for such room. Beyond it a saga is left in the log, where the engine takes
    /// it up as soon as there is room.
    pub background_queue_max: usize,
}

impl Default for Limits {
    /// Stuck after 10 failures, that is within 50 seconds of the first; then tried every ten minutes.
    fn default() -> Self {
        Self {
            failures_max: 10,
            backoff: Backoff { min: Duration::from_millis(250), max: Duration::from_secs(10) },
            stuck_retry: Duration::from_secs(600),
            step_timeout: Duration::from_secs(30),
            background_max: 32,
            background_queue_max: 1_000,
        }
    }
}

/// What an engine needs.
#[derive(Clone)]
pub struct EngineDeps {
    /// The database of the context.
    pub db: Db,
    /// The saga log of the context.
    pub log: SagaLog,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for back-off.
    pub entropy: Arc<dyn Entropy>,
    /// Tasks.
    pub tasks: Tasks,
    /// Metrics.
    pub metrics: Metrics,
    /// Work under way is told here.
    pub activity: Activity,
}

/// How far a run of a saga came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It ended, now.
    Ended(End),
    /// It had ended (`Done`) or been given up (`Abandoned`) before.
    Closed(SagaStatus),
    /// It is parked and goes on by itself.
    Waiting {
        /// When it is tried next.
        until: Timestamp,
        /// What it waits for.
        reason: String,
    },
    /// It needs a person; an alert was raised.
    Stuck {
        /// Why.
        reason: String,
    },
    /// This process stops, or could not reach the log; it goes on after a start, or when the engine looks next.
    Halted,
}

/// The engine of one context. Cheap to clone.
#[derive(Clone)]
pub struct SagaEngine(pub(super) Arc<Inner>);

/// An engine for the sagas of that engine: held by them, it does not keep it, and with it the whole shop, for ever.
#[derive(Clone)]
pub struct WeakSagaEngine(Weak<Inner>);

impl WeakSagaEngine {
    /// The engine, as long as somebody else has it.
    pub fn upgrade(&self) -> Option<SagaEngine> {
        self.0.upgrade().map(SagaEngine)
    }
}

pub(super) struct Inner {
    pub(super) deps: EngineDeps,
    pub(super) limits: Limits,
    pub(super) fault: Option<Arc<dyn Fault>>,
    kinds: RwLock<BTreeMap<(String, i64), Arc<dyn AnySaga>>>,
    active: Mutex<BTreeMap<SagaId, Running>>,
    /// One for each of [`Limits::background_max`].
    pub(super) background: Arc<Semaphore>,
    /// How many wait for it.
    pub(super) queued: AtomicUsize,
    /// Sagas were left in the log for want of room; the work is under way as long as this is kept.
    left: Mutex<Option<Busy>>,
    parked: Notify,
}

/// A saga under way. Await it for its [`Progress`]; dropping it does not stop the saga.
#[derive(Clone)]
pub struct Running {
    answer: Shared<BoxFuture<'static, Progress>>,
    /// Cancelled once somebody waits for the answer.
    awaited: CancellationToken,
}

impl Future for Running {
    type Output = Progress;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Progress> {
        self.awaited.cancel();
        Pin::new(&mut self.answer).poll(context)
    }
}

/// Where the state of a saga comes from.
pub(super) enum Source {
    /// From memory: it was started just now.
    Started(NewSaga),
    /// From the log.
    Stored(SagaId),
}

impl SagaEngine {
    /// An engine for the given kinds of saga.
    pub fn new(deps: EngineDeps, kinds: Vec<Arc<dyn AnySaga>>) -> Self {
        Self::with(deps, kinds, Limits::default(), None)
    }

    /// An engine with other limits, and with a fault for a test.
    pub fn with(
        deps: EngineDeps,
        kinds: Vec<Arc<dyn AnySaga>>,
        limits: Limits,
        fault: Option<Arc<dyn Fault>>,
    ) -> Self {
        let engine = Self(Arc::new(Inner {
            deps,
            limits,
            fault,
            kinds: RwLock::default(),
            active: Mutex::default(),
            background: Arc::new(Semaphore::new(limits.background_max)),
            queued: AtomicUsize::new(0),
            left: Mutex::default(),
            parked: Notify::new(),
        }));
        for kind in kinds {
            engine.register(kind);
        }
        engine
    }

    /// The engine for its own sagas.
    pub fn downgrade(&self) -> WeakSagaEngine {
        WeakSagaEngine(Arc::downgrade(&self.0))
    }

    /// Adds a kind, or an older version of one whose last sagas have not ended. Kinds that themselves hold this
    /// engine are added after it is made, before it is started.
    pub fn register(&self, kind: Arc<dyn AnySaga>) {
        let key = (kind.name().to_owned(), kind.version());
        let mut kinds = self.0.kinds.write().unwrap_or_else(PoisonError::into_inner);
        let earlier = kinds.insert(key, kind);
        assert!(earlier.is_none(), "a saga of one name and version is registered once");
    }

    /// Carries on a saga that was started just now, from what is in memory: without reading the log. Goes on whether
    /// or not the answer is awaited: at once when it is, and otherwise as soon as there is room in the background
    /// ([`Limits::background_max`]); when too many wait for that, it stays in the log until they have gone
    /// ([`Limits::background_queue_max`]). When the saga is under way already, the answer is that run's.
    pub fn run(&self, saga: &NewSaga) -> Running {
        self.go(saga.id, None, || Source::Started(saga.clone()))
    }

    /// Carries on a saga from its log, due or not; otherwise as [`Self::run`].
    pub fn resume(&self, id: SagaId) -> Running {
        self.go(id, None, || Source::Stored(id))
    }

    fn go(&self, id: SagaId, room: Option<OwnedSemaphorePermit>, source: impl FnOnce() -> Source) -> Running {
        let full = self.0.queued.load(SeqCst) >= self.0.limits.background_queue_max;
        if room.is_none() && full && !self.is_active(id) {
            return self.leave(id, source());
        }
        self.begin(id, room, source)
    }

    /// Leaves a saga in the log until there is room. It goes at once all the same when somebody awaits the answer.
    fn leave(&self, id: SagaId, source: Source) -> Running {
        let mut left = self.0.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.get_or_insert_with(|| self.0.deps.activity.begin());
        drop(left);
        self.0.wake();
        let engine = self.clone();
        let answer = async move { engine.begin(id, None, || source).await };
        Running { answer: answer.boxed().shared(), awaited: CancellationToken::new() }
    }

    fn begin(
        &self,
        id: SagaId,
        room: Option<OwnedSemaphorePermit>,
        source: impl FnOnce() -> Source,
    ) -> Running {
        let (answer, receiver) = oneshot::channel();
        let running = Running {
            answer: receiver.map(|p| p.unwrap_or(Progress::Halted)).boxed().shared(),
            awaited: CancellationToken::new(),
        };
        {
            let mut active = self.0.active.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(under_way) = active.get(&id) {
                return under_way.clone();
            }
            active.insert(id, running.clone());
        }
        let drive = Drive::new(self.0.clone(), source());
        let leave = Leave { engine: self.0.clone(), id };
        let busy = self.0.deps.activity.begin();
        let place = match room {
            Some(room) => Place::Room(room),
            None => Place::Queue(Queued::new(self.0.clone())),
        };
        let (engine, awaited) = (self.0.clone(), running.awaited.clone());
        let task = self.0.deps.tasks.spawn("saga", async move {
            let progress = engine.in_background(place, awaited, drive.run()).await;
            // First out of the list, then the answer: whoever has the answer can start the saga anew.
            drop(leave);
            drop(answer.send(progress));
            drop(busy);
        });
        drop(task);
        running
    }

    /// Whether a saga is under way in this process.
    pub fn is_active(&self, id: SagaId) -> bool {
        self.0.active.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }

    /// Begins the background work: takes up every unfinished saga, then wakes the parked ones when they are due.
    pub fn start(&self) {
        let engine = self.clone();
        let loops = self.0.deps.tasks.spawn_loop("sagas", move |stop| engine.clone().tend(stop));
        drop(loops);
    }

    async fn tend(self, stop: CancellationToken) -> Result<()> {
        self.take_up(&stop, |status| status != SagaStatus::Waiting).await?;
        while !stop.is_cancelled() {
            // Asked for before looking, so that a saga parked in between is not missed.
            let parked = self.0.parked.notified();
            let left = self.0.left.lock().unwrap_or_else(PoisonError::into_inner).take();
            if left.is_some() {
                self.take_up(&stop, SagaStatus::is_going).await?;
            }
            drop(left);
            let now = self.0.deps.clock.now();
            let log = self.0.deps.log;
            let (due, next) = self
                .0
                .deps
                .db
                .read("saga.due", move |q| {
                    let mut due = log.due(q, now, PAGE)?;
                    due.extend(log.forgotten(q, now.minus(FORGOTTEN_AFTER), PAGE)?);
                    Ok((due, log.next_due(q, now)?))
                })
                .await?;
            let full = due.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
            let mut carried_on = false;
            for row in due {
                carried_on |= self.carry_on(row.id, &stop).await;
            }
            // A full page of sagas that are all under way would be read again and again.
            if full && carried_on {
                continue;
            }
            let wait = next.map_or(POLL, |at| at.since(now).min(POLL));
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = parked => {}
                () = self.0.deps.clock.sleep(wait) => {}
            }
        }
        Ok(())
    }

    /// Carries on what the log has in such a status and nobody has in memory. A start does it with everything that was
    /// going, and the stuck ones, for the new program may know better.
    async fn take_up(&self, stop: &CancellationToken, wanted: fn(SagaStatus) -> bool) -> Result<()> {
        let (log, db) = (self.0.deps.log, &self.0.deps.db);
        let mut after = None;
        let mut count = 0;
        while !stop.is_cancelled() {
            let page: Vec<SagaRow> = db.read("saga.open", move |q| log.open(q, after, PAGE)).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for row in page.iter().filter(|row| wanted(row.status)) {
                count += usize::from(self.carry_on(row.id, stop).await);
            }
        }
        if count > 0 {
            tracing::info!(context = log.context(), count, "unfinished sagas taken up again");
        }
        Ok(())
    }

    /// Resumes a saga in the background, waiting for room; `false` when it is under way already, or the process stops.
    async fn carry_on(&self, id: SagaId, stop: &CancellationToken) -> bool {
        if stop.is_cancelled() || self.is_active(id) {
            return false;
        }
        let room = tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            room = self.0.background.clone().acquire_owned() => room.ok(),
        };
        drop(self.go(id, room, || Source::Stored(id)));
        true
    }

    /// When the next parked saga is due, or was: `None` when none waits for a time.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn next_at(&self) -> Result<Option<Timestamp>> {
        let log = self.0.deps.log;
        let always = Timestamp::from_millis(i64::MIN);
        self.0.deps.db.read("saga.next", move |q| log.next_due(q, always)).await
    }

    /// Forgets what ended a week ago, a few at a time. Abandoned sagas are kept.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn prune(&self) -> Result<()> {
        let (log, before) = (self.0.deps.log, self.0.deps.clock.now().minus(ENDED_KEPT));
        let db = &self.0.deps.db;
        let full = u64::try_from(PRUNED_MAX).unwrap_or(u64::MAX);
        while db.write_low("saga.prune", move |tx| log.prune(tx, before, PRUNED_MAX)).await? == full {}
        Ok(())
    }
}

impl Inner {
    pub(super) fn kind(&self, name: &str, version: i64) -> Option<Arc<dyn AnySaga>> {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        kinds.get(&(name.to_owned(), version)).cloned()
    }

    /// A saga was parked: the background loop looks again when it is due.
    pub(super) fn wake(&self) {
        self.parked.notify_one();
    }
}

/// Takes a saga out of the list of active ones however its run ends.
struct Leave {
    engine: Arc<Inner>,
    id: SagaId,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.engine.active.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
