//! `GET /v1/payments/{payment}`.

use axum::extract::State;
use merx_contracts::ids::PaymentId;
use merx_http::{Access, Answer, Caller, Json, Owner, Path, Route};
use merx_kernel::Permission;

use super::Desk;
use crate::queries::PaymentView;

pub(super) fn show(desk: &Desk) -> Route {
    let access = Access::Permission {
        permission: Permission::Shop,
        owner: Owner::Account("the payment's buyer is the caller; another's is payment.not_found"),
    };
    Route::get("/v1/payments/{payment}", access, handle, desk)
        .id("getPayment")
        .summary("A payment with its attempts and refunds.")
        .param::<PaymentId>("payment")
        .response::<PaymentView>(200)
        .errors(&["payment.not_found"])
}

async fn handle(
    State(desk): State<Desk>,
    Caller(caller): Caller,
    Path(payment_id): Path<PaymentId>,
) -> Answer<Json<PaymentView>> {
    Ok(Json(desk.payments.view(caller.account, payment_id).await?))
}
