//! What a context shows of itself, what it is given, and how the parts are set going.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use merx_kernel::{Clock, Entropy, Error, IdGen, Result, Timestamp};
use merx_sql::{Db, Migration, SequencedTable};
use tonic::service::Routes;

use crate::{
    activity::Activity,
    bus::{Bus, EmbeddedBus, Settled, Subscription},
    faults::Seam,
    projection::Projection,
    rpc::Peer,
    saga::{self, AnySaga, EngineDeps, SagaEngine},
    store::Store,
    tasks::Tasks,
    telemetry::Metrics,
    timers::{TimerHandler, TimerRunner},
};

/// How often old rows are removed.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(600);
/// How often it is measured how far behind the subscriptions are.
const LAG_EVERY: Duration = Duration::from_secs(60);
/// How long facts are kept after everybody has read them.
const FACTS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long the inbox remembers a message; longer than a fact can come again.
const INBOX_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a context is given.
#[derive(Clone)]
pub struct Deps {
    /// The database.
    pub db: Db,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// New identities.
    pub ids: IdGen,
    /// Supervised tasks.
    pub tasks: Tasks,
    /// The way to the other contexts, by name.
    pub peers: BTreeMap<&'static str, Peer>,
    /// Metrics and alerts.
    pub metrics: Metrics,
    /// Work in the background is told here.
    pub activity: Activity,
    /// Where a simulation puts faults in; empty in production.
    pub faults: Seam,
}

impl Deps {
    /// What every context is given, as yet without peers.
    pub fn new(db: Db, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            db,
            ids: IdGen::new(clock.clone(), entropy.clone()),
            tasks: Tasks::new(clock.clone(), entropy.clone()),
            clock,
            entropy,
            peers: BTreeMap::new(),
            metrics: Metrics::new(),
            activity: Activity::new(),
            faults: Seam::default(),
        }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The way to the context `name`.
    ///
    /// # Errors
    /// `Internal` when the wiring does not provide it.
    pub fn peer(&self, name: &str) -> Result<Peer> {
        self.peers.get(name).cloned().ok_or_else(|| Error::internal(format!("no peer `{name}` is wired")))
    }

    /// The saga engine of the context `store` belongs to. Made once, by the context; started by [`start`].
    pub fn saga_engine(&self, store: &Store, kinds: Vec<Arc<dyn AnySaga>>) -> SagaEngine {
        let deps = EngineDeps {
            db: self.db.clone(),
            log: store.sagas,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            tasks: self.tasks.clone(),
            metrics: self.metrics.clone(),
            activity: self.activity.clone(),
        };
        let fault = (!self.faults.is_empty())
            .then(|| -> Arc<dyn saga::fault::Fault> { Arc::new(self.faults.clone()) });
        SagaEngine::with(deps, kinds, saga::Limits::default(), fault)
    }
}

/// A context, as it shows itself to the wiring. HTTP routes stand beside it, in `merx-http`.
pub struct Module {
    /// Its store; names the context.
    pub store: Store,
    /// Its own migrations, numbered from 100.
    pub migrations: Vec<Migration>,
    /// Its gRPC service.
    pub rpc: Option<Routes>,
    /// What it reacts to.
    pub subscriptions: Vec<Subscription>,
    /// What it does when its timers are due.
    pub timers: Vec<TimerHandler>,
    /// Its saga engine, with every kind registered.
    pub sagas: Option<SagaEngine>,
    /// Its inline projections.
    pub projections: Vec<Projection>,
}

impl Module {
    /// A context that has nothing yet but its store and migrations.
    pub fn new(store: Store, migrations: Vec<Migration>) -> Self {
        Self {
            store,
            migrations,
            rpc: None,
            subscriptions: Vec::new(),
            timers: Vec::new(),
            sagas: None,
            projections: Vec::new(),
        }
    }

