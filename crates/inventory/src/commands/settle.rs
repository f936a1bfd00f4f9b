//! Ends a reservation: lets it go, or turns it into a sale.

use std::collections::BTreeMap;

use merx_contracts::ids::ReservationId;
use merx_kernel::{Error, Result, Timestamp};
use merx_platform::{Store, aggregate};
use merx_sql::Tx;

use crate::{
    State,
    domain::{Movement, Reservation, ReservationCommand, reservation},
    log::{Reservations, reservation_stream},
    store,
};

/// Lets a reservation go. Before its reserve it leaves a tombstone; again, nothing more happens.
///
/// # Errors
/// `inventory.reservation_sold`.
pub async fn release(state: &State, reservation: ReservationId) -> Result<()> {
    let (store, at) = (state.store.clone(), state.clock.now());
    let settle = move |tx: &mut Tx<'_>| run(tx, &store, reservation, &ReservationCommand::Release, at);
    state.db.write("inventory.release", settle).await
}

/// Turns a reservation into a sale; again, nothing more happens.
///
/// # Errors
/// `inventory.reservation_released`, `inventory.reservation_unknown`.
pub async fn sell(state: &State, reservation: ReservationId) -> Result<()> {
    let (store, at) = (state.store.clone(), state.clock.now());
    let settle = move |tx: &mut Tx<'_>| run(tx, &store, reservation, &ReservationCommand::Sell, at);
    state.db.write("inventory.sell", settle).await
}

fn run(
    tx: &mut Tx<'_>,
    store: &Store,
    id: ReservationId,
    command: &ReservationCommand,
    at: Timestamp,
) -> Result<()> {
    let stream = reservation_stream(id);
    let loaded = aggregate::load::<Reservations>(&store.events, tx, stream)?;
    let Some(event) = reservation::decide(&loaded.state, command, &BTreeMap::new())? else { return Ok(()) };
    // The reservation's row comes first, as in `reserve`: whoever has it goes on to the stock rows by SKU.
    let status = reservation::evolve(Reservation::default(), &event);
    let moved = if loaded.exists() {
        store::update_reservation(tx, id, loaded.version, status.name(), at)?
    } else {
        store::insert_reservation(tx, id, status.name(), at)?.is_new()
    };
    if !moved {
        return Err(merx_sql::contention("the reservation moved on while it was read"));
    }
    let movements = Movement::of_reservation(&event);
    for movement in &movements {
        if !store::change_stock(tx, movement)? {
            return Err(Error::internal(format!(
                "stock of {} does not hold what {id} reserved",
                movement.sku
            )));
        }
    }
    if !movements.is_empty() {
        store::insert_movements(tx, id.cast(), &movements, at)?;
    }
    aggregate::append::<Reservations>(&store.events, tx, stream, loaded.version, &[event], at)?;
    Ok(())
}
