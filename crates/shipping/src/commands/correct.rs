//! Sets the carrier or the number of a dispatched shipment right.

use merx_contracts::{events::shipping::ShipmentCorrected, ids::ShipmentId};
use merx_kernel::Result;
use merx_platform::Store;
use merx_sql::Tx;
use serde_json::json;

use super::{Act, moved_on, taken};
use crate::{
    domain::{Change, Dispatch, Shipment},
    store::{history, shipments},
};

/// Corrects a shipment inside the caller's transaction and publishes `shipping.corrected`, for the wrong number was told;
/// answers the shipment. What is true already is no change.
///
/// # Errors
/// `shipping.shipment_not_found`, `shipping.not_dispatched`, `shipping.order_cancelled`.
pub fn correct(
    tx: &mut Tx<'_>,
    platform: &Store,
    id: ShipmentId,
    after: &Dispatch,
    reason: &str,
    act: &Act,
) -> Result<Shipment> {
    let (_, shipment, act) = taken(tx, id, act)?;
    let Some(before) = shipment.correct(after)? else {
        return Ok(shipment);
    };
    if !shipments::correct(tx, &shipment, after)? {
        return Err(moved_on());
    }
    let detail = json!({"order_id": shipment.order, "before": before, "after": after});
    let change = Change::Corrected { before, after: after.clone() };
    history::append(tx, &[act.entry(&shipment, Some(act.fact), change)])?;
    let fact = ShipmentCorrected {
        shipment_id: id,
        order_id: shipment.order,
        case_id: shipment.case,
        carrier: after.carrier.as_str().to_owned(),
        tracking_number: after.tracking_number.as_str().to_owned(),
    };
    // The reason goes to the record of what staff did only: people write names into it.
    let told = act.tell("corrected", id, Some(reason), detail)?;
    platform.outbox.publish(tx, &[act.wrap(&fact)?, told])?;
    Ok(Shipment { dispatch: Some(after.clone()), version: shipment.version + 1, ..shipment })
}
