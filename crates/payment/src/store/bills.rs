//! Reconciliation's SQL: which days were reconciled, which lines the bills had, and what we know of them.

use std::collections::BTreeMap;

use merx_contracts::ids::{AttemptId, PaymentId, RefundId};
use merx_kernel::{Currency, Id, IdKind, Money, Result, Timestamp};
use merx_sql::{Query, Row, Tx, Value, params};

use crate::domain::{
    BillKind, BillLine, Ours,
    ledger::{CAPTURE, REFUND},
};

/// Marks the ids of reconciliations.
pub enum ReconciliationKind {}
impl IdKind for ReconciliationKind {
    const PREFIX: &'static str = "rcn";
}
/// The reconciliation of one day with one provider.
pub type ReconciliationId = Id<ReconciliationKind>;

/// How many lines of a bill, and what they come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sums {
    /// How many captures.
    pub captures: i64,
    /// Minor units captured.
    pub captured_minor: i64,
    /// How many refunds.
    pub refunds: i64,
    /// Minor units given back.
    pub refunded_minor: i64,
    /// Minor units the provider kept.
    pub fee_minor: i64,
}

/// A reconciliation as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconciliationRow {
    /// Which.
    pub reconciliation_id: ReconciliationId,
    /// With whom.
    pub provider: String,
    /// The Beijing day, `2026-11-20`.
    pub bill_date: String,
    /// `done`, or `no_bill` while the provider has none.
    pub status: String,
    /// What the bill comes to.
    pub sums: Sums,
    /// In which currency.
    pub currency: Currency,
    /// The cases it opened, in all its runs.
    pub cases_opened: i64,
    /// How often it was done.
    pub runs: i64,
    /// The first time.
    pub first_at: Timestamp,
    /// The last time.
    pub last_at: Timestamp,
}

const COLUMNS: &str = "reconciliation_id, provider, bill_date, status, captures, captured_minor, refunds,
     refunded_minor, fee_minor, currency, cases_opened, runs, first_at, last_at";

fn read(row: &Row<'_>) -> Result<ReconciliationRow> {
    Ok(ReconciliationRow {
        reconciliation_id: row.get(0)?,
        provider: row.get(1)?,
        bill_date: row.get(2)?,
        status: row.get(3)?,
        sums: Sums {
            captures: row.get(4)?,
            captured_minor: row.get(5)?,
            refunds: row.get(6)?,
            refunded_minor: row.get(7)?,
            fee_minor: row.get(8)?,
        },
        currency: row.get::<String>(9)?.parse()?,
        cases_opened: row.get(10)?,
        runs: row.get(11)?,
        first_at: row.get(12)?,
        last_at: row.get(13)?,
    })
}

/// The reconciliation of a day.
pub fn of_day(q: &mut impl Query, provider: &str, bill_date: &str) -> Result<Option<ReconciliationRow>> {
    let sql = format!("SELECT {COLUMNS} FROM payment_reconciliations WHERE provider = ? AND bill_date = ?");
    q.query_opt(&sql, params![provider, bill_date], read)
}

/// The last day that was reconciled.
pub fn last_day(q: &mut impl Query, provider: &str) -> Result<Option<String>> {
    let sql = "SELECT MAX(bill_date) FROM payment_reconciliations WHERE provider = ? AND status = 'done'";
    q.query_one(sql, params![provider], |row| row.get(0))
}

/// When the first money came from a provider.
pub fn first_money_at(q: &mut impl Query, provider: &str) -> Result<Option<Timestamp>> {
    let sql = "SELECT MIN(captured_at) FROM payment_attempts WHERE provider = ?";
    q.query_one(sql, params![provider], |row| row.get(0))
}

/// At most `limit` reconciliations older than `before`, the newest first.
pub fn list(
    q: &mut impl Query,
    before: Option<ReconciliationId>,
    limit: i64,
) -> Result<Vec<ReconciliationRow>> {
    let before = before.unwrap_or(Id::from_bits(u128::MAX));
    q.query(
        &format!(
            "SELECT {COLUMNS} FROM payment_reconciliations WHERE reconciliation_id < ?
             ORDER BY reconciliation_id DESC LIMIT ?"
        ),
        params![before, limit],
        read,
    )
}

