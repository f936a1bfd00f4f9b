//! What the routes show.

use merx_contracts::ids::{
    AccountId, OrderId, ReservationId, ReturnId, Sku, StockCountId, TransferId, WarehouseId,
};
use merx_kernel::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    domain::{MovementKind, PlacedLine, StockLevel, stock::StockEntryId},
    store::{CountLineRow, CountRow, LedgerLine, Orphan, StockRow, TransferLineRow, TransferRow, Warehouse},
};

/// A place where stock lies.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct WarehouseView {
    /// Its identity.
    id: WarehouseId,
    /// What staff call it.
    code: String,
    /// What staff read.
    name: String,
    /// Lower serves first.
    priority: i64,
    /// Whether it serves orders and takes stock in.
    active: bool,
    /// Rises with every change; the `ETag`.
    version: i64,
}

impl From<Warehouse> for WarehouseView {
    fn from(warehouse: Warehouse) -> Self {
        let Warehouse { id, code, name, priority, active, version } = warehouse;
        Self { id, code, name, priority, active, version }
    }
}

/// The figures of a SKU over all warehouses, and in each.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct StockView {
    /// The SKU.
    sku: Sku,
    /// Free to be reserved.
    available: i64,
    /// Set aside for orders not paid for yet.
    reserved: i64,
    /// On the way from one warehouse to another.
    in_transit: i64,
    /// Ever sold, what came back included.
    sold: i64,
    /// Came back from sales.
    returned: i64,
    /// By warehouse; the first serves first.
    warehouses: Vec<WarehouseStockView>,
}

impl StockView {
    pub(super) fn new(sku: Sku, rows: Vec<(Warehouse, StockLevel)>) -> Self {
        let sum = |figure: fn(&StockLevel) -> i64| rows.iter().map(|(_, level)| figure(level)).sum();
        Self {
            sku,
            available: sum(|l| l.available),
            reserved: sum(|l| l.reserved),
            in_transit: sum(|l| l.in_transit),
            sold: sum(|l| l.sold),
            returned: sum(|l| l.returned),
            warehouses: rows.iter().map(|(w, level)| WarehouseStockView::new(w, *level)).collect(),
        }
    }
}

/// The figures of a SKU in one warehouse: `received + adjusted + returned + transferred - written_off = available +
/// reserved + in_transit + sold`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct WarehouseStockView {
    /// The warehouse.
    warehouse_id: WarehouseId,
    /// Its code.
    warehouse_code: String,
    /// Its name.
    warehouse_name: String,
    /// Free to be reserved.
    available: i64,
    /// Set aside for orders not paid for yet.
    reserved: i64,
    /// Sent from here and not yet arrived.
    in_transit: i64,
    /// Ever sold, what came back included.
    sold: i64,
    /// Ever received.
    received: i64,
    /// Sum of corrections.
    adjusted: i64,
    /// Came back from sales.
    returned: i64,
    /// Damaged, stolen, lost on the way, gone otherwise.
    written_off: i64,
    /// Came from other warehouses, less what went there.
    transferred: i64,
    /// How many should be available at least; 0 for no such wish.
    threshold: i64,
    /// Whether less is available than there should be.
    low: bool,
}

impl WarehouseStockView {
    pub(super) fn new(warehouse: &Warehouse, level: StockLevel) -> Self {
        Self {
            warehouse_id: warehouse.id,
            warehouse_code: warehouse.code.clone(),
            warehouse_name: warehouse.name.clone(),
            available: level.available,
            reserved: level.reserved,
            in_transit: level.in_transit,
            sold: level.sold,
            received: level.received,
            adjusted: level.adjusted,
            returned: level.returned,
            written_off: level.written_off,
            transferred: level.transferred,
            threshold: level.threshold,
            low: level.is_low(),
        }
    }
}

