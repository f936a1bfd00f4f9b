//! The read model of inventory, written by the commands in their own transactions, and rebuilt here from the
//! events alone: stock rows, reservations, movements. Both ways give the same rows.

use merx_contracts::ids::ReservationId;
use merx_kernel::{Error, Id, Result};
use merx_platform::{Aggregate as _, Projection};
use merx_sql::{RecordedEvent, Tx};

use crate::{
    domain::{Movement, Reservation, StockEvent},
    log::{InventoryEvent, Reservations},
    store,
};

/// The projection, for the auditor (A3) and `merx rebuild`.
pub fn projection() -> Projection {
    Projection {
        name: "inventory",
        tables: &["inventory_stock", "inventory_reservations", "inventory_movements"],
        apply,
    }
}

fn apply(tx: &mut Tx<'_>, recorded: &RecordedEvent) -> Result<()> {
    let (reference, movements) =
        match InventoryEvent::decode(&recorded.name, recorded.schema, &recorded.body)? {
            InventoryEvent::Reservation(event) => {
                let state = Reservations::evolve(Reservation::default(), &event);
                let id: ReservationId = recorded.stream.id();
                apply_reservation(tx, id, &state, recorded)?;
                (id.cast(), Movement::of_reservation(&event))
            }
            InventoryEvent::Stock(event) => {
                let (StockEvent::StockReceived(entry) | StockEvent::StockAdjusted(entry)) = &event;
                (entry.entry.cast(), vec![Movement::of_stock(&event)])
            }
        };
    apply_movements(tx, reference, &movements, recorded)
}

fn apply_reservation(
    tx: &mut Tx<'_>,
    id: ReservationId,
    state: &Reservation,
    recorded: &RecordedEvent,
) -> Result<()> {
    let done = if recorded.version == 1 {
        store::insert_reservation(tx, id, state.name(), recorded.recorded_at)?.is_new()
    } else {
        store::update_reservation(tx, id, recorded.version - 1, state.name(), recorded.recorded_at)?
    };
    if done { Ok(()) } else { Err(Error::internal(format!("events of {id} come twice or out of order"))) }
}

fn apply_movements(
    tx: &mut Tx<'_>,
    reference: Id<()>,
    movements: &[Movement],
    recorded: &RecordedEvent,
) -> Result<()> {
    for movement in movements {
        if !store::add_stock(tx, movement)? {
            let _ = store::insert_stock(tx, &movement.sku, movement.warehouse)?;
            store::add_stock(tx, movement)?;
        }
    }
    if movements.is_empty() {
        return Ok(());
    }
    store::insert_movements(tx, reference, movements, recorded.recorded_at)
}
