//! `ordering_orders` and `ordering_lines`: the order as buyers and staff see it.

use merx_contracts::ids::OrderId;
use merx_kernel::{Error, Money, Result, Timestamp};
use merx_platform::{DomainEvent as _, Projection};
use merx_sql::{RecordedEvent, Tx, Value};

use crate::{
    domain::{Axes, Event, transitions},
    store::{self, RowChange, Traced},
    view::{OrderRow, Rejected},
};

/// The projection, for rebuilding and for the auditor.
pub fn projection() -> Projection {
    Projection { name: "ordering.orders", tables: &["ordering_orders", "ordering_lines"], apply }
}

/// Where an event stands, and the axes after it.
pub(crate) struct At {
    pub order_id: OrderId,
    pub version: i64,
    pub now: Timestamp,
    pub axes: Axes,
}

/// A rebuild knows only the event; the axes before it are in the row.
fn apply(tx: &mut Tx<'_>, recorded: &RecordedEvent) -> Result<()> {
    let event = Traced::decode(&recorded.name, recorded.schema, &recorded.body)?.event;
    let order_id: OrderId = recorded.stream.id();
    let before = match event {
        Event::OrderPlaced(_) => None,
        _ => store::axes_of(tx, order_id)?,
    };
    let axes = transitions::next(before, event.step()).ok_or_else(|| {
        let (name, version) = (&recorded.name, recorded.version);
        Error::internal(format!(
            "the table does not allow the {name} that is version {version} of order {order_id}"
        ))
    })?;
    write(tx, &At { order_id, version: recorded.version, now: recorded.recorded_at, axes }, &event)
}

/// What one event does to the rows. The writing side knows the axes and comes here directly.
pub(crate) fn write(tx: &mut Tx<'_>, at: &At, event: &Event) -> Result<()> {
    let change = match event {
        Event::OrderPlaced(terms) => {
            let row = OrderRow::new(at.order_id, terms, at.version, at.axes, at.now);
            return store::insert_order(tx, &row, &terms.lines);
        }
        Event::OrderRejected(refusal) => RowChange {
            rejected: Some(Rejected { code: cut(&refusal.code, 100), message: cut(&refusal.message, 500) }),
            ..RowChange::default()
        },
        Event::OrderAwaitingPayment(awaiting) => {
            RowChange { payment_id: Some(Value::from(awaiting.payment_id)), ..RowChange::default() }
        }
        Event::CancellationRequested(requested) => RowChange {
            cancel_reason: Some(requested.reason),
            cancel_requested_at: Some(at.now),
            ..RowChange::default()
        },
        Event::OrderCancelled(cancelled) => RowChange {
            cancel_reason: Some(cancelled.reason),
            cancelled_at: Some(at.now),
            ..RowChange::default()
        },
        Event::OrderPaid(money) | Event::PaymentQuarantined(money) => received(money.amount),
        Event::LatePaymentReceived(surplus) | Event::OverpaymentReceived(surplus) => received(surplus.amount),
        Event::LatePaymentRefunded(refund) | Event::OverpaymentRefunded(refund) => {
            RowChange { paid_minor: -refund.amount.minor, ..RowChange::default() }
        }
        Event::FulfilmentOpened(opened) => {
            RowChange { shipment_id: Some(Value::from(opened.shipment_id)), ..RowChange::default() }
        }
        Event::OrderShipped(shipped) => RowChange {
            shipment_id: Some(Value::from(shipped.shipment_id)),
            carrier: Some(cut(&shipped.carrier, 100)),
            tracking_number: Some(cut(&shipped.tracking_number, 100)),
            ..RowChange::default()
        },
        Event::OrderDelivered(_) | Event::ReceiptConfirmed(_) | Event::OrderCompleted(_) => {
            RowChange::default()
        }
    };
    store::update_order(tx, at, change)
}

fn received(amount: Money) -> RowChange {
    RowChange { paid_minor: amount.minor, ..RowChange::default() }
}

/// Columns have a length on MySQL; other contexts limit these texts themselves, and below this.
fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}
