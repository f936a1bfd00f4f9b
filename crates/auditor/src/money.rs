//! A1 and A8: money.

use std::collections::BTreeMap;

use merx_contracts::ids::{AttemptId, AttemptKind, OrderId, PaymentId, RefundKind};
use merx_kernel::{Id, IdKind, Result, Timestamp};
use merx_sql::{Query, Reader, params};

use crate::{Check, IN_FLIGHT_MAX, PROVIDER_LAG_MAX, ProviderEntry};

const PAYMENTS: &str = "SELECT p.payment_id, p.order_id, p.captured_minor - p.refunded_minor, p.amount_minor,
 o.paid_minor, o.total_minor, o.updated_at
 FROM payment_payments p LEFT JOIN ordering_orders o ON o.order_id = p.order_id";
// `offline` is exempt from the comparison with a provider's own ledger, by name: nobody outside keeps one.
const CAPTURES: &str = "SELECT attempt_id, SUM(minor), MAX(posted_at) FROM payment_postings
 WHERE kind = 'capture' AND account LIKE 'clearing:%' AND account <> 'clearing:offline' GROUP BY attempt_id";
const REFUNDS: &str = "SELECT refund_id, SUM(minor), MAX(posted_at) FROM payment_postings
 WHERE kind = 'refund' AND account LIKE 'clearing:%' AND account <> 'clearing:offline' GROUP BY refund_id";
const UNBALANCED: &str = "SELECT payment_id, version, SUM(minor) FROM payment_postings
 GROUP BY payment_id, version, currency HAVING SUM(minor) <> 0";
/// What orders still owe: nothing but of a payment that may be paid, or of one with money in review.
const OWED: &str = "SELECT p.payment_id, p.status, p.amount_minor, COALESCE(SUM(s.minor), 0)
 FROM payment_payments p LEFT JOIN payment_postings s ON s.payment_id = p.payment_id AND s.account = 'receivable'
 GROUP BY p.payment_id, p.status, p.amount_minor";
/// Of no attempt more goes back or is accepted from its deposit than lay there.
const OVERDRAWN: &str = "SELECT payment_id, attempt_id, SUM(minor) FROM payment_postings
 WHERE account = 'deposits' GROUP BY payment_id, attempt_id HAVING SUM(minor) > 0";
const ROWS_AGAINST_POSTINGS: &str =
    "SELECT p.payment_id, p.captured_minor - p.refunded_minor, COALESCE(SUM(s.minor), 0)
 FROM payment_payments p LEFT JOIN payment_postings s ON s.payment_id = p.payment_id AND s.account LIKE 'clearing:%'
 AND s.kind IN ('capture', 'refund') GROUP BY p.payment_id, p.captured_minor, p.refunded_minor";
const LATEST_CAPTURE: &str = "SELECT payment_id, MAX(posted_at) FROM payment_postings
 WHERE kind IN ('capture', 'refund') GROUP BY payment_id";
const ORDER_TOTALS: &str = "SELECT o.order_id, o.subtotal_minor, o.freight_minor, o.total_minor,
 COALESCE(SUM(l.amount_minor), 0), COALESCE(SUM(l.unit_price_minor * l.quantity), 0), COUNT(l.sku)
 FROM ordering_orders o LEFT JOIN ordering_lines l ON l.order_id = o.order_id
 GROUP BY o.order_id, o.subtotal_minor, o.freight_minor, o.total_minor";

