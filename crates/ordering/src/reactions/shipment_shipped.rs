//! A parcel left the warehouse. Once all have, the order counts as received after a long time even if the carrier never
//! says that they arrived.

use merx_contracts::{
    Fact as _,
    events::shipping::{ShipmentDispatched, ShipmentDispatchedV2},
    ids::OrderId,
};
use merx_kernel::{Error, Result};
use merx_platform::{Delivery, store::TimerId};

use super::{change, pass, receipt_due};
use crate::{
    context::Ordering,
    domain::{Command, Event, PackedLine, Rejection, Shipment},
};

pub(super) async fn handle(ordering: &Ordering, delivery: Delivery) -> Result<()> {
    let Some((order_id, shipment)) = told(&delivery)? else { return pass(ordering, delivery).await };
    let shipment_id = shipment.shipment_id;
    let command = Command::RecordShipment(shipment);
    let (timers, window) = (ordering.tools.store.timers, ordering.tools.settings.undelivered_window());
    let label = "ordering.shipment_shipped";
    let done = change(ordering, label, delivery, order_id, command, move |tx, changed, now| {
        match changed.events.first() {
            Some(Event::OrderShipped(shipped)) if shipped.complete && !changed.order.has_returns() => {
                timers.schedule(tx, TimerId::of(receipt_due::KIND, order_id), now.plus(window))
            }
            _ => Ok(()),
        }
    })
    .await;
    // What left cannot be refused: the message becomes a dead letter, and a person finds out how it came to that.
    done.map(drop).inspect_err(|error| {
        if is_wrong(error) {
            ordering.tools.metrics.alert("order_shipment_unexpected");
            tracing::error!(%order_id, %shipment_id, code = error.code(), "a shipment left that the order does not expect");
        }
    })
}

fn is_wrong(error: &Error) -> bool {
    [Rejection::ShippedTooMuch, Rejection::OrderEnded].iter().any(|wrong| error.is(wrong.code()))
}

/// Its order and the parcel; nothing for goods that are sent again.
fn told(delivery: &Delivery) -> Result<Option<(OrderId, Shipment)>> {
    if delivery.envelope().kind == ShipmentDispatched::TYPE {
        let ShipmentDispatched { shipment_id, order_id, carrier, tracking_number } = delivery.fact()?;
        return Ok(Some((order_id, Shipment { shipment_id, carrier, tracking_number, lines: Vec::new() })));
    }
    let ShipmentDispatchedV2 { shipment_id, order_id, case_id, carrier, tracking_number, lines } =
        delivery.fact()?;
    if case_id.is_some() {
        return Ok(None);
    }
    let lines = lines.into_iter().map(|line| PackedLine { sku: line.sku, quantity: line.quantity }).collect();
    Ok(Some((order_id, Shipment { shipment_id, carrier, tracking_number, lines })))
}
