//! After-sale: what buyers ask once an order is paid, and how it is settled. See README.md of this crate.

pub mod commands;
pub mod domain;
mod http;
mod pictures;
mod queries;
mod reactions;
pub mod sagas;
pub mod store;
mod view;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use merx_contracts::{
    inventory::v1::inventory_client::InventoryClient, ordering::v1::ordering_client::OrderingClient,
    payment::v1::payments_client::PaymentsClient, shipping::v1::shipping_client::ShippingClient,
};
use merx_http::{ContextModule, Limits};
use merx_kernel::{Clock, IdGen, Result};
use merx_platform::{
    Deps, Metrics, Module, Peer, SagaEngine, Store, Tasks,
    objects::ObjectStore,
    saga::{NewSaga, WeakSagaEngine},
};
use merx_sql::{Db, Migration};

pub use domain::Policy;
pub use view::{CaseLineView, CaseSummary, CaseView, EvidenceView, HappenedView, WordsView};

/// How often pictures that nobody may see any more are removed.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// What distinguishes one shop's after-sale from another's.
#[derive(Clone)]
pub struct Settings {
    /// Its times.
    pub policy: Policy,
    /// Where pictures are kept.
    pub objects: Arc<dyn ObjectStore>,
}

/// What the code of this context works with.
#[derive(Clone)]
pub struct State {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: IdGen,
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) policy: Policy,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) pool: pictures::Pool,
    peers: Arc<Peers>,
    /// Its sagas have this state: held strongly, each would keep the other for ever.
    engine: Arc<OnceLock<WeakSagaEngine>>,
}

struct Peers {
    ordering: Peer,
    payment: Peer,
    inventory: Peer,
    shipping: Peer,
}

impl State {
    fn new(deps: &Deps, settings: Settings) -> Result<Self> {
        let peer = |name| deps.peer(name).map(|peer| peer.called_by(store::CONTEXT));
        let peers = Peers {
            ordering: peer("ordering")?,
            payment: peer("payment")?,
            inventory: peer("inventory")?,
            shipping: peer("shipping")?,
        };
        Ok(Self {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            ids: deps.ids.clone(),
            store: Store::new(store::CONTEXT),
            metrics: deps.metrics.clone(),
            policy: settings.policy,
            objects: settings.objects,
            pool: pictures::Pool::default(),
            peers: Arc::new(peers),
            engine: Arc::default(),
        })
    }

    /// Carries a saga on whose start is committed. What is not carried on now is found by the engine later.
    pub(crate) fn run(&self, saga: &NewSaga) {
        if let Some(engine) = self.engine.get().and_then(WeakSagaEngine::upgrade) {
            drop(engine.run(saga));
        }
    }

    pub(crate) fn ordering(&self) -> OrderingClient<Peer> {
        OrderingClient::new(self.peers.ordering.clone())
    }
    pub(crate) fn payments(&self) -> PaymentsClient<Peer> {
        PaymentsClient::new(self.peers.payment.clone())
    }
    pub(crate) fn inventory(&self) -> InventoryClient<Peer> {
        InventoryClient::new(self.peers.inventory.clone())
    }
    pub(crate) fn shipping(&self) -> ShippingClient<Peer> {
        ShippingClient::new(self.peers.shipping.clone())
    }
}

/// After-sale, ready to work. Cheap to clone.
#[derive(Clone)]
pub struct AfterSale {
    /// What its code works with.
    pub state: State,
    /// Carries its sagas on.
    pub engine: SagaEngine,
}

/// After-sale with its sagas, over what it is given.
///
/// # Errors
/// `Internal` when a context it asks is not wired: inventory, ordering, payment, shipping.
pub fn after_sale(deps: &Deps, settings: Settings) -> Result<AfterSale> {
    let state = State::new(deps, settings)?;
    let engine = deps.saga_engine(
        &state.store,
        vec![
            Arc::new(sagas::refund_case::RefundCase(state.clone())),
            Arc::new(sagas::replace_case::ReplaceCase(state.clone())),
        ],
    );
    // Set once, here: a saga may be followed by another.
    let _ = state.engine.set(engine.downgrade());
    Ok(AfterSale { state, engine })
}

/// The tables of this context.
pub fn migrations() -> Vec<Migration> {
    store::migrations()
}

/// The context.
pub fn module(own: &AfterSale, limits: &Limits) -> ContextModule {
    let mut module = Module::new(own.state.store.clone(), migrations());
    module.subscriptions = reactions::subscriptions(own);
    module.timers = vec![reactions::case_deadline::handler(own)];
    module.sagas = Some(own.engine.clone());
    module.projections = vec![store::project::projection()];
    ContextModule { module, routes: http::routes(own, limits) }
}

/// Starts what runs beside the requests: the removal of pictures that nobody may see any more. Ends with
/// [`Tasks::shutdown`].
pub fn start(own: &AfterSale, tasks: &Tasks) {
    let own = own.state.clone();
    drop(tasks.spawn_every("aftersale.sweep", SWEEP_EVERY, move || {
        let state = own.clone();
        async move { commands::sweep::sweep(&state).await.map(drop) }
    }));
}
