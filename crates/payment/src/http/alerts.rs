//! `GET /v1/admin/payments/alerts`, `POST /v1/admin/payments/alerts/{alert}/resolution`.

use axum::{extract::State, response::Response};
use merx_http::{Access, Answer, Caller, Idempotency, IdempotencyKey, Json, Owner, Path, Query, Route};
use merx_kernel::{Page, Permission};

use super::{Desk, kept};
use crate::{
    commands::Resolution,
    queries::{AlertView, AlertsRequest},
    store::alerts::AlertId,
};

/// Why alerts and the quarantine have no owner.
pub(super) const SHOPS_OWN: Owner = Owner::None("they are the shop's, for its staff");

pub(super) fn list(desk: &Desk) -> Route {
    let access = Access::Permission { permission: Permission::PaymentsRead, owner: SHOPS_OWN };
    Route::get("/v1/admin/payments/alerts", access, handle_list, desk)
        .id("listPaymentAlerts")
        .summary("What needs a person: quarantined notifications, double payments, refunds that do not go through.")
        .description(
            "Newest first. One that settles itself (a refund that goes through after all, double money that went \
             back) is resolved without anybody.",
        )
        .query::<AlertsRequest>()
        .response::<Page<AlertView>>(200)
}

async fn handle_list(
    State(desk): State<Desk>,
    Query(asked): Query<AlertsRequest>,
) -> Answer<Json<Page<AlertView>>> {
    Ok(Json(desk.payments.alerts(asked).await?))
}

pub(super) fn resolve(desk: &Desk) -> Route {
    let access = Access::Permission { permission: Permission::PaymentsWrite, owner: SHOPS_OWN };
    Route::post("/v1/admin/payments/alerts/{alert}/resolution", access, handle_resolve, desk)
        .id("resolvePaymentAlert")
        .summary("Say that an alert was looked into, and what it was.")
        .description(
            "What is in quarantine under the alert is resolved with it. Money is neither booked nor given back by \
             this. Who did it and why is kept in the record of the staff; write no personal data into the reason.",
        )
        .param::<AlertId>("alert")
        .body::<Resolution>()
        .response::<AlertView>(200)
        .errors(&["payment.alert_unknown", "payment.alert_resolved"])
        .idempotency(Idempotency::Required)
}

async fn handle_resolve(
    State(desk): State<Desk>,
    Caller(caller): Caller,
    Path(alert_id): Path<AlertId>,
    key: IdempotencyKey,
    Json(said): Json<Resolution>,
) -> Answer<Response> {
    let done = desk.payments.resolve_alert(caller.account, alert_id, said.reason, key).await?;
    kept(&desk, &key, done).await
}
