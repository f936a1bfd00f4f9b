//! `POST /v1/orders/{order}/cancellation`

use axum::{extract::State, response::Response};
use merx_http::{Answer, Caller, IdempotencyKey, Json, Path, refusal, respond};
use merx_kernel::Permission;
use merx_platform::saga::{End, Progress};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Api, order_ref::OrderRef, repeat::cancellation_answer};
use crate::{
    commands::{
        Reason, Who,
        cancel_order::{Cancelling, cancel_order, closed},
    },
    domain::{OrderAxis, Rejection},
};

/// Why it is to end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancellationBody {
    /// Why. A buyer need not say; staff must.
    reason: Option<Reason>,
}

pub(super) async fn cancel(
    State(api): State<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(order): Path<OrderRef>,
    Json(body): Json<CancellationBody>,
) -> Answer<Response> {
    let order_id = api.resolve(order).await?;
    let who = Who::of(&caller, Permission::OrdersWrite);
    let overtaken = match cancel_order(&api.ordering, key, order_id, who, body.reason).await? {
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
    let answer = if overtaken && view.is_closing() && view.axes.order == OrderAxis::AwaitingPayment {
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
