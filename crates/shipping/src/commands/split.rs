//! Sends part of a shipment apart.

use merx_contracts::ids::ShipmentId;
use merx_kernel::{Error, Result};
use merx_platform::Store;
use merx_sql::Tx;
use serde_json::json;

use super::{Act, moved_on, taken};
use crate::{
    domain::{Change, Entry, Record, Shipment, ShipmentLine, ShipmentStatus, shipment::SHIPMENTS_MAX},
    queries,
    store::{history, shipments},
};

/// Takes `go` out of an open shipment into a new one under `into`, inside the caller's transaction. Answers what stays
/// and what goes.
///
/// # Errors
/// `shipping.shipment_not_found`, `shipping.already_dispatched`, `shipping.order_held`, `shipping.order_cancelled`,
/// `shipping.split_exceeds`, `shipping.split_takes_all`, `shipping.shipment_limit`.
pub fn split(
    tx: &mut Tx<'_>,
    platform: &Store,
    id: ShipmentId,
    go: &[ShipmentLine],
    into: ShipmentId,
    act: &Act,
) -> Result<[Record; 2]> {
    let (gate, shipment, act) = taken(tx, id, act)?;
    let parts = shipment.split(&shipments::lines(tx, id)?, go)?;
    gate.pass()?;
    if shipments::count(tx, shipment.order)?.0 >= SHIPMENTS_MAX {
        let detail = format!("An order has at most {SHIPMENTS_MAX} shipments.");
        return Err(Error::rejected("shipping.shipment_limit", detail));
    }
    if !shipments::take(tx, &shipment, &parts.go)? {
        return Err(moved_on());
    }
    let other = Shipment {
        id: into,
        split_from: Some(id),
        status: ShipmentStatus::Open,
        opened_at: act.at,
        version: 1,
        ..shipment.clone()
    };
    if !shipments::insert(tx, &other)?.is_new() {
        return Err(Error::internal(format!("a shipment {into} exists already")));
    }
    shipments::insert_lines(tx, into, &parts.go)?;
    let parted = act.entry(&shipment, None, Change::Split { into, lines: parts.go.clone() });
    let mut opened = act.entry(&other, None, Change::Opened { split_from: Some(id) });
    opened.1 = Entry { version: other.version, ..opened.1 };
    history::append(tx, &[parted, opened])?;
    let detail = json!({"order_id": shipment.order, "into": into, "stay": parts.stay, "go": parts.go});
    platform.outbox.publish(tx, &[act.tell("split", id, None, detail)?])?;
    let stays = queries::record(tx, Shipment { version: shipment.version + 1, ..shipment })?;
    Ok([stays, queries::record(tx, other)?])
}
