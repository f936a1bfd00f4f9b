//! Sets stock aside: all lines or nothing, by the rule of `domain/allocate.rs`.
//!
//! The first warehouse is tried without asking: when it has every line it is the one the rule names, and a fresh
//! reservation of n lines takes 3 + n statements: its row (whose key says that it is fresh, so nothing is loaded), a
//! guarded update a line, the ledger, the event. Only when a line cannot be had there (or when taking it crosses a
//! threshold, which has to be told) are the shelves read and the rule asked. What is taken by others between the
//! reading and the update is planned again, a bounded number of times: nothing is refused while there is enough.

use std::{collections::BTreeMap, sync::Arc};

use merx_contracts::{
    events::inventory::StockLow,
    ids::{ReservationId, Sku, WarehouseId},
};
use merx_kernel::{Error, Guard, Result, Timestamp};
use merx_platform::{Store, aggregate, trace};
use merx_sql::Tx;

use super::move_units::{Moved, move_units, tell_low};
use crate::{
    State,
    domain::{
        Line, Lines, Movement, MovementKind, PlacedLine, Placement, Reservation, ReservationCommand,
        StockLevel, allocate,
        reservation::{self},
    },
    log::{Reservations, Traced, reservation_stream},
    store::{self, Effect, Pass, Warehouse},
};

/// How often one transaction plans. Each failed plan means that others took what it was made with.
const PLANS_MAX: usize = 8;

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
        trace: trace::current(),
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
    trace: Option<trace::TraceContext>,
}

impl Reserve {
    fn run(&self, tx: &mut Tx<'_>) -> Result<()> {
        let stream = reservation_stream(self.reservation);
        if !store::insert_reservation(tx, self.reservation, "reserved", self.at)?.is_new() {
            let loaded = aggregate::load::<Reservations>(&self.store.events, tx, stream)?;
            return match reservation::decide(&loaded.state, &self.command, Placement::NotSought)? {
                None => Ok(()),
                Some(_) => Err(Error::internal(format!("{} has a row but no event", self.reservation))),
            };
        }
        let mut taken = Vec::with_capacity(self.lines.as_slice().len());
        let mut lows = Vec::new();
        let placement = if self.take_from_first(tx, &mut taken)? {
            Placement::Found(taken)
        } else {
            self.plan(tx, &mut taken, &mut lows)?
        };
        // A refusal rolls the whole transaction back, what other lines have taken included.
        let decided = reservation::decide(&Reservation::Unknown, &self.command, placement)?;
        let Some(event) = decided else {
            return Err(Error::internal("a fresh reservation had nothing to do"));
        };
        let effect = Effect::of_reservation(self.reservation, self.at);
        store::insert_movements(tx, effect, &Movement::of_reservation(&event))?;
        let traceparent = self.trace.map(|t| t.to_string());
        tell_low(tx, &self.store, effect, traceparent.as_deref(), &lows)?;
        let event = Traced { event, trace_id: self.trace.map(|t| t.trace_id()) };
        aggregate::append::<Reservations>(&self.store.events, tx, stream, 0, &[event], self.at)?;
        Ok(())
    }

    /// Takes every line from the first warehouse; `false` when one cannot be had there quietly.
    fn take_from_first(&self, tx: &mut Tx<'_>, taken: &mut Vec<PlacedLine>) -> Result<bool> {
        let Some(first) = self.warehouses.iter().find(|w| w.active) else { return Ok(false) };
        for Line { sku, quantity } in self.lines.as_slice() {
            let line = PlacedLine { sku: sku.clone(), warehouse: first.id, quantity: *quantity };
            let movement = Movement::of_line(MovementKind::Reserved, &line);
            let done = match &self.seen {
                None => store::change_stock(tx, &movement, Pass::Quiet, None)?,
                Some(seen) => {
                    let before = seen.get(&(sku.clone(), first.id)).copied().unwrap_or_default();
                    store::overwrite_stock(tx, &movement, before)?
                }
            };
            if !done {
                return Ok(false);
            }
            taken.push(line);
        }
        Ok(true)
    }

    /// Asks the rule, and carries its answer out.
    fn plan(
        &self,
        tx: &mut Tx<'_>,
        taken: &mut Vec<PlacedLine>,
        lows: &mut Vec<StockLow>,
    ) -> Result<Placement> {
        let skus: Vec<Sku> = self.lines.as_slice().iter().map(|line| line.sku.clone()).collect();
        for _ in 0..PLANS_MAX {
            give_back(tx, taken)?;
            lows.clear();
            let plan = match allocate(&self.lines, &store::shelves(tx, &skus)?) {
                Ok(plan) => plan,
                Err(shortage) => return Ok(Placement::Short(shortage)),
            };
            if take(tx, &plan, taken, lows)? {
                return Ok(Placement::Found(plan));
            }
        }
        Err(merx_sql::contention("others took what was planned with, again and again"))
    }
}

/// Takes what was planned; `false` when others took it meanwhile.
fn take(
    tx: &mut Tx<'_>,
    plan: &[PlacedLine],
    taken: &mut Vec<PlacedLine>,
    lows: &mut Vec<StockLow>,
) -> Result<bool> {
    for line in plan {
        match move_units(tx, &Movement::of_line(MovementKind::Reserved, line), None)? {
            Moved::No => return Ok(false),
            Moved::Yes => {}
            Moved::Low(low) => lows.push(low),
        }
        taken.push(line.clone());
    }
    Ok(true)
}

/// Puts back what this transaction took by a plan that did not work out. Nobody has seen it.
fn give_back(tx: &mut Tx<'_>, taken: &mut Vec<PlacedLine>) -> Result<()> {
    for line in taken.drain(..) {
        let movement = Movement::of_line(MovementKind::Released, &line);
        if !store::change_stock(tx, &movement, Pass::Any, None)? {
            return Err(Error::internal(format!("what was taken of {} cannot be put back", line.sku)));
        }
    }
    Ok(())
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
