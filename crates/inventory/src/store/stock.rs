//! The stock rows: one per SKU and warehouse.

use std::collections::BTreeMap;

use merx_contracts::ids::{Sku, WarehouseId};
use merx_kernel::Result;
use merx_sql::{Inserted, Query, Row, Tx, Value, params};

use super::{marks, sku_of, sku_values};
use crate::domain::{Movement, Shelf, StockLevel};

const INSERT_STOCK: &str = "INSERT INTO inventory_stock
 (sku, warehouse, available, reserved, sold, received, adjusted, version) VALUES (?, ?, 0, 0, 0, 0, 0, 0)";
const ADD_STOCK: &str = "UPDATE inventory_stock SET available = available + ?, reserved = reserved + ?,
 sold = sold + ?, received = received + ?, adjusted = adjusted + ?, returned = returned + ?,
 written_off = written_off + ?, in_transit = in_transit + ?, transferred = transferred + ?, version = version + ?
 WHERE sku = ? AND warehouse = ?";
const ENOUGH: &str = " AND available >= ? AND reserved >= ? AND in_transit >= ?";
const QUIETLY: &str = " AND (available < threshold OR available - ? >= threshold)";
const CROSSING: &str = " AND available >= threshold AND available - ? < threshold";
const ADJUSTED_IS: &str = " AND adjusted = ?";
const OVERWRITE_STOCK: &str =
    "UPDATE inventory_stock SET available = ?, reserved = ? WHERE sku = ? AND warehouse = ?";
const SET_THRESHOLD: &str = "UPDATE inventory_stock SET threshold = ?,
 threshold_version = threshold_version + 1, version = version + 1 WHERE sku = ? AND warehouse = ?";
const SHELVES: &str = "SELECT s.sku, s.warehouse, w.priority, s.available FROM inventory_stock s
 JOIN inventory_warehouses w ON w.warehouse = s.warehouse WHERE w.active = 1 AND s.available > 0 AND s.sku IN";
const AVAILABILITY: &str = "SELECT s.sku, SUM(s.available) FROM inventory_stock s
 JOIN inventory_warehouses w ON w.warehouse = s.warehouse WHERE w.active = 1 AND s.sku IN";

/// The columns of a level, and the statement's beginning.
macro_rules! level_columns {
    ($rest:literal) => {
        concat!(
            "SELECT available, reserved, sold, received, adjusted, returned, written_off, in_transit, transferred,
 version, threshold, threshold_version",
            $rest
        )
    };
}
const LEVEL: &str = level_columns!(" FROM inventory_stock WHERE sku = ? AND warehouse = ?");
const LEVELS: &str = level_columns!(", warehouse FROM inventory_stock WHERE sku = ? ORDER BY warehouse");
const PAGE: &str = level_columns!(", warehouse, sku FROM inventory_stock WHERE ");

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
        change.returned,
        change.written_off,
        change.in_transit,
        change.transferred,
        change.version,
        movement.sku.as_str(),
        movement.warehouse
    ]
}

/// What else must be so when a movement is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Nothing.
    Any,
    /// What is available does not fall below the threshold by it: nobody has to be told.
    Quiet,
    /// What is available falls below the threshold by it.
    Crossing,
}

