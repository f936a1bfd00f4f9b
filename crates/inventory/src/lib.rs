//! What lies in the warehouses, and for whom it is set aside. See README.md of this crate.

pub mod commands;
pub mod domain;
mod http;
pub mod log;
mod projection;
pub mod queries;
mod rpc;
pub mod store;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use merx_contracts::{
    ids::WarehouseId,
    inventory::v1::inventory_server::{Inventory, InventoryServer},
};
use merx_http::{ContextModule, Limits};
use merx_kernel::{Clock, Error, ErrorKind, IdGen, Result};
use merx_platform::{Deps, Metrics, Module, Store, Tasks};
use merx_sql::{Db, Migration};
use prometheus_client::metrics::gauge::Gauge;
use tonic::service::Routes;

pub use projection::projection;
use store::Warehouse;

/// How old a reservation may grow before the alarm. An order is paid or closed within half an hour, and closing
/// it at the provider may wait for the end of the attempt.
pub const ORPHAN_AFTER: Duration = Duration::from_secs(2 * 60 * 60);
/// How often orphans are looked for.
pub const ORPHANS_EVERY: Duration = Duration::from_secs(5 * 60);

/// How often warehouses are read again: what another process changed is known after this time at the latest. The
/// rule of allocation reads them fresh; only which warehouse is tried first may lag.
pub const WAREHOUSES_EVERY: Duration = Duration::from_secs(60);

/// What the code of this context works with.
#[derive(Clone)]
pub struct State {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: IdGen,
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) orphans_open: Gauge,
    warehouses: Arc<RwLock<Option<Arc<[Warehouse]>>>>,
}

impl State {
    /// From what the server gives every context.
    pub fn new(deps: &Deps) -> Self {
        let help = "Reservations older than their limit, neither sold nor released";
        Self {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            ids: deps.ids.clone(),
            store: Store::new("inventory"),
            metrics: deps.metrics.clone(),
            orphans_open: deps.metrics.register("inventory_orphans_open", help, Gauge::default()),
            warehouses: Arc::default(),
        }
    }

    /// The warehouses, the first serves first; as they were when they were last read.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn warehouses(&self) -> Result<Arc<[Warehouse]>> {
        let known = self.warehouses.read().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(known) => Ok(known),
            None => self.read_warehouses().await,
        }
    }

    /// The warehouses as they are now.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn read_warehouses(&self) -> Result<Arc<[Warehouse]>> {
        let found: Arc<[Warehouse]> =
            self.db.read("inventory.warehouses", |q| store::warehouses(q)).await?.into();
        *self.warehouses.write().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }

    /// The warehouse with this id; the first active one unless told.
    ///
    /// # Errors
    /// `inventory.warehouse_unknown`; `inventory.warehouse_closed` when none is active.
    pub async fn warehouse(&self, id: Option<WarehouseId>) -> Result<Warehouse> {
        self.warehouse_at("/warehouse_id", id).await
    }

    /// The same, where the property at `pointer` names it.
    pub(crate) async fn warehouse_at(&self, pointer: &str, id: Option<WarehouseId>) -> Result<Warehouse> {
        let of = |all: &[Warehouse]| match id {
            None => all.iter().find(|w| w.active).cloned(),
            Some(id) => all.iter().find(|w| w.id == id).cloned(),
        };
        if let Some(found) = of(&self.warehouses().await?) {
            return Ok(found);
        }
        // Perhaps another process has opened it just now.
        of(&self.read_warehouses().await?).ok_or_else(|| match id {
            None => Error::rejected("inventory.warehouse_closed", "No warehouse is active."),
            Some(_) => {
                Error::new(ErrorKind::Invalid, "inventory.warehouse_unknown", "There is no such warehouse.")
                    .with_field(pointer, "is no warehouse's; GET /v1/warehouses lists them")
            }
        })
    }
}

/// The tables of this context.
pub fn migrations() -> Vec<Migration> {
    store::migrations()
}

/// The service of the asks.
pub fn service(state: &State) -> InventoryServer<impl Inventory> {
    InventoryServer::new(rpc::InventoryRpc(state.clone()))
}

/// The context.
pub fn module(state: &State, limits: &Limits) -> ContextModule {
    let mut module = Module::new(state.store.clone(), migrations());
    module.rpc = Some(Routes::new(service(state)));
    module.projections.push(projection());
    ContextModule { module, routes: http::routes(state, limits) }
}

/// Starts what runs beside the asks: the watch over orphaned reservations, and over the list of warehouses. Ends with [`Tasks::shutdown`].
pub fn start(state: &State, tasks: &Tasks) {
    let state = state.clone();
    let watched = state.clone();
    drop(tasks.spawn_every("inventory.orphans", ORPHANS_EVERY, move || {
        let state = watched.clone();
        async move { commands::watch_orphans(&state, ORPHAN_AFTER).await.map(drop) }
    }));
    drop(tasks.spawn_every("inventory.warehouses", WAREHOUSES_EVERY, move || {
        let state = state.clone();
        async move { state.read_warehouses().await.map(drop) }
    }));
}
