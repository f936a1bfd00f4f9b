//! Every SQL text of shipping.

use merx_contracts::ids::{OrderId, ShipmentId, Sku};
use merx_kernel::{BoundedText, Error, Quantity, Result, Timestamp};
use merx_sql::{Inserted, Migration, Query, Row, Tx, Value, params};

use crate::domain::{Dispatch, Shipment, ShipmentLine, ShipmentStatus, freight::Method};

/// The migrations of the context, after those of the platform.
pub fn migrations() -> Vec<Migration> {
    vec![Migration::same(100, "shipments", include_str!("../migrations/0100_shipments.sql"))]
}

const INSERT: &str = "INSERT INTO shipping_shipments
 (shipment, order_id, account, address, method, status, opened_at) VALUES (?, ?, ?, ?, ?, 'open', ?)";
const INSERT_LINES: &str = "INSERT INTO shipping_shipment_lines (shipment, sku, quantity) VALUES";
const DISPATCH: &str =
    "UPDATE shipping_shipments SET status = 'dispatched', carrier = ?, tracking_number = ?,
 dispatched_at = ? WHERE shipment = ? AND status = 'open'";
const DELIVER: &str = "UPDATE shipping_shipments SET status = 'delivered', delivered_at = ?
 WHERE shipment = ? AND status = 'dispatched'";
const LINES: &str = "SELECT sku, quantity FROM shipping_shipment_lines WHERE shipment = ? ORDER BY sku";

macro_rules! shipments {
    ($rest:literal) => {
        concat!(
            "SELECT shipment, order_id, account, address, method, status, carrier, tracking_number, opened_at,
 dispatched_at, delivered_at FROM shipping_shipments WHERE ",
            $rest
        )
    };
}
const ONE: &str = shipments!("shipment = ?");
const LISTED: &str = shipments!("shipment > ? ORDER BY shipment LIMIT ?");
const LISTED_BY_STATUS: &str = shipments!("status = ? AND shipment > ? ORDER BY shipment LIMIT ?");
const OF_ORDER: &str = shipments!("order_id = ? ORDER BY shipment");

/// Makes the row of a shipment; `Exists` when its id is known.
pub fn insert(tx: &mut Tx<'_>, shipment: &Shipment) -> Result<Inserted> {
    let values = params![
        shipment.id,
        shipment.order,
        shipment.account,
        shipment.address,
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

/// From open to dispatched; `false` when it was not open.
pub fn dispatch(tx: &mut Tx<'_>, shipment: ShipmentId, by: &Dispatch, at: Timestamp) -> Result<bool> {
    tx.guarded(DISPATCH, params![by.carrier.as_str(), by.tracking_number.as_str(), at, shipment])
}

/// From dispatched to delivered; `false` when it was not dispatched.
pub fn deliver(tx: &mut Tx<'_>, shipment: ShipmentId, at: Timestamp) -> Result<bool> {
    tx.guarded(DELIVER, params![at, shipment])
}

fn inconsistent(what: &str) -> Error {
    Error::internal(format!("a shipment row has a {what} that is none"))
}

fn shipment_of(row: &Row<'_>) -> Result<Shipment> {
    let method = Method::from_name(&row.get::<String>(4)?).map_err(|_| inconsistent("method"))?;
    let status = ShipmentStatus::from_name(&row.get::<String>(5)?).ok_or_else(|| inconsistent("status"))?;
    let text = |text: String| BoundedText::new(text).map_err(|_| inconsistent("carrier or tracking number"));
    let dispatch = match (row.get::<Option<String>>(6)?, row.get::<Option<String>>(7)?) {
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
        method,
        status,
        dispatch,
        opened_at: row.get(8)?,
        dispatched_at: row.get(9)?,
        delivered_at: row.get(10)?,
    })
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

/// Shipments after `after`, oldest first; of one status, or of any.
pub fn listed(
    q: &mut impl Query,
    status: Option<ShipmentStatus>,
    after: ShipmentId,
    limit: i64,
) -> Result<Vec<Shipment>> {
    let (sql, values): (&str, Vec<Value>) = match status {
        Some(status) => (LISTED_BY_STATUS, params![status.name(), after, limit]),
        None => (LISTED, params![after, limit]),
    };
    q.query(sql, values, shipment_of)
}

/// Every shipment of an order.
pub fn of_order(q: &mut impl Query, order: OrderId) -> Result<Vec<Shipment>> {
    q.query(OF_ORDER, params![order], shipment_of)
}
