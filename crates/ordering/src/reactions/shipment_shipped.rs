//! The parcel left the warehouse.

use merx_contracts::{Fact, events::shipping::ShipmentDispatched};
use merx_platform::{Delivery, Subscription};

use crate::{
    context::Ordering,
    domain::{Command, OrderShipped},
};

/// The subscription.
pub fn subscription(ordering: Ordering) -> Subscription {
    let store = ordering.tools.store.clone();
    Subscription::new(
        "ordering.shipment_shipped",
        store,
        &[ShipmentDispatched::TYPE],
        move |delivery: Delivery| {
            let ordering = ordering.clone();
            async move {
                let fact: ShipmentDispatched = delivery.fact()?;
                let command = Command::RecordShipment(OrderShipped {
                    shipment_id: fact.shipment_id,
                    carrier: fact.carrier,
                    tracking_number: fact.tracking_number,
                });
                super::record(&ordering, "ordering.shipment_shipped", delivery, fact.order_id, command).await
            }
        },
    )
}
