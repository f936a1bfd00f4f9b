//! `POST /v1/orders/{order}/cancellation`

use axum::{extract::State, response::Response};
use merx_contracts::ids::OrderId;
use merx_http::{Answer, Caller, IdempotencyKey, Path, refusal, respond};
use merx_platform::saga::{End, Progress};

use super::{Api, repeat::cancellation_answer};
use crate::{
    commands::cancel_order::{Cancelling, cancel_order, closed},
    domain::Rejection,
    queries::orders::Reader,
};

pub(super) async fn cancel(
    State(api): State<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(order_id): Path<OrderId>,
) -> Answer<Response> {
    let buyer = Reader::Buyer(caller.account);
    let overtaken = match cancel_order(&api.ordering, key, order_id, buyer).await? {
        Cancelling::Repeated(begun) => {
            return api.changed_before(&key, begun, cancellation_answer).await;
        }
        Cancelling::Settled => false,
        Cancelling::Asked(saga) => {
            let progress = closed(&api.ordering, &saga).await;
            matches!(progress, Some(Progress::Ended(End::Refused { .. }) | Progress::Closed(_)))
        }
    };
    let view = api.view(order_id).await?;
    // The payment says it was paid; that the order says so too may take a moment more.
    let answer = if overtaken && view.is_closing() {
        refusal(Rejection::AlreadyPaid.into())?
    } else {
        cancellation_answer(view)?
    };
    let tools = &api.ordering.tools;
    let (keys, saved) = (tools.store.idempotency, answer.clone());
    let write = move |tx: &mut merx_sql::Tx<'_>| key.complete(keys, tx, order_id, &saved);
    tools.db.write("ordering.cancellation_answered", write).await?;
    Ok(respond(answer))
}
