//! What a buyer means to buy. See README.md of this crate.

pub mod commands;
pub mod domain;
mod http;
mod reactions;
mod rpc;
mod settings;
mod store;

use std::{sync::Arc, time::Duration};

use merx_contracts::{
    Fact,
    cart::v1::carts_server::CartsServer,
    catalogue::v1::catalogue_client::CatalogueClient,
    events::{
        accounts::{GuestLoggedIn, PersonErased},
        ordering::{OrderAwaitingPayment, OrderAwaitingPaymentV2},
    },
    inventory::v1::inventory_client::InventoryClient,
};
use merx_http::ContextModule;
use merx_kernel::{Clock, IdGen, Result};
use merx_platform::{Deps, Module, Store, Subscription, rpc::Peer, tasks::Tasks};
use merx_sql::{Db, Migration};
use tonic::service::Routes;

pub use http::{CartLineView, CartView, MergedLineView, NoticeView, SetLine, TitleView};
pub use settings::Settings;

/// How often carts that nobody touched for long are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// What the code of this context works with.
#[derive(Clone)]
pub struct State {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: IdGen,
    pub(crate) settings: Settings,
    pub(crate) catalogue: CatalogueClient<Peer>,
    pub(crate) inventory: InventoryClient<Peer>,
}

impl State {
    /// From what the server gives every context, and the settings.
    ///
    /// # Errors
    /// `Internal` when the wiring provides no catalogue or inventory.
    pub fn new(deps: &Deps, settings: Settings) -> Result<Self> {
        Ok(Self {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            ids: deps.ids.clone(),
            settings,
            catalogue: CatalogueClient::new(deps.peer("catalogue")?.called_by("cart")),
            inventory: InventoryClient::new(deps.peer("inventory")?.called_by("cart")),
        })
    }
}

/// The tables of this context.
pub fn migrations() -> Vec<Migration> {
    store::migrations()
}

/// The context.
pub fn module(state: &State) -> ContextModule {
    let store = Store::new("cart");
    let mut module = Module::new(store.clone(), migrations());
    module.rpc = Some(Routes::new(CartsServer::new(rpc::CartRpc(state.db.clone()))));
    module.subscriptions = vec![
        Subscription::new(
            "cart.order_awaiting_payment",
            store.clone(),
            &[OrderAwaitingPayment::TYPE, OrderAwaitingPaymentV2::TYPE],
            reactions::order_awaiting_payment::TakeOrderedLines(state.db.clone()),
        ),
        Subscription::new(
            "cart.guest_logged_in",
            store.clone(),
            &[GuestLoggedIn::TYPE],
            reactions::guest_logged_in::MergeGuestCart(state.clone()),
        ),
        Subscription::new(
            "cart.person_erased",
            store,
            &[PersonErased::TYPE],
            reactions::person_erased::RemoveCart(state.db.clone()),
        ),
    ];
    ContextModule { module, routes: http::routes(state) }
}

/// Begins to remove carts that nobody touched for long. Tables must be up to date.
pub fn start(state: &State, tasks: &Tasks) {
    let state = state.clone();
    drop(tasks.spawn_every("cart.sweep", SWEEP_EVERY, move || {
        let state = state.clone();
        async move { commands::sweep(&state).await.map(drop) }
    }));
}