/// The figures of a SKU in one warehouse, in a list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct LevelView {
    /// The SKU.
    sku: Sku,
    /// The warehouse.
    warehouse_id: WarehouseId,
    /// Its code.
    warehouse_code: String,
    /// Free to be reserved.
    available: i64,
    /// Set aside for orders not paid for yet.
    reserved: i64,
    /// Sent from here and not yet arrived.
    in_transit: i64,
    /// How many should be available at least; 0 for no such wish.
    threshold: i64,
    /// Whether less is available than there should be.
    low: bool,
}

/// The code of a warehouse, or its id where the list does not know it yet.
fn code_of(id: WarehouseId, warehouses: &[Warehouse]) -> String {
    warehouses.iter().find(|w| w.id == id).map_or_else(|| id.to_string(), |w| w.code.clone())
}

impl LevelView {
    pub(super) fn new(row: StockRow, warehouses: &[Warehouse]) -> Self {
        let StockRow { sku, warehouse, level } = row;
        Self {
            sku,
            warehouse_id: warehouse,
            warehouse_code: code_of(warehouse, warehouses),
            available: level.available,
            reserved: level.reserved,
            in_transit: level.in_transit,
            threshold: level.threshold,
            low: level.is_low(),
        }
    }
}

/// How many of a SKU should be available in a warehouse at least.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct ThresholdView {
    /// The SKU.
    pub(super) sku: Sku,
    /// The warehouse.
    pub(super) warehouse_id: WarehouseId,
    /// Units; 0 for no such wish.
    pub(super) threshold: i64,
    /// What is available now.
    pub(super) available: i64,
    /// Whether that is less.
    pub(super) low: bool,
}

/// What was entered, and the figures after it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct StockEntryView {
    /// Its identity, also in the ledger.
    pub(super) id: StockEntryId,
    /// The SKU.
    pub(super) sku: Sku,
    /// Units; a correction downwards is negative.
    pub(super) quantity: i64,
    /// The figures after it.
    pub(super) stock: WarehouseStockView,
}

/// A line of the ledger.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct MovementView {
    /// Why the units moved.
    kind: MovementKind,
    /// Units; negative for what was adjusted or counted downwards, positive otherwise.
    quantity: i64,
    /// The warehouse.
    warehouse_id: WarehouseId,
    /// Its code.
    warehouse_code: String,
    /// The order whose goods they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    /// The reservation that moved them.
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation_id: Option<ReservationId>,
    /// The receipt or adjustment that moved them.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_id: Option<StockEntryId>,
    /// The return that moved them.
    #[serde(skip_serializing_if = "Option::is_none")]
    return_id: Option<ReturnId>,
    /// The transfer that moved them.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_id: Option<TransferId>,
    /// The stock count that found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    stock_count_id: Option<StockCountId>,
    /// Somebody's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The member of staff.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<AccountId>,
    /// When.
    at: Timestamp,
}

impl MovementView {
    pub(super) fn new(line: LedgerLine, warehouses: &[Warehouse]) -> Self {
        use MovementKind as K;
        let is = |kinds: &[K]| kinds.contains(&line.kind);
        let entry = is(&[K::Received, K::Adjusted, K::Found, K::Damaged, K::Stolen, K::WrittenOff]);
        let transfer = is(&[K::Sent, K::Recalled, K::Departed, K::Arrived, K::Lost]);
        Self {
            kind: line.kind,
            quantity: line.quantity,
            warehouse_id: line.warehouse,
            warehouse_code: code_of(line.warehouse, warehouses),
            order_id: line.reservation.map(|id| id.cast()),
            reservation_id: line.reservation,
            entry_id: entry.then(|| line.reference.cast()),
            return_id: is(&[K::Returned]).then(|| line.reference.cast()),
            transfer_id: transfer.then(|| line.reference.cast()),
            stock_count_id: is(&[K::Counted]).then(|| line.reference.cast()),
            reason: line.reason,
            account_id: line.by,
            at: line.at,
        }
    }
}

