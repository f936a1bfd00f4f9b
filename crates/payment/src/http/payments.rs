//! `GET /v1/payments/{payment}`, `GET /v1/admin/payments`.

use axum::extract::State;
use merx_contracts::ids::PaymentId;
use merx_http::{Access, Answer, Caller, Json, Owner, Path, Query, Route};
use merx_kernel::{Page, Permission, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Desk;
use crate::queries::{PaymentItem, PaymentView, PaymentsRequest, Reader};

/// Whose a payment is that is read.
pub(super) const OWN_OR_STAFF: Owner = Owner::Account(
    "the payment's buyer is the caller, or the caller may read all payments; any other is payment.not_found",
);

/// As of when.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Moment {
    /// Show it as it was at this moment; now unless told.
    as_of: Option<Timestamp>,
}

pub(super) fn show(desk: &Desk) -> Route {
    Route::get("/v1/payments/{payment}", Access::LoggedIn { owner: OWN_OR_STAFF }, handle_show, desk)
        .id("getPayment")
        .summary("A payment with its attempts, the money that came, and its refunds.")
        .description(
            "With `as_of` it is shown as it was at that moment; before it was opened it is payment.not_found.",
        )
        .param::<PaymentId>("payment")
        .query::<Moment>()
        .response::<PaymentView>(200)
        .errors(&["payment.not_found"])
}

async fn handle_show(
    State(desk): State<Desk>,
    Caller(caller): Caller,
    Path(payment_id): Path<PaymentId>,
    Query(moment): Query<Moment>,
) -> Answer<Json<PaymentView>> {
    Ok(Json(desk.payments.view(Reader::of(&caller), payment_id, moment.as_of).await?))
}

pub(super) fn list(desk: &Desk) -> Route {
    let access = Access::Permission {
        permission: Permission::PaymentsRead,
        owner: Owner::None("the staff of the shop see the payments of all buyers"),
    };
    Route::get("/v1/admin/payments", access, handle_list, desk)
        .id("listPayments")
        .summary("All payments, newest first, by state, order, attempt, trade and time.")
        .query::<PaymentsRequest>()
        .response::<Page<PaymentItem>>(200)
}

async fn handle_list(
    State(desk): State<Desk>,
    Query(asked): Query<PaymentsRequest>,
) -> Answer<Json<Page<PaymentItem>>> {
    Ok(Json(desk.payments.list(asked).await?))
}