/// Carries a movement out in one guarded update; `false` when a figure would fall below zero, there is no row, `pass`
/// does not hold, or the sum of corrections is another than `adjusted`.
pub fn change_stock(tx: &mut Tx<'_>, movement: &Movement, pass: Pass, adjusted: Option<i64>) -> Result<bool> {
    let change = movement.change();
    let taken = |figure: i64| (-figure).max(0);
    let mut values = change_values(movement);
    values.extend(params![taken(change.available), taken(change.reserved), taken(change.in_transit)]);
    let pass = match pass {
        Pass::Any => "",
        Pass::Quiet => QUIETLY,
        Pass::Crossing => CROSSING,
    };
    if !pass.is_empty() {
        values.push(Value::from(taken(change.available)));
    }
    let mut also = "";
    if let Some(adjusted) = adjusted {
        also = ADJUSTED_IS;
        values.push(Value::from(adjusted));
    }
    tx.guarded(&format!("{ADD_STOCK}{ENOUGH}{pass}{also}"), values)
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

/// Sets how many there should be at least; `false` when there is no row.
pub fn set_threshold(tx: &mut Tx<'_>, sku: &Sku, warehouse: WarehouseId, threshold: i64) -> Result<bool> {
    tx.guarded(SET_THRESHOLD, params![threshold, sku.as_str(), warehouse])
}

fn level_of(row: &Row<'_>) -> Result<StockLevel> {
    Ok(StockLevel {
        available: row.get(0)?,
        reserved: row.get(1)?,
        sold: row.get(2)?,
        received: row.get(3)?,
        adjusted: row.get(4)?,
        returned: row.get(5)?,
        written_off: row.get(6)?,
        in_transit: row.get(7)?,
        transferred: row.get(8)?,
        version: row.get(9)?,
        threshold: row.get(10)?,
        threshold_version: row.get(11)?,
    })
}

/// The figures of a SKU in one warehouse.
pub fn level(q: &mut impl Query, sku: &Sku, warehouse: WarehouseId) -> Result<Option<StockLevel>> {
    q.query_opt(LEVEL, params![sku.as_str(), warehouse], level_of)
}

/// The figures of a SKU in every warehouse that ever had it.
pub fn levels(q: &mut impl Query, sku: &Sku) -> Result<Vec<(WarehouseId, StockLevel)>> {
    q.query(LEVELS, params![sku.as_str()], |row| Ok((row.get(12)?, level_of(row)?)))
}

/// The sum of corrections of SKUs in one warehouse; those without a row are left out.
pub fn adjusted_sums(q: &mut impl Query, warehouse: WarehouseId, skus: &[Sku]) -> Result<BTreeMap<Sku, i64>> {
    if skus.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = format!(
        "SELECT sku, adjusted FROM inventory_stock WHERE warehouse = ? AND sku IN ({})",
        marks(skus.len())
    );
    let mut values = params![warehouse];
    values.extend(sku_values(skus));
    let rows = q.query(&sql, values, |row| Ok((sku_of(row.get(0)?)?, row.get::<i64>(1)?)))?;
    Ok(rows.into_iter().collect())
}

/// What the active warehouses have of SKUs now.
pub fn shelves(q: &mut impl Query, skus: &[Sku]) -> Result<Vec<Shelf>> {
    if skus.is_empty() {
        return Ok(Vec::new());
    }
    q.query(&format!("{SHELVES} ({})", marks(skus.len())), sku_values(skus), |row| {
        let (sku, warehouse) = (sku_of(row.get(0)?)?, row.get(1)?);
        Ok(Shelf { sku, warehouse, priority: row.get(2)?, available: row.get(3)? })
    })
}

/// What can be had of SKUs over all active warehouses; those without a row are left out.
pub fn availability(q: &mut impl Query, skus: &[Sku]) -> Result<BTreeMap<Sku, i64>> {
    if skus.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = format!("{AVAILABILITY} ({}) GROUP BY s.sku", marks(skus.len()));
    let rows = q.query(&sql, sku_values(skus), |row| Ok((sku_of(row.get(0)?)?, row.get::<i64>(1)?)))?;
    Ok(rows.into_iter().collect())
}

/// One stock row.
#[derive(Clone, Debug)]
pub struct StockRow {
    /// The SKU.
    pub sku: Sku,
    /// Where.
    pub warehouse: WarehouseId,
    /// The figures.
    pub level: StockLevel,
}

/// Which stock rows.
#[derive(Clone, Debug, Default)]
pub struct StockFilter {
    /// SKUs that begin so.
    pub prefix: Option<String>,
    /// In this warehouse only.
    pub warehouse: Option<WarehouseId>,
    /// Only those with less than there should be.
    pub low: bool,
}

/// Where a page of stock rows ended.
#[derive(Clone, Debug)]
pub struct StockCursor {
    /// The last SKU.
    pub sku: Sku,
    /// Its warehouse.
    pub warehouse: WarehouseId,
}

/// Stock rows by SKU and warehouse, after `cursor`.
pub fn stock_page(
    q: &mut impl Query,
    filter: &StockFilter,
    cursor: Option<&StockCursor>,
    limit: i64,
) -> Result<Vec<StockRow>> {
    let mut terms = vec!["1 = 1"];
    let mut values = params![];
    if let Some(prefix) = &filter.prefix {
        // `{` follows every character a SKU may have, so it ends the range of what begins with the prefix.
        terms.push("sku >= ? AND sku < ?");
        values.extend(params![prefix, format!("{prefix}{{")]);
    }
    if let Some(warehouse) = filter.warehouse {
        terms.push("warehouse = ?");
        values.push(Value::from(warehouse));
    }
    if filter.low {
        terms.push("available < threshold");
    }
    if let Some(StockCursor { sku, warehouse }) = cursor {
        terms.push("(sku > ? OR (sku = ? AND warehouse > ?))");
        values.extend(params![sku.as_str(), sku.as_str(), *warehouse]);
    }
    values.push(Value::from(limit));
    let sql = format!("{PAGE}{} ORDER BY sku, warehouse LIMIT ?", terms.join(" AND "));
    q.query(&sql, values, |row| {
        Ok(StockRow { sku: sku_of(row.get(13)?)?, warehouse: row.get(12)?, level: level_of(row)? })
    })
}
