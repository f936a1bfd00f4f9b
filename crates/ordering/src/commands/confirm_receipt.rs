//! The goods count as received: the order is completed.

use merx_contracts::ids::{AccountId, OrderId};
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::Result;
use merx_platform::{
    Store,
    store::{Saved, TimerId},
};
use merx_sql::Tx;

use super::Earlier;
use crate::{
    cause::{Cause, CausedBy},
    context::Ordering,
    domain::{Command, ReceivedBy, Rejection},
    queries::orders::{self, Reader},
    reactions::receipt_due,
    store::{self, Loaded},
};

/// What became of the request.
#[derive(Debug)]
pub enum Received {
    /// The answer: the completed order.
    Answer(Saved),
    /// The same request was made before.
    Repeated(Earlier),
}

/// Completes the order and tells it; `false` when it was complete before.
///
/// # Errors
/// As [`confirm_receipt`].
pub(crate) fn complete(
    store: &Store,
    tx: &mut Tx<'_>,
    loaded: Loaded,
    by: ReceivedBy,
    cause: &Cause,
) -> Result<bool> {
    let changed = store::change(store, tx, loaded, &Command::ConfirmReceipt(by), cause)?;
    Ok(!changed.events.is_empty())
}

/// Confirms the receipt; key, events, row, fact and answer in one transaction.
///
/// # Errors
/// `ordering.order_not_found`, `ordering.not_shipped`, `ordering.order_ended`, `request.idempotency_key_reused`.
pub async fn confirm_receipt(
    ordering: &Ordering,
    key: IdempotencyKey,
    order_id: OrderId,
    buyer: AccountId,
) -> Result<Received> {
    let tools = &ordering.tools;
    let cause = tools.cause(order_id, CausedBy::request("confirmReceipt", buyer, false));
    let buyer = Reader::Buyer(buyer);
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
            if complete(&store, tx, loaded, ReceivedBy::Buyer, &cause)? {
                store.timers.cancel(tx, TimerId::of(receipt_due::KIND, order_id))?;
            }
            let view = orders::view(tx, order_id, buyer)?;
            let answer = merx_http::answer(http::StatusCode::OK, &view)?;
            key.complete(store.idempotency, tx, order_id, &answer)?;
            Ok(Received::Answer(answer))
        })
        .await
}
