//! Alerts: what a person must look at, until somebody resolves it.

use merx_contracts::ids::{AccountId, PaymentId};
use merx_kernel::{Id, IdKind, Result, Timestamp};
use merx_sql::{Inserted, Query, Row, Tx, Value, params};

/// Marks alert ids.
pub enum AlertKind {}
impl IdKind for AlertKind {
    const PREFIX: &'static str = "alr";
}
/// Something a person must look at.
pub type AlertId = Id<AlertKind>;

/// That something was settled, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// When.
    pub at: Timestamp,
    /// By whom; nobody where it settled itself.
    pub by: Option<AccountId>,
    /// Why.
    pub reason: String,
}

impl Resolved {
    /// From three columns, beginning at `first`.
    pub(super) fn read(row: &Row<'_>, first: usize) -> Result<Option<Self>> {
        let Some(at) = row.get(first)? else { return Ok(None) };
        let reason: Option<String> = row.get(first + 2)?;
        Ok(Some(Self { at, by: row.get(first + 1)?, reason: reason.unwrap_or_default() }))
    }
}

/// An alert as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRow {
    /// Which.
    pub alert_id: AlertId,
    /// What kind.
    pub kind: String,
    /// About which payment, where that is known.
    pub payment_id: Option<PaymentId>,
    /// About which attempt or refund, in public form: whatever settles it settles the alert.
    pub subject: Option<String>,
    /// The particulars as JSON, without personal data.
    pub detail: String,
    /// When.
    pub raised_at: Timestamp,
    /// Whether it is settled.
    pub resolved: Option<Resolved>,
}

const COLUMNS: &str =
    "alert_id, kind, payment_id, subject, detail, raised_at, resolved_at, resolved_by, resolution";

fn read(row: &Row<'_>) -> Result<AlertRow> {
    Ok(AlertRow {
        alert_id: row.get(0)?,
        kind: row.get(1)?,
        payment_id: row.get(2)?,
        subject: row.get(3)?,
        detail: row.get(4)?,
        raised_at: row.get(5)?,
        resolved: Resolved::read(row, 6)?,
    })
}

/// Keeps an alert; the same content is kept once.
pub fn record(tx: &mut Tx<'_>, alert: &AlertRow, digest: [u8; 32]) -> Result<Inserted> {
    tx.insert_new(
        "INSERT INTO payment_alerts (alert_id, digest, kind, payment_id, subject, detail, raised_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![
            alert.alert_id,
            digest,
            &alert.kind,
            alert.payment_id,
            alert.subject.clone(),
            &alert.detail,
            alert.raised_at,
        ],
    )
}

/// One alert.
pub fn find(q: &mut impl Query, alert_id: AlertId) -> Result<Option<AlertRow>> {
    q.query_opt(&format!("SELECT {COLUMNS} FROM payment_alerts WHERE alert_id = ?"), params![alert_id], read)
}

/// What a list of alerts is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    /// Only those that are resolved, or only those that are not.
    pub resolved: Option<bool>,
    /// What kind.
    pub kind: Option<String>,
}

/// At most `limit` alerts older than `before`, the newest first.
pub fn list(
    q: &mut impl Query,
    filter: &AlertFilter,
    before: Option<AlertId>,
    limit: i64,
) -> Result<Vec<AlertRow>> {
    let mut sql = format!("SELECT {COLUMNS} FROM payment_alerts WHERE alert_id < ?");
    let mut values: Vec<Value> = params![before.unwrap_or(Id::from_bits(u128::MAX))];
    if let Some(resolved) = filter.resolved {
        sql.push_str(if resolved { " AND resolved_at IS NOT NULL" } else { " AND resolved_at IS NULL" });
    }
    if let Some(kind) = &filter.kind {
        sql.push_str(" AND kind = ?");
        values.push(kind.as_str().into());
    }
    sql.push_str(" ORDER BY alert_id DESC LIMIT ?");
    values.push(limit.into());
    q.query(&sql, values, read)
}

/// Resolves an alert; `false` when it was resolved before, or there is none.
pub fn resolve(tx: &mut Tx<'_>, alert_id: AlertId, resolved: &Resolved) -> Result<bool> {
    tx.guarded(
        "UPDATE payment_alerts SET resolved_at = ?, resolved_by = ?, resolution = ?
         WHERE alert_id = ? AND resolved_at IS NULL",
        params![resolved.at, resolved.by, &resolved.reason, alert_id],
    )
}

/// What was alerted about `subject` has settled itself, as far as it is of these kinds.
pub fn settle(tx: &mut Tx<'_>, kinds: &[&str], subject: &str, resolved: &Resolved) -> Result<()> {
    let marks = vec!["?"; kinds.len()].join(", ");
    let mut values: Vec<Value> = params![resolved.at, resolved.by, &resolved.reason, subject];
    values.extend(kinds.iter().map(|kind| Value::from(*kind)));
    tx.execute(
        &format!(
            "UPDATE payment_alerts SET resolved_at = ?, resolved_by = ?, resolution = ?
             WHERE subject = ? AND resolved_at IS NULL AND kind IN ({marks})"
        ),
        values,
    )?;
    Ok(())
}
