//! A4: nothing hangs.

use merx_contracts::ids::{OrderId, PaymentId, ReservationId, SagaId};
use merx_kernel::{Result, Timestamp};
use merx_sql::{Query, Reader, params};

use crate::{Audit, Check, IN_FLIGHT_MAX, PROVIDER_LAG_MAX};

const OPEN_ORDERS: &str = "SELECT order_id, order_axis, payment_deadline, updated_at FROM ordering_orders
 WHERE order_axis IN ('placed', 'awaiting_payment')";
const OPEN_PAYMENTS: &str =
    "SELECT payment_id, deadline FROM payment_payments WHERE status IN ('open', 'closing')";
const OPEN_REFUNDS: &str = "SELECT payment_id, requested_at FROM payment_refunds WHERE status = 'requested'";
/// Units still set aside for an order that has ended, or for none.
const HELD: &str = "SELECT r.reservation, r.changed_at, o.order_axis, o.updated_at
 FROM inventory_reservations r LEFT JOIN ordering_orders o ON o.order_id = r.reservation
 WHERE r.status = 'reserved' AND (o.order_id IS NULL OR o.order_axis NOT IN ('placed', 'awaiting_payment'))";

/// A4: no saga, order, payment, reservation, refund or timer is unfinished after its limit without a parked alert.
pub(crate) fn check(q: &mut Reader<'_>, audit: &Audit, now: Timestamp) -> Result<Check> {
    let mut check =
        Check::new("A4", "no saga, order, payment, reservation or timer is unfinished after its limit");
    for context in &audit.contexts {
        sagas(q, &mut check, context.store.context(), now)?;
        timers(q, &mut check, context.store.context(), now)?;
    }
    for (order, axis, deadline, updated) in q.query(OPEN_ORDERS, params![], |row| {
        Ok((
            row.get::<OrderId>(0)?,
            row.get::<String>(1)?,
            row.get::<Timestamp>(2)?,
            row.get::<Timestamp>(3)?,
        ))
    })? {
        check.examined += 1;
        if axis == "placed" {
            check.unfinished(format!("{order} is placed and no more"), updated, IN_FLIGHT_MAX, now);
        } else if deadline < now {
            check.unfinished(
                format!("{order} awaits payment past its deadline"),
                deadline,
                PROVIDER_LAG_MAX,
                now,
            );
        }
    }
    for (payment, deadline) in
        q.query(OPEN_PAYMENTS, params![], |row| Ok((row.get::<PaymentId>(0)?, row.get::<Timestamp>(1)?)))?
    {
        check.examined += 1;
        if deadline < now {
            check.unfinished(format!("{payment} is open past its deadline"), deadline, PROVIDER_LAG_MAX, now);
        }
    }
    for (payment, since) in
        q.query(OPEN_REFUNDS, params![], |row| Ok((row.get::<PaymentId>(0)?, row.get::<Timestamp>(1)?)))?
    {
        check.examined += 1;
        check.unfinished(
            format!("a refund of {payment} is requested and not settled"),
            since,
            PROVIDER_LAG_MAX,
            now,
        );
    }
    for (reservation, changed, axis, updated) in q.query(HELD, params![], |row| {
        Ok((
            row.get::<ReservationId>(0)?,
            row.get::<Timestamp>(1)?,
            row.get::<Option<String>>(2)?,
            row.get::<Option<Timestamp>>(3)?,
        ))
    })? {
        check.examined += 1;
        let order = axis.unwrap_or_else(|| "unknown".to_owned());
        let since = updated.map_or(changed, |u| u.max(changed));
        check.unfinished(
            format!("{reservation} holds stock, its order is {order}"),
            since,
            IN_FLIGHT_MAX,
            now,
        );
    }
    Ok(check)
}

fn sagas(q: &mut Reader<'_>, check: &mut Check, context: &str, now: Timestamp) -> Result<()> {
    let sql = format!(
        "SELECT id, name, status, next_attempt_at, updated_at FROM {context}_sagas
 WHERE status NOT IN ('done', 'abandoned')"
    );
    for (id, name, status, next, updated) in q.query(&sql, params![], |row| {
        Ok((
            row.get::<SagaId>(0)?,
            row.get::<String>(1)?,
            row.get::<String>(2)?,
            row.get::<Option<Timestamp>>(3)?,
            row.get::<Timestamp>(4)?,
        ))
    })? {
        check.examined += 1;
        if status == "stuck" {
            // Parked with an alert: a person's turn, not a violation; a drained test must have none.
            check.unfinished(format!("{name} {id} is stuck"), now, IN_FLIGHT_MAX, now);
            continue;
        }
        let since = next.map_or(updated, |n| n.max(updated));
        check.unfinished(format!("{name} {id} is {status}"), since, IN_FLIGHT_MAX, now);
    }
    Ok(())
}

fn timers(q: &mut Reader<'_>, check: &mut Check, context: &str, now: Timestamp) -> Result<()> {
    let sql = format!("SELECT kind, due_at, next_at FROM {context}_timers");
    for (kind, due, next) in q.query(&sql, params![], |row| {
        Ok((row.get::<String>(0)?, row.get::<Timestamp>(1)?, row.get::<Timestamp>(2)?))
    })? {
        check.examined += 1;
        let due = due.max(next);
        if due < now {
            check.unfinished(format!("a timer {kind} of {context} is due"), due, IN_FLIGHT_MAX, now);
        }
    }
    Ok(())
}