    /// The context's name.
    pub const fn name(&self) -> &'static str {
        self.store.context()
    }

    /// The shared migrations and its own.
    pub fn all_migrations(&self) -> Vec<Migration> {
        let mut all = self.store.migrations();
        all.extend_from_slice(&self.migrations);
        all
    }

    /// Brings its tables up to date.
    ///
    /// # Errors
    /// What [`Db::migrate`] answers.
    pub async fn migrate(&self, db: &Db) -> Result<()> {
        db.migrate(self.name(), &self.all_migrations()).await
    }
}

/// The sequenced tables of the named contexts: [`Db::open`] is told them before any module exists.
pub fn sequenced_tables(contexts: &[&'static str]) -> Vec<SequencedTable> {
    contexts.iter().flat_map(|context| Store::new(context).sequenced_tables()).collect()
}

/// Everything that runs behind the requests.
pub struct Background {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    activity: Activity,
    timers: Vec<Arc<TimerRunner>>,
    sagas: Vec<SagaEngine>,
}

/// Sets the background work of all modules going: bus, timers, sagas, housekeeping. Tables must be up to date. It
/// ends with [`Tasks::shutdown`].
///
/// # Errors
/// `Internal` when the subscriptions do not fit together.
pub fn start(deps: &Deps, modules: &[Module]) -> Result<Background> {
    let stores: Vec<Store> = modules.iter().map(|module| module.store.clone()).collect();
    let subscriptions = modules.iter().flat_map(|module| module.subscriptions.clone()).collect();
    let bus = Arc::new(EmbeddedBus::new(deps, &stores, subscriptions)?);
    bus.start(&deps.tasks);
    let mut timers = Vec::new();
    let mut sagas = Vec::new();
    for module in modules {
        let runner = Arc::new(TimerRunner::new(deps, module.store.clone(), &module.timers));
        runner.start(&deps.tasks);
        timers.push(runner);
        if let Some(engine) = &module.sagas {
            engine.start();
            sagas.push(engine.clone());
        }
    }
    let (own, embedded, engines) = (deps.clone(), bus.clone(), sagas.clone());
    drop(deps.tasks.spawn_every("housekeeping", HOUSEKEEPING_EVERY, move || {
        keep_house(own.clone(), embedded.clone(), stores.clone(), engines.clone())
    }));
    let measured = bus.clone();
    drop(deps.tasks.spawn_every("bus.lag", LAG_EVERY, move || {
        let bus = measured.clone();
        async move { bus.lag().await.map(drop) }
    }));
    Ok(Background { bus, clock: deps.clock.clone(), activity: deps.activity.clone(), timers, sagas })
}

async fn keep_house(
    deps: Deps,
    bus: Arc<EmbeddedBus>,
    stores: Vec<Store>,
    sagas: Vec<SagaEngine>,
) -> Result<()> {
    for store in &stores {
        store.idempotency.prune_all(&deps.db, &*deps.clock).await?;
    }
    for engine in &sagas {
        engine.prune().await?;
    }
    bus.prune(FACTS_KEPT, INBOX_KEPT).await?;
    Ok(())
}

impl Background {
    /// Completes when nothing is left to do at this moment: outboxes read, facts handled, due timers fired, sagas
    /// parked or ended. What waits for a later moment is in the answer.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn settled(&self) -> Result<Settled> {
        loop {
            let seen = self.activity.epoch();
            let settled = self.bus.settled().await?;
            let mut due = false;
            let mut next_at = settled.next_at;
            for runner in &self.timers {
                due |= !runner.is_settled().await?;
                next_at = [next_at, runner.next_at().await?].into_iter().flatten().min();
            }
            for engine in &self.sagas {
                let at = engine.next_at().await?;
                due |= at.is_some_and(|at| at <= self.clock.now());
                next_at = [next_at, at].into_iter().flatten().min();
            }
            if !due && self.activity.is_idle() && self.activity.epoch() == seen {
                return Ok(Settled { next_at, ..settled });
            }
            if self.activity.epoch() == seen {
                self.activity.changed_since(seen).await;
            }
        }
    }
}
