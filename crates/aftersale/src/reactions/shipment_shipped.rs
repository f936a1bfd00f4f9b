//! A parcel left a warehouse: perhaps a replacement.

use merx_contracts::events::shipping::ShipmentDispatchedV2;
use merx_kernel::Result;
use merx_platform::Delivery;

use super::change;
use crate::{
    AfterSale,
    domain::{Command, UnitLine},
};

pub(super) async fn handle(own: AfterSale, delivery: Delivery) -> Result<()> {
    let ShipmentDispatchedV2 { shipment_id, order_id, case_id, lines, .. } = delivery.fact()?;
    let Some(case_id) = case_id else { return Ok(()) };
    let lines = lines.into_iter().map(|line| UnitLine { sku: line.sku, quantity: line.quantity }).collect();
    let command = Command::RecordDispatch { shipment_id, lines };
    change(&own, "aftersale.shipment_shipped", delivery, order_id, vec![case_id], command).await.map(drop)
}
