//! `POST /v1/orders/{order}/settlement`

use axum::{extract::State, response::Response};
use http::StatusCode;
use merx_http::{Answer, Caller, IdempotencyKey, Json, Path, answer, respond};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Api, order_ref::OrderRef};
use crate::commands::{
    Reason,
    settle_payment::{Decision, Settlement, settle_payment},
};

/// What is decided, and why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettlementBody {
    /// What becomes of the money.
    decision: Decision,
    /// Why.
    reason: Reason,
}

pub(super) async fn settle(
    State(api): State<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(order): Path<OrderRef>,
    Json(body): Json<SettlementBody>,
) -> Answer<Response> {
    let order_id = api.resolve(order).await?;
    let decided = (body.decision, body.reason);
    match settle_payment(&api.ordering, key, order_id, caller.account, decided).await? {
        Settlement::Answer(saved) => Ok(respond(saved)),
        Settlement::Repeated(begun) => {
            api.changed_before(&key, begun, |view| answer(StatusCode::OK, &view)).await
        }
    }
}
