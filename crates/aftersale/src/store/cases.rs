//! The rows of cases, as lists show them.

use merx_contracts::ids::{AccountId, AfterSaleId, OrderId, RefundId};
use merx_kernel::{Money, Result, Timestamp};
use merx_sql::{Query, Row, Value, params};

use super::inconsistent;
use crate::domain::{Kind, Status};

macro_rules! cases {
    ($rest:literal) => {
        concat!(
            "SELECT case_id, order_id, account_id, kind, status, escalated, due_at, refund_minor, currency,
 requested_at, updated_at FROM aftersale_cases WHERE ",
            $rest
        )
    };
}
const ONE: &str = cases!("case_id = ?");
const OF_ORDER: &str = cases!("order_id = ? ORDER BY requested_at, case_id");
const LISTED: &str = cases!("(requested_at > ? OR (requested_at = ? AND case_id > ?))");
const CASE_OF_REFUND: &str = "SELECT order_id, case_id FROM aftersale_refunds WHERE refund_id = ?";

/// A case in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseRow {
    /// The case.
    pub case_id: AfterSaleId,
    /// Of which order.
    pub order_id: OrderId,
    /// The buyer.
    pub account_id: AccountId,
    /// What was asked.
    pub kind: Kind,
    /// Where it stands.
    pub status: Status,
    /// Somebody is late.
    pub escalated: bool,
    /// Until when the next step is to happen.
    pub due_at: Option<Timestamp>,
    /// What goes back, once that is decided.
    pub refund: Option<Money>,
    /// When it was asked.
    pub requested_at: Timestamp,
    /// When it moved last.
    pub updated_at: Timestamp,
}

/// Which cases of all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only where this is so.
    pub status: Option<Status>,
    /// Only of this order.
    pub order_id: Option<OrderId>,
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only where somebody is late, or nobody is.
    pub escalated: Option<bool>,
}

/// One case.
pub fn one(q: &mut impl Query, case_id: AfterSaleId) -> Result<Option<CaseRow>> {
    q.query_opt(ONE, params![case_id], case_of)
}

/// The cases of an order, oldest first.
pub fn of_order(q: &mut impl Query, order_id: OrderId) -> Result<Vec<CaseRow>> {
    q.query(OF_ORDER, params![order_id], case_of)
}

/// Cases after `after`, oldest first: who waits longest is served first.
pub fn listed(
    q: &mut impl Query,
    filter: &Filter,
    after: (Timestamp, AfterSaleId),
    limit: i64,
) -> Result<Vec<CaseRow>> {
    let (mut sql, mut values) = (LISTED.to_owned(), params![after.0, after.0, after.1]);
    let conditions: [(&str, Option<Value>); 4] = [
        (" AND status = ?", filter.status.map(|status| status.name().into())),
        (" AND order_id = ?", filter.order_id.map(Into::into)),
        (" AND kind = ?", filter.kind.map(|kind| kind.name().into())),
        (" AND escalated = ?", filter.escalated.map(|late| i64::from(late).into())),
    ];
    for (condition, value) in conditions {
        if let Some(value) = value {
            sql.push_str(condition);
            values.push(value);
        }
    }
    sql.push_str(" ORDER BY requested_at, case_id LIMIT ?");
    values.push(limit.into());
    q.query(&sql, values, case_of)
}

/// The order and the case a refund belongs to; nothing for a refund of somebody else.
pub fn of_refund(q: &mut impl Query, refund_id: RefundId) -> Result<Option<(OrderId, AfterSaleId)>> {
    q.query_opt(CASE_OF_REFUND, params![refund_id], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn case_of(row: &Row<'_>) -> Result<CaseRow> {
    let currency = row.get::<String>(8)?.parse()?;
    Ok(CaseRow {
        case_id: row.get(0)?,
        order_id: row.get(1)?,
        account_id: row.get(2)?,
        kind: Kind::from_name(&row.get::<String>(3)?).ok_or_else(|| inconsistent("kind"))?,
        status: Status::from_name(&row.get::<String>(4)?).ok_or_else(|| inconsistent("status"))?,
        escalated: row.get::<i64>(5)? != 0,
        due_at: row.get(6)?,
        refund: row.get::<Option<i64>>(7)?.map(|minor| Money::new(minor, currency)),
        requested_at: row.get(9)?,
        updated_at: row.get(10)?,
    })
}
