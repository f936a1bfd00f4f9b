//! The rows of shipments and what they hold.

use merx_contracts::ids::{OrderId, ShipmentId, Sku, WarehouseId};
use merx_kernel::{BoundedText, Quantity, Result, Timestamp};
use merx_sql::{Inserted, Query, Row, Tx, Value, params};

use super::inconsistent;
use crate::domain::{Dispatch, Shipment, ShipmentLine, ShipmentStatus, freight::Method};

const INSERT: &str = "INSERT INTO shipping_shipments
 (shipment, order_id, account, address, warehouse, split_from, case_id, method, status, opened_at, tracking_count,
 version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, 0, 1)";
const INSERT_LINES: &str = "INSERT INTO shipping_shipment_lines (shipment, sku, quantity) VALUES";
const DISPATCH: &str =
    "UPDATE shipping_shipments SET status = 'dispatched', carrier = ?, tracking_number = ?,
 dispatched_at = ?, version = version + 1 WHERE shipment = ? AND version = ? AND status = 'open'";
const CORRECT: &str = "UPDATE shipping_shipments SET carrier = ?, tracking_number = ?, version = version + 1
 WHERE shipment = ? AND version = ?";
const DELIVER: &str =
    "UPDATE shipping_shipments SET status = 'delivered', delivered_at = ?, version = version + 1
 WHERE shipment = ? AND version = ? AND status = 'dispatched'";
const BRING_BACK: &str =
    "UPDATE shipping_shipments SET status = 'returned', returned_at = ?, version = version + 1
 WHERE shipment = ? AND version = ? AND status IN ('dispatched', 'delivered')";
const CANCEL: &str =
    "UPDATE shipping_shipments SET status = 'cancelled', cancelled_at = ?, version = version + 1
 WHERE shipment = ? AND version = ? AND status = 'open'";
const PART: &str = "UPDATE shipping_shipments SET version = version + 1
 WHERE shipment = ? AND version = ? AND status = 'open'";
const TAKE: &str = "UPDATE shipping_shipment_lines SET quantity = quantity - ?
 WHERE shipment = ? AND sku = ? AND quantity > ?";
const TAKE_ALL: &str = "DELETE FROM shipping_shipment_lines WHERE shipment = ? AND sku = ? AND quantity = ?";
const LINES: &str = "SELECT sku, quantity FROM shipping_shipment_lines WHERE shipment = ? ORDER BY sku";
const ORDER_OF: &str = "SELECT order_id FROM shipping_shipments WHERE shipment = ?";
const COUNT: &str = "SELECT COUNT(*), COUNT(dispatched_at) FROM shipping_shipments WHERE order_id = ?";

macro_rules! shipments {
    ($rest:literal) => {
        concat!(
            "SELECT shipment, order_id, account, address, warehouse, split_from, method, status, carrier,
 tracking_number, opened_at, dispatched_at, delivered_at, cancelled_at, returned_at,
 version, case_id FROM shipping_shipments WHERE ",
            $rest
        )
    };
}
const ONE: &str = shipments!("shipment = ?");
const OF_ORDER: &str = shipments!("order_id = ? ORDER BY opened_at, shipment");
const LISTED: &str = shipments!("(opened_at > ? OR (opened_at = ? AND shipment > ?))");

/// Which shipments of all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this status.
    pub status: Option<ShipmentStatus>,
    /// Only of this order.
    pub order: Option<OrderId>,
    /// Only packed there.
    pub warehouse: Option<WarehouseId>,
    /// Only with this carrier.
    pub carrier: Option<String>,
    /// Only with this number of a carrier.
    pub tracking_number: Option<String>,
    /// Only made at this moment or later.
    pub opened_from: Option<Timestamp>,
    /// Only made before this moment.
    pub opened_to: Option<Timestamp>,
}

/// Makes the row of a shipment; `Exists` when its id is known.
pub fn insert(tx: &mut Tx<'_>, shipment: &Shipment) -> Result<Inserted> {
    let values = params![
        shipment.id,
        shipment.order,
        shipment.account,
        shipment.address,
        shipment.warehouse,
        shipment.split_from,
        shipment.case,
        shipment.method.name(),
        shipment.opened_at
    ];
    tx.insert_new(INSERT, values)
}

/// Writes what a new shipment holds.
pub fn insert_lines(tx: &mut Tx<'_>, shipment: ShipmentId, lines: &[ShipmentLine]) -> Result<()> {
    let rows = lines.iter().map(|line| params![shipment, line.sku.as_str(), line.quantity]).collect();
    tx.insert_rows(INSERT_LINES, 3, rows)
}

/// From open to dispatched; `false` when it is not what was read.
pub fn dispatch(tx: &mut Tx<'_>, read: &Shipment, by: &Dispatch, at: Timestamp) -> Result<bool> {
    let (carrier, number) = (by.carrier.as_str(), by.tracking_number.as_str());
    tx.guarded(DISPATCH, params![carrier, number, at, read.id, read.version])
}

/// Another carrier or number; `false` when it is not what was read.
pub fn correct(tx: &mut Tx<'_>, read: &Shipment, by: &Dispatch) -> Result<bool> {
    tx.guarded(CORRECT, params![by.carrier.as_str(), by.tracking_number.as_str(), read.id, read.version])
}

