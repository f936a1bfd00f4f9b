//! The rows of stock counts.

use merx_contracts::ids::{Sku, StockCountId, WarehouseId};
use merx_kernel::{Result, Timestamp};
use merx_sql::{Inserted, Query, Row, Tx, Value, params};

use super::sku_of;
use crate::domain::count::CountedLine;

const INSERT_COUNT: &str = "INSERT INTO inventory_counts
 (stock_count, warehouse, status, version, reason, opened_at, changed_at) VALUES (?, ?, 'open', 1, ?, ?, ?)";
const TOUCH_COUNT: &str = "UPDATE inventory_counts SET status = ?, version = version + 1, changed_at = ?
 WHERE stock_count = ? AND status = 'open'";
const INSERT_LINES: &str = "INSERT INTO inventory_count_lines
 (stock_count, sku, counted, expected, difference, entered_at) VALUES";
const ENTER: &str = "UPDATE inventory_count_lines SET counted = ?, expected = ?, entered_at = ?
 WHERE stock_count = ? AND sku = ?";
const POST: &str = "UPDATE inventory_count_lines SET difference = ? WHERE stock_count = ? AND sku = ?";
const COUNT: &str = "SELECT stock_count, warehouse, status, reason, opened_at, changed_at
 FROM inventory_counts WHERE stock_count = ?";
const COUNTS: &str = "SELECT stock_count, warehouse, status, reason, opened_at, changed_at
 FROM inventory_counts WHERE stock_count < ?";
const LINES: &str = "SELECT sku, counted, expected, difference, entered_at FROM inventory_count_lines
 WHERE stock_count = ? ORDER BY sku";

/// A stock count as it is kept.
#[derive(Clone, Debug)]
pub struct CountRow {
    /// Which.
    pub id: StockCountId,
    /// Where.
    pub warehouse: WarehouseId,
    /// `open`, `closed`, `abandoned`.
    pub status: String,
    /// Why.
    pub reason: String,
    /// When it was begun.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
}

/// A SKU of it.
#[derive(Clone, Debug)]
pub struct CountLineRow {
    /// The SKU.
    pub sku: Sku,
    /// What was found, once it was counted.
    pub counted: Option<i64>,
    /// What the books said at that moment.
    pub expected: Option<i64>,
    /// What was posted, once the count was closed.
    pub difference: Option<i64>,
    /// When it was counted.
    pub entered_at: Option<Timestamp>,
}

/// Makes the rows of a count that begins.
pub fn insert_count(
    tx: &mut Tx<'_>,
    id: StockCountId,
    warehouse: WarehouseId,
    skus: &[Sku],
    reason: &str,
    at: Timestamp,
) -> Result<Inserted> {
    let made = tx.insert_new(INSERT_COUNT, params![id, warehouse, reason, at, at])?;
    if made.is_new() && !skus.is_empty() {
        let none = || None::<i64>;
        let row = |sku: &Sku| params![id, sku.as_str(), none(), none(), none(), none()];
        tx.insert_rows(INSERT_LINES, 6, skus.iter().map(row).collect())?;
    }
    Ok(made)
}

/// Enters a figure into an open count; `false` when it is not open.
pub fn enter_figure(
    tx: &mut Tx<'_>,
    id: StockCountId,
    sku: &Sku,
    (counted, expected): (i64, i64),
    at: Timestamp,
) -> Result<bool> {
    if !tx.guarded(TOUCH_COUNT, params!["open", at, id])? {
        return Ok(false);
    }
    if !tx.guarded(ENTER, params![counted, expected, at, id, sku.as_str()])? {
        tx.insert_rows(INSERT_LINES, 6, vec![params![id, sku.as_str(), counted, expected, None::<i64>, at]])?;
    }
    Ok(true)
}

/// Ends an open count; `false` when it is not open.
pub fn end_count(tx: &mut Tx<'_>, id: StockCountId, status: &str, at: Timestamp) -> Result<bool> {
    tx.guarded(TOUCH_COUNT, params![status, at, id])
}

/// Notes what was posted.
pub fn post_difference(tx: &mut Tx<'_>, id: StockCountId, lines: &[CountedLine]) -> Result<()> {
    for line in lines {
        tx.guarded(POST, params![line.difference, id, line.sku.as_str()])?;
    }
    Ok(())
}

fn count_of(row: &Row<'_>) -> Result<CountRow> {
    Ok(CountRow {
        id: row.get(0)?,
        warehouse: row.get(1)?,
        status: row.get(2)?,
        reason: row.get(3)?,
        opened_at: row.get(4)?,
        changed_at: row.get(5)?,
    })
}

/// One count.
pub fn count(q: &mut impl Query, id: StockCountId) -> Result<Option<CountRow>> {
    q.query_opt(COUNT, params![id], count_of)
}

/// Its SKUs.
pub fn count_lines(q: &mut impl Query, id: StockCountId) -> Result<Vec<CountLineRow>> {
    q.query(LINES, params![id], |row| {
        Ok(CountLineRow {
            sku: sku_of(row.get(0)?)?,
            counted: row.get(1)?,
            expected: row.get(2)?,
            difference: row.get(3)?,
            entered_at: row.get(4)?,
        })
    })
}

/// Which counts.
#[derive(Clone, Debug, Default)]
pub struct CountFilter {
    /// Standing so only.
    pub status: Option<&'static str>,
    /// In this warehouse only.
    pub warehouse: Option<WarehouseId>,
}

/// Counts older than `cursor`, newest first.
pub fn counts(
    q: &mut impl Query,
    filter: &CountFilter,
    cursor: StockCountId,
    limit: i64,
) -> Result<Vec<CountRow>> {
    let mut sql = COUNTS.to_owned();
    let mut values = params![cursor];
    if let Some(status) = filter.status {
        sql.push_str(" AND status = ?");
        values.push(Value::from(status));
    }
    if let Some(warehouse) = filter.warehouse {
        sql.push_str(" AND warehouse = ?");
        values.push(Value::from(warehouse));
    }
    sql.push_str(" ORDER BY stock_count DESC LIMIT ?");
    values.push(Value::from(limit));
    q.query(&sql, values, count_of)
}
