//! `POST /v1/orders/{order}/receipt`

use axum::{extract::State, response::Response};
use http::StatusCode;
use merx_contracts::ids::OrderId;
use merx_http::{Answer, Caller, IdempotencyKey, Path, answer, respond};

use super::Api;
use crate::{
    commands::confirm_receipt::{Received, confirm_receipt},
    queries::orders::Reader,
};

pub(super) async fn confirm(
    State(api): State<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(order_id): Path<OrderId>,
) -> Answer<Response> {
    match confirm_receipt(&api.ordering, key, order_id, Reader::Buyer(caller.account)).await? {
        Received::Answer(saved) => Ok(respond(saved)),
        Received::Repeated(begun) => {
            api.changed_before(&key, begun, |view| answer(StatusCode::OK, &view)).await
        }
    }
}
