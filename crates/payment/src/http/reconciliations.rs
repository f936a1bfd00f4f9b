//! `POST|GET /v1/admin/reconciliations`, `GET /v1/admin/reconciliations/cases`,
//! `POST /v1/admin/reconciliations/cases/{case}/resolution`.

use axum::{extract::State, response::Response};
use merx_http::{Access, Answer, Caller, Idempotency, IdempotencyKey, Json, Path, Query, Route};
use merx_kernel::{Page, PageRequest, Permission};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Desk, kept, ledger::BOOKS};
use crate::{
    commands::Resolution,
    domain::ProviderName,
    queries::{CaseView, CasesRequest, ReconciliationView, date_of},
    store::cases::CaseId,
};

const READ: Access = Access::Permission { permission: Permission::LedgerRead, owner: BOOKS };
const WRITE: Access = Access::Permission { permission: Permission::LedgerWrite, owner: BOOKS };
/// How long it may take to fetch a bill and hold it against the books.
const HANDLER_MS_MAX: u64 = 120_000;

/// Which day.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReconciliationRequest {
    /// The day of Beijing time, `2026-11-20`; it must be over.
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"), extend("example" = "2026-01-01"))]
    date: String,
}

pub(super) fn reconcile(desk: &Desk) -> Route {
    Route::post("/v1/admin/reconciliations", WRITE, handle_reconcile, desk)
        .id("reconcilePayments")
        .summary("Hold a day's bill of Alipay against payments and ledger.")
        .description(
            "Fetches the bill, books its fees, and opens a case for each difference, once however often the day is \
             reconciled. It is done by itself every morning for the day before. `no_bill`: money moved that day, and \
             Alipay has no bill of it yet.",
        )
        .body::<ReconciliationRequest>()
        .response::<ReconciliationView>(200)
        .errors(&["payment.day_not_over", "payment.provider_unavailable", "payment.bill_unreadable"])
        .idempotency(Idempotency::Required)
        .handler_ms_max(HANDLER_MS_MAX)
}

async fn handle_reconcile(
    State(desk): State<Desk>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Json(ask): Json<ReconciliationRequest>,
) -> Answer<Response> {
    let date = date_of("/date", &ask.date)?;
    let done = desk.payments.reconcile_for(caller.account, ProviderName::Alipay, date, key).await?;
    kept(&desk, &key, done).await
}

pub(super) fn list(desk: &Desk) -> Route {
    Route::get("/v1/admin/reconciliations", READ, handle_list, desk)
        .id("listReconciliations")
        .summary("The days that were reconciled, the last first.")
        .query::<PageRequest>()
        .response::<Page<ReconciliationView>>(200)
}

async fn handle_list(
    State(desk): State<Desk>,
    Query(page): Query<PageRequest>,
) -> Answer<Json<Page<ReconciliationView>>> {
    Ok(Json(desk.payments.reconciliations(page).await?))
}

pub(super) fn cases(desk: &Desk) -> Route {
    Route::get("/v1/admin/reconciliations/cases", READ, handle_cases, desk)
        .id("listReconciliationCases")
        .summary("What a bill and the books do not agree about.")
        .description("Newest first. A case settles itself when a later run finds that both agree.")
        .query::<CasesRequest>()
        .response::<Page<CaseView>>(200)
}

async fn handle_cases(
    State(desk): State<Desk>,
    Query(asked): Query<CasesRequest>,
) -> Answer<Json<Page<CaseView>>> {
    Ok(Json(desk.payments.cases(asked).await?))
}

pub(super) fn resolve(desk: &Desk) -> Route {
    Route::post("/v1/admin/reconciliations/cases/{case}/resolution", WRITE, handle_resolve, desk)
        .id("resolveReconciliationCase")
        .summary("Say that a case was looked into, and what it was.")
        .description(
            "Its alert is resolved with it. Money is neither booked nor moved by this. Who did it and why is kept in the \
             record of the staff; write no personal data into the reason.",
        )
        .param::<CaseId>("case")
        .body::<Resolution>()
        .response::<CaseView>(200)
        .errors(&["payment.case_unknown", "payment.alert_resolved"])
        .idempotency(Idempotency::Required)
}

async fn handle_resolve(
    State(desk): State<Desk>,
    Caller(caller): Caller,
    Path(case_id): Path<CaseId>,
    key: IdempotencyKey,
    Json(said): Json<Resolution>,
) -> Answer<Response> {
    let done = desk.payments.resolve_case(caller.account, case_id, said.reason, key).await?;
    kept(&desk, &key, done).await
}