/// Keeps what a run came to; answers the row. What an earlier run opened counts on.
pub fn keep(tx: &mut Tx<'_>, row: &ReconciliationRow) -> Result<ReconciliationRow> {
    let sums = row.sums;
    let inserted = tx.insert_new(
        &format!(
            "INSERT INTO payment_reconciliations ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        ),
        params![
            row.reconciliation_id,
            &row.provider,
            &row.bill_date,
            &row.status,
            sums.captures,
            sums.captured_minor,
            sums.refunds,
            sums.refunded_minor,
            sums.fee_minor,
            row.currency.code(),
            row.cases_opened,
            1i64,
            row.last_at,
            row.last_at,
        ],
    )?;
    if !inserted.is_new() {
        tx.execute(
            "UPDATE payment_reconciliations SET status = ?, captures = ?, captured_minor = ?, refunds = ?,
             refunded_minor = ?, fee_minor = ?, cases_opened = cases_opened + ?, runs = runs + 1, last_at = ?
             WHERE provider = ? AND bill_date = ?",
            params![
                &row.status,
                sums.captures,
                sums.captured_minor,
                sums.refunds,
                sums.refunded_minor,
                sums.fee_minor,
                row.cases_opened,
                row.last_at,
                &row.provider,
                &row.bill_date,
            ],
        )?;
    }
    let kept = of_day(tx, &row.provider, &row.bill_date)?;
    kept.ok_or_else(|| merx_kernel::Error::internal("a reconciliation was not kept"))
}

/// Our attempt in a number of the provider's, written as we write it.
pub fn attempt_of(line: &BillLine) -> Option<AttemptId> {
    AttemptId::parse_bare(&line.order_number).ok().filter(|id| id.bare() == line.order_number)
}

/// Our refund in a number of the provider's.
pub fn refund_of(line: &BillLine) -> Option<RefundId> {
    RefundId::parse_bare(&line.request_number).ok().filter(|id| id.bare() == line.request_number)
}

/// Keeps a line; `false` when a bill of another day had it already.
pub fn keep_line(tx: &mut Tx<'_>, provider: &str, bill_date: &str, line: &BillLine) -> Result<bool> {
    let key = params![provider, line.kind.as_str(), &line.order_number, &line.request_number];
    let inserted = tx.insert_new(
        "INSERT INTO payment_bill_lines (provider, kind, order_number, request_number, bill_date, attempt_id, refund_id,
         trade_no, amount_minor, fee_minor, currency, moved_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            provider,
            line.kind.as_str(),
            &line.order_number,
            &line.request_number,
            bill_date,
            attempt_of(line),
            refund_of(line),
            &line.trade_no,
            line.amount.minor,
            line.fee.minor,
            line.amount.currency.code(),
            line.at,
        ],
    )?;
    if inserted.is_new() {
        return Ok(true);
    }
    let day: String = tx.query_one(
        "SELECT bill_date FROM payment_bill_lines
         WHERE provider = ? AND kind = ? AND order_number = ? AND request_number = ?",
        key,
        |row| row.get(0),
    )?;
    Ok(day == bill_date)
}

