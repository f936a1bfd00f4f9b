//! `POST /v1/payments/{payment}/attempts`, `GET /v1/payments/{payment}/attempts/{attempt}/qr.svg`.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use merx_contracts::ids::{AttemptId, PaymentId};
use merx_http::{
    Access, Answer, Caller, Idempotency, IdempotencyKey, Json, Owner, Path, Route, answer, respond,
};
use merx_kernel::Permission;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Desk;
use crate::{
    commands::{AttemptView, StartAttempt},
    domain::Method,
};

/// How long beginning to pay may take: closing an earlier attempt and having a code made are calls to the provider.
const HANDLER_MS_MAX: u64 = 30_000;
/// The form of a drawn code.
const SVG: &str = "image/svg+xml";

pub(super) const OWN: Owner =
    Owner::Account("the payment's buyer is the caller; another's is payment.not_found");

/// How the buyer wants to pay.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AttemptRequest")]
struct AttemptRequest {
    /// The way to pay.
    method: Method,
}

pub(super) fn start(desk: &Desk) -> Route {
    let access = Access::Permission { permission: Permission::Shop, owner: OWN };
    Route::post("/v1/payments/{payment}/attempts", access, handle_start, desk)
        .id("startPaymentAttempt")
        .summary("Begin to pay: answers where to send the browser, the QR code to show, or what else to do.")
        .description(
            "While an attempt of the same method is open, it is that one. An open attempt of another method is closed \
             at the provider first; where the provider does not know it yet, the new one takes its place. Money that \
             comes by both goes back once. After a 503 ask again: it is the same attempt.",
        )
        .param::<PaymentId>("payment")
        .body::<AttemptRequest>()
        .response::<AttemptView>(201)
        .errors(&[
            "payment.not_found",
            "payment.closed",
            "payment.already_captured",
            "payment.in_review",
            "payment.deadline_passed",
            "payment.attempt_open",
            "payment.attempt_ended",
            "payment.too_many_attempts",
            "payment.method_refused",
            "payment.method_not_offered",
        ])
        .idempotency(Idempotency::Required)
        .handler_ms_max(HANDLER_MS_MAX)
}

async fn handle_start(
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

pub(super) fn draw(desk: &Desk) -> Route {
    let access = Access::Permission { permission: Permission::Shop, owner: OWN };
    Route::get("/v1/payments/{payment}/attempts/{attempt}/qr.svg", access, handle_draw, desk)
        .id("drawPaymentQrCode")
        .summary("The QR code of an attempt, drawn, as long as it can be paid.")
        .param::<PaymentId>("payment")
        .param::<AttemptId>("attempt")
        .raw_response(200, &[SVG])
        .errors(&["payment.not_found", "payment.qr_unavailable"])
}

async fn handle_draw(
    State(desk): State<Desk>,
    Caller(caller): Caller,
    Path((payment_id, attempt_id)): Path<(PaymentId, AttemptId)>,
) -> Answer<Response> {
    let svg = desk.payments.qr_svg(caller.account, payment_id, attempt_id).await?;
    Ok(([(header::CONTENT_TYPE, SVG), (header::CACHE_CONTROL, "no-store")], svg).into_response())
}
