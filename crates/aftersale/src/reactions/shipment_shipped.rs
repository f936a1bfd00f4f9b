//! A parcel left a warehouse: perhaps a replacement.

use merx_contracts::events::shipping::ShipmentDispatchedV2;
use merx_kernel::Result;
use merx_platform::Delivery;

use super::change;
use crate::{AfterSale, domain::Command, store::cases};

pub(super) async fn handle(own: AfterSale, delivery: Delivery) -> Result<()> {
    let ShipmentDispatchedV2 { shipment_id, .. } = delivery.fact()?;
    // The shipments of a case are written before shipping is asked for them.
    let found = own.state.db.read("aftersale.shipment", move |q| cases::of_shipment(q, shipment_id)).await?;
    let Some((order_id, case_id)) = found else { return Ok(()) };
    let command = Command::RecordDispatch { shipment_id };
    change(&own, "aftersale.shipment_shipped", delivery, order_id, vec![case_id], command).await
}
