//! The calls to the provider: a record for the timeline, bounded for each payment and in age.

use std::{collections::BTreeMap, time::Duration};

use merx_contracts::ids::{PaymentId, RefundId};
use merx_kernel::{Result, Timestamp};
use merx_sql::{Query, Tx, Value, params};

use crate::provider::{About, CallId, CallRow};

/// The most calls that are kept of one payment; older ones are forgotten.
pub const CALLS_MAX: i64 = 200;
/// How long calls are kept.
pub const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// The most old calls that are forgotten at a time.
const FORGOTTEN_MAX: i64 = 500;

/// Keeps calls of a payment: one statement for all, one to see whether there are too many. Without a call it does
/// nothing.
pub fn record(tx: &mut Tx<'_>, payment_id: PaymentId, calls: &[CallRow]) -> Result<()> {
    if calls.is_empty() {
        return Ok(());
    }
    let rows = calls.iter().map(|call| {
        params![
            call.call_id,
            payment_id,
            call.about.attempt_id,
            call.about.refund_id,
            &call.method,
            &call.outcome,
            call.code.clone(),
            call.started_at,
            call.duration_ms,
            call.trace_id.clone(),
        ]
    });
    tx.insert_rows(
        "INSERT INTO payment_calls (call_id, payment_id, attempt_id, refund_id, method, outcome, code, started_at,
         duration_ms, trace_id) VALUES",
        10,
        rows.collect(),
    )?;
    let newest_too_many: Option<CallId> = tx.query_opt(
        "SELECT call_id FROM payment_calls WHERE payment_id = ? ORDER BY call_id DESC LIMIT 1 OFFSET ?",
        params![payment_id, CALLS_MAX],
        |row| row.get(0),
    )?;
    if let Some(newest) = newest_too_many {
        let sql = "DELETE FROM payment_calls WHERE payment_id = ? AND call_id <= ?";
        tx.execute(sql, params![payment_id, newest])?;
    }
    Ok(())
}

/// Forgets calls older than [`KEPT`], so many at a time.
pub fn forget(tx: &mut Tx<'_>, now: Timestamp) -> Result<()> {
    let old: Vec<Value> = tx.query(
        "SELECT call_id FROM payment_calls WHERE started_at < ? ORDER BY started_at LIMIT ?",
        params![now.minus(KEPT), FORGOTTEN_MAX],
        |row| row.get(0),
    )?;
    if old.is_empty() {
        return Ok(());
    }
    let marks = vec!["?"; old.len()].join(", ");
    tx.execute(&format!("DELETE FROM payment_calls WHERE call_id IN ({marks})"), old)?;
    Ok(())
}

/// When each refund of a payment was tried last, as far back as calls are kept.
pub fn refunds_tried(q: &mut impl Query, payment_id: PaymentId) -> Result<BTreeMap<RefundId, Timestamp>> {
    let rows = q.query(
        "SELECT refund_id, MAX(started_at) FROM payment_calls
         WHERE payment_id = ? AND refund_id IS NOT NULL GROUP BY refund_id",
        params![payment_id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(rows.into_iter().collect())
}

/// The calls of a payment, oldest first.
pub fn list(q: &mut impl Query, payment_id: PaymentId) -> Result<Vec<CallRow>> {
    q.query(
        "SELECT call_id, attempt_id, refund_id, method, outcome, code, started_at, duration_ms, trace_id
         FROM payment_calls WHERE payment_id = ? ORDER BY call_id LIMIT ?",
        params![payment_id, CALLS_MAX],
        |row| {
            Ok(CallRow {
                call_id: row.get(0)?,
                about: About { attempt_id: row.get(1)?, refund_id: row.get(2)? },
                method: row.get(3)?,
                outcome: row.get(4)?,
                code: row.get(5)?,
                started_at: row.get(6)?,
                duration_ms: row.get(7)?,
                trace_id: row.get(8)?,
            })
        },
    )
}