/// Lines with an open case that we did not know their money, which was booked since; each with the day of its bill, the
/// oldest day first, at most `limit`.
pub fn booked_since(q: &mut impl Query, provider: &str, limit: i64) -> Result<Vec<(String, BillLine)>> {
    let lines = |kind: BillKind, booked: &str| {
        format!(
            "SELECT l.bill_date, l.order_number, l.request_number, l.trade_no, l.amount_minor, l.fee_minor, l.currency,
             l.moved_at FROM payment_cases c JOIN payment_bill_lines l ON l.provider = c.provider AND l.kind = '{kind}'
             AND l.order_number = c.order_number AND l.request_number = c.request_number
             JOIN {booked} WHERE c.resolved_at IS NULL AND c.provider = ? AND c.kind = '{kind}_unknown_here'
             ORDER BY l.bill_date, l.order_number, l.request_number LIMIT ?",
            kind = kind.as_str()
        )
    };
    let captured = "payment_attempts a ON a.attempt_id = l.attempt_id AND a.captured_at IS NOT NULL";
    let back = "payment_refunds r ON r.refund_id = l.refund_id AND r.status = 'succeeded'";
    let mut found = Vec::new();
    for (kind, booked) in [(BillKind::Capture, captured), (BillKind::Refund, back)] {
        found.extend(q.query(&lines(kind, booked), params![provider, limit], |row| {
            let currency: Currency = row.get::<String>(6)?.parse()?;
            let line = BillLine {
                kind,
                order_number: row.get(1)?,
                request_number: row.get(2)?,
                trade_no: row.get(3)?,
                amount: Money::new(row.get(4)?, currency),
                fee: Money::new(row.get(5)?, currency),
                at: row.get(7)?,
            };
            Ok((row.get(0)?, line))
        })?);
    }
    Ok(found)
}

