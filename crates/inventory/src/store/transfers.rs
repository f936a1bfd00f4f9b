//! The rows of transfers.

use merx_contracts::ids::{Sku, TransferId, WarehouseId};
use merx_kernel::{Result, Timestamp};
use merx_sql::{Inserted, Query, Row, Tx, Value, params};

use super::sku_of;
use crate::domain::transfer::{ArrivedLine, TransferLine};

const INSERT_TRANSFER: &str = "INSERT INTO inventory_transfers
 (transfer, source, target, status, version, reason, sent_at, changed_at) VALUES (?, ?, ?, 'sent', 1, ?, ?, ?)";
const INSERT_LINES: &str = "INSERT INTO inventory_transfer_lines (transfer, sku, sent, arrived) VALUES";
const END_TRANSFER: &str = "UPDATE inventory_transfers SET status = ?, version = version + 1, changed_at = ?
 WHERE transfer = ? AND status = 'sent'";
const ARRIVE: &str = "UPDATE inventory_transfer_lines SET arrived = ? WHERE transfer = ? AND sku = ?";
const TRANSFER: &str = "SELECT transfer, source, target, status, reason, sent_at, changed_at
 FROM inventory_transfers WHERE transfer = ?";
const TRANSFERS: &str = "SELECT transfer, source, target, status, reason, sent_at, changed_at
 FROM inventory_transfers WHERE transfer < ?";
const LINES: &str = "SELECT sku, sent, arrived FROM inventory_transfer_lines WHERE transfer = ? ORDER BY sku";

/// A transfer as it is kept.
#[derive(Clone, Debug)]
pub struct TransferRow {
    /// Which.
    pub id: TransferId,
    /// From here.
    pub from: WarehouseId,
    /// To there.
    pub to: WarehouseId,
    /// `sent`, `received`, `recalled`.
    pub status: String,
    /// Why it was sent.
    pub reason: String,
    /// When.
    pub sent_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
}

/// A line of it.
#[derive(Clone, Debug)]
pub struct TransferLineRow {
    /// The SKU.
    pub sku: Sku,
    /// Units that set out.
    pub sent: i64,
    /// Units that arrived, once they did.
    pub arrived: Option<i64>,
}

/// Makes the rows of a transfer that sets out.
pub fn insert_transfer(
    tx: &mut Tx<'_>,
    id: TransferId,
    (from, to): (WarehouseId, WarehouseId),
    lines: &[TransferLine],
    reason: &str,
    at: Timestamp,
) -> Result<Inserted> {
    let made = tx.insert_new(INSERT_TRANSFER, params![id, from, to, reason, at, at])?;
    if made.is_new() {
        let rows = lines.iter().map(|l| params![id, l.sku.as_str(), l.quantity, None::<i64>]).collect();
        tx.insert_rows(INSERT_LINES, 4, rows)?;
    }
    Ok(made)
}

/// Ends a transfer that is on the way; `false` when it is not.
pub fn end_transfer(tx: &mut Tx<'_>, id: TransferId, status: &str, at: Timestamp) -> Result<bool> {
    tx.guarded(END_TRANSFER, params![status, at, id])
}

/// Notes what arrived.
pub fn arrive(tx: &mut Tx<'_>, id: TransferId, lines: &[ArrivedLine]) -> Result<()> {
    for line in lines {
        tx.guarded(ARRIVE, params![line.arrived, id, line.sku.as_str()])?;
    }
    Ok(())
}

fn transfer_of(row: &Row<'_>) -> Result<TransferRow> {
    Ok(TransferRow {
        id: row.get(0)?,
        from: row.get(1)?,
        to: row.get(2)?,
        status: row.get(3)?,
        reason: row.get(4)?,
        sent_at: row.get(5)?,
        changed_at: row.get(6)?,
    })
}

/// One transfer.
pub fn transfer(q: &mut impl Query, id: TransferId) -> Result<Option<TransferRow>> {
    q.query_opt(TRANSFER, params![id], transfer_of)
}

/// Its lines, by SKU.
pub fn transfer_lines(q: &mut impl Query, id: TransferId) -> Result<Vec<TransferLineRow>> {
    q.query(LINES, params![id], |row| {
        Ok(TransferLineRow { sku: sku_of(row.get(0)?)?, sent: row.get(1)?, arrived: row.get(2)? })
    })
}

/// Which transfers.
#[derive(Clone, Debug, Default)]
pub struct TransferFilter {
    /// Standing so only.
    pub status: Option<&'static str>,
    /// From or to this warehouse only.
    pub warehouse: Option<WarehouseId>,
}

/// Transfers older than `cursor`, newest first.
pub fn transfers(
    q: &mut impl Query,
    filter: &TransferFilter,
    cursor: TransferId,
    limit: i64,
) -> Result<Vec<TransferRow>> {
    let mut sql = TRANSFERS.to_owned();
    let mut values = params![cursor];
    if let Some(status) = filter.status {
        sql.push_str(" AND status = ?");
        values.push(Value::from(status));
    }
    if let Some(warehouse) = filter.warehouse {
        sql.push_str(" AND (source = ? OR target = ?)");
        values.extend(params![warehouse, warehouse]);
    }
    sql.push_str(" ORDER BY transfer DESC LIMIT ?");
    values.push(Value::from(limit));
    q.query(&sql, values, transfer_of)
}
