//! `GET /v1/payments/{payment}/methods`, `POST /v1/admin/payments/{payment}/attempts/{attempt}/confirmation`,
//! `POST /v1/payment-refunds/{refund}/confirmation`.

use axum::{extract::State, response::Response};
use merx_contracts::ids::{AttemptId, PaymentId, RefundId};
use merx_http::{Access, Answer, Caller, Idempotency, IdempotencyKey, Json, Owner, Path, Route};
use merx_kernel::Permission;

use super::{Desk, attempts::OWN, kept};
use crate::{
    commands::{MoneyCame, MoneyPaidBack},
    queries::{ConfirmationView, MethodsView, RefundSummary},
};

const MONEY_OF_THE_SHOP: Owner = Owner::None("what came and went by hand is confirmed by the shop's staff");

pub(super) fn methods(desk: &Desk) -> Route {
    let access = Access::Permission { permission: Permission::Shop, owner: OWN };
    Route::get("/v1/payments/{payment}/methods", access, handle_methods, desk)
        .id("listPaymentMethods")
        .summary("The ways to pay there are for a payment, the one the shop would have first first.")
        .param::<PaymentId>("payment")
        .response::<MethodsView>(200)
        .errors(&["payment.not_found"])
}

async fn handle_methods(
    State(desk): State<Desk>,
    Caller(caller): Caller,
    Path(payment_id): Path<PaymentId>,
) -> Answer<Json<MethodsView>> {
    Ok(Json(desk.payments.methods(caller.account, payment_id).await?))
}

pub(super) fn confirm_money(desk: &Desk) -> Route {
    let access = Access::Permission { permission: Permission::PaymentsWrite, owner: MONEY_OF_THE_SHOP };
    let path = "/v1/admin/payments/{payment}/attempts/{attempt}/confirmation";
    Route::post(path, access, handle_confirm_money, desk)
        .id("confirmPaymentMoney")
        .summary("Say that the money of a bank transfer, or the cash, has come.")
        .description(
            "Only for attempts by `bank_transfer` and `cash_on_delivery`. Another amount than was asked is booked as \
             what it is and a person decides; money for an order that was cancelled meanwhile goes back. More money for an \
             attempt that brought some, under another reference, is kept as an attempt of its own, which the answer \
             names. Who said so and why is kept in the record of the staff; write no personal data into the reason.",
        )
        .param::<PaymentId>("payment")
        .param::<AttemptId>("attempt")
        .body::<MoneyCame>()
        .response::<ConfirmationView>(200)
        .errors(&[
            "payment.not_found",
            "payment.attempt_unknown",
            "payment.not_offline",
            "payment.already_captured",
            "payment.amount_not_payable",
        ])
        .idempotency(Idempotency::Required)
}

async fn handle_confirm_money(
    State(desk): State<Desk>,
    Caller(caller): Caller,
    Path((payment_id, attempt_id)): Path<(PaymentId, AttemptId)>,
    key: IdempotencyKey,
    Json(said): Json<MoneyCame>,
) -> Answer<Response> {
    let done = desk.payments.confirm_money(caller.account, payment_id, attempt_id, said, key).await?;
    kept(&desk, &key, done).await
}

pub(super) fn confirm_refund(desk: &Desk) -> Route {
    let access = Access::Permission { permission: Permission::PaymentsWrite, owner: MONEY_OF_THE_SHOP };
    Route::post("/v1/payment-refunds/{refund}/confirmation", access, handle_confirm_refund, desk)
        .id("confirmPaymentRefund")
        .summary("Say that money was paid back by hand.")
        .description(
            "Only for refunds of `bank_transfer` and `cash_on_delivery`; the alert `payment_refund_by_hand` names them. \
             Who said so and why is kept in the record of the staff; write no personal data into the reason.",
        )
        .param::<RefundId>("refund")
        .body::<MoneyPaidBack>()
        .response::<RefundSummary>(200)
        .errors(&["payment.refund_unknown", "payment.not_offline", "payment.refund_settled"])
        .idempotency(Idempotency::Required)
}

async fn handle_confirm_refund(
    State(desk): State<Desk>,
    Caller(caller): Caller,
    Path(refund_id): Path<RefundId>,
    key: IdempotencyKey,
    Json(said): Json<MoneyPaidBack>,
) -> Answer<Response> {
    let done = desk.payments.confirm_refund(caller.account, refund_id, said, key).await?;
    kept(&desk, &key, done).await
}
