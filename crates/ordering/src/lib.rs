//! Ordering: the agreement between buyer and shop, from the quote to the receipt.
//!
//! [`domain`] holds the rules, pure and synchronous; everything else carries them out. An order is event-sourced;
//! its row and lines are an inline projection of its events. The README of the crate gives purpose, invariants,
//! tables and facts on one screen.

pub mod asks;
pub mod cause;
pub mod commands;
pub mod context;
pub mod domain;
mod http;
pub mod projections;
mod publish;
pub mod queries;
pub mod reactions;
mod record;
pub mod rpc;
pub mod sagas;
pub mod store;
pub mod view;

use std::sync::Arc;

use merx_contracts::ordering::v1::ordering_server::OrderingServer;
use merx_http::{ContextModule, Limits, Route};
use merx_kernel::Result;
use merx_platform::{Deps, Module, Store};
use tonic::service::Routes;

pub use crate::{
    asks::Asks,
    cause::CausedBy,
    context::{Ordering, Settings, Tools},
};

/// Ordering with its sagas, over what it is given.
///
/// # Errors
/// `Internal` when a context it asks is not wired: accounts, cart, catalogue, inventory, payment, shipping.
pub fn ordering(deps: &Deps, settings: Settings) -> Result<Ordering> {
    let asks = Asks {
        accounts: deps.peer("accounts")?,
        cart: deps.peer("cart")?,
        catalogue: deps.peer("catalogue")?,
        inventory: deps.peer("inventory")?,
        payment: deps.peer("payment")?,
        shipping: deps.peer("shipping")?,
        notification: deps.peers.get("notification").cloned(),
    };
    let tools = Tools {
        db: deps.db.clone(),
        store: Store::new(store::CONTEXT),
        clock: deps.clock.clone(),
        ids: deps.ids.clone(),
        asks: asks.named(),
        metrics: deps.metrics.clone(),
        settings,
        engine: Arc::default(),
    };
    let engine = deps.saga_engine(
        &tools.store,
        vec![
            Arc::new(sagas::place_order::PlaceOrder(tools.clone())),
            Arc::new(sagas::fulfil_order::FulfilOrder::new(tools.clone())),
            Arc::new(sagas::close_order::CloseOrder(tools.clone())),
            Arc::new(sagas::cancel_paid::CancelPaid(tools.clone())),
            Arc::new(sagas::refund_quarantined::RefundQuarantined(tools.clone())),
            Arc::new(sagas::refund_returned::RefundReturned(tools.clone())),
            Arc::new(sagas::refund_late::RefundLate(tools.clone())),
            Arc::new(sagas::revive_order::ReviveOrder(tools.clone())),
            Arc::new(sagas::accept_deposits::AcceptDeposits(tools.clone())),
        ],
    );
    // Set once, here: a saga may be followed by another.
    let _ = tools.engine.set(engine.downgrade());
    Ok(Ordering { tools, engine })
}

/// What ordering brings to the server.
///
/// # Errors
/// As [`ordering`].
pub fn module(deps: &Deps, settings: Settings, limits: &Limits) -> Result<ContextModule> {
    let ordering = ordering(deps, settings)?;
    Ok(ContextModule { module: inner(&ordering), routes: routes(ordering, limits) })
}

/// Storage, reactions, timers and sagas, without the routes.
pub fn inner(ordering: &Ordering) -> Module {
    let mut module = Module::new(ordering.tools.store.clone(), store::migrations());
    module.subscriptions = reactions::subscriptions(ordering);
    module.timers = vec![
        reactions::order_deadline::handler(ordering.clone()),
        reactions::receipt_due::handler(ordering.clone()),
    ];
    module.rpc = Some(Routes::new(OrderingServer::new(rpc::OrderingRpc(ordering.tools.clone()))));
    module.sagas = Some(ordering.engine.clone());
    module.projections = vec![projections::orders::projection()];
    module
}

/// The public routes.
pub fn routes(ordering: Ordering, limits: &Limits) -> Vec<Route> {
    self::http::routes(ordering, limits)
}

/// Builds the rows anew where an older program wrote them. To be awaited once the tables are up to date and before the
/// first request.
///
/// # Errors
/// `projection.unsequenced` when events wait too long for their positions; what the database answers.
pub async fn bring_up_to_date(ordering: &Ordering) -> Result<()> {
    projections::orders::bring_up_to_date(&ordering.tools).await
}
