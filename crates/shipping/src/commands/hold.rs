//! Stops the goods of an order: holds, lifts a hold, cancels under it.

use merx_contracts::ids::{HoldId, OrderId};
use merx_kernel::{Error, Result, Timestamp};
use merx_platform::trace;
use merx_sql::Tx;

use crate::{
    State,
    domain::{Change, Entry, HoldStatus, ShipmentStatus, Verdict, gate},
    store::{gates, history, shipments},
};

/// An ask about the hold of an order: when it came, in which trace.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The order.
    pub order: OrderId,
    /// The hold.
    pub hold: HoldId,
    /// When.
    pub at: Timestamp,
    /// In which trace.
    pub trace_id: Option<String>,
}

impl Ask {
    /// An ask that comes now.
    pub fn now(state: &State, order: OrderId, hold: HoldId) -> Self {
        Self { order, hold, at: state.clock.now(), trace_id: trace::current().map(|t| t.trace_id()) }
    }

    fn before(&self, tx: &mut Tx<'_>) -> Result<Option<HoldStatus>> {
        match gates::hold(tx, self.hold)? {
            Some((order, _)) if order != self.order => Err(Error::rejected(
                "shipping.hold_differs",
                "The identity of this hold belongs to another order; take one of your own.",
            )),
            known => Ok(known.map(|(_, status)| status)),
        }
    }
}

/// Holds an order inside the caller's transaction: nothing of it is opened or dispatched until the hold is lifted.
/// Again, it answers the same.
///
/// # Errors
/// `shipping.already_dispatched` when anything of it has left, `shipping.order_cancelled`, `shipping.hold_lifted`,
/// `shipping.hold_differs`.
pub fn hold(tx: &mut Tx<'_>, ask: &Ask) -> Result<()> {
    let (gate, at) = gates::enter(tx, ask.order, ask.at)?;
    let before = ask.before(tx)?;
    let left = shipments::count(tx, ask.order)?.1 > 0;
    if gate::hold(before, gate, left)? == Verdict::Done {
        return Ok(());
    }
    happened(gates::begin(tx, ask.order, ask.hold, at, ask.trace_id.as_deref())?)
}

/// Lifts a hold inside the caller's transaction; one that has not come yet is refused when it comes.
///
/// # Errors
/// `shipping.order_cancelled` when the order was cancelled under it, `shipping.hold_differs`.
pub fn lift_hold(tx: &mut Tx<'_>, ask: &Ask) -> Result<()> {
    let (_, at) = gates::enter(tx, ask.order, ask.at)?;
    let before = ask.before(tx)?;
    if gate::lift(before)? == Verdict::Done {
        return Ok(());
    }
    let trace = ask.trace_id.as_deref();
    happened(match before {
        None => gates::bury(tx, ask.order, ask.hold, at, trace)?,
        Some(_) => gates::end(tx, ask.order, ask.hold, HoldStatus::Lifted, at, trace)?,
    })
}

/// Cancels every shipment of an order for good, inside the caller's transaction, under a hold.
///
/// # Errors
/// `shipping.not_held`, `shipping.hold_lifted`, `shipping.hold_differs`.
pub fn cancel(tx: &mut Tx<'_>, ask: &Ask) -> Result<()> {
    let (_, at) = gates::enter(tx, ask.order, ask.at)?;
    let before = ask.before(tx)?;
    if gate::cancel(before)? == Verdict::Done {
        return Ok(());
    }
    let trace = ask.trace_id.as_deref();
    happened(gates::end(tx, ask.order, ask.hold, HoldStatus::Cancelled, at, trace)?)?;
    let mut entries = Vec::new();
    for shipment in shipments::of_order(tx, ask.order)? {
        if shipment.status != ShipmentStatus::Open {
            continue;
        }
        happened(shipments::cancel(tx, &shipment, at)?)?;
        let entry = Entry {
            version: shipment.version + 1,
            recorded_at: at,
            actor: None,
            trace_id: ask.trace_id.clone(),
            message: None,
            change: Change::Cancelled,
        };
        entries.push((shipment.id, entry));
    }
    history::append(tx, &entries)
}

/// Under the guard row nothing moves on; without it (a hold of another order under the same identity) the transaction
/// runs again.
fn happened(done: bool) -> Result<()> {
    if done { Ok(()) } else { Err(merx_sql::contention("the hold moved on while it was read")) }
}
