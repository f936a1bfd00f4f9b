//! Quarantine: signed notifications that do not agree with our record, and captured money that is not what was asked.

use merx_contracts::ids::{AttemptId, PaymentId};
use merx_kernel::{Currency, Id, IdKind, Money, Result, Timestamp};
use merx_sql::{Query, Row, Tx, Value, params};

use super::alerts::{AlertId, Resolved};

/// Marks the ids of what is in quarantine.
pub enum QuarantineKind {}
impl IdKind for QuarantineKind {
    const PREFIX: &'static str = "qtn";
}
/// Something in quarantine.
pub type QuarantineId = Id<QuarantineKind>;

/// Something in quarantine, as it is kept. Nothing about the payer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineRow {
    /// Which.
    pub item_id: QuarantineId,
    /// `notification` or `capture`.
    pub source: String,
    /// `under`, `over`, `double`, `late`, `foreign`, `contradiction`, `unreadable`.
    pub kind: String,
    /// About which payment, where that is known.
    pub payment_id: Option<PaymentId>,
    /// About which attempt, where that is known.
    pub attempt_id: Option<AttemptId>,
    /// Who told of it.
    pub provider: String,
    /// The order number it names.
    pub order_number: Option<String>,
    /// The provider's number of the trade.
    pub trade_no: Option<String>,
    /// What the provider said of the trade.
    pub trade_status: Option<String>,
    /// How much was asked.
    pub asked: Option<Money>,
    /// How much the provider speaks of.
    pub found: Option<Money>,
    /// Why it is here, as JSON without personal data.
    pub why: String,
    /// The alert that was raised.
    pub alert_id: Option<AlertId>,
    /// When it came.
    pub recorded_at: Timestamp,
    /// Whether it is settled.
    pub resolved: Option<Resolved>,
    /// Minor units of its money that went back; written nowhere, read from the ledger.
    pub returned_minor: i64,
}

const SELECT: &str = "SELECT q.item_id, q.source, q.kind, q.payment_id, q.attempt_id, q.provider, q.order_number,
     q.trade_no, q.trade_status, q.asked_minor, q.asked_currency, q.found_minor, q.found_currency, q.why, q.alert_id,
     q.recorded_at, q.resolved_at, q.resolved_by, q.resolution,
     (SELECT COALESCE(SUM(-p.minor), 0) FROM payment_postings p WHERE q.source = 'capture'
      AND p.payment_id = q.payment_id AND p.attempt_id = q.attempt_id AND p.kind = 'refund'
      AND p.account LIKE 'clearing:%')
     FROM payment_quarantine q";

fn money(row: &Row<'_>, minor: usize) -> Result<Option<Money>> {
    let (Some(amount), Some(code)) = (row.get(minor)?, row.get::<Option<String>>(minor + 1)?) else {
        return Ok(None);
    };
    Ok(Some(Money::new(amount, code.parse::<Currency>()?)))
}

fn read(row: &Row<'_>) -> Result<QuarantineRow> {
    Ok(QuarantineRow {
        item_id: row.get(0)?,
        source: row.get(1)?,
        kind: row.get(2)?,
        payment_id: row.get(3)?,
        attempt_id: row.get(4)?,
        provider: row.get(5)?,
        order_number: row.get(6)?,
        trade_no: row.get(7)?,
        trade_status: row.get(8)?,
        asked: money(row, 9)?,
        found: money(row, 11)?,
        why: row.get(13)?,
        alert_id: row.get(14)?,
        recorded_at: row.get(15)?,
        resolved: Resolved::read(row, 16)?,
        returned_minor: row.get(19)?,
    })
}

/// Keeps what does not fit.
pub fn record(tx: &mut Tx<'_>, item: &QuarantineRow) -> Result<()> {
    let code = |money: Option<Money>| money.map(|money| money.currency.code());
    let minor = |money: Option<Money>| money.map(|money| money.minor);
    tx.execute(
        "INSERT INTO payment_quarantine (item_id, source, kind, payment_id, attempt_id, provider, order_number,
         trade_no, trade_status, asked_minor, asked_currency, found_minor, found_currency, why, alert_id, recorded_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            item.item_id,
            &item.source,
            &item.kind,
            item.payment_id,
            item.attempt_id,
            &item.provider,
            item.order_number.clone(),
            item.trade_no.clone(),
            item.trade_status.clone(),
            minor(item.asked),
            code(item.asked),
            minor(item.found),
            code(item.found),
            &item.why,
            item.alert_id,
            item.recorded_at,
        ],
    )?;
    Ok(())
}

/// One thing in quarantine.
pub fn find(q: &mut impl Query, item_id: QuarantineId) -> Result<Option<QuarantineRow>> {
    q.query_opt(&format!("{SELECT} WHERE q.item_id = ?"), params![item_id], read)
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct QuarantineFilter {
    /// Only what is resolved, or only what is not.
    pub resolved: Option<bool>,
    /// What kind.
    pub kind: Option<String>,
    /// About which payment.
    pub payment_id: Option<PaymentId>,
}

/// At most `limit` things older than `before`, the newest first.
pub fn list(
    q: &mut impl Query,
    filter: &QuarantineFilter,
    before: Option<QuarantineId>,
    limit: i64,
) -> Result<Vec<QuarantineRow>> {
    let mut sql = format!("{SELECT} WHERE q.item_id < ?");
    let mut values: Vec<Value> = params![before.unwrap_or(Id::from_bits(u128::MAX))];
    if let Some(resolved) = filter.resolved {
        sql.push_str(if resolved { " AND q.resolved_at IS NOT NULL" } else { " AND q.resolved_at IS NULL" });
    }
    if let Some(kind) = &filter.kind {
        sql.push_str(" AND q.kind = ?");
        values.push(kind.as_str().into());
    }
    if let Some(payment_id) = filter.payment_id {
        sql.push_str(" AND q.payment_id = ?");
        values.push(payment_id.into());
    }
    sql.push_str(" ORDER BY q.item_id DESC LIMIT ?");
    values.push(limit.into());
    q.query(&sql, values, read)
}

/// Resolves one thing; `false` when it was resolved before, or there is none.
pub fn resolve(tx: &mut Tx<'_>, item_id: QuarantineId, resolved: &Resolved) -> Result<bool> {
    tx.guarded(
        "UPDATE payment_quarantine SET resolved_at = ?, resolved_by = ?, resolution = ?
         WHERE item_id = ? AND resolved_at IS NULL",
        params![resolved.at, resolved.by, &resolved.reason, item_id],
    )
}

/// The alert of something in quarantine was resolved, and with it the thing.
pub fn resolve_with(tx: &mut Tx<'_>, alert_id: AlertId, resolved: &Resolved) -> Result<()> {
    tx.execute(
        "UPDATE payment_quarantine SET resolved_at = ?, resolved_by = ?, resolution = ?
         WHERE alert_id = ? AND resolved_at IS NULL",
        params![resolved.at, resolved.by, &resolved.reason, alert_id],
    )?;
    Ok(())
}

/// The money of an attempt's capture is back: nothing is left to decide.
pub fn settle(
    tx: &mut Tx<'_>,
    payment_id: PaymentId,
    attempt_id: AttemptId,
    resolved: &Resolved,
) -> Result<()> {
    tx.execute(
        "UPDATE payment_quarantine SET resolved_at = ?, resolved_by = ?, resolution = ?
         WHERE payment_id = ? AND attempt_id = ? AND source = 'capture' AND resolved_at IS NULL",
        params![resolved.at, resolved.by, &resolved.reason, payment_id, attempt_id],
    )?;
    Ok(())
}
