//! Figures, ledger, receipts, adjustments, thresholds, orphans.

use axum::{extract::State as FromState, response::Response};
use http::StatusCode;
use merx_contracts::ids::{Sku, WarehouseId};
use merx_http::{Answer, Caller, Idempotency, IdempotencyKey, IfMatch, Json, Path, Query, Route, Versioned};
use merx_kernel::{BoundedText, Page, PageRequest, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    READ, REASON_MAX, Staff, WRITE,
    views::{
        LevelView, MovementView, OrphanView, StockEntryView, StockView, ThresholdView, WarehouseStockView,
    },
};
use crate::{
    commands::{
        enter_stock::enter,
        set_threshold::{SetThreshold, set_threshold},
    },
    domain::{AdjustmentKind, MovementKind, StockCommand, StockLevel, stock::StockEntry},
    queries,
    store::{self, LedgerFilter, StockFilter, Warehouse},
};

/// Units that came in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReceiveStock {
    /// How many.
    #[schemars(range(min = 1, max = 1_000_000))]
    quantity: i64,
    /// The warehouse; the first active one unless told.
    warehouse_id: Option<WarehouseId>,
    /// What the ledger says of it; no personal data.
    reason: Option<BoundedText<1, REASON_MAX>>,
}

/// A correction of a figure.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AdjustStock {
    /// By how many, up or down; not 0. It takes no more than is available.
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    delta: i64,
    /// What happened; a correction unless told. What is damaged, stolen or written off is a loss, `delta` negative;
    /// what was found is positive.
    kind: Option<AdjustmentKind>,
    /// Why; no personal data.
    reason: BoundedText<1, REASON_MAX>,
    /// The warehouse; the first active one unless told.
    warehouse_id: Option<WarehouseId>,
}

/// How many there should be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Threshold {
    /// Units that should be available at least; 0 for no such wish.
    #[schemars(range(min = 0, max = 1_000_000))]
    threshold: i64,
}

/// Which stock rows.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StockQuery {
    /// SKUs that begin so: 1 to 64 letters, digits, `-`, `_`, `.`.
    sku: Option<Sku>,
    /// In this warehouse only.
    warehouse_id: Option<WarehouseId>,
    /// `true`: only those with less available than their threshold.
    low: Option<bool>,
    /// How many items, 1 to 100; 20 unless told.
    limit: Option<u32>,
    /// Where the last page ended; opaque.
    cursor: Option<String>,
}

/// As of when.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AsOf {
    /// The moment; now unless told.
    as_of: Option<Timestamp>,
}

/// Which lines of the ledger.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MovementQuery {
    /// Of this kind only.
    kind: Option<MovementKind>,
    /// In this warehouse only.
    warehouse_id: Option<WarehouseId>,
    /// Not before this moment.
    since: Option<Timestamp>,
    /// Before this moment.
    until: Option<Timestamp>,
    /// How many items, 1 to 100; 20 unless told.
    limit: Option<u32>,
    /// Where the last page ended; opaque.
    cursor: Option<String>,
}

pub(super) fn routes(staff: &Staff) -> Vec<Route> {
    let mut all = readings(staff);
    all.extend(changes(staff));
    all
}

fn readings(staff: &Staff) -> Vec<Route> {
    vec![
        Route::get("/v1/inventory", READ, list, staff)
            .id("listStock")
            .summary("The stock of every SKU and warehouse, by SKU")
            .query::<StockQuery>()
            .response::<Page<LevelView>>(200),
        Route::get("/v1/inventory/orphans", READ, list_orphans, staff)
            .id("listOrphanedReservations")
            .summary("Reservations older than their limit, neither sold nor released")
            .description(
                "They are shown, never freed from here: the order's saga alone lets stock go. An entry goes when its \
                 reservation ends.",
            )
            .query::<PageRequest>()
            .response::<Page<OrphanView>>(200),
        Route::get("/v1/inventory/{sku}", READ, get_stock, staff)
            .id("getStock")
            .summary("The stock figures of a SKU, now or as of a moment")
            .param::<Sku>("sku")
            .query::<AsOf>()
            .response::<StockView>(200)
            .errors(&["inventory.sku_unknown"]),
        Route::get("/v1/inventory/{sku}/movements", READ, list_movements, staff)
            .id("listStockMovements")
            .summary("The ledger of a SKU, newest first: every unit that ever moved, and why")
            .param::<Sku>("sku")
            .query::<MovementQuery>()
            .response::<Page<MovementView>>(200)
            .errors(&["inventory.sku_unknown"]),
        Route::get("/v1/inventory/{sku}/thresholds/{warehouse_id}", READ, get_threshold, staff)
            .id("getStockThreshold")
            .summary("How many of a SKU should be available in a warehouse, with its version as ETag")
            .param::<Sku>("sku")
            .param::<WarehouseId>("warehouse_id")
            .response::<ThresholdView>(200)
            .errors(&["inventory.warehouse_not_found"]),
    ]
}

