//! A parcel came back: perhaps a replacement, and then the buyer has neither the goods nor their money.

use merx_contracts::events::shipping::ShipmentReturned;
use merx_kernel::Result;
use merx_platform::Delivery;

use super::change;
use crate::{AfterSale, domain::Command};

pub(super) async fn handle(own: AfterSale, delivery: Delivery) -> Result<()> {
    let ShipmentReturned { shipment_id, order_id, case_id } = delivery.fact()?;
    let Some(case_id) = case_id else { return Ok(()) };
    let command = Command::RecordReturn { shipment_id };
    if change(&own, "aftersale.shipment_returned", delivery, order_id, vec![case_id], command).await? {
        own.state.metrics.alert("aftersale_replacement_returned");
        tracing::error!(%order_id, %case_id, %shipment_id, "a replacement came back; somebody must ask its buyer");
    }
    Ok(())
}
