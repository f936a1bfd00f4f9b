//! Every SQL text of inventory.

use std::collections::BTreeMap;

use merx_contracts::ids::{AccountId, ReservationId, Sku, WarehouseId};
use merx_kernel::{Error, Id, Result, Timestamp};
use merx_sql::{Inserted, Migration, Query, Row, Tx, Value, params};

use crate::domain::{Movement, MovementKind, StockLevel};

/// The migrations of the context, after those of the platform.
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration::same(100, "stock", include_str!("../migrations/0100_stock.sql")),
        Migration::same(101, "main_warehouse", include_str!("../migrations/0101_main_warehouse.sql")),
    ]
}

const WAREHOUSES: &str =
    "SELECT warehouse, code, name, priority FROM inventory_warehouses ORDER BY priority, warehouse";
const INSERT_RESERVATION: &str = "INSERT INTO inventory_reservations
 (reservation, status, version, opened_at, changed_at) VALUES (?, ?, ?, ?, ?)";
const UPDATE_RESERVATION: &str =
    "UPDATE inventory_reservations SET status = ?, version = version + 1, changed_at = ?
 WHERE reservation = ? AND version = ?";
const INSERT_STOCK: &str = "INSERT INTO inventory_stock
 (sku, warehouse, available, reserved, sold, received, adjusted, version) VALUES (?, ?, 0, 0, 0, 0, 0, 0)";
const CHANGE_STOCK: &str = "UPDATE inventory_stock SET available = available + ?, reserved = reserved + ?,
 sold = sold + ?, received = received + ?, adjusted = adjusted + ?, version = version + ?
 WHERE sku = ? AND warehouse = ? AND available >= ? AND reserved >= ?";
const ADD_STOCK: &str = "UPDATE inventory_stock SET available = available + ?, reserved = reserved + ?,
 sold = sold + ?, received = received + ?, adjusted = adjusted + ?, version = version + ?
 WHERE sku = ? AND warehouse = ?";
const OVERWRITE_STOCK: &str =
    "UPDATE inventory_stock SET available = ?, reserved = ? WHERE sku = ? AND warehouse = ?";
const LEVEL: &str = "SELECT available, reserved, sold, received, adjusted, version
 FROM inventory_stock WHERE sku = ? AND warehouse = ?";
const LEVELS: &str = "SELECT available, reserved, sold, received, adjusted, version, warehouse
 FROM inventory_stock WHERE sku = ? ORDER BY warehouse";
const MOST_AVAILABLE: &str = "SELECT MAX(available) FROM inventory_stock WHERE sku = ?";
const INSERT_MOVEMENT: &str = "INSERT INTO inventory_movements
 (reference, kind, sku, warehouse, quantity, reason, account, moved_at) VALUES";
const MOVEMENTS: &str = "SELECT reference, kind, warehouse, quantity, reason, account, moved_at
 FROM inventory_movements WHERE sku = ? AND (moved_at < ? OR (moved_at = ? AND (reference < ?
 OR (reference = ? AND kind < ?)))) ORDER BY moved_at DESC, reference DESC, kind DESC LIMIT ?";
const NEW_ORPHANS: &str = "SELECT r.reservation, r.opened_at FROM inventory_reservations r
 LEFT JOIN inventory_orphans o ON o.reservation = r.reservation
 WHERE r.status = 'reserved' AND r.opened_at < ? AND o.reservation IS NULL
 ORDER BY r.opened_at, r.reservation LIMIT ?";
const INSERT_ORPHAN: &str = "INSERT INTO inventory_orphans (reservation, raised_at) VALUES (?, ?)";

/// A place where stock lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warehouse {
    /// Its identity.
    pub id: WarehouseId,
    /// What staff call it in requests.
    pub code: String,
    /// What staff read.
    pub name: String,
}

/// Every warehouse; the first is asked first.
pub fn warehouses(q: &mut impl Query) -> Result<Vec<Warehouse>> {
    q.query(WAREHOUSES, params![], |row| {
        Ok(Warehouse { id: row.get(0)?, code: row.get(1)?, name: row.get(2)? })
    })
}