fn changes(staff: &Staff) -> Vec<Route> {
    vec![
        Route::post("/v1/inventory/{sku}/receipts", WRITE, receive, staff)
            .id("receiveStock")
            .summary("Enters units that came in")
            .param::<Sku>("sku")
            .body::<ReceiveStock>()
            .response::<StockEntryView>(201)
            .errors(&["inventory.warehouse_unknown", "inventory.warehouse_closed"])
            .idempotency(Idempotency::Required),
        Route::post("/v1/inventory/{sku}/adjustments", WRITE, adjust, staff)
            .id("adjustStock")
            .summary("Corrects a figure, with the reason")
            .param::<Sku>("sku")
            .body::<AdjustStock>()
            .response::<StockEntryView>(201)
            .errors(&[
                "inventory.warehouse_unknown",
                "inventory.warehouse_closed",
                "inventory.adjustment_too_large",
            ])
            .idempotency(Idempotency::Required),
        Route::put("/v1/inventory/{sku}/thresholds/{warehouse_id}", WRITE, put_threshold, staff)
            .id("setStockThreshold")
            .summary("Sets how many of a SKU should be available in a warehouse at least")
            .description(
                "Each time what is available falls below it, `inventory.stock_low.v1` is published once; again only \
                 after it has been at the threshold or above.",
            )
            .param::<Sku>("sku")
            .param::<WarehouseId>("warehouse_id")
            .body::<Threshold>()
            .response::<ThresholdView>(200)
            .errors(&["inventory.warehouse_not_found"])
            .if_match(),
    ]
}

async fn list(
    FromState(staff): FromState<Staff>,
    Query(query): Query<StockQuery>,
) -> Answer<Json<Page<LevelView>>> {
    let StockQuery { sku, warehouse_id, low, limit, cursor } = query;
    let filter = StockFilter {
        prefix: sku.map(|sku| sku.to_string()),
        warehouse: warehouse_id,
        low: low.unwrap_or(false),
    };
    let page = PageRequest { limit, cursor };
    let (rows, next_cursor) = queries::stock_page(&staff.state, filter, &page).await?;
    let warehouses = staff.state.warehouses().await?;
    let items = rows.into_iter().map(|row| LevelView::new(row, &warehouses)).collect();
    Ok(Json(Page { items, next_cursor }))
}

async fn list_orphans(
    FromState(staff): FromState<Staff>,
    Query(page): Query<PageRequest>,
) -> Answer<Json<Page<OrphanView>>> {
    let (found, next_cursor) = queries::orphans(&staff.state, &page).await?;
    Ok(Json(Page { items: found.into_iter().map(OrphanView::new).collect(), next_cursor }))
}

async fn get_stock(
    FromState(staff): FromState<Staff>,
    Path(sku): Path<Sku>,
    Query(AsOf { as_of }): Query<AsOf>,
) -> Answer<Json<StockView>> {
    let rows = match as_of {
        None => queries::stock(&staff.state, sku.clone()).await?,
        Some(at) => queries::stock_at(&staff.state, sku.clone(), at).await?,
    };
    Ok(Json(StockView::new(sku, rows)))
}

