//! The parcel left the warehouse. From now on the buyer has so much time to say that it arrived.

use merx_contracts::events::shipping::ShipmentDispatched;
use merx_kernel::Result;
use merx_platform::{Delivery, store::TimerId};

use super::{change, receipt_due};
use crate::{
    context::Ordering,
    domain::{Command, OrderShipped},
};

pub(super) async fn handle(ordering: &Ordering, delivery: Delivery) -> Result<()> {
    let fact: ShipmentDispatched = delivery.fact()?;
    let command = Command::RecordShipment(OrderShipped {
        shipment_id: fact.shipment_id,
        carrier: fact.carrier,
        tracking_number: fact.tracking_number,
    });
    let (timers, window) = (ordering.tools.store.timers, ordering.tools.settings.receipt_window());
    change(ordering, "ordering.shipment_shipped", delivery, fact.order_id, command, move |tx, now| {
        timers.schedule(tx, TimerId::of(receipt_due::KIND, fact.order_id), now.plus(window))
    })
    .await
}