/// A reservation that is older than its limit, neither sold nor released.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct OrphanView {
    /// The order, whose saga alone lets it go.
    order_id: OrderId,
    /// The reservation.
    reservation_id: ReservationId,
    /// When it was made.
    opened_at: Timestamp,
    /// When the alarm was raised.
    raised_at: Timestamp,
    /// What it holds.
    lines: Vec<HeldLineView>,
}

/// Units that a reservation holds.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct HeldLineView {
    /// The SKU.
    sku: Sku,
    /// The warehouse.
    warehouse_id: WarehouseId,
    /// Units.
    quantity: i64,
}

impl OrphanView {
    pub(super) fn new((orphan, lines): (Orphan, Vec<PlacedLine>)) -> Self {
        let line =
            |l: PlacedLine| HeldLineView { sku: l.sku, warehouse_id: l.warehouse, quantity: l.quantity };
        Self {
            order_id: orphan.reservation.cast(),
            reservation_id: orphan.reservation,
            opened_at: orphan.opened_at,
            raised_at: orphan.raised_at,
            lines: lines.into_iter().map(line).collect(),
        }
    }
}

/// Stock moved between warehouses.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct TransferView {
    /// Its identity, also in the ledger.
    pub(super) id: TransferId,
    /// From here.
    from_warehouse_id: WarehouseId,
    /// To there.
    to_warehouse_id: WarehouseId,
    /// `sent`, `received`, `recalled`.
    status: String,
    /// Why it was sent.
    reason: String,
    /// When it was sent.
    sent_at: Timestamp,
    /// When it last changed.
    changed_at: Timestamp,
    /// What; left out in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lines: Vec<TransferLineView>,
}

/// Units of a SKU on the way.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct TransferLineView {
    /// The SKU.
    sku: Sku,
    /// Units that set out.
    sent: i64,
    /// Units that arrived, once they did; the others were written off.
    #[serde(skip_serializing_if = "Option::is_none")]
    arrived: Option<i64>,
}

impl TransferView {
    pub(super) fn new(row: TransferRow, lines: Vec<TransferLineRow>) -> Self {
        let line = |l: TransferLineRow| TransferLineView { sku: l.sku, sent: l.sent, arrived: l.arrived };
        Self {
            id: row.id,
            from_warehouse_id: row.from,
            to_warehouse_id: row.to,
            status: row.status,
            reason: row.reason,
            sent_at: row.sent_at,
            changed_at: row.changed_at,
            lines: lines.into_iter().map(line).collect(),
        }
    }
}

/// A count of what lies in a warehouse.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct CountView {
    /// Its identity, also in the ledger.
    pub(super) id: StockCountId,
    /// Where.
    warehouse_id: WarehouseId,
    /// `open`, `closed`, `abandoned`.
    status: String,
    /// Why.
    reason: String,
    /// When it was begun.
    opened_at: Timestamp,
    /// When it last changed.
    changed_at: Timestamp,
    /// What; left out in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lines: Vec<CountLineView>,
}

/// A SKU of a count.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct CountLineView {
    /// The SKU.
    sku: Sku,
    /// What was found, once it was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    counted: Option<i64>,
    /// What the books said at that moment: available and reserved.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<i64>,
    /// What was posted when the count was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<i64>,
    /// When it was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    entered_at: Option<Timestamp>,
}

impl CountView {
    pub(super) fn new(row: CountRow, lines: Vec<CountLineRow>) -> Self {
        let line = |l: CountLineRow| CountLineView {
            sku: l.sku,
            counted: l.counted,
            expected: l.expected,
            difference: l.difference,
            entered_at: l.entered_at,
        };
        Self {
            id: row.id,
            warehouse_id: row.warehouse,
            status: row.status,
            reason: row.reason,
            opened_at: row.opened_at,
            changed_at: row.changed_at,
            lines: lines.into_iter().map(line).collect(),
        }
    }
}
