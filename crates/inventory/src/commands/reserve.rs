//! Sets stock aside: all lines or nothing.
//!
//! The allocation rule: warehouses are asked by priority, and the first that has the whole of a line serves it; a
//! line is never split, lines of one reservation may come from different warehouses.
//!
//! A fresh reservation of n lines takes 3 + n statements when the first warehouse serves them: its row (whose key
//! says that it is fresh, so nothing is loaded), a guarded update a line, the ledger, the event.

use std::{collections::BTreeMap, sync::Arc};

use merx_contracts::ids::{ReservationId, Sku, WarehouseId};
use merx_kernel::{Error, Guard, Result, Timestamp};
use merx_platform::{Store, aggregate};
use merx_sql::Tx;

use crate::{
    State,
    domain::{
        Line, Lines, Movement, MovementKind, Reservation, ReservationCommand, StockLevel,
        reservation::{self, Offer},
    },
    log::{Reservations, reservation_stream},
    store::{self, Warehouse},
};

/// Figures read before the transaction; only without `Guard::StockUpdate`.
type Seen = BTreeMap<(Sku, WarehouseId), StockLevel>;

/// Reserves `lines` under `reservation`; again, it answers the same.
///
/// # Errors
/// `inventory.sold_out`, `inventory.reservation_released`, `inventory.reservation_differs`.
pub async fn reserve(state: &State, reservation: ReservationId, lines: Lines) -> Result<()> {
    let seen = if Guard::StockUpdate.on() { None } else { Some(read_first(state, &lines).await?) };
    let transaction = Reserve {
        store: state.store.clone(),
        reservation,
        command: ReservationCommand::Reserve(lines.clone()),
        lines,
        warehouses: state.warehouses().await?,
        seen,
        at: state.clock.now(),
    };
    state.db.write("inventory.reserve", move |tx| transaction.run(tx)).await
}

struct Reserve {
    store: Store,
    reservation: ReservationId,
    command: ReservationCommand,
    lines: Lines,
    warehouses: Arc<[Warehouse]>,
    seen: Option<Seen>,
    at: Timestamp,
}

impl Reserve {
    fn run(&self, tx: &mut Tx<'_>) -> Result<()> {
        let stream = reservation_stream(self.reservation);
        if !store::insert_reservation(tx, self.reservation, "reserved", self.at)?.is_new() {
            let loaded = aggregate::load::<Reservations>(&self.store.events, tx, stream)?;
            return match reservation::decide(&loaded.state, &self.command, &BTreeMap::new())? {
                None => Ok(()),
                Some(_) => Err(Error::internal(format!("{} has a row but no event", self.reservation))),
            };
        }
        let mut offers = BTreeMap::new();
        for line in self.lines.as_slice() {
            let offer = self.take(tx, line)?;
            offers.insert(line.sku.clone(), offer);
            if matches!(offer, Offer::Short { .. }) {
                break;
            }
        }
        // A refusal rolls the whole transaction back, what other lines have taken included.
        let Some(event) = reservation::decide(&Reservation::Unknown, &self.command, &offers)? else {
            return Err(Error::internal("a fresh reservation had nothing to do"));
        };
        store::insert_movements(tx, self.reservation.cast(), &Movement::of_reservation(&event), self.at)?;
        aggregate::append::<Reservations>(&self.store.events, tx, stream, 0, &[event], self.at)?;
        Ok(())
    }

    /// Takes a line from the first warehouse that has the whole of it.
    fn take(&self, tx: &mut Tx<'_>, line: &Line) -> Result<Offer> {
        for warehouse in self.warehouses.iter() {
            let movement = Movement {
                sku: line.sku.clone(),
                warehouse: warehouse.id,
                kind: MovementKind::Reserved,
                quantity: line.quantity,
                reason: None,
                by: None,
            };
            let taken = match &self.seen {
                None => store::change_stock(tx, &movement)?,
                Some(seen) => {
                    let before = seen.get(&(line.sku.clone(), warehouse.id)).copied().unwrap_or_default();
                    store::overwrite_stock(tx, &movement, before)?
                }
            };
            if taken {
                return Ok(Offer::From(warehouse.id));
            }
        }
        // Meanwhile some may have come back (MySQL shows what others commit): say no more than was refused.
        let available = store::most_available(tx, &line.sku)?.min(line.quantity - 1);
        Ok(Offer::Short { available })
    }
}

async fn read_first(state: &State, lines: &Lines) -> Result<Seen> {
    let lines = lines.clone();
    let read = move |q: &mut merx_sql::Reader<'_>| {
        let mut seen = Seen::new();
        for line in lines.as_slice() {
            let levels = store::levels(q, &line.sku)?;
            seen.extend(levels.into_iter().map(|(id, level)| ((line.sku.clone(), id), level)));
        }
        Ok(seen)
    };
    state.db.read("inventory.read_first", read).await
}
