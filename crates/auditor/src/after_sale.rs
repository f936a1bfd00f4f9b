//! After-sale within A5: no unit is asked for twice, no more goes back than was paid, nothing is replaced that was not asked
//! for.

use std::collections::BTreeMap;

use merx_contracts::ids::{AfterSaleId, OrderId, RefundId};
use merx_kernel::Result;
use merx_sql::{Query, Reader, Row, params};

use crate::Check;

/// By line of an order: what was bought and paid, what cases claim, what was refunded.
const LINES: &str = "SELECT l.order_id, l.sku, o.quantity, o.amount_minor, SUM(l.claimed), SUM(l.refunded), SUM(l.amount_minor),
 MAX(l.bought), MAX(l.paid_minor) FROM aftersale_lines l
 LEFT JOIN ordering_lines o ON o.order_id = l.order_id AND o.sku = l.sku GROUP BY l.order_id, l.sku, o.quantity, o.amount_minor";
/// All that cases give back of an order, against what was paid for it.
const ORDERS: &str = "SELECT c.order_id, SUM(c.refund_minor), MAX(o.total_minor) FROM aftersale_cases c
 LEFT JOIN ordering_orders o ON o.order_id = c.order_id WHERE c.refund_minor IS NOT NULL AND c.status <> 'cancelled'
 GROUP BY c.order_id";
/// A case gives back what its refunds give back together.
const GRANTED: &str = "SELECT c.case_id, c.refund_minor, SUM(r.amount_minor) FROM aftersale_cases c
 JOIN aftersale_refunds r ON r.case_id = c.case_id GROUP BY c.case_id, c.refund_minor";
/// Refunds that cases count as through, against payment's.
const PAID: &str = "SELECT r.refund_id, r.amount_minor, p.amount_minor, p.status FROM aftersale_refunds r
 LEFT JOIN payment_refunds p ON p.refund_id = r.refund_id WHERE r.paid = 1";
/// A case that is refunded waits for nothing.
const REFUNDED_UNPAID: &str =
    "SELECT c.case_id FROM aftersale_cases c JOIN aftersale_refunds r ON r.case_id = c.case_id
 WHERE c.status = 'refunded' AND r.paid = 0";
/// Units that went out again, against those that were asked for.
const REPLACED: &str = "SELECT s.case_id, SUM(l.quantity),
 (SELECT SUM(a.claimed) FROM aftersale_lines a WHERE a.case_id = s.case_id)
 FROM shipping_shipments s JOIN shipping_shipment_lines l ON l.shipment = s.shipment
 WHERE s.case_id IS NOT NULL AND s.status <> 'cancelled' GROUP BY s.case_id";
/// Units inspected, against those that came.
const INSPECTED: &str =
    "SELECT case_id, sku FROM aftersale_lines WHERE claimed > 0 AND restocked + written_off > claimed";

pub(crate) fn check(q: &mut Reader<'_>, check: &mut Check) -> Result<()> {
    lines(q, check)?;
    let sums = |row: &Row<'_>| Ok((row.get::<OrderId>(0)?, row.get::<i64>(1)?, row.get::<Option<i64>>(2)?));
    for (order, back, total) in q.query(ORDERS, params![], sums)? {
        if total.is_none_or(|total| back > total) {
            check.violation(format!(
                "{order}: after the sale {back} go back, {total:?} minor units were paid"
            ));
        }
    }
    let cases =
        |row: &Row<'_>| Ok((row.get::<AfterSaleId>(0)?, row.get::<Option<i64>>(1)?, row.get::<i64>(2)?));
    for (case, decided, granted) in q.query(GRANTED, params![], cases)? {
        if decided != Some(granted) {
            check.violation(format!(
                "{case}: {decided:?} minor units are to go back, its refunds are {granted}"
            ));
        }
    }
    let refunds = |row: &Row<'_>| {
        let told: (Option<i64>, Option<String>) = (row.get(2)?, row.get(3)?);
        Ok((row.get::<RefundId>(0)?, row.get::<i64>(1)?, told))
    };
    for (refund, amount, (paid, status)) in q.query(PAID, params![], refunds)? {
        check.examined += 1;
        if paid != Some(amount) || status.as_deref() != Some("succeeded") {
            check.violation(format!(
                "{refund} of {amount} counts as through; payment says {paid:?}, {status:?}"
            ));
        }
    }
    for case in q.query(REFUNDED_UNPAID, params![], |row| row.get::<AfterSaleId>(0))? {
        check.violation(format!("{case} is refunded, and a refund of it is not through"));
    }
    let sent =
        |row: &Row<'_>| Ok((row.get::<AfterSaleId>(0)?, row.get::<i64>(1)?, row.get::<Option<i64>>(2)?));
    for (case, sent, asked) in q.query(REPLACED, params![], sent)? {
        if asked.is_none_or(|asked| sent > asked) {
            check.violation(format!("{case}: {sent} units go out again, {asked:?} came back"));
        }
    }
    let inspected = |row: &Row<'_>| Ok((row.get::<AfterSaleId>(0)?, row.get::<String>(1)?));
    for (case, sku) in q.query(INSPECTED, params![], inspected)? {
        check.violation(format!("{case}: more of {sku} was inspected than came"));
    }
    Ok(())
}

fn lines(q: &mut Reader<'_>, check: &mut Check) -> Result<()> {
    type Line = (OrderId, String, BTreeMap<&'static str, Option<i64>>);
    const FIGURES: [&str; 7] =
        ["quantity", "amount", "claimed", "refunded", "back", "bought then", "paid then"];
    let line = |row: &Row<'_>| -> Result<Line> {
        let mut figures = BTreeMap::new();
        for (index, name) in FIGURES.into_iter().enumerate() {
            figures.insert(name, row.get::<Option<i64>>(index + 2)?);
        }
        Ok((row.get(0)?, row.get(1)?, figures))
    };
    for (order, sku, figures) in q.query(LINES, params![], line)? {
        check.examined += 1;
        let figure = |name: &str| figures.get(name).copied().flatten();
        let Some(quantity) = figure("quantity") else {
            check.violation(format!("{order}: {sku} is asked for after the sale and was never ordered"));
            continue;
        };
        let (claimed, refunded) = (figure("claimed").unwrap_or(0), figure("refunded").unwrap_or(0));
        if claimed > quantity || refunded > quantity {
            check.violation(format!(
                "{order}: of {quantity} units of {sku} {claimed} are asked for and {refunded} refunded after the sale"
            ));
        }
        let (paid, back) = (figure("paid then").unwrap_or(0), figure("back").unwrap_or(0));
        if back > paid || (refunded == quantity && back != paid) {
            check.violation(format!(
                "{order}: for {refunded} of {quantity} units of {sku} {back} go back, {paid} minor units were paid"
            ));
        }
        if figure("bought then") != Some(quantity) {
            check.violation(format!("{order}: a case knows another quantity of {sku} than was ordered"));
        }
    }
    Ok(())
}
