//! The rows of orders: `ordering_orders`, `ordering_lines`, `ordering_shipments`.

use std::collections::BTreeMap;

use merx_contracts::ids::OrderId;
use merx_kernel::{Error, Money, Quantity, Result};
use merx_sql::{Query, Row, Tx, Value, params};

use crate::{
    domain::{
        AfterSaleAxis, Axes, Axis, CancelReason, FulfilmentAxis, LocalText, OrderAxis, OrderLine,
        OrderNumber, PackedLine, PaymentAxis,
    },
    record::{Record, RecordedLine, RecordedShipment},
    view::Rejected,
};

pub(super) const COLUMNS: &str = "o.order_id, o.version, o.account_id, o.cart_id, o.address_id, o.shipping_method, \
     o.quote_id, o.currency, o.subtotal_minor, o.freight_minor, o.total_minor, o.paid_minor, o.order_axis, \
     o.payment_axis, o.fulfilment_axis, o.after_sale_axis, o.payment_id, o.payment_deadline, o.guest, \
     o.cancel_reason, o.cancel_requested_at, o.cancelled_at, o.cancel_refused_at, o.cancel_refusal, \
     o.rejection_code, o.rejection_message, o.created_at, o.updated_at, o.refunded_minor, o.reservation_id, \
     o.revived_at";

const INSERT_ORDER: &str = "INSERT INTO ordering_orders (order_id, version, order_number, status, account_id, guest, \
     cart_id, address_id, shipping_method, quote_id, currency, subtotal_minor, freight_minor, total_minor, paid_minor, \
     order_axis, payment_axis, fulfilment_axis, after_sale_axis, payment_deadline, created_at, updated_at) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const INSERT_LINES: &str = "INSERT INTO ordering_lines (order_id, line_number, sku, product_id, title_zh, title_en, \
     options_zh, options_en, unit_price_minor, quantity, amount_minor, search_text) VALUES";

const UPDATE_ORDER: &str = "UPDATE ordering_orders SET version = ?, status = ?, order_axis = ?, payment_axis = ?, \
     fulfilment_axis = ?, after_sale_axis = ?, paid_minor = ?, refunded_minor = ?, payment_id = ?, reservation_id = ?, \
     revived_at = ?, cancel_reason = ?, cancel_requested_at = ?, cancelled_at = ?, cancel_refused_at = ?, cancel_refusal = ?, rejection_code = ?, \
     rejection_message = ?, updated_at = ? WHERE order_id = ? AND version = ?";

const UPDATE_LINE: &str =
    "UPDATE ordering_lines SET shipped = ?, delivered = ? WHERE order_id = ? AND line_number = ?";

const INSERT_SHIPMENTS: &str = "INSERT INTO ordering_shipments (order_id, shipment_id, shipment_number, carrier, \
     tracking_number, packed, opened_at, dispatched_at, delivered_at, returned_at) VALUES";

const UPDATE_SHIPMENT: &str = "UPDATE ordering_shipments SET carrier = ?, tracking_number = ?, packed = ?, \
     dispatched_at = ?, delivered_at = ?, returned_at = ? WHERE order_id = ? AND shipment_id = ?";

const ORDER_OF_NUMBER: &str = "SELECT order_id FROM ordering_orders WHERE order_number = ?";
const OWNER_OF_ORDER: &str = "SELECT account_id, status FROM ordering_orders WHERE order_id = ?";

/// What to do when another order has the number already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clash {
    /// Refuse, so that the order is placed under another id.
    Refused,
    /// Keep the row without: orders from before there were numbers were not asked.
    LeftOut,
}

/// Brings the rows from `before` to `after`.
///
/// # Errors
/// `ordering.number_taken`; `Internal` when the row is not at `before`; what the database answers.
pub(crate) fn write(tx: &mut Tx<'_>, before: Option<&Record>, after: &Record, clash: Clash) -> Result<()> {
    match before {
        None => insert(tx, after, clash)?,
        Some(before) => update(tx, before.version, after)?,
    }
    let lines = before.map(|before| before.lines.as_slice()).unwrap_or_default();
    for (number, (was, line)) in (1i64..).zip(lines.iter().zip(&after.lines)) {
        if was != line {
            tx.execute(UPDATE_LINE, params![line.shipped, line.delivered, after.order_id, number])?;
        }
    }
    let known = before.map(|before| before.shipments.as_slice()).unwrap_or_default();
    for (was, shipment) in known.iter().zip(&after.shipments) {
        if was != shipment {
            update_shipment(tx, after.order_id, shipment)?;
        }
    }
    let new = after.shipments.iter().zip(1i64..).skip(known.len());
    let new = new.map(|(shipment, number)| new_shipment(after.order_id, shipment, number));
    tx.insert_rows(INSERT_SHIPMENTS, 10, new.collect::<Result<_>>()?)
}

