//! `POST /v1/payments/{payment}/attempts`.

use axum::{extract::State, response::Response};
use http::StatusCode;
use merx_contracts::ids::PaymentId;
use merx_http::{
    Access, Answer, Caller, Idempotency, IdempotencyKey, Json, Owner, Path, Route, answer, respond,
};
use merx_kernel::Permission;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Desk;
use crate::commands::{AttemptView, Method, StartAttempt};

/// How the buyer wants to pay.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AttemptRequest")]
struct AttemptRequest {
    /// The way to pay.
    method: Method,
}

pub(super) fn start(desk: &Desk) -> Route {
    let access = Access::Permission {
        permission: Permission::Shop,
        owner: Owner::Account("the payment's buyer is the caller; another's is payment.not_found"),
    };
    Route::post("/v1/payments/{payment}/attempts", access, handle, desk)
        .id("startPaymentAttempt")
        .summary("Begin to pay; answers where to send the browser. While an attempt is open, it is that one.")
        .param::<PaymentId>("payment")
        .body::<AttemptRequest>()
        .response::<AttemptView>(201)
        .errors(&[
            "payment.not_found",
            "payment.closed",
            "payment.already_captured",
            "payment.deadline_passed",
        ])
        .idempotency(Idempotency::Required)
}

async fn handle(
    State(desk): State<Desk>,
    Caller(caller): Caller,
    Path(payment_id): Path<PaymentId>,
    key: IdempotencyKey,
    Json(ask): Json<AttemptRequest>,
) -> Answer<Response> {
    let ask = StartAttempt { buyer: caller.account, payment_id, method: ask.method, key };
    let started = desk.payments.start_attempt(ask).await?;
    let answer = answer(StatusCode::CREATED, &started.attempt)?;
    if started.repeated {
        return desk.idempotent.repeat(&key, started.attempt.id, Some(answer), |_| async { Ok(None) }).await;
    }
    Ok(respond(answer))
}
