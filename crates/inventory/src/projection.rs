//! The read model of inventory, written by the commands in their own transactions, and rebuilt here from the
//! events alone: stock rows, reservations, movements, transfers, counts. Both ways give the same rows.

use merx_contracts::ids::{ReservationId, StockCountId, TransferId};
use merx_kernel::{Error, Result};
use merx_platform::{Aggregate as _, Projection};
use merx_sql::{RecordedEvent, Tx};

use crate::{
    commands::settle::effect_of,
    domain::{
        Count, CountEvent, Movement, Reservation, StockEvent, Transfer, TransferEvent, count, transfer,
    },
    log::{InventoryEvent, Reservations, Traced},
    store::{self, Effect},
};

/// The projection, for the auditor (A3) and `merx rebuild`.
pub fn projection() -> Projection {
    Projection {
        name: "inventory",
        tables: &[
            "inventory_stock",
            "inventory_reservations",
            "inventory_movements",
            "inventory_transfers",
            "inventory_transfer_lines",
            "inventory_counts",
            "inventory_count_lines",
        ],
        apply,
    }
}

fn apply(tx: &mut Tx<'_>, recorded: &RecordedEvent) -> Result<()> {
    let at = recorded.recorded_at;
    match InventoryEvent::decode(&recorded.name, recorded.schema, &recorded.body)? {
        InventoryEvent::Reservation(traced) => {
            let id: ReservationId = recorded.stream.id();
            apply_reservation(tx, id, &traced, recorded)?;
            let effect = effect_of(&traced.event, id, at);
            apply_movements(tx, effect, &Movement::of_reservation(&traced.event))
        }
        InventoryEvent::Stock(event) => apply_stock(tx, &event, recorded),
        InventoryEvent::Transfer(event) => {
            let id: TransferId = recorded.stream.id();
            apply_transfer(tx, id, &event, recorded)?;
            apply_movements(tx, Effect::of_staff(id, at), &Movement::of_transfer(&event))
        }
        InventoryEvent::Count(event) => {
            let id: StockCountId = recorded.stream.id();
            apply_count(tx, id, &event, recorded)?;
            apply_movements(tx, Effect::of_staff(id, at), &Movement::of_count(&event))
        }
    }
}

fn in_order(done: bool, recorded: &RecordedEvent) -> Result<()> {
    if done {
        return Ok(());
    }
    let text = format!("events of stream {:032x} come twice or out of order", recorded.stream.0);
    Err(Error::internal(text))
}

fn apply_reservation(
    tx: &mut Tx<'_>,
    id: ReservationId,
    traced: &Traced,
    recorded: &RecordedEvent,
) -> Result<()> {
    let state = Reservations::evolve(Reservation::default(), traced);
    let done = if recorded.version == 1 {
        store::insert_reservation(tx, id, state.name(), recorded.recorded_at)?.is_new()
    } else {
        store::update_reservation(tx, id, recorded.version - 1, state.name(), recorded.recorded_at)?
    };
    in_order(done, recorded)
}

fn apply_stock(tx: &mut Tx<'_>, event: &StockEvent, recorded: &RecordedEvent) -> Result<()> {
    match event {
        StockEvent::StockReceived(entry) | StockEvent::StockAdjusted(entry, _) => {
            let effect = Effect::of_staff(entry.entry, recorded.recorded_at);
            apply_movements(tx, effect, Movement::of_stock(event).as_slice())
        }
        StockEvent::ThresholdSet { sku, warehouse, threshold, .. } => {
            if !store::set_threshold(tx, sku, *warehouse, *threshold)? {
                let _ = store::insert_stock(tx, sku, *warehouse)?;
                store::set_threshold(tx, sku, *warehouse, *threshold)?;
            }
            Ok(())
        }
    }
}

fn apply_transfer(
    tx: &mut Tx<'_>,
    id: TransferId,
    event: &TransferEvent,
    recorded: &RecordedEvent,
) -> Result<()> {
    let (at, status) = (recorded.recorded_at, transfer::evolve(Transfer::default(), event).name());
    let done = match event {
        TransferEvent::TransferSent { from, to, lines, reason, .. } => {
            store::insert_transfer(tx, id, (*from, *to), lines, reason, at)?.is_new()
        }
        TransferEvent::TransferReceived { lines, .. } => {
            store::arrive(tx, id, lines)?;
            store::end_transfer(tx, id, status, at)?
        }
        TransferEvent::TransferRecalled { .. } => store::end_transfer(tx, id, status, at)?,
    };
    in_order(done, recorded)
}

fn apply_count(
    tx: &mut Tx<'_>,
    id: StockCountId,
    event: &CountEvent,
    recorded: &RecordedEvent,
) -> Result<()> {
    let (at, status) = (recorded.recorded_at, count::evolve(Count::default(), event).name());
    let done = match event {
        CountEvent::CountOpened { warehouse, skus, reason, .. } => {
            store::insert_count(tx, id, *warehouse, skus, reason, at)?.is_new()
        }
        CountEvent::CountEntered { sku, counted, expected, .. } => {
            store::enter_figure(tx, id, sku, (*counted, *expected), at)?
        }
        CountEvent::CountClosed { lines, .. } => {
            store::post_difference(tx, id, lines)?;
            store::end_count(tx, id, status, at)?
        }
        CountEvent::CountAbandoned { .. } => store::end_count(tx, id, status, at)?,
    };
    in_order(done, recorded)
}

fn apply_movements(tx: &mut Tx<'_>, effect: Effect, movements: &[Movement]) -> Result<()> {
    for movement in movements {
        if !store::add_stock(tx, movement)? {
            let _ = store::insert_stock(tx, &movement.sku, movement.warehouse)?;
            store::add_stock(tx, movement)?;
        }
    }
    if movements.is_empty() {
        return Ok(());
    }
    store::insert_movements(tx, effect, movements)
}
