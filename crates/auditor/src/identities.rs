//! A5: every effect happened once.

use std::collections::BTreeMap;

use merx_contracts::ids::{AttemptId, MailId, OrderId};
use merx_kernel::Result;
use merx_sql::{Query, Reader, params};

use crate::{Check, ProviderEntry, after_sale};

const CAPTURES_TWICE: &str = "SELECT provider_trade_no, COUNT(*) FROM payment_postings
 WHERE provider_trade_no IS NOT NULL AND account LIKE 'clearing:%' GROUP BY provider_trade_no HAVING COUNT(*) > 1";
const ATTEMPTS_CAPTURED_TWICE: &str = "SELECT attempt_id, COUNT(*) FROM payment_postings
 WHERE kind = 'capture' AND account LIKE 'clearing:%' GROUP BY attempt_id HAVING COUNT(*) > 1";
const REFUNDED_ABOVE: &str = "SELECT attempt_id, SUM(minor) FROM payment_postings
 WHERE kind IN ('capture', 'refund') AND account LIKE 'clearing:%' GROUP BY attempt_id";
const CAPTURES: &str = "SELECT COUNT(*) FROM payment_postings WHERE kind IN ('capture', 'refund')
 AND account LIKE 'clearing:%'";
/// Those that replace goods are held against their cases.
const SHIPMENTS: &str = "SELECT s.order_id, SUM(l.quantity) FROM shipping_shipments s
 JOIN shipping_shipment_lines l ON l.shipment = s.shipment WHERE s.status <> 'cancelled'
 AND s.case_id IS NULL GROUP BY s.order_id";
const SHIPPED_AND_CANCELLED: &str = "SELECT o.order_id FROM ordering_orders o
 JOIN shipping_shipments s ON s.order_id = o.order_id
 WHERE o.order_axis IN ('cancelled', 'rejected') AND s.dispatched_at IS NOT NULL
 AND s.returned_at IS NULL GROUP BY o.order_id";
/// What late money revived has its goods from one reservation, as every order.
const SOLD_TWICE: &str = "SELECT o.order_id FROM ordering_orders o
 JOIN inventory_reservations r ON r.reservation = o.reservation_id
 JOIN inventory_reservations f ON f.reservation = o.order_id
 WHERE r.status <> 'released' AND f.status <> 'released'";
const LINES_BEYOND: &str = "SELECT order_id, sku FROM ordering_lines
 WHERE shipped > quantity OR delivered > shipped OR shipped < 0 OR delivered < 0";
const ORDERED: &str = "SELECT order_id, SUM(quantity) FROM ordering_lines GROUP BY order_id";
const MAILS: &str = "SELECT COUNT(*) FROM notification_mails";
const MAILED_TWICE: &str =
    "SELECT template, COUNT(*) FROM notification_mails GROUP BY template, cause HAVING COUNT(*) > 1";
/// A mail is sent once, and once more each time somebody of the staff asked for that.
const SENT_TOO_OFTEN: &str =
    "SELECT mail, template, copies, round FROM notification_mails WHERE copies > round";

/// A5: charges, refunds, shipments and mails are unique under their identities.
pub(crate) fn check(q: &mut Reader<'_>) -> Result<Check> {
    let mut check =
        Check::new("A5", "every charge, refund, shipment and mail happened once under its identity");
    check.examined += u64::try_from(q.query_one(CAPTURES, params![], |row| row.get::<i64>(0))?).unwrap_or(0);
    for trade in q.query(CAPTURES_TWICE, params![], |row| row.get::<String>(0))? {
        check.violation(format!("the provider's trade {trade} was booked more than once"));
    }
    for attempt in q.query(ATTEMPTS_CAPTURED_TWICE, params![], |row| row.get::<AttemptId>(0))? {
        check.violation(format!("{attempt} was captured more than once"));
    }
    // At a provider's account a capture is a plus and a refund a minus.
    let balances =
        q.query(REFUNDED_ABOVE, params![], |row| Ok((row.get::<AttemptId>(0)?, row.get::<i64>(1)?)))?;
    for (attempt, balance) in balances {
        if balance < 0 {
            check.violation(format!("more went back for {attempt} than came: {balance} minor units"));
        }
    }
    shipped_at_most_ordered(q, &mut check)?;
    for order in q.query(SHIPPED_AND_CANCELLED, params![], |row| row.get::<OrderId>(0))? {
        check.violation(format!("{order} is cancelled, and a shipment of it has left and not come back"));
    }
    for order in q.query(SOLD_TWICE, params![], |row| row.get::<OrderId>(0))? {
        check.violation(format!("stock is set aside or sold for {order} twice"));
    }
    let beyond = |row: &merx_sql::Row| Ok((row.get::<OrderId>(0)?, row.get::<String>(1)?));
    for (order, sku) in q.query(LINES_BEYOND, params![], beyond)? {
        check.violation(format!(
            "{order}: more of {sku} has left than was ordered, or has arrived than has left"
        ));
    }
    mails_once(q, &mut check)?;
    after_sale::check(q, &mut check)?;
    Ok(check)
}

fn mails_once(q: &mut Reader<'_>, check: &mut Check) -> Result<()> {
    check.examined += u64::try_from(q.query_one(MAILS, params![], |row| row.get::<i64>(0))?).unwrap_or(0);
    let twice = |row: &merx_sql::Row| Ok((row.get::<String>(0)?, row.get::<i64>(1)?));
    for (template, times) in q.query(MAILED_TWICE, params![], twice)? {
        check.violation(format!("one cause called for {template} {times} times"));
    }
    let sent = |row: &merx_sql::Row| {
        Ok((row.get::<MailId>(0)?, row.get::<String>(1)?, row.get::<i64>(2)?, row.get::<i64>(3)?))
    };
    for (mail, template, copies, rounds) in q.query(SENT_TOO_OFTEN, params![], sent)? {
        check.violation(format!("the {template} {mail} was sent {copies} times, asked for {rounds} times"));
    }
    Ok(())
}

/// A5, the provider's side: it charged and refunded once under each of our numbers.
pub(crate) fn provider_once(check: &mut Check, entries: &[ProviderEntry]) {
    let mut seen: BTreeMap<(&str, Option<&str>), u32> = BTreeMap::new();
    for entry in entries {
        *seen.entry((&entry.attempt_number, entry.refund_number.as_deref())).or_default() += 1;
    }
    for ((attempt, refund), times) in seen.into_iter().filter(|(_, times)| *times > 1) {
        let what = refund.map_or("charged".to_owned(), |r| format!("refunded under {r}"));
        check.violation(format!("the provider {what} {attempt} {times} times"));
    }
}

fn shipped_at_most_ordered(q: &mut Reader<'_>, check: &mut Check) -> Result<()> {
    let pairs = |row: &merx_sql::Row| Ok((row.get::<OrderId>(0)?, row.get::<i64>(1)?));
    let ordered: BTreeMap<OrderId, i64> = q.query(ORDERED, params![], pairs)?.into_iter().collect();
    for (order, shipped) in q.query(SHIPMENTS, params![], pairs)? {
        check.examined += 1;
        let units = ordered.get(&order).copied().unwrap_or(0);
        if shipped > units {
            check.violation(format!("{order} has {units} units, its shipments {shipped}"));
        }
    }
    Ok(())
}
