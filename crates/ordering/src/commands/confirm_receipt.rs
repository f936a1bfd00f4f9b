//! The buyer has the goods: the order is completed.

use merx_contracts::{events::ordering as facts, ids::OrderId};
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::Result;
use merx_platform::store::Saved;

use super::Earlier;
use crate::{
    context::Ordering,
    domain::{Command, Rejection},
    queries::orders::{self, Reader},
    store,
};

/// What became of the request.
#[derive(Debug)]
pub enum Received {
    /// The answer: the completed order.
    Answer(Saved),
    /// The same request was made before.
    Repeated(Earlier),
}

/// Confirms the receipt; key, events, row, fact and answer in one transaction.
///
/// # Errors
/// `ordering.order_not_found`, `ordering.not_shipped`, `ordering.order_ended`, `request.idempotency_key_reused`.
pub async fn confirm_receipt(
    ordering: &Ordering,
    key: IdempotencyKey,
    order_id: OrderId,
    buyer: Reader,
) -> Result<Received> {
    let tools = &ordering.tools;
    let cause = tools.cause(order_id);
    let store = tools.store.clone();
    tools
        .db
        .write("ordering.confirm_receipt", move |tx| {
            let begun = key.begin(store.idempotency, tx, order_id, cause.facts.now)?;
            if let Begun::Repeated { effect: order_id, saved } = begun {
                return Ok(Received::Repeated(Earlier { order_id, saved }));
            }
            let loaded = store::load(&store, tx, order_id)?;
            let account_id = loaded.state.terms.as_ref().ok_or(Rejection::OrderUnknown)?.account_id;
            buyer.check(account_id)?;
            let changed = store::change(&store, tx, loaded, &Command::ConfirmReceipt, &cause)?;
            if !changed.events.is_empty() {
                cause.publish(&store, tx, &facts::OrderCompleted { order_id, account_id })?;
            }
            let view = orders::view(tx, order_id, buyer)?;
            let answer = merx_http::answer(http::StatusCode::OK, &view)?;
            key.complete(store.idempotency, tx, &answer)?;
            Ok(Received::Answer(answer))
        })
        .await
}
