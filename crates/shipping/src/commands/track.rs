//! Notes what a carrier tells of a parcel.

use merx_contracts::{
    Envelope,
    events::shipping::{ShipmentDelivered, ShipmentReturned},
    ids::ShipmentId,
};
use merx_kernel::{Error, Result};
use merx_platform::Store;
use merx_sql::Tx;
use serde_json::json;

use super::{Act, moved_on, taken};
use crate::{
    domain::{
        Change, Shipment, ShipmentStatus, TrackingCode, TrackingEvent, TrackingReport, Verdict,
        tracking::{EVENTS_MAX, LAST_EVENTS_MAX},
    },
    store::{history, shipments},
};

/// Keeps a report inside the caller's transaction; answers the shipment and the report as it is kept. The first that
/// says `delivered` publishes `shipping.delivered`, the first that says `returned` publishes `shipping.returned`. The
/// same code and time again changes nothing.
///
/// # Errors
/// `shipping.shipment_not_found`, `shipping.not_dispatched`, `shipping.order_cancelled`, `shipping.tracking_limit`;
/// `Invalid` for an impossible time.
pub fn track(
    tx: &mut Tx<'_>,
    platform: &Store,
    id: ShipmentId,
    report: &TrackingReport,
    act: &Act,
) -> Result<(Shipment, TrackingEvent)> {
    let (_, shipment, act) = taken(tx, id, act)?;
    if let Some(before) = history::tracked_one(tx, id, report)? {
        return Ok((shipment, before));
    }
    report.check(&shipment, act.at)?;
    keep(tx, platform, shipment, report, &act)
}

/// Notes inside the caller's transaction that a shipment was handed over just now; answers the shipment. Again, nothing
/// more happens.
///
/// # Errors
/// `shipping.shipment_not_found`, `shipping.not_dispatched`, `shipping.already_returned`, `shipping.order_cancelled`.
pub fn deliver(tx: &mut Tx<'_>, platform: &Store, id: ShipmentId, act: &Act) -> Result<Shipment> {
    let (_, shipment, act) = taken(tx, id, act)?;
    if shipment.deliver()? == Verdict::Done {
        return Ok(shipment);
    }
    let report = TrackingReport { code: TrackingCode::Delivered, at: act.at, place: None, text: None };
    keep(tx, platform, shipment, &report, &act).map(|(shipment, _)| shipment)
}

fn keep(
    tx: &mut Tx<'_>,
    platform: &Store,
    shipment: Shipment,
    report: &TrackingReport,
    act: &Act,
) -> Result<(Shipment, TrackingEvent)> {
    let (id, order, next) = (shipment.id, shipment.order, report.leads_to(shipment.status));
    if !history::count(tx, id, EVENTS_MAX + if next.is_some() { LAST_EVENTS_MAX } else { 0 })? {
        let detail = format!("A shipment has at most {EVENTS_MAX} tracking events.");
        return Err(Error::rejected("shipping.tracking_limit", detail));
    }
    let mut event = report.heard(act.at);
    if event.has_words() && history::is_erased(tx, shipment.account)? {
        event = TrackingEvent { place: None, text: None, ..event };
    }
    let trace_id = act.trace.map(|t| t.trace_id());
    if !history::track(tx, id, &event, act.actor, trace_id.as_deref())?.is_new() {
        return Err(moved_on());
    }
    // The words stay here: somebody may have written a name into them.
    let detail = json!({"order_id": order, "code": report.code, "at": report.at});
    let told = act.tell("tracked", id, None, detail)?;
    let (shipment, facts) = match next {
        Some(next) => {
            let (shipment, fact) = advance(tx, shipment, next, report, act)?;
            (shipment, vec![fact, told])
        }
        None => (shipment, vec![told]),
    };
    platform.outbox.publish(tx, &facts)?;
    Ok((shipment, event))
}

/// Delivers the shipment or brings it back; answers it with the fact that tells of it.
fn advance(
    tx: &mut Tx<'_>,
    shipment: Shipment,
    next: ShipmentStatus,
    report: &TrackingReport,
    act: &Act,
) -> Result<(Shipment, Envelope)> {
    let (shipment_id, order_id, case_id) = (shipment.id, shipment.order, shipment.case);
    let mut after = Shipment { status: next, version: shipment.version + 1, ..shipment.clone() };
    let (done, change, fact) = if next == ShipmentStatus::Returned {
        after.returned_at = Some(report.at);
        let fact = act.wrap(&ShipmentReturned { shipment_id, order_id, case_id })?;
        (shipments::bring_back(tx, &shipment, report.at)?, Change::Returned, fact)
    } else {
        after.delivered_at = Some(report.at);
        let fact = act.wrap(&ShipmentDelivered { shipment_id, order_id, case_id })?;
        (shipments::deliver(tx, &shipment, report.at)?, Change::Delivered, fact)
    };
    if !done {
        return Err(moved_on());
    }
    history::append(tx, &[act.entry(&shipment, Some(act.fact), change)])?;
    Ok((after, fact))
}
