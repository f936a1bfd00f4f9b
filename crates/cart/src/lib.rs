//! What a member means to buy. See README.md of this crate.

pub mod commands;
mod http;
mod reactions;
mod rpc;
mod store;

use std::sync::Arc;

use merx_contracts::{
    Fact, cart::v1::carts_server::CartsServer, catalogue::v1::catalogue_client::CatalogueClient,
    events::ordering::OrderAwaitingPayment, inventory::v1::inventory_client::InventoryClient,
};
use merx_http::ContextModule;
use merx_kernel::{Clock, IdGen, Result};
use merx_platform::{Deps, Module, Store, Subscription, rpc::Peer};
use merx_sql::{Db, Migration};
use tonic::service::Routes;

pub use http::{CartLineView, CartView, SetLine, TitleView};

/// What the code of this context works with.
#[derive(Clone)]
pub struct State {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: IdGen,
    pub(crate) catalogue: CatalogueClient<Peer>,
    pub(crate) inventory: InventoryClient<Peer>,
}

impl State {
    /// From what the server gives every context.
    ///
    /// # Errors
    /// `Internal` when the wiring provides no catalogue or inventory.
    pub fn new(deps: &Deps) -> Result<Self> {
        Ok(Self {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            ids: deps.ids.clone(),
            catalogue: CatalogueClient::new(deps.peer("catalogue")?.called_by("cart")),
            inventory: InventoryClient::new(deps.peer("inventory")?.called_by("cart")),
        })
    }
}

/// The tables of this context.
pub fn migrations() -> Vec<Migration> {
    vec![Migration::same(100, "lines", include_str!("../migrations/0100_lines.sql"))]
}

/// The context.
///
/// # Errors
/// `Internal` when the wiring provides no catalogue or inventory.
pub fn module(deps: &Deps) -> Result<ContextModule> {
    let state = State::new(deps)?;
    let store = Store::new("cart");
    let reaction = reactions::order_awaiting_payment::TakeOrderedLines(state.db.clone());
    let mut module = Module::new(store.clone(), migrations());
    module.rpc = Some(Routes::new(CartsServer::new(rpc::CartRpc(state.db.clone()))));
    module.subscriptions = vec![Subscription::new(
        "cart.order_awaiting_payment",
        store,
        &[OrderAwaitingPayment::TYPE],
        reaction,
    )];
    Ok(ContextModule { module, routes: http::routes(&state) })
}
