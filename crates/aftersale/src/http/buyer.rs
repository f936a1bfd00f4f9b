//! What a buyer asks and does.

use axum::{extract::State as FromState, response::Response};
use http::StatusCode;
use merx_contracts::ids::{AfterSaleId, OrderId};
use merx_http::{Answer, Caller, IdempotencyKey, Json, Path};
use merx_kernel::{BoundedText, Error, Page, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Api, Change};
use crate::{
    commands::request,
    domain::{Command, Kind, ReasonCode, UnitLine},
    queries,
    store::{Act, words::Topic},
    view::{CaseSummary, CaseView},
};

/// The most lines of a case; a cart has no more.
pub(super) const LINES_MAX: usize = 100;

/// What is asked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestBody {
    /// What.
    kind: Kind,
    /// Why, in one word.
    reason: ReasonCode,
    /// Why, in words.
    text: Option<BoundedText<0, 1000>>,
    /// Of which goods.
    #[schemars(length(min = 1, max = LINES_MAX))]
    lines: Vec<UnitLine>,
}

/// Who carries the goods back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnShipmentBody {
    /// The carrier.
    carrier: BoundedText<1, 64>,
    /// The carrier's number.
    tracking_number: BoundedText<1, 64>,
}

/// Refuses a number of lines that no case has.
pub(super) fn check_lines(count: usize) -> Result<()> {
    if (1..=LINES_MAX).contains(&count) {
        return Ok(());
    }
    Err(Error::invalid("/lines", format!("must have 1 to {LINES_MAX} lines")))
}

pub(super) async fn request(
    FromState(api): FromState<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(order_id): Path<OrderId>,
    Json(body): Json<RequestBody>,
) -> Answer<Response> {
    check_lines(body.lines.len())?;
    let state = &api.own.state;
    let terms = request::terms_of(state, order_id, caller.account).await?;
    let case_id: AfterSaleId = state.ids.next();
    let words = body.text.map(|text| (Topic::Request, text.into_string()));
    let change = Change {
        label: "aftersale.request",
        status: StatusCode::CREATED,
        act: Act::now(state, order_id, case_id)?,
        buyer: terms.account_id,
        author: caller.account,
        command: Command::Request { kind: body.kind, reason: body.reason, lines: body.lines, terms },
        words: words.into_iter().collect(),
        deed: None,
    };
    api.change(key, change).await
}

pub(super) async fn of_order(
    FromState(api): FromState<Api>,
    Caller(caller): Caller,
    Path(order_id): Path<OrderId>,
) -> Answer<Json<Page<CaseSummary>>> {
    let rows = queries::of_order(&api.own.state, order_id, caller.account).await?;
    Ok(Json(Page { items: rows.into_iter().map(CaseSummary::from).collect(), next_cursor: None }))
}

pub(super) async fn one(
    FromState(api): FromState<Api>,
    Caller(caller): Caller,
    Path(case_id): Path<AfterSaleId>,
) -> Answer<Json<CaseView>> {
    Ok(Json(queries::one(&api.own.state, case_id, Some(caller.account)).await?))
}

pub(super) async fn withdraw(
    FromState(api): FromState<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(case_id): Path<AfterSaleId>,
) -> Answer<Response> {
    let row = queries::found(&api.own.state, case_id, Some(caller.account)).await?;
    let change = Change {
        label: "aftersale.withdraw",
        status: StatusCode::OK,
        act: Act::now(&api.own.state, row.order_id, case_id)?,
        command: Command::Withdraw,
        buyer: row.account_id,
        author: caller.account,
        words: Vec::new(),
        deed: None,
    };
    api.change(key, change).await
}

pub(super) async fn sent(
    FromState(api): FromState<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(case_id): Path<AfterSaleId>,
    Json(body): Json<ReturnShipmentBody>,
) -> Answer<Response> {
    let row = queries::found(&api.own.state, case_id, Some(caller.account)).await?;
    let words = vec![
        (Topic::Carrier, body.carrier.into_string()),
        (Topic::Tracking, body.tracking_number.into_string()),
    ];
    let change = Change {
        label: "aftersale.mark_sent",
        status: StatusCode::OK,
        act: Act::now(&api.own.state, row.order_id, case_id)?,
        command: Command::MarkSent,
        buyer: row.account_id,
        author: caller.account,
        words,
        deed: None,
    };
    api.change(key, change).await
}
