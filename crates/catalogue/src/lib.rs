//! What the shop sells: products with options, their SKUs and present prices. See README.md of this crate.

pub mod commands;
pub mod domain;
mod http;
mod prices;
mod rpc;
mod store;

use std::sync::Arc;

use merx_contracts::catalogue::v1::catalogue_server::CatalogueServer;
use merx_http::ContextModule;
use merx_kernel::Clock;
use merx_platform::{Deps, Module, Store};
use merx_sql::{Db, Migration};
use tonic::service::Routes;

pub use http::{LocalView, ProductView, SkuView};
pub use rpc::QUOTE_LINES_MAX;

/// What the code of this context works with.
#[derive(Clone)]
pub struct State {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) prices: prices::Prices,
}

impl State {
    /// From what the server gives every context.
    pub fn new(deps: &Deps) -> Self {
        Self { db: deps.db.clone(), clock: deps.clock.clone(), prices: prices::Prices::default() }
    }
}

/// The tables of this context.
pub fn migrations() -> Vec<Migration> {
    vec![Migration::same(100, "products", include_str!("../migrations/0100_products.sql"))]
}

/// The context.
pub fn module(state: &State) -> ContextModule {
    let mut module = Module::new(Store::new("catalogue"), migrations());
    module.rpc = Some(Routes::new(CatalogueServer::new(rpc::CatalogueRpc(state.clone()))));
    ContextModule { module, routes: http::routes(state) }
}
