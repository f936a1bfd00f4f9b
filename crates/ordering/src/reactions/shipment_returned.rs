//! A parcel came back. Silence means nothing any more: the order waits for the buyer or for a person of the shop.

use merx_contracts::events::shipping::ShipmentReturned;
use merx_kernel::Result;
use merx_platform::{Delivery, store::TimerId};

use super::{change, pass, receipt_due};
use crate::{context::Ordering, domain::Command};

pub(super) async fn handle(ordering: &Ordering, delivery: Delivery) -> Result<()> {
    let ShipmentReturned { shipment_id, order_id, case_id } = delivery.fact()?;
    if case_id.is_some() {
        return pass(ordering, delivery).await;
    }
    let (timers, command) = (ordering.tools.store.timers, Command::RecordReturn(shipment_id));
    let label = "ordering.shipment_returned";
    let happened = change(ordering, label, delivery, order_id, command, move |tx, _, _| {
        timers.cancel(tx, TimerId::of(receipt_due::KIND, order_id))
    })
    .await?;
    if happened {
        ordering.tools.metrics.alert("order_parcel_returned");
        tracing::error!(%order_id, %shipment_id, "a parcel came back; somebody must settle its order");
    }
    Ok(())
}
