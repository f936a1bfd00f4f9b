//! Notes that the carrier handed a shipment over.

use merx_contracts::{
    Envelope,
    events::shipping::ShipmentDelivered,
    ids::{MessageId, ShipmentId},
};
use merx_kernel::{Result, Timestamp};
use merx_platform::{Store, trace};
use merx_sql::Tx;

use crate::{
    domain::{Shipment, ShipmentStatus, shipment::Verdict},
    queries, store,
};

/// Notes the hand-over inside the caller's transaction and publishes `shipping.delivered`; answers the shipment.
/// Again, nothing more happens.
///
/// # Errors
/// `shipping.shipment_not_found`, `shipping.not_dispatched`.
pub fn deliver(
    tx: &mut Tx<'_>,
    platform: &Store,
    id: ShipmentId,
    message: MessageId,
    at: Timestamp,
) -> Result<Shipment> {
    let shipment = queries::found(store::one(tx, id)?)?;
    if shipment.deliver()? == Verdict::Done {
        return Ok(shipment);
    }
    if !store::deliver(tx, id, at)? {
        return Err(merx_sql::contention("the shipment moved on while it was read"));
    }
    let fact = ShipmentDelivered { shipment_id: id, order_id: shipment.order };
    let envelope = Envelope::new(message, at, trace::current_traceparent(), &fact)?;
    platform.outbox.publish(tx, &[envelope])?;
    Ok(Shipment { status: ShipmentStatus::Delivered, delivered_at: Some(at), ..shipment })
}
