//! What the shop sells: categories, brands, products with options, attributes and pictures, their SKUs and prices. See
//! README.md of this crate.

pub mod commands;
pub mod domain;
mod http;
pub mod pictures;
mod prices;
mod queries;
mod reactions;
mod rpc;
mod shelves;
pub mod store;

use std::{sync::Arc, time::Duration};

use merx_contracts::catalogue::v1::catalogue_server::CatalogueServer;
use merx_http::{ContextModule, Limits};
use merx_kernel::{Clock, Currency, IdGen};
use merx_platform::{Deps, Metrics, Module, Store, Tasks, objects::ObjectStore};
use merx_sql::{Db, Migration};
use tonic::service::Routes;

pub use commands::seed::{Seed, SeedPicture, SeedProduct, seed};
pub use http::views;
pub use rpc::QUOTE_LINES_MAX;

/// How often objects that no picture uses are removed, …
pub const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);
/// … and how often the whole store is looked through for objects that nobody knows.
pub const SWEEP_UNKNOWN_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// What distinguishes one shop's catalogue from another's.
#[derive(Clone)]
pub struct Settings {
    /// The currency of every price.
    pub currency: Currency,
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
    pub(crate) currency: Currency,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) pool: pictures::Pool,
    pub(crate) prices: prices::Prices,
    pub(crate) shelves: shelves::Shelves,
}

impl State {
    /// From what the server gives every context.
    pub fn new(deps: &Deps, settings: Settings) -> Self {
        Self {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            ids: deps.ids.clone(),
            store: Store::new("catalogue"),
            metrics: deps.metrics.clone(),
            currency: settings.currency,
            objects: settings.objects,
            pool: pictures::Pool::default(),
            prices: prices::Prices::default(),
            shelves: shelves::Shelves::default(),
        }
    }

    /// Something was committed: what is kept in memory is read anew.
    pub(crate) fn forget(&self) {
        self.prices.forget();
        self.shelves.forget();
    }
}

/// The tables of this context.
pub fn migrations() -> Vec<Migration> {
    store::migrations()
}

/// The context.
pub fn module(state: &State, limits: &Limits) -> ContextModule {
    let mut module = Module::new(state.store.clone(), migrations());
    module.rpc = Some(Routes::new(CatalogueServer::new(rpc::CatalogueRpc(state.clone()))));
    module.timers = reactions::timers(state);
    ContextModule { module, routes: http::routes(state, limits) }
}

/// Starts what runs beside the requests: the sweep of objects that no picture uses. Ends with [`Tasks::shutdown`].
pub fn start(state: &State, tasks: &Tasks) {
    let own = state.clone();
    drop(tasks.spawn_every("catalogue.sweep", SWEEP_EVERY, move || {
        let state = own.clone();
        async move { commands::sweep_objects(&state).await.map(drop) }
    }));
    let own = state.clone();
    drop(tasks.spawn_every("catalogue.sweep_unknown", SWEEP_UNKNOWN_EVERY, move || {
        let state = own.clone();
        async move { commands::sweep_unknown(&state).await.map(drop) }
    }));
}
