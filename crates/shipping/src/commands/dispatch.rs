//! Hands a shipment to a carrier.

use merx_contracts::{
    events::{ordering::Line, shipping::ShipmentDispatchedV2},
    ids::ShipmentId,
};
use merx_kernel::Result;
use merx_platform::Store;
use merx_sql::Tx;
use serde_json::json;

use super::{Act, moved_on, taken};
use crate::{
    domain::{Change, Dispatch, Shipment, ShipmentStatus, Verdict},
    store::{history, shipments},
};

/// Dispatches a shipment inside the caller's transaction and publishes `shipping.shipped`; answers the shipment.
/// Under the same carrier and number again, nothing more happens.
///
/// # Errors
/// `shipping.shipment_not_found`, `shipping.already_dispatched`, `shipping.order_held`, `shipping.order_cancelled`.
pub fn dispatch(
    tx: &mut Tx<'_>,
    platform: &Store,
    id: ShipmentId,
    by: &Dispatch,
    act: &Act,
) -> Result<Shipment> {
    let (gate, shipment, act) = taken(tx, id, act)?;
    if shipment.dispatch(by)? == Verdict::Done {
        return Ok(shipment);
    }
    gate.pass()?;
    let lines = shipments::lines(tx, id)?;
    if !shipments::dispatch(tx, &shipment, by, act.at)? {
        return Err(moved_on());
    }
    let change = Change::Dispatched { by: Some(by.clone()) };
    history::append(tx, &[act.entry(&shipment, Some(act.fact), change)])?;
    let fact = ShipmentDispatchedV2 {
        shipment_id: id,
        order_id: shipment.order,
        case_id: shipment.case,
        carrier: by.carrier.as_str().to_owned(),
        tracking_number: by.tracking_number.as_str().to_owned(),
        lines: lines.into_iter().map(|l| Line { sku: l.sku, quantity: l.quantity }).collect(),
    };
    let told = act.tell("dispatched", id, None, json!({"order_id": shipment.order, "after": by}))?;
    platform.outbox.publish(tx, &[act.wrap(&fact)?, told])?;
    Ok(Shipment {
        status: ShipmentStatus::Dispatched,
        dispatch: Some(by.clone()),
        dispatched_at: Some(act.at),
        version: shipment.version + 1,
        ..shipment
    })
}
