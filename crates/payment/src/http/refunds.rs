//! `POST /v1/payment-refunds/{refund}/retry`.

use axum::{extract::State, response::Response};
use merx_contracts::ids::RefundId;
use merx_http::{Access, Answer, Begun, Idempotency, IdempotencyKey, Owner, Path, Route, respond};
use merx_kernel::{Error, Permission};

use super::Desk;
use crate::queries::RefundSummary;

pub(super) fn retry(desk: &Desk) -> Route {
    let access = Access::Permission {
        permission: Permission::Operate,
        owner: Owner::None("a refund that does not go through is mended by the shop's staff"),
    };
    Route::post("/v1/payment-refunds/{refund}/retry", access, handle, desk)
        .id("retryPaymentRefund")
        .summary("Try a refund again that the provider had refused, after mending why.")
        .description(
            "The refund keeps its identity, so its money goes back once however often it is tried. One that is \
             under way is tried at once. GET /v1/payment-alerts names the refunds that need it.",
        )
        .param::<RefundId>("refund")
        .response::<RefundSummary>(202)
        .errors(&["payment.refund_unknown", "payment.refund_settled", "payment.refund_above_captured"])
        .idempotency(Idempotency::Required)
}

async fn handle(
    State(desk): State<Desk>,
    Path(refund_id): Path<RefundId>,
    key: IdempotencyKey,
) -> Answer<Response> {
    match desk.payments.retry_refund(refund_id, key).await? {
        (Begun::Fresh, Some(saved)) => Ok(respond(saved)),
        (Begun::Fresh, None) => Err(Error::internal("a refund was taken up without an answer").into()),
        // The answer is kept in the transaction of the effect, so there is never one to rebuild.
        (Begun::Repeated { effect, saved }, _) => {
            desk.idempotent.repeat(&key, effect, saved, |_| async { Ok(None) }).await
        }
    }
}
