//! The routes of the warehouse: figures, ledger, receipts, adjustments.

use axum::{extract::State as FromState, response::Response};
use http::StatusCode;
use merx_contracts::ids::{AccountId, ReservationId, Sku};
use merx_http::{
    Access, Answer, Begun, Caller, Idempotency, IdempotencyKey, Idempotent, Json, Limits, Owner, Path, Query,
    Route, answer, respond,
};
use merx_kernel::{BoundedText, Page, PageRequest, Permission, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    State,
    commands::enter_stock::enter,
    domain::{
        MovementKind, StockCommand, StockLevel,
        stock::{StockEntry, StockEntryId},
    },
    queries,
    store::{LedgerLine, Warehouse},
};

/// The figures of a SKU over all warehouses, and in each.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StockView {
    /// The SKU.
    pub sku: Sku,
    /// Free to be reserved.
    pub available: i64,
    /// Set aside for orders not paid for yet.
    pub reserved: i64,
    /// Sold.
    pub sold: i64,
    /// By warehouse; the first is asked first.
    pub warehouses: Vec<WarehouseStockView>,
}

/// The figures of a SKU in one warehouse: `received + adjusted = available + reserved + sold`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WarehouseStockView {
    /// The warehouse's code.
    pub warehouse: String,
    /// The warehouse's name.
    pub name: String,
    /// Free to be reserved.
    pub available: i64,
    /// Set aside for orders not paid for yet.
    pub reserved: i64,
    /// Sold.
    pub sold: i64,
    /// Ever received.
    pub received: i64,
    /// Sum of corrections.
    pub adjusted: i64,
}

impl WarehouseStockView {
    fn new((warehouse, level): (Warehouse, StockLevel)) -> Self {
        Self {
            warehouse: warehouse.code,
            name: warehouse.name,
            available: level.available,
            reserved: level.reserved,
            sold: level.sold,
            received: level.received,
            adjusted: level.adjusted,
        }
    }
}

/// Units that came in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiveStock {
    /// How many.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub quantity: i64,
    /// The code of the warehouse; the first one unless told.
    pub warehouse: Option<BoundedText<1, 32>>,
    /// What the ledger says of it; no personal data.
    pub reason: Option<BoundedText<1, 200>>,
}

/// A correction of the count.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustStock {
    /// By how many, up or down; not 0. It takes no more than is available.
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub delta: i64,
    /// Why; no personal data.
    pub reason: BoundedText<1, 200>,
    /// The code of the warehouse; the first one unless told.
    pub warehouse: Option<BoundedText<1, 32>>,
}

/// What was entered, and the figures after it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StockEntryView {
    /// Its identity, also in the ledger.
    pub id: StockEntryId,
    /// The SKU.
    pub sku: Sku,
    /// Units; a correction downwards is negative.
    pub quantity: i64,
    /// The figures after it.
    pub stock: WarehouseStockView,
}

/// A line of the ledger.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MovementView {
    /// Why the units moved.
    pub kind: MovementKind,
    /// Units; negative for a downward adjustment.
    pub quantity: i64,
    /// The warehouse's code.
    pub warehouse: String,
    /// The reservation that moved them (it has the bits of its order).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<ReservationId>,
    /// The receipt or adjustment that moved them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<StockEntryId>,
    /// Staff's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The member of staff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<AccountId>,
    /// When.
    pub at: Timestamp,
}

impl MovementView {
    fn new(line: LedgerLine, warehouses: &[Warehouse]) -> Self {
        let entered = matches!(line.kind, MovementKind::Received | MovementKind::Adjusted);
        let warehouse = warehouses.iter().find(|w| w.id == line.warehouse);
        Self {
            kind: line.kind,
            quantity: line.quantity,
            warehouse: warehouse.map_or_else(|| line.warehouse.to_string(), |w| w.code.clone()),
            reservation: (!entered).then(|| line.reference.cast()),
            entry: entered.then(|| line.reference.cast()),
            reason: line.reason,
            by: line.by,
            at: line.at,
        }
    }
}

const READ: Access = Access::Permission {
    permission: Permission::InventoryRead,
    owner: Owner::None("stock belongs to the shop"),
};
const WRITE: Access = Access::Permission {
    permission: Permission::InventoryWrite,
    owner: Owner::None("stock belongs to the shop"),
};

