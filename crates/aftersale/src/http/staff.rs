//! What staff see and decide.

use axum::{extract::State as FromState, response::Response};
use http::StatusCode;
use merx_contracts::ids::{AfterSaleId, OrderId, WarehouseId};
use merx_http::{Answer, Caller, IdempotencyKey, Json, Path, Query};
use merx_kernel::{BoundedText, Money, Page, PageRequest, Principal};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Change, buyer::check_lines};
use crate::{
    domain::{Command, InspectedLine, Kind, Status, UnitLine},
    queries,
    store::{Act, Deed, cases::Filter, words::Topic},
    view::{CaseSummary, CaseView},
};

/// Which cases.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseFilter {
    /// Only where this is so.
    status: Option<Status>,
    /// Only of this order.
    order_id: Option<OrderId>,
    /// Only of this kind.
    kind: Option<Kind>,
    /// Only where somebody is late (`true`), or nobody is.
    escalated: Option<bool>,
    /// How many items, 1 to 100; 20 unless told.
    limit: Option<u32>,
    /// Where the last page ended; opaque.
    cursor: Option<String>,
}

/// The shop agrees.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalBody {
    /// How much of what was paid for sending goes back too.
    freight: Option<Money>,
    /// What the buyer is told.
    text: Option<BoundedText<0, 1000>>,
}

/// The shop does not agree.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefusalBody {
    /// Why; the buyer is told.
    reason: BoundedText<1, 1000>,
}

/// What came.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiptBody {
    /// Where.
    warehouse_id: Option<WarehouseId>,
    /// Which goods, and how many. What is not here is asked no more.
    #[schemars(length(min = 1, max = 100))]
    lines: Vec<UnitLine>,
}

/// What became of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InspectionBody {
    /// Each line that came, every unit restocked or written off.
    #[schemars(length(min = 1, max = 100))]
    lines: Vec<InspectedLine>,
    /// What was found; the buyer is told.
    text: Option<BoundedText<0, 1000>>,
}

pub(super) async fn list(
    FromState(api): FromState<Api>,
    Query(asked): Query<CaseFilter>,
) -> Answer<Json<Page<CaseSummary>>> {
    let CaseFilter { status, order_id, kind, escalated, limit, cursor } = asked;
    let filter = Filter { status, order_id, kind, escalated };
    let (rows, next_cursor) = queries::list(&api.own.state, filter, &PageRequest { limit, cursor }).await?;
    Ok(Json(Page { items: rows.into_iter().map(CaseSummary::from).collect(), next_cursor }))
}

pub(super) async fn one(
    FromState(api): FromState<Api>,
    Path(case_id): Path<AfterSaleId>,
) -> Answer<Json<CaseView>> {
    Ok(Json(queries::one(&api.own.state, case_id, None).await?))
}

/// What staff decide about a case.
struct Decision {
    label: &'static str,
    action: &'static str,
    command: Command,
    words: Vec<(Topic, String)>,
    detail: Value,
}

async fn decide(
    api: &Api,
    caller: &Principal,
    key: IdempotencyKey,
    case_id: AfterSaleId,
    decision: Decision,
) -> Answer<Response> {
    let Decision { label, action, command, words, mut detail } = decision;
    let row = queries::found(&api.own.state, case_id, None).await?;
    detail["order_id"] = json!(row.order_id);
    let change = Change {
        label,
        status: StatusCode::OK,
        act: Act::now(&api.own.state, row.order_id, case_id)?,
        command,
        buyer: row.account_id,
        author: caller.account,
        words,
        deed: Some(Deed { actor: caller.account, action, detail }),
    };
    api.change(key, change).await
}

fn said<const MIN: usize>(topic: Topic, text: Option<BoundedText<MIN, 1000>>) -> Vec<(Topic, String)> {
    text.map(|text| (topic, text.into_string())).into_iter().collect()
}

pub(super) async fn approve(
    FromState(api): FromState<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(case_id): Path<AfterSaleId>,
    Json(body): Json<ApprovalBody>,
) -> Answer<Response> {
    let decision = Decision {
        label: "aftersale.approve",
        action: "aftersale.approved",
        detail: json!({ "freight": body.freight }),
        command: Command::Approve { freight: body.freight },
        words: said(Topic::Answer, body.text),
    };
    decide(&api, &caller, key, case_id, decision).await
}

pub(super) async fn refuse(
    FromState(api): FromState<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(case_id): Path<AfterSaleId>,
    Json(body): Json<RefusalBody>,
) -> Answer<Response> {
    let decision = Decision {
        label: "aftersale.refuse",
        action: "aftersale.refused",
        detail: json!({}),
        command: Command::Refuse,
        words: said(Topic::Answer, Some(body.reason)),
    };
    decide(&api, &caller, key, case_id, decision).await
}

pub(super) async fn refund_replaced(
    FromState(api): FromState<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(case_id): Path<AfterSaleId>,
    Json(body): Json<RefusalBody>,
) -> Answer<Response> {
    let decision = Decision {
        label: "aftersale.refund_replaced",
        action: "aftersale.replacement_refunded",
        detail: json!({}),
        command: Command::RefundReplaced,
        words: said(Topic::Answer, Some(body.reason)),
    };
    decide(&api, &caller, key, case_id, decision).await
}

pub(super) async fn receive(
    FromState(api): FromState<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(case_id): Path<AfterSaleId>,
    Json(body): Json<ReceiptBody>,
) -> Answer<Response> {
    check_lines(body.lines.len())?;
    let decision = Decision {
        label: "aftersale.receive",
        action: "aftersale.received",
        detail: json!({ "warehouse_id": body.warehouse_id, "lines": body.lines }),
        command: Command::Receive { warehouse_id: body.warehouse_id, lines: body.lines },
        words: Vec::new(),
    };
    decide(&api, &caller, key, case_id, decision).await
}

pub(super) async fn inspect(
    FromState(api): FromState<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(case_id): Path<AfterSaleId>,
    Json(body): Json<InspectionBody>,
) -> Answer<Response> {
    check_lines(body.lines.len())?;
    let decision = Decision {
        label: "aftersale.inspect",
        action: "aftersale.inspected",
        detail: json!({ "lines": body.lines }),
        command: Command::Inspect { lines: body.lines },
        words: said(Topic::Inspection, body.text),
    };
    decide(&api, &caller, key, case_id, decision).await
}
