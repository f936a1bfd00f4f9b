//! The carrier handed a parcel over. After the last one the buyer has so much time to say that it is not so.

use merx_contracts::events::shipping::ShipmentDelivered;
use merx_kernel::Result;
use merx_platform::{Delivery, store::TimerId};

use super::{change, pass, receipt_due};
use crate::{
    context::Ordering,
    domain::{Command, Event},
};

pub(super) async fn handle(ordering: &Ordering, delivery: Delivery) -> Result<()> {
    let ShipmentDelivered { shipment_id, order_id, case_id } = delivery.fact()?;
    if case_id.is_some() {
        return pass(ordering, delivery).await;
    }
    let command = Command::RecordDelivery(shipment_id);
    let (timers, window) = (ordering.tools.store.timers, ordering.tools.settings.receipt_window());
    let label = "ordering.shipment_delivered";
    change(ordering, label, delivery, order_id, command, move |tx, changed, now| {
        match changed.events.first() {
            Some(Event::OrderDelivered(delivered)) if delivered.complete && !changed.order.has_returns() => {
                timers.schedule(tx, TimerId::of(receipt_due::KIND, order_id), now.plus(window))
            }
            _ => Ok(()),
        }
    })
    .await
    .map(drop)
}
