//! Hands a shipment to a carrier.

use merx_contracts::{
    Envelope,
    events::shipping::ShipmentDispatched,
    ids::{MessageId, ShipmentId},
};
use merx_kernel::{Result, Timestamp};
use merx_platform::{Store, trace};
use merx_sql::Tx;

use crate::{
    domain::{Dispatch, Shipment, ShipmentStatus, shipment::Verdict},
    queries, store,
};

/// Dispatches a shipment inside the caller's transaction and publishes `shipping.shipped`; answers the shipment.
/// Under the same carrier and number again, nothing more happens.
///
/// # Errors
/// `shipping.shipment_not_found`, `shipping.already_dispatched`.
pub fn dispatch(
    tx: &mut Tx<'_>,
    platform: &Store,
    id: ShipmentId,
    by: &Dispatch,
    message: MessageId,
    at: Timestamp,
) -> Result<Shipment> {
    let shipment = queries::found(store::one(tx, id)?)?;
    if shipment.dispatch(by)? == Verdict::Done {
        return Ok(shipment);
    }
    if !store::dispatch(tx, id, by, at)? {
        return Err(merx_sql::contention("the shipment moved on while it was read"));
    }
    let fact = ShipmentDispatched {
        shipment_id: id,
        order_id: shipment.order,
        carrier: by.carrier.as_str().to_owned(),
        tracking_number: by.tracking_number.as_str().to_owned(),
    };
    let envelope = Envelope::new(message, at, trace::current_traceparent(), &fact)?;
    platform.outbox.publish(tx, &[envelope])?;
    Ok(Shipment {
        status: ShipmentStatus::Dispatched,
        dispatch: Some(by.clone()),
        dispatched_at: Some(at),
        ..shipment
    })
}
