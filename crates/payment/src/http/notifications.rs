//! `POST /v1/payments/alipay/notifications`.

use axum::{
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use merx_alipay::{Params, REPLY_FAIL, REPLY_SUCCESS};
use merx_http::{Access, Answer, Idempotency, Route};
use schemars::JsonSchema;

use super::{Desk, NOTIFICATIONS_PATH};
use crate::{commands::Verdict, domain::ProviderName};

/// What Alipay sends, as far as Merx reads it.
#[derive(JsonSchema)]
#[schemars(rename = "AlipayNotification")]
#[allow(dead_code, reason = "the schema of a form that merx-alipay reads")]
struct NotificationForm {
    notify_id: String,
    notify_time: String,
    app_id: String,
    seller_id: String,
    out_trade_no: String,
    trade_no: String,
    trade_status: String,
    total_amount: String,
    sign_type: String,
    sign: String,
}

pub(super) fn take(desk: &Desk) -> Route {
    let access =
        Access::Signed("Alipay, RSA2 over the form; every field is then compared with our own record");
    Route::post(NOTIFICATIONS_PATH, access, handle, desk)
        .id("takeAlipayNotification")
        .summary(
            "Alipay tells what became of a trade. Answered `success` only when it counted and is durable.",
        )
        .form::<NotificationForm>()
        .raw_response(200, &["text/plain"])
        .raw_response(400, &["text/plain"])
        .idempotency(Idempotency::Natural("once by provider, trade and status"))
        .body_bytes_max(Params::BYTES_MAX)
}

async fn handle(State(desk): State<Desk>, form: Bytes) -> Answer<Response> {
    Ok(match desk.payments.take_notification(ProviderName::Alipay, &form).await? {
        Verdict::Taken => (StatusCode::OK, REPLY_SUCCESS).into_response(),
        Verdict::Quarantined | Verdict::Unsigned => (StatusCode::BAD_REQUEST, REPLY_FAIL).into_response(),
    })
}
