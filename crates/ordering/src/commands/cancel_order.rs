//! The buyer wants an unpaid order ended. The payment decides whether it can be.

use std::future::Future;

use merx_contracts::ids::OrderId;
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::Result;
use merx_platform::saga::{NewSaga, Progress};

use super::Earlier;
use crate::{
    context::Ordering,
    domain::{CancelReason, Command, Rejection},
    queries::orders::Reader,
    sagas::close_order::CloseOrder,
    store,
};

/// What became of the request.
#[derive(Debug)]
pub enum Cancelling {
    /// The order is closing; this request or an earlier one asked for it.
    Asked(NewSaga),
    /// Nothing was to be done: the order had ended.
    Settled,
    /// The same request was made before.
    Repeated(Earlier),
}

/// Asks for the end of an order.
///
/// # Errors
/// `ordering.order_not_found`, `ordering.already_paid`, `ordering.still_placing`, `ordering.order_ended`,
/// `ordering.payment_in_review`, `request.idempotency_key_reused`.
pub async fn cancel_order(
    ordering: &Ordering,
    key: IdempotencyKey,
    order_id: OrderId,
    buyer: Reader,
) -> Result<Cancelling> {
    let tools = &ordering.tools;
    let cause = tools.cause(order_id);
    let saga = CloseOrder::of(order_id, cause.facts.now)?;
    let store = tools.store.clone();
    tools
        .db
        .write("ordering.request_cancellation", move |tx| {
            let begun = key.begin(store.idempotency, tx, order_id, cause.facts.now)?;
            if let Begun::Repeated { effect: order_id, saved } = begun {
                return Ok(Cancelling::Repeated(Earlier { order_id, saved }));
            }
            let loaded = store::load(&store, tx, order_id)?;
            buyer.check(loaded.state.terms.as_ref().ok_or(Rejection::OrderUnknown)?.account_id)?;
            let command = Command::RequestCancellation(CancelReason::Buyer);
            let changed = store::change(&store, tx, loaded, &command, &cause)?;
            if !changed.events.is_empty() {
                store.sagas.start(tx, &saga)?;
            }
            let closing = changed.order.axes.is_some_and(|axes| !axes.has_ended());
            Ok(if closing { Cancelling::Asked(saga.clone()) } else { Cancelling::Settled })
        })
        .await
}

/// Carries the closing of the order on, and waits for its end as long as a request may.
pub async fn closed(ordering: &Ordering, saga: &NewSaga) -> Option<Progress> {
    // An earlier request's saga may be parked until the provider can say more; the log knows.
    within(ordering, ordering.engine.resume(saga.id)).await
}

/// The answer of `work` unless it takes longer than a request waits.
pub(super) async fn within<T>(ordering: &Ordering, work: impl Future<Output = T>) -> Option<T> {
    let limit = ordering.tools.clock.sleep(ordering.tools.settings.answer_wait());
    tokio::select! {
        biased;
        done = work => Some(done),
        () = limit => None,
    }
}
