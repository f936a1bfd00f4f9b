//! The carrier handed the parcel over.

use merx_contracts::{Fact, events::shipping::ShipmentDelivered};
use merx_platform::{Delivery, Subscription};

use crate::{context::Ordering, domain::Command};

/// The subscription.
pub fn subscription(ordering: Ordering) -> Subscription {
    let store = ordering.tools.store.clone();
    Subscription::new(
        "ordering.shipment_delivered",
        store,
        &[ShipmentDelivered::TYPE],
        move |delivery: Delivery| {
            let ordering = ordering.clone();
            async move {
                let fact: ShipmentDelivered = delivery.fact()?;
                let command = Command::RecordDelivery(fact.shipment_id);
                super::record(&ordering, "ordering.shipment_delivered", delivery, fact.order_id, command)
                    .await
            }
        },
    )
}
