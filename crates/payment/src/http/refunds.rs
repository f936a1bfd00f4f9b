//! `GET /v1/payments/{payment}/refunds/{refund}`, `POST /v1/payment-refunds/{refund}/retry`.

use axum::{extract::State, response::Response};
use merx_contracts::ids::{PaymentId, RefundId};
use merx_http::{Access, Answer, Caller, Idempotency, IdempotencyKey, Json, Owner, Path, Route};
use merx_kernel::Permission;

use super::{Desk, kept, payments::OWN_OR_STAFF};
use crate::queries::{Reader, RefundSummary};

pub(super) fn show(desk: &Desk) -> Route {
    let access = Access::LoggedIn { owner: OWN_OR_STAFF };
    Route::get("/v1/payments/{payment}/refunds/{refund}", access, handle_show, desk)
        .id("getPaymentRefund")
        .summary("A refund of a payment.")
        .param::<PaymentId>("payment")
        .param::<RefundId>("refund")
        .response::<RefundSummary>(200)
        .errors(&["payment.not_found", "payment.refund_unknown"])
}

async fn handle_show(
    State(desk): State<Desk>,
    Caller(caller): Caller,
    Path((payment_id, refund_id)): Path<(PaymentId, RefundId)>,
) -> Answer<Json<RefundSummary>> {
    Ok(Json(desk.payments.refund_view(Reader::of(&caller), payment_id, refund_id).await?))
}

pub(super) fn retry(desk: &Desk) -> Route {
    let access = Access::Permission {
        permission: Permission::PaymentsWrite,
        owner: Owner::None("a refund that does not go through is mended by the shop's staff"),
    };
    Route::post("/v1/payment-refunds/{refund}/retry", access, handle_retry, desk)
        .id("retryPaymentRefund")
        .summary("Try a refund again that the provider had refused, after mending why.")
        .description(
            "The refund keeps its identity, so its money goes back once however often it is tried. One that is \
             under way is tried at once. GET /v1/admin/payments/alerts names the refunds that need it.",
        )
        .param::<RefundId>("refund")
        .response::<RefundSummary>(202)
        .errors(&["payment.refund_unknown", "payment.refund_settled", "payment.refund_above_captured"])
        .idempotency(Idempotency::Required)
}

async fn handle_retry(
    State(desk): State<Desk>,
    Caller(caller): Caller,
    Path(refund_id): Path<RefundId>,
    key: IdempotencyKey,
) -> Answer<Response> {
    let done = desk.payments.retry_refund(caller.account, refund_id, key).await?;
    kept(&desk, &key, done).await
}
