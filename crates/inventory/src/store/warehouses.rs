//! Warehouses: rows that staff edit.

use merx_contracts::ids::WarehouseId;
use merx_kernel::Result;
use merx_sql::{Inserted, Query, Row, Tx, params};

const WAREHOUSES: &str = "SELECT warehouse, code, name, priority, active, version FROM inventory_warehouses
 ORDER BY priority, warehouse";
const WAREHOUSE: &str =
    "SELECT warehouse, code, name, priority, active, version FROM inventory_warehouses WHERE warehouse = ?";
const INSERT_WAREHOUSE: &str = "INSERT INTO inventory_warehouses
 (warehouse, code, name, priority, active, version, uses) VALUES (?, ?, ?, ?, ?, ?, 0)";
const UPDATE_WAREHOUSE: &str = "UPDATE inventory_warehouses SET code = ?, name = ?, priority = ?, active = ?,
 version = version + 1 WHERE warehouse = ? AND version = ?";
const USE_WAREHOUSE: &str =
    "UPDATE inventory_warehouses SET uses = uses + 1 WHERE warehouse = ? AND active = 1";
const STOCK_IN: &str = "SELECT COUNT(*) FROM inventory_stock
 WHERE warehouse = ? AND (available > 0 OR reserved > 0 OR in_transit > 0)";
const TRANSFERS_TO: &str = "SELECT COUNT(*) FROM inventory_transfers WHERE target = ? AND status = 'sent'";
const COUNTS_IN: &str = "SELECT COUNT(*) FROM inventory_counts WHERE warehouse = ? AND status = 'open'";

/// A place where stock lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warehouse {
    /// Its identity.
    pub id: WarehouseId,
    /// What staff call it.
    pub code: String,
    /// What staff read.
    pub name: String,
    /// Lower serves first.
    pub priority: i64,
    /// Whether it serves orders and takes stock in.
    pub active: bool,
    /// Rises with every change.
    pub version: i64,
}

fn warehouse_of(row: &Row<'_>) -> Result<Warehouse> {
    Ok(Warehouse {
        id: row.get(0)?,
        code: row.get(1)?,
        name: row.get(2)?,
        priority: row.get(3)?,
        active: row.get(4)?,
        version: row.get(5)?,
    })
}

/// Every warehouse; the first serves first.
pub fn warehouses(q: &mut impl Query) -> Result<Vec<Warehouse>> {
    q.query(WAREHOUSES, params![], warehouse_of)
}

/// One warehouse.
pub fn warehouse(q: &mut impl Query, id: WarehouseId) -> Result<Option<Warehouse>> {
    q.query_opt(WAREHOUSE, params![id], warehouse_of)
}

/// Makes a warehouse whose code may be taken.
pub fn insert_warehouse(tx: &mut Tx<'_>, warehouse: &Warehouse) -> Result<Inserted> {
    let Warehouse { id, code, name, priority, active, version } = warehouse;
    tx.insert_new(INSERT_WAREHOUSE, params![*id, code, name, *priority, *active, *version])
}

/// Changes a warehouse that still has `warehouse.version`; `None` when its new code is another's.
pub fn update_warehouse(tx: &mut Tx<'_>, warehouse: &Warehouse) -> Result<Option<bool>> {
    let Warehouse { id, code, name, priority, active, version } = warehouse;
    match tx.guarded(UPDATE_WAREHOUSE, params![code, name, *priority, *active, *id, *version]) {
        Err(error) if error.is("sql.duplicate") => Ok(None),
        done => done.map(Some),
    }
}

/// Bumps the guard row of an active warehouse: whoever brings stock in does so, and whoever closes the warehouse
/// waits for him, so that no stock comes into a warehouse while it is closed. `false` when it is not active.
pub fn use_warehouse(tx: &mut Tx<'_>, id: WarehouseId) -> Result<bool> {
    tx.guarded(USE_WAREHOUSE, params![id])
}

/// Why a warehouse cannot be closed, if so.
pub fn warehouse_in_use(tx: &mut Tx<'_>, id: WarehouseId) -> Result<Option<&'static str>> {
    for (sql, what) in [
        (STOCK_IN, "there is stock in it, or on the way from it"),
        (TRANSFERS_TO, "a transfer is on the way to it"),
        (COUNTS_IN, "a stock count is open in it"),
    ] {
        if tx.query_one(sql, params![id], |row| row.get::<i64>(0))? > 0 {
            return Ok(Some(what));
        }
    }
    Ok(None)
}
