//! The carrier or the number that was told of a parcel was wrong.

use merx_contracts::events::shipping::ShipmentCorrected;
use merx_kernel::Result;
use merx_platform::Delivery;

use super::{change, pass};
use crate::{context::Ordering, domain::Command};

pub(super) async fn handle(ordering: &Ordering, delivery: Delivery) -> Result<()> {
    let ShipmentCorrected { shipment_id, order_id, case_id, carrier, tracking_number } = delivery.fact()?;
    if case_id.is_some() {
        return pass(ordering, delivery).await;
    }
    let command = Command::RecordCorrection { shipment_id, carrier, tracking_number };
    let label = "ordering.shipment_corrected";
    change(ordering, label, delivery, order_id, command, |_, _, _| Ok(())).await.map(drop)
}
