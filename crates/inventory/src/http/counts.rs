//! Stock counts.

use axum::{extract::State as FromState, response::Response};
use http::StatusCode;
use merx_contracts::ids::{Sku, StockCountId, WarehouseId};
use merx_http::{Answer, Caller, Idempotency, IdempotencyKey, Json, Path, Query, Route};
use merx_kernel::{BoundedText, Page, PageRequest, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{READ, REASON_MAX, Staff, WRITE, views::CountView};
use crate::{
    commands::count_stock::{CountStep, count_stock},
    domain::count::not_found,
    queries::{cut, id_cursor},
    store::{self, CountFilter},
};

/// A count that begins.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OpenCount {
    /// Where; an active warehouse.
    warehouse_id: WarehouseId,
    /// What is to be counted, all of it before the count can be closed; anything unless told.
    #[schemars(length(max = 200))]
    skus: Option<Vec<Sku>>,
    /// Why; no personal data.
    reason: BoundedText<1, REASON_MAX>,
}

/// What was found.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EnterFigure {
    /// The SKU.
    sku: Sku,
    /// Units on the shelf just now, those set aside for orders included, those of paid orders not.
    #[schemars(range(min = 0, max = 1_000_000))]
    counted: i64,
}

/// The end of a count.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EndCount {
    /// What the ledger says of it, or why it is given up; no personal data.
    reason: BoundedText<1, REASON_MAX>,
}

/// Where a count stands.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum CountStatus {
    /// Figures are being entered.
    Open,
    /// The differences are posted.
    Closed,
    /// Given up, nothing was posted.
    Abandoned,
}

/// Which counts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CountQuery {
    /// Standing so only.
    status: Option<CountStatus>,
    /// In this warehouse only.
    warehouse_id: Option<WarehouseId>,
    /// How many items, 1 to 100; 20 unless told.
    limit: Option<u32>,
    /// Where the last page ended; opaque.
    cursor: Option<String>,
}

const ENTER_SAYS: &str = "The figure is compared with the books at this moment; what is sold or received until the count is closed does \
     not matter. A second figure of a SKU replaces the first.";
const CLOSE_SAYS: &str = "Posts the differences, all or none. A correction posted since a figure was entered counts towards its difference.";

pub(super) fn routes(staff: &Staff) -> Vec<Route> {
    vec![
        Route::get("/v1/stock-counts", READ, list, staff)
            .id("listStockCounts")
            .summary("Stock counts, newest first, without their lines")
            .query::<CountQuery>()
            .response::<Page<CountView>>(200),
        Route::get("/v1/stock-counts/{stock_count_id}", READ, get, staff)
            .id("getStockCount")
            .summary("One stock count")
            .param::<StockCountId>("stock_count_id")
            .response::<CountView>(200)
            .errors(&["inventory.count_not_found"]),
        Route::post("/v1/stock-counts", WRITE, open, staff)
            .id("openStockCount")
            .summary("Begins a stock count")
            .body::<OpenCount>()
            .response::<CountView>(201)
            .errors(&["inventory.warehouse_unknown", "inventory.warehouse_closed"])
            .idempotency(Idempotency::Required),
        Route::post("/v1/stock-counts/{stock_count_id}/entries", WRITE, enter, staff)
            .id("enterStockCount")
            .summary("Enters what was found of a SKU")
            .description(ENTER_SAYS)
            .param::<StockCountId>("stock_count_id")
            .body::<EnterFigure>()
            .response::<CountView>(201)
            .errors(&["inventory.count_not_found", "inventory.count_ended"])
            .idempotency(Idempotency::Required),
        Route::post("/v1/stock-counts/{stock_count_id}/closing", WRITE, close, staff)
            .id("closeStockCount")
            .summary("Closes a stock count")
            .description(CLOSE_SAYS)
            .param::<StockCountId>("stock_count_id")
            .body::<EndCount>()
            .response::<CountView>(201)
            .errors(&[
                "inventory.count_not_found",
                "inventory.count_ended",
                "inventory.count_incomplete",
                "inventory.adjustment_too_large",
            ])
            .idempotency(Idempotency::Required),
        Route::post("/v1/stock-counts/{stock_count_id}/abandonment", WRITE, abandon, staff)
            .id("abandonStockCount")
            .summary("Gives a stock count up; nothing is posted")
            .param::<StockCountId>("stock_count_id")
            .body::<EndCount>()
            .response::<CountView>(201)
            .errors(&["inventory.count_not_found", "inventory.count_ended"])
            .idempotency(Idempotency::Required),
    ]
}