/// A1, our side: captures minus refunds = what the order says is paid = our postings, which balance.
pub(crate) fn orders_agree(q: &mut Reader<'_>, now: Timestamp) -> Result<Check> {
    let mut check =
        Check::new("A1", "captures minus refunds = what orders say is paid = the provider's ledger");
    let moved: BTreeMap<PaymentId, Timestamp> =
        q.query(LATEST_CAPTURE, params![], |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect();
    let rows = q.query(PAYMENTS, params![], |row| {
        Ok((
            row.get::<PaymentId>(0)?,
            row.get::<OrderId>(1)?,
            row.get::<i64>(2)?,
            row.get::<i64>(3)?,
            row.get::<Option<i64>>(4)?,
            row.get::<Option<i64>>(5)?,
        ))
    })?;
    for (payment, order, held, due, says_paid, total) in rows {
        check.examined += 1;
        let (Some(says_paid), Some(total)) = (says_paid, total) else {
            check.violation(format!("{payment} pays for {order}, which does not exist"));
            continue;
        };
        if due != total {
            check.violation(format!("{payment} is over {due}, {order} over {total} minor units"));
        }
        if held != says_paid {
            let what = format!("{payment} holds {held}, {order} says {says_paid} minor units are paid");
            match moved.get(&payment) {
                Some(since) => check.unfinished(what, *since, IN_FLIGHT_MAX, now),
                None => check.violation(what),
            }
        }
    }
    for (payment, row, postings) in q.query(ROWS_AGAINST_POSTINGS, params![], |row| {
        Ok((row.get::<PaymentId>(0)?, row.get::<i64>(1)?, row.get::<i64>(2)?))
    })? {
        if row != postings {
            check.violation(format!("{payment} says it holds {row}, its postings {postings} minor units"));
        }
    }
    for (payment, version) in
        q.query(UNBALANCED, params![], |row| Ok((row.get::<PaymentId>(0)?, row.get::<i64>(1)?)))?
    {
        check.violation(format!("the postings of {payment} at version {version} do not balance"));
    }
    accounts_agree(q, &mut check)?;
    Ok(check)
}

/// The accounts beside the providers', by what must hold of them whatever happened.
fn accounts_agree(q: &mut Reader<'_>, check: &mut Check) -> Result<()> {
    for (payment, status, due, owed) in q.query(OWED, params![], |row| {
        Ok((row.get::<PaymentId>(0)?, row.get::<String>(1)?, row.get::<i64>(2)?, row.get::<i64>(3)?))
    })? {
        let right = match status.as_str() {
            "open" | "closing" => owed == due,
            // Late money that a person accepted in part makes the rest of a closed one owed again.
            "quarantined" | "closed" => (0..=due).contains(&owed),
            _ => owed == 0,
        };
        if !right {
            check.violation(format!("{payment} is {status}, and its books say that {owed} of {due} is owed"));
        }
    }
    for (payment, attempt, over) in q.query(OVERDRAWN, params![], |row| {
        Ok((row.get::<PaymentId>(0)?, row.get::<Option<AttemptId>>(1)?, row.get::<i64>(2)?))
    })? {
        let attempt = attempt.map(|id| id.to_string()).unwrap_or_default();
        check.violation(format!("{payment}: the deposit of {attempt} is overdrawn by {over} minor units"));
    }
    Ok(())
}

/// Minor units and the latest time, by our number at the provider.
type Booked = BTreeMap<String, (i64, Timestamp)>;

/// What we booked, to be held against the provider's ledger.
pub(crate) struct Books {
    captures: Booked,
    refunds: Booked,
}

impl Books {
    pub(crate) fn read(q: &mut Reader<'_>) -> Result<Self> {
        let captures = booked::<AttemptKind>(q, CAPTURES)?;
        Ok(Self { captures, refunds: booked::<RefundKind>(q, REFUNDS)? })
    }

    /// A1, the other side. `entries` were read after our books.
    pub(crate) fn compare(&self, check: &mut Check, entries: &[ProviderEntry], now: Timestamp) {
        let (mut captured, mut refunded) = (Booked::new(), Booked::new());
        for entry in entries {
            check.examined += 1;
            let (side, number) = match &entry.refund_number {
                None => (&mut captured, &entry.attempt_number),
                Some(number) => (&mut refunded, number),
            };
            let slot = side.entry(number.clone()).or_insert((0, entry.at));
            *slot = (slot.0 + entry.amount.minor, slot.1.max(entry.at));
        }
        compare(check, "capture", &self.captures, &captured, now);
        compare(check, "refund", &self.refunds, &refunded, now);
    }
}

fn booked<K: IdKind>(q: &mut Reader<'_>, sql: &str) -> Result<Booked> {
    let rows = q.query(sql, params![], |row| {
        Ok((row.get::<Id<K>>(0)?.bare(), (row.get::<i64>(1)?.abs(), row.get::<Timestamp>(2)?)))
    })?;
    Ok(rows.into_iter().collect())
}

fn compare(check: &mut Check, kind: &str, ours: &Booked, theirs: &Booked, now: Timestamp) {
    for (number, (amount, _)) in ours {
        match theirs.get(number) {
            None => check.violation(format!("we booked the {kind} {number}, the provider did not")),
            Some((their, _)) if their != amount => {
                check
                    .violation(format!("the {kind} {number} is {amount} here and {their} minor units there"));
            }
            Some(_) => {}
        }
    }
    for (number, (_, at)) in theirs.iter().filter(|(number, _)| !ours.contains_key(*number)) {
        let what = format!("the provider booked the {kind} {number}, we did not");
        check.unfinished(what, *at, PROVIDER_LAG_MAX, now);
    }
}

/// A8: lines + shipping + tax - discounts = total. (There is no tax or discount yet.)
pub(crate) fn totals_add_up(q: &mut Reader<'_>) -> Result<Check> {
    let mut check = Check::new("A8", "lines + shipping = total of every order, to the minor unit");
    let rows = q.query(ORDER_TOTALS, params![], |row| {
        let figures: Vec<i64> = (1..7).map(|i| row.get::<i64>(i)).collect::<Result<_>>()?;
        Ok((row.get::<OrderId>(0)?, figures))
    })?;
    for (order, figures) in rows {
        check.examined += 1;
        let [subtotal, freight, total, amounts, products, lines] = figures[..] else { continue };
        if lines == 0 {
            check.violation(format!("{order} has no lines"));
        }
        if amounts != subtotal || products != subtotal {
            check.violation(format!(
                "{order}: lines sum to {amounts} ({products} by price), subtotal is {subtotal}"
            ));
        }
        if subtotal + freight != total {
            check.violation(format!("{order}: {subtotal} + {freight} is not {total}"));
        }
    }
    Ok(check)
}