/// Makes the row of a reservation that nothing was heard of before.
pub fn insert_reservation(
    tx: &mut Tx<'_>,
    reservation: ReservationId,
    status: &str,
    at: Timestamp,
) -> Result<Inserted> {
    tx.insert_new(INSERT_RESERVATION, params![reservation, status, 1i64, at, at])
}

/// Moves a reservation on from `version`; `false` when it is no longer there.
pub fn update_reservation(
    tx: &mut Tx<'_>,
    reservation: ReservationId,
    version: i64,
    status: &str,
    at: Timestamp,
) -> Result<bool> {
    tx.guarded(UPDATE_RESERVATION, params![status, at, reservation, version])
}

/// Makes the empty row of a stock item.
pub fn insert_stock(tx: &mut Tx<'_>, sku: &Sku, warehouse: WarehouseId) -> Result<Inserted> {
    tx.insert_new(INSERT_STOCK, params![sku.as_str(), warehouse])
}

fn change_values(movement: &Movement) -> Vec<Value> {
    let change = movement.change();
    params![
        change.available,
        change.reserved,
        change.sold,
        change.received,
        change.adjusted,
        change.version,
        movement.sku.as_str(),
        movement.warehouse
    ]
}

/// Carries a movement out in one guarded update; `false` when a figure would fall below zero or there is no row.
pub fn change_stock(tx: &mut Tx<'_>, movement: &Movement) -> Result<bool> {
    let change = movement.change();
    let mut values = change_values(movement);
    values.extend(params![(-change.available).max(0), (-change.reserved).max(0)]);
    tx.guarded(CHANGE_STOCK, values)
}

/// Adds a movement to a row without looking at its figures: for rebuilding, where events of different streams
/// may come in another order than they happened in. The sum does not depend on the order.
pub fn add_stock(tx: &mut Tx<'_>, movement: &Movement) -> Result<bool> {
    tx.guarded(ADD_STOCK, change_values(movement))
}

/// Read-then-write: what reserving does without its guard (`Guard::StockUpdate`).
pub fn overwrite_stock(tx: &mut Tx<'_>, movement: &Movement, seen: StockLevel) -> Result<bool> {
    let Some(after) = seen.after(movement) else { return Ok(false) };
    let values = params![after.available, after.reserved, movement.sku.as_str(), movement.warehouse];
    tx.guarded(OVERWRITE_STOCK, values)
}

fn level_of(row: &Row<'_>) -> Result<StockLevel> {
    Ok(StockLevel {
        available: row.get(0)?,
        reserved: row.get(1)?,
        sold: row.get(2)?,
        received: row.get(3)?,
        adjusted: row.get(4)?,
        version: row.get(5)?,
    })
}

/// The figures of a SKU in one warehouse.
pub fn level(q: &mut impl Query, sku: &Sku, warehouse: WarehouseId) -> Result<Option<StockLevel>> {
    q.query_opt(LEVEL, params![sku.as_str(), warehouse], level_of)
}

/// The figures of a SKU in every warehouse that ever had it.
pub fn levels(q: &mut impl Query, sku: &Sku) -> Result<Vec<(WarehouseId, StockLevel)>> {
    q.query(LEVELS, params![sku.as_str()], |row| Ok((row.get(6)?, level_of(row)?)))
}

/// The longest line of a SKU that one warehouse can serve.
pub fn most_available(q: &mut impl Query, sku: &Sku) -> Result<i64> {
    let most = q.query_one(MOST_AVAILABLE, params![sku.as_str()], |row| row.get::<Option<i64>>(0))?;
    Ok(most.unwrap_or(0))
}