/// The routes of inventory.
pub fn routes(state: &State, limits: &Limits) -> Vec<Route> {
    let staff = Staff {
        state: state.clone(),
        idempotent: Idempotent::new(state.db.clone(), state.store.idempotency, state.clock.clone(), limits),
    };
    vec![
        Route::get("/v1/inventory/{sku}", READ, get_stock, state)
            .id("getStock")
            .summary("The stock figures of a SKU")
            .param::<Sku>("sku")
            .response::<StockView>(200)
            .errors(&["inventory.sku_unknown"]),
        Route::get("/v1/inventory/{sku}/movements", READ, list_movements, state)
            .id("listStockMovements")
            .summary("The ledger of a SKU, newest first: every unit that ever moved, and why")
            .param::<Sku>("sku")
            .query::<PageRequest>()
            .response::<Page<MovementView>>(200)
            .errors(&["inventory.sku_unknown"]),
        Route::post("/v1/inventory/{sku}/receipts", WRITE, receive, &staff)
            .id("receiveStock")
            .summary("Enters units that came in")
            .param::<Sku>("sku")
            .body::<ReceiveStock>()
            .response::<StockEntryView>(201)
            .errors(&["inventory.warehouse_unknown"])
            .idempotency(Idempotency::Required),
        Route::post("/v1/inventory/{sku}/adjustments", WRITE, adjust, &staff)
            .id("adjustStock")
            .summary("Corrects the count, with the reason")
            .param::<Sku>("sku")
            .body::<AdjustStock>()
            .response::<StockEntryView>(201)
            .errors(&["inventory.warehouse_unknown", "inventory.adjustment_too_large"])
            .idempotency(Idempotency::Required),
    ]
}

#[derive(Clone)]
struct Staff {
    state: State,
    idempotent: Idempotent,
}

async fn get_stock(FromState(state): FromState<State>, Path(sku): Path<Sku>) -> Answer<Json<StockView>> {
    let rows = queries::stock(&state, sku.clone()).await?;
    let sum = |figure: fn(&StockLevel) -> i64| rows.iter().map(|(_, level)| figure(level)).sum();
    Ok(Json(StockView {
        sku,
        available: sum(|l| l.available),
        reserved: sum(|l| l.reserved),
        sold: sum(|l| l.sold),
        warehouses: rows.into_iter().map(WarehouseStockView::new).collect(),
    }))
}

async fn list_movements(
    FromState(state): FromState<State>,
    Path(sku): Path<Sku>,
    Query(page): Query<PageRequest>,
) -> Answer<Json<Page<MovementView>>> {
    let (lines, next_cursor) = queries::movements(&state, sku, &page).await?;
    let warehouses = state.warehouses().await?;
    let items = lines.into_iter().map(|line| MovementView::new(line, &warehouses)).collect();
    Ok(Json(Page { items, next_cursor }))
}

async fn receive(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(sku): Path<Sku>,
    Json(body): Json<ReceiveStock>,
) -> Answer<Response> {
    let warehouse = staff.state.warehouse(body.warehouse.as_ref().map(BoundedText::as_str)).await?;
    let command = StockCommand::Receive(StockEntry {
        entry: staff.state.ids.next(),
        sku,
        warehouse: warehouse.id,
        quantity: body.quantity,
        reason: body.reason.map(BoundedText::into_string),
        by: Some(caller.account),
    });
    staff.enter(key, command, warehouse).await
}

async fn adjust(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(sku): Path<Sku>,
    Json(body): Json<AdjustStock>,
) -> Answer<Response> {
    let warehouse = staff.state.warehouse(body.warehouse.as_ref().map(BoundedText::as_str)).await?;
    let command = StockCommand::Adjust(StockEntry {
        entry: staff.state.ids.next(),
        sku,
        warehouse: warehouse.id,
        quantity: body.delta,
        reason: Some(body.reason.into_string()),
        by: Some(caller.account),
    });
    staff.enter(key, command, warehouse).await
}

impl Staff {
    /// Enters `command` under the request's key: key, effect and answer in one transaction.
    async fn enter(
        self,
        key: IdempotencyKey,
        command: StockCommand,
        warehouse: Warehouse,
    ) -> Answer<Response> {
        let (store, at) = (self.state.store.clone(), self.state.clock.now());
        let write = move |tx: &mut merx_sql::Tx<'_>| {
            let entry = command.entry();
            let begun = key.begin(store.idempotency, tx, entry.entry, at)?;
            let Begun::Repeated { effect, saved } = begun else {
                let level = enter(tx, &store, &command, at)?;
                let view = StockEntryView {
                    id: entry.entry,
                    sku: entry.sku.clone(),
                    quantity: entry.quantity,
                    stock: WarehouseStockView::new((warehouse.clone(), level)),
                };
                let saved = answer(StatusCode::CREATED, &view)?;
                key.complete(store.idempotency, tx, entry.entry, &saved)?;
                return Ok(Ok(saved));
            };
            Ok(Err((effect, saved)))
        };
        match self.state.db.write("inventory.enter", write).await? {
            Ok(saved) => Ok(respond(saved)),
            // Key, effect and answer are one transaction, so there is always a saved answer.
            Err((effect, saved)) => self.idempotent.repeat(&key, effect, saved, |_| async { Ok(None) }).await,
        }
    }
}