fn insert(tx: &mut Tx<'_>, record: &Record, clash: Clash) -> Result<()> {
    let number = Some(record.number().to_string());
    match (insert_order(tx, record, number), clash) {
        (Err(error), Clash::Refused) if error.is("sql.duplicate") => {
            let text = "Another order has this number; place it again.";
            return Err(Error::conflict("ordering.number_taken", text));
        }
        (Err(error), Clash::LeftOut) if error.is("sql.duplicate") => insert_order(tx, record, None)?,
        (other, _) => other?,
    }
    let rows = record.lines.iter().zip(1i64..).map(|(line, number)| {
        let line = &line.agreed;
        params![
            record.order_id,
            number,
            line.sku.as_str(),
            line.product_id,
            &line.title.zh,
            &line.title.en,
            &line.options.zh,
            &line.options.en,
            line.unit_price.minor,
            line.quantity,
            line.amount.minor,
            super::search::text_of(line)
        ]
    });
    tx.insert_rows(INSERT_LINES, 12, rows.collect())
}

fn insert_order(tx: &mut Tx<'_>, record: &Record, number: Option<String>) -> Result<()> {
    let values = params![
        record.order_id,
        record.version,
        number,
        record.axes.buyer_status().name(),
        record.account_id,
        record.guest,
        record.cart_id,
        record.address_id,
        &record.shipping_method,
        &record.quote_id,
        record.total.currency.code(),
        record.subtotal.minor,
        record.freight.minor,
        record.total.minor,
        record.paid.minor,
        record.axes.order.name(),
        record.axes.payment.name(),
        record.axes.fulfilment.name(),
        record.axes.after_sale.name(),
        record.payment_deadline,
        record.created_at,
        record.updated_at
    ];
    tx.execute(INSERT_ORDER, values).map(drop)
}

fn update(tx: &mut Tx<'_>, before: i64, record: &Record) -> Result<()> {
    let (code, message) = record.rejected.clone().map(|r| (r.code, r.message)).unzip();
    let values = params![
        record.version,
        record.axes.buyer_status().name(),
        record.axes.order.name(),
        record.axes.payment.name(),
        record.axes.fulfilment.name(),
        record.axes.after_sale.name(),
        record.paid.minor,
        record.refunded.minor,
        record.payment_id,
        record.reservation_id,
        record.revived_at,
        record.cancel_reason.map(CancelReason::name),
        record.cancel_requested_at,
        record.cancelled_at,
        record.cancel_refused_at,
        record.cancel_refusal.clone(),
        code,
        message,
        record.updated_at,
        record.order_id,
        before
    ];
    if tx.guarded(UPDATE_ORDER, values)? {
        return Ok(());
    }
    let order_id = record.order_id;
    Err(Error::internal(format!("inconsistent row: order {order_id} is not at version {before}")))
}

fn packed(lines: &[PackedLine]) -> Result<String> {
    serde_json::to_string(lines)
        .map_err(|e| Error::internal("the lines of a shipment cannot be written").with_source(e))
}

fn new_shipment(order_id: OrderId, shipment: &RecordedShipment, number: i64) -> Result<Vec<Value>> {
    Ok(params![
        order_id,
        shipment.shipment_id,
        number,
        shipment.carrier.clone(),
        shipment.tracking_number.clone(),
        packed(&shipment.lines)?,
        shipment.opened_at,
        shipment.dispatched_at,
        shipment.delivered_at,
        shipment.returned_at
    ])
}

fn update_shipment(tx: &mut Tx<'_>, order_id: OrderId, shipment: &RecordedShipment) -> Result<()> {
    let values = params![
        shipment.carrier.clone(),
        shipment.tracking_number.clone(),
        packed(&shipment.lines)?,
        shipment.dispatched_at,
        shipment.delivered_at,
        shipment.returned_at,
        order_id,
        shipment.shipment_id
    ];
    tx.execute(UPDATE_SHIPMENT, values).map(drop)
}

/// The rows of one order: three statements.
pub(crate) fn read(q: &mut impl Query, order_id: OrderId) -> Result<Option<Record>> {
    let sql = format!("SELECT {COLUMNS} FROM ordering_orders o WHERE o.order_id = ?");
    let heads = q.query(&sql, params![order_id], head)?;
    Ok(whole(q, heads)?.pop())
}

/// The orders with their lines and shipments, in the order given: two statements.
pub(crate) fn whole(q: &mut impl Query, mut records: Vec<Record>) -> Result<Vec<Record>> {
    if records.is_empty() {
        return Ok(records);
    }
    let ids: Vec<Value> = records.iter().map(|record| Value::from(record.order_id)).collect();
    let marks = vec!["?"; ids.len()].join(", ");
    let sql = format!(
        "SELECT l.order_id, l.sku, l.product_id, l.title_zh, l.title_en, l.options_zh, l.options_en, \
         l.unit_price_minor, l.quantity, l.amount_minor, o.currency, l.shipped, l.delivered \
         FROM ordering_lines l JOIN ordering_orders o ON o.order_id = l.order_id \
         WHERE l.order_id IN ({marks}) ORDER BY l.order_id, l.line_number"
    );
    let mut lines: BTreeMap<OrderId, Vec<RecordedLine>> = BTreeMap::new();
    for (order_id, line) in q.query(&sql, ids.clone(), read_line)? {
        lines.entry(order_id).or_default().push(line);
    }
    let sql = format!(
        "SELECT order_id, shipment_id, carrier, tracking_number, packed, opened_at, dispatched_at, delivered_at, \
         returned_at \
         FROM ordering_shipments WHERE order_id IN ({marks}) ORDER BY order_id, shipment_number"
    );
    let mut shipments: BTreeMap<OrderId, Vec<RecordedShipment>> = BTreeMap::new();
    for (order_id, shipment) in q.query(&sql, ids, read_shipment)? {
        shipments.entry(order_id).or_default().push(shipment);
    }
    for record in &mut records {
        record.lines = lines.remove(&record.order_id).unwrap_or_default();
        record.shipments = shipments.remove(&record.order_id).unwrap_or_default();
    }
    Ok(records)
}