/// [`most_available`] of many SKUs; those without a row are left out.
pub fn availability(q: &mut impl Query, skus: &[Sku]) -> Result<BTreeMap<Sku, i64>> {
    if skus.is_empty() {
        return Ok(BTreeMap::new());
    }
    let marks = vec!["?"; skus.len()].join(", ");
    let sql = format!("SELECT sku, MAX(available) FROM inventory_stock WHERE sku IN ({marks}) GROUP BY sku");
    let rows = q.query(&sql, skus.iter().map(|s| Value::from(s.as_str())).collect(), |row| {
        Ok((sku_of(row.get(0)?)?, row.get::<i64>(1)?))
    })?;
    Ok(rows.into_iter().collect())
}

fn sku_of(code: String) -> Result<Sku> {
    Sku::new(&code).map_err(|_| Error::internal("a stock row has a SKU that is none"))
}

/// What moved units: the bits of a reservation, or of a receipt or adjustment.
pub type Reference = Id<()>;

fn movement_values(reference: Reference, movement: &Movement, at: Timestamp) -> Vec<Value> {
    params![
        reference,
        movement.kind.name(),
        movement.sku.as_str(),
        movement.warehouse,
        movement.quantity,
        movement.reason.as_deref(),
        movement.by,
        at
    ]
}

/// Writes movements of one effect to the ledger, one statement. The key is (reference, kind, SKU): an effect
/// cannot be entered twice.
pub fn insert_movements(
    tx: &mut Tx<'_>,
    reference: Reference,
    movements: &[Movement],
    at: Timestamp,
) -> Result<()> {
    let rows = movements.iter().map(|m| movement_values(reference, m, at)).collect();
    tx.insert_rows(INSERT_MOVEMENT, 8, rows)
}

/// Writes one movement that may have been written before.
pub fn insert_movement(
    tx: &mut Tx<'_>,
    reference: Reference,
    movement: &Movement,
    at: Timestamp,
) -> Result<Inserted> {
    let sql = format!("{INSERT_MOVEMENT} (?, ?, ?, ?, ?, ?, ?, ?)");
    tx.insert_new(&sql, movement_values(reference, movement, at))
}

/// A line of the ledger.
#[derive(Clone)]
pub struct LedgerLine {
    /// What moved the units.
    pub reference: Reference,
    /// Why.
    pub kind: MovementKind,
    /// Where.
    pub warehouse: WarehouseId,
    /// Units; negative for a downward adjustment.
    pub quantity: i64,
    /// Staff's words.
    pub reason: Option<String>,
    /// The member of staff.
    pub by: Option<AccountId>,
    /// When.
    pub at: Timestamp,
}

/// Where a page of the ledger ended.
#[derive(Clone)]
pub struct LedgerCursor {
    /// When the last line moved.
    pub at: Timestamp,
    /// Its reference.
    pub reference: Reference,
    /// Its kind.
    pub kind: String,
}

/// The ledger of a SKU, newest first, after `cursor`.
pub fn movements(
    q: &mut impl Query,
    sku: &Sku,
    cursor: &LedgerCursor,
    limit: i64,
) -> Result<Vec<LedgerLine>> {
    let LedgerCursor { at, reference, kind } = cursor;
    let values = params![sku.as_str(), *at, *at, *reference, *reference, kind.as_str(), limit];
    q.query(MOVEMENTS, values, |row| {
        let kind = MovementKind::from_name(&row.get::<String>(1)?)
            .ok_or_else(|| Error::internal("a movement has a kind that is none"))?;
        Ok(LedgerLine {
            reference: row.get(0)?,
            kind,
            warehouse: row.get(2)?,
            quantity: row.get(3)?,
            reason: row.get(4)?,
            by: row.get(5)?,
            at: row.get(6)?,
        })
    })
}

/// Reservations made before `before`, still neither sold nor released, no alarm raised: oldest first.
pub fn new_orphans(
    q: &mut impl Query,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<(ReservationId, Timestamp)>> {
    q.query(NEW_ORPHANS, params![before, limit], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Notes that an alarm was raised.
pub fn insert_orphan(tx: &mut Tx<'_>, reservation: ReservationId, at: Timestamp) -> Result<Inserted> {
    tx.insert_new(INSERT_ORPHAN, params![reservation, at])
}
