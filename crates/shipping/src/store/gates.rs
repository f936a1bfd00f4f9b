//! The guard row of an order, and its holds.
//!
//! Hold and dispatch look at rows of each other: at READ COMMITTED both would find nothing in their way and both would
//! go on. So whatever opens, parts, dispatches, holds or cancels first writes the order's guard row, and whoever comes
//! second waits there and then sees what the first has done. The row also gives every change of an order its moment, which
//! never goes back: otherwise what was known at a moment could not be told when a clock was set back.

use merx_contracts::ids::{HoldId, OrderId};
use merx_kernel::{Guard, Result, Timestamp};
use merx_sql::{Query, Tx, params};

use super::inconsistent;
use crate::domain::{Gate, HoldStatus};

const PASS: &str = "UPDATE shipping_gates SET latest_at = CASE WHEN latest_at < ? THEN ? ELSE latest_at END
 WHERE order_id = ?";
const NEW: &str =
    "INSERT INTO shipping_gates (order_id, holds, cancelled_at, latest_at) VALUES (?, 0, NULL, ?)";
const ONE: &str = "SELECT holds, cancelled_at, latest_at FROM shipping_gates WHERE order_id = ?";
const ONE_MORE: &str = "UPDATE shipping_gates SET holds = holds + 1 WHERE order_id = ?";
const ONE_LESS: &str = "UPDATE shipping_gates SET holds = holds - 1 WHERE order_id = ? AND holds > 0";
const CANCEL: &str = "UPDATE shipping_gates SET holds = holds - 1, cancelled_at = COALESCE(cancelled_at, ?)
 WHERE order_id = ? AND holds > 0";
const HOLD: &str = "SELECT order_id, status FROM shipping_holds WHERE hold = ?";
const NEW_HOLD: &str =
    "INSERT INTO shipping_holds (hold, order_id, status, held_at, held_trace, ended_at, ended_trace)
 VALUES (?, ?, ?, ?, ?, ?, ?)";
const END_HOLD: &str = "UPDATE shipping_holds SET status = ?, ended_at = ?, ended_trace = ?
 WHERE hold = ? AND status = 'held'";
const HOLDS_OF: &str = "SELECT hold, status, held_at, held_trace, ended_at, ended_trace FROM shipping_holds
 WHERE order_id = ? ORDER BY hold";

/// A hold as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its identity.
    pub id: HoldId,
    /// What became of it.
    pub status: HoldStatus,
    /// When it began, and in which trace; nothing for one that was lifted before it came.
    pub held: Option<(Timestamp, Option<String>)>,
    /// When it ended, and in which trace.
    pub ended: Option<(Timestamp, Option<String>)>,
}

/// Takes the order's guard row, and answers what it says and the moment of what now changes: `now`, or that of the last
/// change when the clock was set back since. Nothing else of the order changes until the end of the transaction.
pub fn enter(tx: &mut Tx<'_>, order: OrderId, now: Timestamp) -> Result<(Gate, Timestamp)> {
    let known = !Guard::ShipmentHold.on() || tx.guarded(PASS, params![now, now, order])?;
    if known && let Some((gate, latest)) = row(tx, order)? {
        return Ok((gate, latest.max(now)));
    }
    if tx.insert_new(NEW, params![order, now])?.is_new() {
        return Ok((Gate::default(), now));
    }
    Err(merx_sql::contention("the order's guard row was made by another request"))
}

/// What the order's guard row says; nothing for an order nobody asked about yet.
pub fn read(q: &mut impl Query, order: OrderId) -> Result<Option<Gate>> {
    Ok(row(q, order)?.map(|(gate, _)| gate))
}

fn row(q: &mut impl Query, order: OrderId) -> Result<Option<(Gate, Timestamp)>> {
    q.query_opt(ONE, params![order], |row| {
        let gate = Gate { holds: row.get(0)?, cancelled: row.get::<Option<i64>>(1)?.is_some() };
        Ok((gate, row.get(2)?))
    })
}

/// The order and the status of a hold.
pub fn hold(q: &mut impl Query, hold: HoldId) -> Result<Option<(OrderId, HoldStatus)>> {
    q.query_opt(HOLD, params![hold], |row| {
        let status = HoldStatus::from_name(&row.get::<String>(1)?).ok_or_else(|| inconsistent("hold"))?;
        Ok((row.get(0)?, status))
    })
}

/// Begins a hold. The guard row is taken before.
pub fn begin(
    tx: &mut Tx<'_>,
    order: OrderId,
    hold: HoldId,
    at: Timestamp,
    trace: Option<&str>,
) -> Result<bool> {
    let nothing = (None::<i64>, None::<String>);
    let values = params![hold, order, HoldStatus::Held.name(), at, trace, nothing.0, nothing.1];
    Ok(tx.insert_new(NEW_HOLD, values)?.is_new() && tx.guarded(ONE_MORE, params![order])?)
}

/// Leaves a tombstone: the hold that comes after it is refused.
pub fn bury(
    tx: &mut Tx<'_>,
    order: OrderId,
    hold: HoldId,
    at: Timestamp,
    trace: Option<&str>,
) -> Result<bool> {
    let nothing = (None::<i64>, None::<String>);
    let values = params![hold, order, HoldStatus::Lifted.name(), nothing.0, nothing.1, at, trace];
    Ok(tx.insert_new(NEW_HOLD, values)?.is_new())
}

/// Ends a hold: lifted, or the order cancelled under it. The guard row is taken before.
pub fn end(
    tx: &mut Tx<'_>,
    order: OrderId,
    hold: HoldId,
    status: HoldStatus,
    at: Timestamp,
    trace: Option<&str>,
) -> Result<bool> {
    if !tx.guarded(END_HOLD, params![status.name(), at, trace, hold])? {
        return Ok(false);
    }
    match status {
        HoldStatus::Cancelled => tx.guarded(CANCEL, params![at, order]),
        _ => tx.guarded(ONE_LESS, params![order]),
    }
}

/// Every hold of an order.
pub fn holds_of(q: &mut impl Query, order: OrderId) -> Result<Vec<Hold>> {
    q.query(HOLDS_OF, params![order], |row| {
        let moment = |at: usize| -> Result<_> {
            let (time, trace) = (row.get::<Option<Timestamp>>(at)?, row.get::<Option<String>>(at + 1)?);
            Ok(time.map(|time| (time, trace)))
        };
        let status = HoldStatus::from_name(&row.get::<String>(1)?).ok_or_else(|| inconsistent("hold"))?;
        Ok(Hold { id: row.get(0)?, status, held: moment(2)?, ended: moment(4)? })
    })
}
