//! `GET /v1/admin/payments/quarantine`, `POST /v1/admin/payments/quarantine/{item}/resolution`.

use axum::{extract::State, response::Response};
use merx_http::{Access, Answer, Caller, Idempotency, IdempotencyKey, Json, Path, Query, Route};
use merx_kernel::{Page, Permission};

use super::{Desk, alerts::SHOPS_OWN, kept};
use crate::{
    commands::Resolution,
    queries::{QuarantineRequest, QuarantineView},
    store::quarantine::QuarantineId,
};

pub(super) fn list(desk: &Desk) -> Route {
    let access = Access::Permission { permission: Permission::PaymentsRead, owner: SHOPS_OWN };
    Route::get("/v1/admin/payments/quarantine", access, handle_list, desk)
        .id("listPaymentQuarantine")
        .summary("Signed notifications that were not believed, and money that is not what was asked.")
        .description(
            "Newest first. Double and late money goes back by itself and is resolved when it is back; under- and \
             overpaid orders, and money of others, wait for a person.",
        )
        .query::<QuarantineRequest>()
        .response::<Page<QuarantineView>>(200)
}

async fn handle_list(
    State(desk): State<Desk>,
    Query(asked): Query<QuarantineRequest>,
) -> Answer<Json<Page<QuarantineView>>> {
    Ok(Json(desk.payments.quarantined(asked).await?))
}

pub(super) fn resolve(desk: &Desk) -> Route {
    let access = Access::Permission { permission: Permission::PaymentsWrite, owner: SHOPS_OWN };
    Route::post("/v1/admin/payments/quarantine/{item}/resolution", access, handle_resolve, desk)
        .id("resolvePaymentQuarantine")
        .summary("Say that something in quarantine was looked into, and what it was.")
        .description(
            "Its alert is resolved with it. Money is neither booked nor given back by this. Who did it and why is \
             kept in the record of the staff; write no personal data into the reason.",
        )
        .param::<QuarantineId>("item")
        .body::<Resolution>()
        .response::<QuarantineView>(200)
        .errors(&["payment.quarantine_unknown", "payment.alert_resolved"])
        .idempotency(Idempotency::Required)
}

async fn handle_resolve(
    State(desk): State<Desk>,
    Caller(caller): Caller,
    Path(item_id): Path<QuarantineId>,
    key: IdempotencyKey,
    Json(said): Json<Resolution>,
) -> Answer<Response> {
    let done = desk.payments.resolve_quarantined(caller.account, item_id, said.reason, key).await?;
    kept(&desk, &key, done).await
}
