//! What happened to the goods of an order, for the order's timeline. No personal data: the words of carriers stay here.

use std::collections::HashMap;

use merx_contracts::{
    Fact as _,
    common::v1::TimelineEntry,
    events::shipping::{ShipmentCorrected, ShipmentDelivered, ShipmentDispatchedV2, ShipmentReturned},
    ids::{AccountId, OrderId, ShipmentId},
};
use merx_kernel::{Result, Timestamp};
use merx_sql::Query;

use crate::{
    domain::{Change, Entry, HoldStatus, Shipment},
    store::{
        gates::{self, Hold},
        history::{self, Tracked},
        shipments,
    },
};

/// The entries of an order, oldest first.
///
/// # Errors
/// What the database answers.
pub fn of_order(q: &mut impl Query, order: OrderId) -> Result<Vec<TimelineEntry>> {
    let mut entries = Vec::new();
    for hold in gates::holds_of(q, order)? {
        of_hold(&mut entries, &hold);
    }
    for shipment in shipments::of_order(q, order)? {
        for entry in history::of(q, shipment.id)? {
            of_change(&mut entries, &shipment, entry);
        }
        for tracked in history::tracked(q, shipment.id)? {
            entries.push(of_tracked(shipment.id, tracked));
        }
    }
    // Stable: what happened at one moment stays in the order it was made in.
    entries.sort_by_key(|entry| entry.at);
    Ok(entries)
}

fn entry(id: String, kind: &str, name: &str, at: Timestamp) -> TimelineEntry {
    TimelineEntry {
        id,
        kind: kind.to_owned(),
        name: name.to_owned(),
        at: at.as_millis(),
        ..TimelineEntry::default()
    }
}

fn actor(account: Option<AccountId>) -> String {
    account.map(|a| a.to_string()).unwrap_or_default()
}

fn of_change(entries: &mut Vec<TimelineEntry>, shipment: &Shipment, change: Entry) {
    let mut detail = HashMap::from([("shipment_id".to_owned(), shipment.id.to_string())]);
    let mut tell = |name: &str, value: String| drop(detail.insert(name.to_owned(), value));
    match &change.change {
        Change::Opened { split_from } => {
            if let Some(from) = split_from {
                tell("split_from_id", from.to_string());
            }
            if let Some(case) = shipment.case {
                tell("case_id", case.to_string());
            }
            if let Some(warehouse) = shipment.warehouse {
                tell("warehouse_id", warehouse.to_string());
            }
        }
        Change::Split { into, .. } => tell("into_id", into.to_string()),
        Change::Dispatched { by: Some(by) } => {
            tell("carrier", by.carrier.as_str().to_owned());
            tell("tracking_number", by.tracking_number.as_str().to_owned());
        }
        Change::Corrected { after, .. } => {
            tell("carrier", after.carrier.as_str().to_owned());
            tell("tracking_number", after.tracking_number.as_str().to_owned());
        }
        Change::Dispatched { by: None } | Change::Delivered | Change::Returned | Change::Cancelled => {}
    }
    let id = format!("{}/{}", shipment.id, change.version);
    let trace_id = change.trace_id.unwrap_or_default();
    let event = TimelineEntry {
        trace_id: trace_id.clone(),
        actor: actor(change.actor),
        detail,
        ..entry(id.clone(), "event", change.change.name(), change.recorded_at)
    };
    entries.push(event);
    let kind = match change.change {
        Change::Dispatched { .. } => ShipmentDispatchedV2::TYPE,
        Change::Delivered => ShipmentDelivered::TYPE,
        Change::Returned => ShipmentReturned::TYPE,
        Change::Corrected { .. } => ShipmentCorrected::TYPE,
        _ => return,
    };
    if let Some(message) = change.message {
        entries.push(TimelineEntry {
            trace_id,
            caused_by: id,
            ..entry(message.to_string(), "message", kind, change.recorded_at)
        });
    }
}

fn of_tracked(shipment: ShipmentId, tracked: Tracked) -> TimelineEntry {
    let event = tracked.event;
    let id = format!("{shipment}/{}@{}", event.code.name(), event.at.as_millis());
    let detail = [("shipment_id", shipment.to_string()), ("recorded_at", event.recorded_at.to_string())];
    TimelineEntry {
        trace_id: tracked.trace_id.unwrap_or_default(),
        actor: actor(tracked.actor),
        detail: detail.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..entry(id, "tracking", event.code.name(), event.at)
    }
}

fn of_hold(entries: &mut Vec<TimelineEntry>, hold: &Hold) {
    let began = format!("{}/held", hold.id);
    if let Some((at, trace)) = &hold.held {
        let held = entry(began.clone(), "event", "OrderHeld", *at);
        entries.push(TimelineEntry { trace_id: trace.clone().unwrap_or_default(), ..held });
    }
    let Some((at, trace)) = &hold.ended else { return };
    let name =
        if hold.status == HoldStatus::Cancelled { "OrderShipmentsCancelled" } else { "OrderHoldLifted" };
    entries.push(TimelineEntry {
        trace_id: trace.clone().unwrap_or_default(),
        caused_by: hold.held.as_ref().map(|_| began).unwrap_or_default(),
        ..entry(format!("{}/{}", hold.id, hold.status.name()), "event", name, *at)
    });
}
