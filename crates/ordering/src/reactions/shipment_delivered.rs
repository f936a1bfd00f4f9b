//! The carrier handed the parcel over.

use merx_contracts::events::shipping::ShipmentDelivered;
use merx_kernel::Result;
use merx_platform::Delivery;

use super::change;
use crate::{context::Ordering, domain::Command};

pub(super) async fn handle(ordering: &Ordering, delivery: Delivery) -> Result<()> {
    let fact: ShipmentDelivered = delivery.fact()?;
    let command = Command::RecordDelivery(fact.shipment_id);
    change(ordering, "ordering.shipment_delivered", delivery, fact.order_id, command, |_, _| Ok(())).await
}
