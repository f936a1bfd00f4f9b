//! `POST /v1/orders/{order}/receipt`

use axum::{extract::State, response::Response};
use http::StatusCode;
use merx_http::{Answer, Caller, IdempotencyKey, Path, answer, respond};

use super::{Api, order_ref::OrderRef};
use crate::commands::confirm_receipt::{Received, confirm_receipt};

pub(super) async fn confirm(
    State(api): State<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(order): Path<OrderRef>,
) -> Answer<Response> {
    let order_id = api.resolve(order).await?;
    match confirm_receipt(&api.ordering, key, order_id, caller.account).await? {
        Received::Answer(saved) => Ok(respond(saved)),
        Received::Repeated(begun) => {
            api.changed_before(&key, begun, |view| answer(StatusCode::OK, &view)).await
        }
    }
}