/// Counts cases that were opened about a day after its run.
pub fn count_opened(tx: &mut Tx<'_>, provider: &str, bill_date: &str, opened: i64) -> Result<()> {
    tx.execute(
        "UPDATE payment_reconciliations SET cases_opened = cases_opened + ? WHERE provider = ? AND bill_date = ?",
        params![opened, provider, bill_date],
    )?;
    Ok(())
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// What we know of what the lines name: by attempt for captures, by refund for refunds. Two statements of each kind.
pub fn ours(
    q: &mut impl Query,
    provider: &str,
    lines: &[BillLine],
) -> Result<BTreeMap<(AttemptId, Option<RefundId>), Ours>> {
    let of_kind = |kind: BillKind| lines.iter().filter(move |line| line.kind == kind);
    let attempts: Vec<AttemptId> = of_kind(BillKind::Capture).filter_map(attempt_of).collect();
    let refunds: Vec<RefundId> = of_kind(BillKind::Refund).filter_map(refund_of).collect();
    let mut known = BTreeMap::new();
    if !attempts.is_empty() {
        let booked = booked::<AttemptId>(q, CAPTURE, "attempt_id", &attempts)?;
        let mut values: Vec<Value> = attempts.iter().map(|id| Value::from(*id)).collect();
        values.push(provider.into());
        let rows = q.query(
            &format!(
                "SELECT attempt_id, payment_id, captured_minor, currency, captured_trade_no FROM payment_attempts
                 WHERE attempt_id IN ({}) AND provider = ?",
                marks(attempts.len())
            ),
            values,
            |row| {
                let attempt_id: AttemptId = row.get(0)?;
                let currency: Currency = row.get::<String>(3)?.parse()?;
                Ok(Ours {
                    payment_id: row.get(1)?,
                    attempt_id,
                    refund_id: None,
                    amount: row.get::<Option<i64>>(2)?.map(|minor| Money::new(minor, currency)),
                    trade_no: row.get(4)?,
                    ledger_minor: booked.get(&attempt_id).copied().unwrap_or(0),
                })
            },
        )?;
        known.extend(rows.into_iter().map(|ours| ((ours.attempt_id, None), ours)));
    }
    if !refunds.is_empty() {
        let booked = booked::<RefundId>(q, REFUND, "refund_id", &refunds)?;
        let mut values: Vec<Value> = refunds.iter().map(|id| Value::from(*id)).collect();
        values.push(provider.into());
        let rows = q.query(
            &format!(
                "SELECT r.refund_id, r.payment_id, r.attempt_id, r.amount_minor, r.currency, r.status, a.captured_trade_no
                 FROM payment_refunds r JOIN payment_attempts a ON a.attempt_id = r.attempt_id
                 WHERE r.refund_id IN ({}) AND a.provider = ?",
                marks(refunds.len())
            ),
            values,
            |row| {
                let refund_id: RefundId = row.get(0)?;
                let currency: Currency = row.get::<String>(4)?.parse()?;
                let through = row.get::<String>(5)? == "succeeded";
                Ok(Ours {
                    payment_id: row.get(1)?,
                    attempt_id: row.get(2)?,
                    refund_id: Some(refund_id),
                    amount: through.then_some(Money::new(row.get(3)?, currency)),
                    trade_no: row.get(6)?,
                    ledger_minor: -booked.get(&refund_id).copied().unwrap_or(0),
                })
            },
        )?;
        known.extend(rows.into_iter().map(|ours| ((ours.attempt_id, ours.refund_id), ours)));
    }
    Ok(known)
}

/// What the ledger has at providers' accounts, by attempt or refund.
fn booked<K>(q: &mut impl Query, kind: &str, column: &'static str, ids: &[K]) -> Result<BTreeMap<K, i64>>
where
    K: Copy + Ord + merx_sql::FromValue,
    Value: From<K>,
{
    // Through the payments, of which there is an index.
    let table = if kind == CAPTURE { "payment_attempts" } else { "payment_refunds" };
    let mut values: Vec<Value> = ids.iter().map(|id| Value::from(*id)).collect();
    values.push(kind.into());
    let rows = q.query(
        &format!(
            "SELECT s.{column}, SUM(s.minor) FROM {table} t JOIN payment_postings s
             ON s.payment_id = t.payment_id AND s.{column} = t.{column}
             WHERE t.{column} IN ({}) AND s.kind = ? AND s.account LIKE 'clearing:%' GROUP BY s.{column}",
            marks(ids.len())
        ),
        values,
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(rows.into_iter().collect())
}

/// Money we booked at a provider that no bill has named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unbilled {
    /// What it is.
    pub kind: BillKind,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// By which attempt.
    pub attempt_id: AttemptId,
    /// By which refund.
    pub refund_id: Option<RefundId>,
    /// How much.
    pub amount: Money,
    /// The provider's number, of a capture.
    pub trade_no: Option<String>,
}

/// What was booked from `from` on and before `to` and is on no bill; at most `limit` captures and `limit` refunds.
pub fn unbilled(
    q: &mut impl Query,
    provider: &str,
    (from, to): (Timestamp, Timestamp),
    limit: i64,
) -> Result<Vec<Unbilled>> {
    let mut all = q.query(
        "SELECT a.payment_id, a.attempt_id, a.captured_minor, a.currency, a.captured_trade_no
         FROM payment_attempts a LEFT JOIN payment_bill_lines b
         ON b.attempt_id = a.attempt_id AND b.kind = 'capture' AND b.provider = a.provider
         WHERE a.captured_at >= ? AND a.captured_at < ? AND a.provider = ? AND b.provider IS NULL
         ORDER BY a.captured_at, a.attempt_id LIMIT ?",
        params![from, to, provider, limit],
        |row| {
            let currency: Currency = row.get::<String>(3)?.parse()?;
            Ok(Unbilled {
                kind: BillKind::Capture,
                payment_id: row.get(0)?,
                attempt_id: row.get(1)?,
                refund_id: None,
                amount: Money::new(row.get(2)?, currency),
                trade_no: row.get(4)?,
            })
        },
    )?;
    all.extend(q.query(
        "SELECT r.payment_id, r.attempt_id, r.refund_id, r.amount_minor, r.currency, a.captured_trade_no
         FROM payment_refunds r JOIN payment_attempts a ON a.attempt_id = r.attempt_id
         LEFT JOIN payment_bill_lines b
         ON b.refund_id = r.refund_id AND b.kind = 'refund' AND b.provider = a.provider
         WHERE r.settled_at >= ? AND r.settled_at < ? AND r.status = 'succeeded' AND a.provider = ?
         AND b.provider IS NULL ORDER BY r.settled_at, r.refund_id LIMIT ?",
        params![from, to, provider, limit],
        |row| {
            let currency: Currency = row.get::<String>(4)?.parse()?;
            Ok(Unbilled {
                kind: BillKind::Refund,
                payment_id: row.get(0)?,
                attempt_id: row.get(1)?,
                refund_id: Some(row.get(2)?),
                amount: Money::new(row.get(3)?, currency),
                trade_no: row.get(5)?,
            })
        },
    )?);
    Ok(all)
}
