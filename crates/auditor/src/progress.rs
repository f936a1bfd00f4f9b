//! A4: nothing hangs.

use std::{collections::BTreeSet, time::Duration};

use merx_contracts::ids::{MailId, OrderId, SagaId};
use merx_kernel::{Result, Timestamp};
use merx_sql::{Query, Reader, Row, params};

use crate::{Audit, Check, IN_FLIGHT_MAX, PROVIDER_LAG_MAX};

/// Something that is to come to an end: which order (payment and first reservation have its bits), what, since when.
struct Open {
    order: OrderId,
    what: String,
    since: Timestamp,
}

/// Texts that answer (id, detail, since), what is said of a row, and how long it may take.
const WATCHED: &[(&str, &str, Duration)] = &[
    (
        "SELECT order_id, order_axis, updated_at FROM ordering_orders WHERE order_axis = 'placed'",
        "the order is no more than",
        IN_FLIGHT_MAX,
    ),
    (
        "SELECT order_id, order_axis, payment_deadline FROM ordering_orders WHERE order_axis = 'awaiting_payment'",
        "past its deadline the order is still",
        PROVIDER_LAG_MAX,
    ),
    (
        "SELECT order_id, payment_axis, updated_at FROM ordering_orders
         WHERE payment_axis IN ('late', 'overpaid', 'quarantined')",
        "money has come that has to go back or be looked at:",
        PROVIDER_LAG_MAX,
    ),
    (
        "SELECT order_id, payment_axis, updated_at FROM ordering_orders
         WHERE order_axis = 'cancelled' AND payment_axis IN ('captured', 'part_refunded')",
        "money of a cancelled order has to go back:",
        PROVIDER_LAG_MAX,
    ),
    (
        "SELECT payment_id, status, deadline FROM payment_payments WHERE status IN ('open', 'closing')",
        "past its deadline the payment is still",
        PROVIDER_LAG_MAX,
    ),
    (
        "SELECT payment_id, status, requested_at FROM payment_refunds WHERE status <> 'succeeded'",
        "a refund is",
        PROVIDER_LAG_MAX,
    ),
    (
        "SELECT r.reservation, COALESCE(o.order_axis, 'unknown'),
         CASE WHEN o.updated_at > r.changed_at THEN o.updated_at ELSE r.changed_at END
         FROM inventory_reservations r LEFT JOIN ordering_orders o ON o.order_id = r.reservation
         LEFT JOIN ordering_orders v ON v.reservation_id = r.reservation
         WHERE r.status = 'reserved' AND v.order_id IS NULL
         AND (o.order_id IS NULL OR o.order_axis NOT IN ('placed', 'awaiting_payment'))",
        "stock is set aside for an order that is",
        IN_FLIGHT_MAX,
    ),
    (
        "SELECT v.order_id, v.order_axis,
         CASE WHEN v.updated_at > r.changed_at THEN v.updated_at ELSE r.changed_at END
         FROM inventory_reservations r JOIN ordering_orders v ON v.reservation_id = r.reservation
         WHERE r.status = 'reserved'",
        "stock is set aside anew for an order that is",
        IN_FLIGHT_MAX,
    ),
    (
        "SELECT order_id, status, held_at FROM shipping_holds WHERE status = 'held'",
        "nothing of the order may leave, it is",
        IN_FLIGHT_MAX,
    ),
];

/// Mails whose moment came: a claim or a next try is over by `next_at`.
const MAILS: &str =
    "SELECT mail, template, state, next_at FROM notification_mails WHERE state IN ('queued', 'sending')";

/// Orders of which somebody was told: an alert about their payment or its amount, an alarm about their reservation.
const TOLD: &[&str] = &[
    "SELECT payment_id FROM payment_alerts WHERE payment_id IS NOT NULL",
    "SELECT COALESCE(v.order_id, n.reservation) FROM inventory_orphans n
     LEFT JOIN ordering_orders v ON v.reservation_id = n.reservation",
    "SELECT order_id FROM ordering_orders WHERE payment_axis = 'quarantined'",
];

/// A4: no saga, order, payment, reservation, refund, hold, mail or timer is unfinished after its limit without a parked
/// alert.
pub(crate) fn check(q: &mut Reader<'_>, audit: &Audit, now: Timestamp) -> Result<Check> {
    let mut check = Check::new(
        "A4",
        "no saga, order, payment, reservation, hold, mail or timer is unfinished after its limit",
    );
    let mut told = BTreeSet::new();
    for sql in TOLD {
        told.extend(q.query(sql, params![], |row| row.get::<OrderId>(0))?);
    }
    for context in &audit.contexts {
        sagas(q, &mut check, context.store.context(), &mut told, now)?;
        timers(q, &mut check, context.store.context(), now)?;
    }
    for (sql, says, limit) in WATCHED {
        for open in q.query(sql, params![], |row| open(row, says))? {
            check.examined += 1;
            if open.since > now {
                continue;
            }
            // Parked with an alert: a person's turn, however long; only a drained test must have none.
            let since = if told.contains(&open.order) { now } else { open.since };
            check.unfinished(open.what, since, *limit, now);
        }
    }
    mails(q, &mut check, now)?;
    Ok(check)
}

fn open(row: &Row, says: &str) -> Result<Open> {
    let order: OrderId = row.get(0)?;
    let what = format!("{order}: {says} {}", row.get::<String>(1)?);
    Ok(Open { order, what, since: row.get(2)? })
}

/// Looks at one context's sagas; the orders of stuck ones are added to those somebody was told of.
fn sagas(
    q: &mut Reader<'_>,
    check: &mut Check,
    context: &str,
    told: &mut BTreeSet<OrderId>,
    now: Timestamp,
) -> Result<()> {
    let sql = format!(
        "SELECT id, name, status, next_attempt_at, updated_at, data FROM {context}_sagas
 WHERE status NOT IN ('done', 'abandoned')"
    );
    for (id, name, status, next, updated, data) in q.query(&sql, params![], |row| {
        Ok((
            row.get::<SagaId>(0)?,
            row.get::<String>(1)?,
            row.get::<String>(2)?,
            row.get::<Option<Timestamp>>(3)?,
            row.get::<Timestamp>(4)?,
            row.get::<String>(5)?,
        ))
    })? {
        check.examined += 1;
        let mut since = next.map_or(updated, |n| n.max(updated));
        if status == "stuck" {
            told.extend(order_of(&data));
            since = now;
        }
        check.unfinished(format!("{name} {id} is {status}"), since, IN_FLIGHT_MAX, now);
    }
    Ok(())
}

fn order_of(data: &str) -> Option<OrderId> {
    let data: serde_json::Value = serde_json::from_str(data).ok()?;
    data.get("order_id")?.as_str()?.parse().ok()
}

/// A slow mail server holds many up at once, so that they may be late for a while.
fn mails(q: &mut Reader<'_>, check: &mut Check, now: Timestamp) -> Result<()> {
    for (mail, template, state, next) in q.query(MAILS, params![], |row| {
        Ok((row.get::<MailId>(0)?, row.get::<String>(1)?, row.get::<String>(2)?, row.get::<Timestamp>(3)?))
    })? {
        check.examined += 1;
        if next <= now {
            check.unfinished(format!("the {template} {mail} is {state}"), next, PROVIDER_LAG_MAX, now);
        }
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
