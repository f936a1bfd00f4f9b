//! A parcel came back: perhaps a replacement, and then the buyer has neither the goods nor their money.

use merx_contracts::events::shipping::ShipmentReturned;
use merx_kernel::Result;
use merx_platform::Delivery;

use crate::AfterSale;

pub(super) async fn handle(own: AfterSale, delivery: Delivery) -> Result<()> {
    let ShipmentReturned { shipment_id, order_id, case_id } = delivery.fact()?;
    let Some(case_id) = case_id else { return Ok(()) };
    if own.state.db.write("aftersale.shipment_returned", move |tx| delivery.first_time(tx)).await? {
        own.state.metrics.alert("aftersale_replacement_returned");
        tracing::error!(%order_id, %case_id, %shipment_id, "a replacement came back; somebody must ask its buyer");
    }
    Ok(())
}
