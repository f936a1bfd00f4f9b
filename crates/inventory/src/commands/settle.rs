//! Ends a reservation: lets it go, or turns it into a sale; and takes goods of the sale back.

use merx_contracts::ids::{ReservationId, ReturnId};
use merx_kernel::{Error, Result, Timestamp};
use merx_platform::{Store, aggregate, trace};
use merx_sql::Tx;

use crate::{
    State,
    domain::{
        Lines, Movement, PlacedLine, Placement, Reservation, ReservationCommand, ReservationEvent,
        reservation,
    },
    log::{Reservations, Traced, reservation_stream},
    store::{self, Effect, Pass},
};

/// Lets a reservation go. Before its reserve it leaves a tombstone; again, nothing more happens.
///
/// # Errors
/// `inventory.reservation_sold`.
pub async fn release(state: &State, reservation: ReservationId) -> Result<()> {
    let settle = Settle::new(state, reservation, ReservationCommand::Release);
    state.db.write("inventory.release", move |tx| settle.run(tx).map(drop)).await
}

/// Turns a reservation into a sale, and answers where its goods lie; again, nothing more happens.
///
/// # Errors
/// `inventory.reservation_released`, `inventory.reservation_unknown`.
pub async fn sell(state: &State, reservation: ReservationId) -> Result<Vec<PlacedLine>> {
    let settle = Settle::new(state, reservation, ReservationCommand::Sell);
    let sold = state.db.write("inventory.sell", move |tx| settle.run(tx)).await?;
    match sold {
        Reservation::Sold { lines, .. } => Ok(lines),
        other => Err(Error::internal(format!("{reservation} was sold and is {}", other.name()))),
    }
}

/// Takes goods of a sale back into the warehouses they came from: `lines`, or everything that has not come back.
/// What is `written_off` came back and cannot be sold again: it stays sold, and is no more among what has not come back.
/// Everything of what is not sold yet is let go instead, and the late sale refused. Again under the same
/// `return_id`, nothing more happens.
///
/// # Errors
/// `inventory.returned_too_much`, `inventory.return_differs`.
pub async fn take_back(
    state: &State,
    return_id: ReturnId,
    reservation: ReservationId,
    (lines, written_off): (Option<Lines>, bool),
    reason: String,
) -> Result<()> {
    let command = ReservationCommand::TakeBack { return_id, lines, reason, written_off };
    let settle = Settle::new(state, reservation, command);
    state.db.write("inventory.take_back", move |tx| settle.run(tx).map(drop)).await
}

struct Settle {
    store: Store,
    id: ReservationId,
    command: ReservationCommand,
    at: Timestamp,
    trace_id: Option<String>,
}

impl Settle {
    fn new(state: &State, id: ReservationId, command: ReservationCommand) -> Self {
        Self {
            store: state.store.clone(),
            id,
            command,
            at: state.clock.now(),
            trace_id: trace::current().map(|t| t.trace_id()),
        }
    }

    /// Answers the reservation as it is afterwards.
    fn run(&self, tx: &mut Tx<'_>) -> Result<Reservation> {
        let (id, at) = (self.id, self.at);
        let stream = reservation_stream(id);
        let loaded = aggregate::load::<Reservations>(&self.store.events, tx, stream)?;
        let decided = reservation::decide(&loaded.state, &self.command, Placement::NotSought)?;
        let Some(event) = decided else { return Ok(loaded.state) };
        let (exists, version) = (loaded.exists(), loaded.version);
        // The reservation's row comes first, as in `reserve`: whoever has it goes on to the stock rows by SKU.
        let after = reservation::evolve(loaded.state, &event);
        let moved = if exists {
            store::update_reservation(tx, id, version, after.name(), at)?
        } else {
            store::insert_reservation(tx, id, after.name(), at)?.is_new()
        };
        if !moved {
            return Err(merx_sql::contention("the reservation moved on while it was read"));
        }
        let movements = Movement::of_reservation(&event);
        for movement in &movements {
            if !store::change_stock(tx, movement, Pass::Any, None)? {
                return Err(Error::internal(format!(
                    "stock of {} does not hold what {id} reserved",
                    movement.sku
                )));
            }
        }
        if !movements.is_empty() {
            store::insert_movements(tx, effect_of(&event, id, at), &movements)?;
        }
        let event = Traced { event, trace_id: self.trace_id.clone() };
        aggregate::append::<Reservations>(&self.store.events, tx, stream, version, &[event], at)?;
        Ok(after)
    }
}

/// A return is an effect of its own, which belongs to its reservation.
pub fn effect_of(event: &ReservationEvent, id: ReservationId, at: Timestamp) -> Effect {
    let whole = Effect::of_reservation(id, at);
    match event {
        ReservationEvent::StockReturned { return_id, .. } => Effect { reference: return_id.cast(), ..whole },
        _ => whole,
    }
}
