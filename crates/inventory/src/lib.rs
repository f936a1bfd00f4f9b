//! What lies in the warehouses, and for whom it is set aside. See README.md of this crate.

pub mod commands;
pub mod domain;
mod http;
pub mod log;
mod projection;
pub mod queries;
mod rpc;
pub mod store;

use std::{sync::Arc, time::Duration};

use merx_contracts::inventory::v1::inventory_server::{Inventory, InventoryServer};
use merx_http::{ContextModule, Limits};
use merx_kernel::{Clock, Error, ErrorKind, IdGen, Result};
use merx_platform::{Deps, Metrics, Module, Store, Tasks};
use merx_sql::{Db, Migration};
use tokio::sync::OnceCell;
use tonic::service::Routes;

pub use http::{AdjustStock, MovementView, ReceiveStock, StockEntryView, StockView, WarehouseStockView};
pub use projection::projection;
use store::Warehouse;

/// How old a reservation may grow before the alarm. An order is paid or closed within half an hour, and closing
/// it at the provider may wait for the end of the attempt.
pub const ORPHAN_AFTER: Duration = Duration::from_secs(2 * 60 * 60);
/// How often orphans are looked for.
pub const ORPHANS_EVERY: Duration = Duration::from_secs(5 * 60);

/// What the code of this context works with.
#[derive(Clone)]
pub struct State {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: IdGen,
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    warehouses: Arc<OnceCell<Arc<[Warehouse]>>>,
}

impl State {
    /// From what the server gives every context.
    pub fn new(deps: &Deps) -> Self {
        Self {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            ids: deps.ids.clone(),
            store: Store::new("inventory"),
            metrics: deps.metrics.clone(),
            warehouses: Arc::new(OnceCell::new()),
        }
    }

    /// The warehouses, the first asked first. Read once: nothing changes them while the shop runs.
    ///
    /// # Errors
    /// What the database answers; `Internal` when there is none.
    pub async fn warehouses(&self) -> Result<Arc<[Warehouse]>> {
        let read = || async {
            let found = self.db.read("inventory.warehouses", |q| store::warehouses(q)).await?;
            if found.is_empty() { Err(Error::internal("there is no warehouse")) } else { Ok(found.into()) }
        };
        self.warehouses.get_or_try_init(read).await.cloned()
    }

    /// The warehouse with this code; the first one unless told.
    ///
    /// # Errors
    /// `inventory.warehouse_unknown`.
    pub async fn warehouse(&self, code: Option<&str>) -> Result<Warehouse> {
        let warehouses = self.warehouses().await?;
        let found = match code {
            None => warehouses.first(),
            Some(code) => warehouses.iter().find(|w| w.code == code),
        };
        found.cloned().ok_or_else(|| {
            let known: Vec<&str> = warehouses.iter().map(|w| w.code.as_str()).collect();
            Error::new(ErrorKind::Invalid, "inventory.warehouse_unknown", "There is no such warehouse.")
                .with_field("/warehouse", format!("must be one of {}", known.join(", ")))
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

/// Starts what runs beside the asks: the watch over orphaned reservations. Ends with [`Tasks::shutdown`].
pub fn start(state: &State, tasks: &Tasks) {
    let state = state.clone();
    drop(tasks.spawn_every("inventory.orphans", ORPHANS_EVERY, move || {
        let state = state.clone();
        async move { commands::watch_orphans(&state, ORPHAN_AFTER).await.map(drop) }
    }));
}
