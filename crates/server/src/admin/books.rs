//! Reconciling with the bills of payment providers.

use std::fmt;

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use merx_kernel::{Money, Result};
use merx_payment::{
    Payments,
    domain::ProviderName,
    queries::{AlertState, CaseView, CasesRequest, ReconciliationView, date_of},
};
use serde::{Deserialize, Serialize};

use super::Refused;

/// The most cases of a day that are listed.
const CASES_MAX: u32 = 100;

/// A case that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CaseLine(pub CaseView);

impl fmt::Display for CaseLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let case = &self.0;
        let money = |money: Option<Money>| money.map_or("-".to_owned(), |money| money.to_string());
        let kind = case.kind.as_str();
        write!(f, "{}  {kind}  {}", case.id, case.order_number)?;
        if let Some(request) = &case.request_number {
            write!(f, " {request}")?;
        }
        write!(f, "  here {}  there {}", money(case.ours), money(case.theirs))
    }
}

/// The routes.
pub fn books(payments: Payments) -> Router {
    Router::new()
        .route("/reconciliations/{date}", post(reconcile))
        .route("/reconciliations/{date}/cases", get(cases))
        .with_state(payments)
}

async fn reconcile(
    State(payments): State<Payments>,
    Path(date): Path<String>,
) -> Result<Json<ReconciliationView>, Refused> {
    let date = date_of("date", &date)?;
    Ok(Json(payments.reconcile(ProviderName::Alipay, date).await?))
}

async fn cases(
    State(payments): State<Payments>,
    Path(date): Path<String>,
) -> Result<Json<Vec<CaseLine>>, Refused> {
    let state = Some(AlertState::Open);
    let asked = CasesRequest { state, date: Some(date), limit: Some(CASES_MAX), ..CasesRequest::default() };
    Ok(Json(payments.cases(asked).await?.items.into_iter().map(CaseLine).collect()))
}