/// The order that has this number.
pub(crate) fn order_of(q: &mut impl Query, number: &OrderNumber) -> Result<Option<OrderId>> {
    q.query_opt(ORDER_OF_NUMBER, params![number.as_str()], |row| row.get(0))
}

/// Whose an order is, and its status in a word.
pub(crate) fn owner_of(
    q: &mut impl Query,
    order_id: OrderId,
) -> Result<Option<(merx_contracts::ids::AccountId, String)>> {
    q.query_opt(OWNER_OF_ORDER, params![order_id], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// An order without lines and shipments, from [`COLUMNS`].
pub(super) fn head(row: &Row<'_>) -> Result<Record> {
    let currency = row.get::<String>(7)?.parse()?;
    let money = |index: usize| -> Result<Money> { Ok(Money::new(row.get(index)?, currency)) };
    let cancel_reason = match row.get::<Option<String>>(19)? {
        None => None,
        Some(name) => Some(
            CancelReason::from_name(&name)
                .ok_or_else(|| Error::internal(format!("inconsistent row: no reason `{name}`")))?,
        ),
    };
    let rejected = match (row.get::<Option<String>>(24)?, row.get::<Option<String>>(25)?) {
        (Some(code), Some(message)) => Some(Rejected { code, message }),
        _ => None,
    };
    Ok(Record {
        order_id: row.get(0)?,
        version: row.get(1)?,
        account_id: row.get(2)?,
        cart_id: row.get(3)?,
        address_id: row.get(4)?,
        shipping_method: row.get(5)?,
        quote_id: row.get(6)?,
        subtotal: money(8)?,
        freight: money(9)?,
        total: money(10)?,
        paid: money(11)?,
        refunded: money(28)?,
        axes: Axes {
            order: OrderAxis::from_name(&row.get::<String>(12)?)?,
            payment: PaymentAxis::from_name(&row.get::<String>(13)?)?,
            fulfilment: FulfilmentAxis::from_name(&row.get::<String>(14)?)?,
            after_sale: AfterSaleAxis::from_name(&row.get::<String>(15)?)?,
        },
        payment_id: row.get(16)?,
        reservation_id: row.get(29)?,
        revived_at: row.get(30)?,
        payment_deadline: row.get(17)?,
        guest: row.get(18)?,
        cancel_reason,
        cancel_requested_at: row.get(20)?,
        cancelled_at: row.get(21)?,
        cancel_refused_at: row.get(22)?,
        cancel_refusal: row.get(23)?,
        rejected,
        created_at: row.get(26)?,
        updated_at: row.get(27)?,
        lines: Vec::new(),
        shipments: Vec::new(),
    })
}

fn read_line(row: &Row<'_>) -> Result<(OrderId, RecordedLine)> {
    let currency = row.get::<String>(10)?.parse()?;
    let sku: String = row.get(1)?;
    let agreed = OrderLine {
        sku: sku.parse().map_err(|e| Error::internal(format!("inconsistent row: SKU {e}")))?,
        product_id: row.get(2)?,
        title: LocalText { zh: row.get(3)?, en: row.get(4)? },
        options: LocalText { zh: row.get(5)?, en: row.get(6)? },
        unit_price: Money::new(row.get(7)?, currency),
        quantity: Quantity::new(row.get(8)?)
            .map_err(|_| Error::internal("inconsistent row: a line's quantity is out of range"))?,
        amount: Money::new(row.get(9)?, currency),
    };
    Ok((row.get(0)?, RecordedLine { agreed, shipped: row.get(11)?, delivered: row.get(12)? }))
}

fn read_shipment(row: &Row<'_>) -> Result<(OrderId, RecordedShipment)> {
    let packed: String = row.get(4)?;
    let lines = serde_json::from_str(&packed)
        .map_err(|e| Error::internal("inconsistent row: the lines of a shipment").with_source(e))?;
    let shipment = RecordedShipment {
        shipment_id: row.get(1)?,
        carrier: row.get(2)?,
        tracking_number: row.get(3)?,
        lines,
        opened_at: row.get(5)?,
        dispatched_at: row.get(6)?,
        delivered_at: row.get(7)?,
        returned_at: row.get(8)?,
    };
    Ok((row.get(0)?, shipment))
}