/// From dispatched to delivered; `false` when it is not what was read.
pub fn deliver(tx: &mut Tx<'_>, read: &Shipment, at: Timestamp) -> Result<bool> {
    tx.guarded(DELIVER, params![at, read.id, read.version])
}

/// From dispatched or delivered to returned; `false` when it is not what was read.
pub fn bring_back(tx: &mut Tx<'_>, read: &Shipment, at: Timestamp) -> Result<bool> {
    tx.guarded(BRING_BACK, params![at, read.id, read.version])
}

/// From open to cancelled; `false` when it is not what was read.
pub fn cancel(tx: &mut Tx<'_>, read: &Shipment, at: Timestamp) -> Result<bool> {
    tx.guarded(CANCEL, params![at, read.id, read.version])
}

/// Takes goods out of an open shipment; `false` when it is not what was read.
pub fn take(tx: &mut Tx<'_>, read: &Shipment, go: &[ShipmentLine]) -> Result<bool> {
    if !tx.guarded(PART, params![read.id, read.version])? {
        return Ok(false);
    }
    for line in go {
        let (sku, units) = (line.sku.as_str(), line.quantity);
        let taken = tx.guarded(TAKE, params![units, read.id, sku, units])?
            || tx.guarded(TAKE_ALL, params![read.id, sku, units])?;
        if !taken {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whose order it is part of; nothing for an unknown shipment.
pub fn order_of(q: &mut impl Query, shipment: ShipmentId) -> Result<Option<OrderId>> {
    q.query_opt(ORDER_OF, params![shipment], |row| row.get(0))
}

/// How many shipments an order has, and how many of them have left.
pub fn count(q: &mut impl Query, order: OrderId) -> Result<(i64, i64)> {
    q.query_one(COUNT, params![order], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// One shipment.
pub fn one(q: &mut impl Query, shipment: ShipmentId) -> Result<Option<Shipment>> {
    q.query_opt(ONE, params![shipment], shipment_of)
}

/// What a shipment holds, by SKU.
pub fn lines(q: &mut impl Query, shipment: ShipmentId) -> Result<Vec<ShipmentLine>> {
    q.query(LINES, params![shipment], |row| {
        let sku = Sku::new(row.get::<String>(0)?).map_err(|_| inconsistent("SKU"))?;
        let quantity = Quantity::new(row.get(1)?).map_err(|_| inconsistent("quantity"))?;
        Ok(ShipmentLine { sku, quantity })
    })
}

/// Shipments after `after`, oldest first.
pub fn listed(
    q: &mut impl Query,
    filter: &Filter,
    after: (Timestamp, ShipmentId),
    limit: i64,
) -> Result<Vec<Shipment>> {
    let (mut sql, mut values) = (LISTED.to_owned(), params![after.0, after.0, after.1]);
    let conditions: [(&str, Option<Value>); 7] = [
        (" AND status = ?", filter.status.map(|s| s.name().into())),
        (" AND order_id = ?", filter.order.map(Into::into)),
        (" AND warehouse = ?", filter.warehouse.map(Into::into)),
        (" AND carrier = ?", filter.carrier.as_deref().map(Into::into)),
        (" AND tracking_number = ?", filter.tracking_number.as_deref().map(Into::into)),
        (" AND opened_at >= ?", filter.opened_from.map(Into::into)),
        (" AND opened_at < ?", filter.opened_to.map(Into::into)),
    ];
    for (condition, value) in conditions {
        if let Some(value) = value {
            sql.push_str(condition);
            values.push(value);
        }
    }
    sql.push_str(" ORDER BY opened_at, shipment LIMIT ?");
    values.push(limit.into());
    q.query(&sql, values, shipment_of)
}

/// Every shipment of an order, oldest first.
pub fn of_order(q: &mut impl Query, order: OrderId) -> Result<Vec<Shipment>> {
    q.query(OF_ORDER, params![order], shipment_of)
}

fn shipment_of(row: &Row<'_>) -> Result<Shipment> {
    let method = Method::from_name(&row.get::<String>(6)?).map_err(|_| inconsistent("method"))?;
    let status = ShipmentStatus::from_name(&row.get::<String>(7)?).ok_or_else(|| inconsistent("status"))?;
    let text = |text: String| BoundedText::new(text).map_err(|_| inconsistent("carrier or tracking number"));
    let dispatch = match (row.get::<Option<String>>(8)?, row.get::<Option<String>>(9)?) {
        (Some(carrier), Some(number)) => {
            Some(Dispatch { carrier: text(carrier)?, tracking_number: text(number)? })
        }
        _ => None,
    };
    Ok(Shipment {
        id: row.get(0)?,
        order: row.get(1)?,
        account: row.get(2)?,
        address: row.get(3)?,
        warehouse: row.get(4)?,
        split_from: row.get(5)?,
        method,
        status,
        dispatch,
        opened_at: row.get(10)?,
        dispatched_at: row.get(11)?,
        delivered_at: row.get(12)?,
        cancelled_at: row.get(13)?,
        returned_at: row.get(14)?,
        version: row.get(15)?,
        case: row.get(16)?,
    })
}