fn view(q: &mut impl merx_sql::Query, id: StockCountId) -> Result<CountView> {
    let row = store::count(q, id)?.ok_or_else(not_found)?;
    Ok(CountView::new(row, store::count_lines(q, id)?))
}

async fn list(
    FromState(staff): FromState<Staff>,
    Query(query): Query<CountQuery>,
) -> Answer<Json<Page<CountView>>> {
    let CountQuery { status, warehouse_id, limit, cursor } = query;
    let status = status.map(|status| match status {
        CountStatus::Open => "open",
        CountStatus::Closed => "closed",
        CountStatus::Abandoned => "abandoned",
    });
    let page = PageRequest { limit, cursor };
    let (limit, cursor) = (page.checked_limit()?, id_cursor(&page, u128::MAX)?);
    let filter = CountFilter { status, warehouse: warehouse_id };
    let read = move |q: &mut merx_sql::Reader<'_>| store::counts(q, &filter, cursor, limit + 1);
    let (rows, more) = cut(staff.state.db.read("inventory.counts", read).await?, limit);
    let next_cursor = rows.last().filter(|_| more).map(|row| row.id.bare());
    let items = rows.into_iter().map(|row| CountView::new(row, Vec::new())).collect();
    Ok(Json(Page { items, next_cursor }))
}

async fn get(FromState(staff): FromState<Staff>, Path(id): Path<StockCountId>) -> Answer<Json<CountView>> {
    Ok(Json(staff.state.db.read("inventory.count", move |q| view(q, id)).await?))
}

async fn open(
    FromState(staff): FromState<Staff>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<OpenCount>,
) -> Answer<Response> {
    let warehouse = staff.state.warehouse(Some(body.warehouse_id)).await?.id;
    let (skus, reason) = (body.skus.unwrap_or_default(), body.reason.into_string());
    let id = staff.state.ids.next();
    once(staff, caller, key, id, CountStep::Open { warehouse, skus, reason }).await
}

async fn enter(
    FromState(staff): FromState<Staff>,
    caller: Caller,
    key: IdempotencyKey,
    Path(id): Path<StockCountId>,
    Json(body): Json<EnterFigure>,
) -> Answer<Response> {
    once(staff, caller, key, id, CountStep::Enter { sku: body.sku, counted: body.counted }).await
}

async fn close(
    FromState(staff): FromState<Staff>,
    caller: Caller,
    key: IdempotencyKey,
    Path(id): Path<StockCountId>,
    Json(body): Json<EndCount>,
) -> Answer<Response> {
    once(staff, caller, key, id, CountStep::Close { reason: body.reason.into_string() }).await
}

async fn abandon(
    FromState(staff): FromState<Staff>,
    caller: Caller,
    key: IdempotencyKey,
    Path(id): Path<StockCountId>,
    Json(body): Json<EndCount>,
) -> Answer<Response> {
    once(staff, caller, key, id, CountStep::Abandon { reason: body.reason.into_string() }).await
}

async fn once(
    staff: Staff,
    caller: Caller,
    key: IdempotencyKey,
    id: StockCountId,
    step: CountStep,
) -> Answer<Response> {
    let act = staff.act(&caller);
    staff
        .once("inventory.stock_count", key, id, StatusCode::CREATED, move |tx| {
            count_stock(tx, &act, id, &step)?;
            view(tx, id)
        })
        .await
}
