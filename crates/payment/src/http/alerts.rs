//! `GET /v1/payment-alerts`.

use axum::extract::State;
use merx_http::{Access, Answer, Json, Owner, Query, Route};
use merx_kernel::{Page, PageRequest, Permission};

use super::Desk;
use crate::queries::AlertView;

pub(super) fn list(desk: &Desk) -> Route {
    let access = Access::Permission {
        permission: Permission::PaymentsRead,
        owner: Owner::None("alerts are the shop's, for its staff"),
    };
    Route::get("/v1/payment-alerts", access, handle, desk)
        .id("listPaymentAlerts")
        .summary("What needs a person: quarantined notifications, double payments, refunds that do not go through.")
        .query::<PageRequest>()
        .response::<Page<AlertView>>(200)
}

async fn handle(State(desk): State<Desk>, Query(page): Query<PageRequest>) -> Answer<Json<Page<AlertView>>> {
    Ok(Json(desk.payments.alerts(&page).await?))
}
