//! How goods reach the buyer, and what that costs. See README.md of this crate.

pub mod commands;
pub mod domain;
mod http;
pub mod queries;
mod reactions;
mod rpc;
mod store;
mod timeline;

use std::sync::Arc;

use merx_contracts::{
    Fact as _,
    accounts::v1::accounts_client::AccountsClient,
    events::accounts::PersonErased,
    shipping::v1::shipping_server::{Shipping, ShippingServer},
};
use merx_http::{ContextModule, Limits};
use merx_kernel::{Clock, IdGen};
use merx_platform::{Deps, Module, Peer, Store, Subscription};
use merx_sql::{Db, Migration};
use tonic::service::Routes;

pub use domain::Tariff;
pub use http::{
    Correction, OrderShipmentView, OrderShipmentsView, ShipmentDetailView, ShipmentFilter, ShipmentView,
    ShippingAddressView, SplitShipment, SplitView, TrackingEventView,
};
pub use store::shipments::Filter;

/// What the code of this context works with.
#[derive(Clone)]
pub struct State {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: IdGen,
    pub(crate) store: Store,
    pub(crate) tariff: Arc<Tariff>,
    pub(crate) accounts: AccountsClient<Peer>,
}

impl State {
    /// From what the server gives every context, the freight rules, and the way to accounts.
    pub fn new(deps: &Deps, tariff: Tariff, accounts: &Peer) -> Self {
        Self {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            ids: deps.ids.clone(),
            store: Store::new("shipping"),
            tariff: Arc::new(tariff),
            accounts: AccountsClient::new(accounts.called_by("shipping")),
        }
    }
}

/// The tables of this context.
pub fn migrations() -> Vec<Migration> {
    store::migrations()
}

/// The service of the asks.
pub fn service(state: &State) -> ShippingServer<impl Shipping> {
    ShippingServer::new(rpc::ShippingRpc(state.clone()))
}

/// The context.
pub fn module(state: &State, limits: &Limits) -> ContextModule {
    let mut module = Module::new(state.store.clone(), migrations());
    module.rpc = Some(Routes::new(service(state)));
    module.subscriptions = vec![Subscription::new(
        "shipping.person_erased",
        state.store.clone(),
        &[PersonErased::TYPE],
        reactions::person_erased::BlankWords(state.db.clone()),
    )];
    ContextModule { module, routes: http::routes(state, limits) }
}
