//! A7: what was answered is there.

use merx_contracts::ids::OrderId;
use merx_kernel::Result;
use merx_sql::{Query, Reader, params};

use crate::{Audit, Check};

const ORDER: &str = "SELECT COUNT(*) FROM ordering_orders WHERE order_id = ?";
/// Answers that were saved for repetitions, and whose effect is not there.
const SAVED_WITHOUT_EFFECT: &str = "SELECT i.effect FROM ordering_idempotency i
 LEFT JOIN ordering_orders o ON o.order_id = i.effect WHERE i.status = 201 AND o.order_id IS NULL";
const SAVED: &str = "SELECT COUNT(*) FROM ordering_idempotency WHERE status = 201";

/// A7: every request that was answered 2xx is there.
pub(crate) fn check(q: &mut Reader<'_>, audit: &Audit) -> Result<Check> {
    let mut check = Check::new("A7", "every order whose placing was acknowledged is there");
    for order in &audit.acknowledged {
        check.examined += 1;
        if q.query_one(ORDER, params![*order], |row| row.get::<i64>(0))? != 1 {
            check.violation(format!("{order} was acknowledged and is not there"));
        }
    }
    check.examined += u64::try_from(q.query_one(SAVED, params![], |row| row.get::<i64>(0))?).unwrap_or(0);
    for order in q.query(SAVED_WITHOUT_EFFECT, params![], |row| row.get::<OrderId>(0))? {
        check.violation(format!("{order} has a saved answer and is not there"));
    }
    Ok(check)
}