async fn list_movements(
    FromState(staff): FromState<Staff>,
    Path(sku): Path<Sku>,
    Query(query): Query<MovementQuery>,
) -> Answer<Json<Page<MovementView>>> {
    let MovementQuery { kind, warehouse_id, since, until, limit, cursor } = query;
    let filter = LedgerFilter { kind, warehouse: warehouse_id, since, until };
    let page = PageRequest { limit, cursor };
    let (lines, next_cursor) = queries::movements(&staff.state, sku, filter, &page).await?;
    let warehouses = staff.state.warehouses().await?;
    let items = lines.into_iter().map(|line| MovementView::new(line, &warehouses)).collect();
    Ok(Json(Page { items, next_cursor }))
}

async fn receive(
    FromState(staff): FromState<Staff>,
    caller: Caller,
    key: IdempotencyKey,
    Path(sku): Path<Sku>,
    Json(body): Json<ReceiveStock>,
) -> Answer<Response> {
    let warehouse = staff.state.warehouse(body.warehouse_id).await?;
    let command = StockCommand::Receive(StockEntry {
        entry: staff.state.ids.next(),
        sku,
        warehouse: warehouse.id,
        quantity: body.quantity,
        reason: body.reason.map(BoundedText::into_string),
        by: Some(caller.0.account),
    });
    enter_once(staff, caller, key, command, warehouse).await
}

async fn adjust(
    FromState(staff): FromState<Staff>,
    caller: Caller,
    key: IdempotencyKey,
    Path(sku): Path<Sku>,
    Json(body): Json<AdjustStock>,
) -> Answer<Response> {
    let warehouse = staff.state.warehouse(body.warehouse_id).await?;
    let entry = StockEntry {
        entry: staff.state.ids.next(),
        sku,
        warehouse: warehouse.id,
        quantity: body.delta,
        reason: Some(body.reason.into_string()),
        by: Some(caller.0.account),
    };
    let command = StockCommand::Adjust(entry, body.kind.unwrap_or(AdjustmentKind::Correction));
    enter_once(staff, caller, key, command, warehouse).await
}

async fn enter_once(
    staff: Staff,
    caller: Caller,
    key: IdempotencyKey,
    command: StockCommand,
    warehouse: Warehouse,
) -> Answer<Response> {
    let act = staff.act(&caller);
    let effect = command.entry().entry;
    staff
        .once("inventory.enter", key, effect, StatusCode::CREATED, move |tx| {
            let level = enter(tx, &act, &command)?;
            let entry = command.entry();
            Ok(StockEntryView {
                id: entry.entry,
                sku: entry.sku.clone(),
                quantity: entry.quantity,
                stock: WarehouseStockView::new(&warehouse, level),
            })
        })
        .await
}

fn threshold_view(sku: Sku, warehouse: &Warehouse, level: StockLevel) -> Versioned<ThresholdView> {
    let body = ThresholdView {
        sku,
        warehouse_id: warehouse.id,
        threshold: level.threshold,
        available: level.available,
        low: level.is_low(),
    };
    Versioned { version: level.threshold_version, body }
}

async fn get_threshold(
    FromState(staff): FromState<Staff>,
    Path((sku, warehouse_id)): Path<(Sku, WarehouseId)>,
) -> Answer<Versioned<ThresholdView>> {
    let warehouse = staff.warehouse_in_path(warehouse_id).await?;
    let asked = sku.clone();
    let read = move |q: &mut merx_sql::Reader<'_>| store::level(q, &asked, warehouse_id);
    let level = staff.state.db.read("inventory.threshold", read).await?;
    Ok(threshold_view(sku, &warehouse, level.unwrap_or_default()))
}

async fn put_threshold(
    FromState(staff): FromState<Staff>,
    caller: Caller,
    seen: IfMatch,
    Path((sku, warehouse_id)): Path<(Sku, WarehouseId)>,
    Json(body): Json<Threshold>,
) -> Answer<Versioned<ThresholdView>> {
    let warehouse = staff.warehouse_in_path(warehouse_id).await?;
    let act = staff.act(&caller);
    let set = SetThreshold {
        id: staff.state.ids.next(),
        sku: sku.clone(),
        warehouse: warehouse.id,
        threshold: body.threshold,
        seen,
    };
    let write = move |tx: &mut merx_sql::Tx<'_>| set_threshold(tx, &act, &set);
    let level = staff.state.db.write("inventory.set_threshold", write).await?;
    Ok(threshold_view(sku, &warehouse, level))
}
