//! What happened to an order's goods.

use std::collections::HashMap;

use merx_contracts::{
    common::v1::TimelineEntry,
    ids::{OrderId, ReservationId},
};
use merx_kernel::Result;
use merx_platform::DomainEvent as _;
use merx_sql::Reader;

use crate::{
    State,
    domain::{Movement, ReservationEvent},
    log::{Traced, reservation_stream},
    store::Warehouse,
};

/// The events of the order's reservation, in the order in which they happened.
///
/// # Errors
/// What the database answers.
pub async fn timeline(state: &State, order: OrderId) -> Result<Vec<TimelineEntry>> {
    let reservation: ReservationId = order.cast();
    let events = state.store.events.clone();
    let read = move |q: &mut Reader<'_>| events.load(q, reservation_stream(reservation));
    let recorded = state.db.read("inventory.timeline", read).await?;
    let warehouses = state.warehouses().await?;
    let mut entries = Vec::with_capacity(recorded.len());
    for event in recorded {
        let Traced { event: happened, trace_id } = Traced::decode(&event.name, event.schema, &event.body)?;
        entries.push(TimelineEntry {
            id: format!("{reservation}:{}", event.version),
            kind: "event".to_owned(),
            name: event.name,
            at: event.recorded_at.as_millis(),
            trace_id: trace_id.unwrap_or_default(),
            caused_by: String::new(),
            actor: String::new(),
            detail: detail(&happened, &warehouses),
        });
    }
    Ok(entries)
}

fn detail(event: &ReservationEvent, warehouses: &[Warehouse]) -> HashMap<String, String> {
    let mut detail = HashMap::new();
    let code = |movement: &Movement| {
        let found = warehouses.iter().find(|w| w.id == movement.warehouse);
        found.map_or_else(|| movement.warehouse.to_string(), |w| w.code.clone())
    };
    let line = |movement: &Movement| format!("{} {} ({})", movement.quantity, movement.sku, code(movement));
    let lines: Vec<String> = Movement::of_reservation(event).iter().map(line).collect();
    if !lines.is_empty() {
        detail.insert("lines".to_owned(), lines.join(", "));
    }
    if let ReservationEvent::StockReturned { return_id, reason, .. }
    | ReservationEvent::StockWrittenOff { return_id, reason, .. } = event
    {
        detail.insert("return_id".to_owned(), return_id.to_string());
        detail.insert("reason".to_owned(), reason.clone());
    }
    detail
}
