//! Cases: what reconciliation found, until somebody settles it.

use merx_contracts::ids::PaymentId;
use merx_kernel::{Currency, Error, Id, IdKind, Money, Result, Timestamp};
use merx_sql::{Query, Row, Tx, Value, params};

use super::alerts::{AlertId, Resolved};
use crate::domain::DifferenceKind;

/// Marks the ids of cases.
pub enum CaseKind {}
impl IdKind for CaseKind {
    const PREFIX: &'static str = "rcc";
}
/// Something on a bill and in our books that does not agree.
pub type CaseId = Id<CaseKind>;

/// A case as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseRow {
    /// Which.
    pub case_id: CaseId,
    /// On whose bill.
    pub provider: String,
    /// Of which Beijing day.
    pub bill_date: String,
    /// What does not agree.
    pub kind: DifferenceKind,
    /// Our number for the attempt.
    pub order_number: String,
    /// Our number for the refund; empty for a capture.
    pub request_number: String,
    /// The provider's number of the trade.
    pub trade_no: Option<String>,
    /// The payment, where it is known.
    pub payment_id: Option<PaymentId>,
    /// What we have.
    pub ours: Option<Money>,
    /// What the provider has.
    pub theirs: Option<Money>,
    /// In which currency.
    pub currency: Currency,
    /// The alert that was raised.
    pub alert_id: AlertId,
    /// When it was found.
    pub opened_at: Timestamp,
    /// Whether it is settled.
    pub resolved: Option<Resolved>,
}

const COLUMNS: &str =
    "case_id, provider, bill_date, kind, order_number, request_number, trade_no, payment_id,
     ours_minor, theirs_minor, currency, alert_id, opened_at";

fn read(row: &Row<'_>) -> Result<CaseRow> {
    let kind: String = row.get(3)?;
    let currency: Currency = row.get::<String>(10)?.parse()?;
    let money = |minor: Option<i64>| minor.map(|minor| Money::new(minor, currency));
    Ok(CaseRow {
        case_id: row.get(0)?,
        provider: row.get(1)?,
        bill_date: row.get(2)?,
        kind: DifferenceKind::from_name(&kind)
            .ok_or_else(|| Error::internal(format!("inconsistent row: case of kind `{kind}`")))?,
        order_number: row.get(4)?,
        request_number: row.get(5)?,
        trade_no: row.get(6)?,
        payment_id: row.get(7)?,
        ours: money(row.get(8)?),
        theirs: money(row.get(9)?),
        currency,
        alert_id: row.get(11)?,
        opened_at: row.get(12)?,
        resolved: Resolved::read(row, 13)?,
    })
}

/// Opens a case, once; `false` when there is one of this kind about the same money, settled or not.
pub fn open(tx: &mut Tx<'_>, case: &CaseRow) -> Result<bool> {
    let minor = |money: Option<Money>| money.map(|money| money.minor);
    let inserted = tx.insert_new(
        &format!("INSERT INTO payment_cases ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
        params![
            case.case_id,
            &case.provider,
            &case.bill_date,
            case.kind.as_str(),
            &case.order_number,
            &case.request_number,
            case.trade_no.clone(),
            case.payment_id,
            minor(case.ours),
            minor(case.theirs),
            case.currency.code(),
            case.alert_id,
            case.opened_at,
        ],
    )?;
    Ok(inserted.is_new())
}

/// One case.
pub fn find(q: &mut impl Query, case_id: CaseId) -> Result<Option<CaseRow>> {
    let sql = format!(
        "SELECT {COLUMNS}, resolved_at, resolved_by, resolution FROM payment_cases WHERE case_id = ?"
    );
    q.query_opt(&sql, params![case_id], read)
}

/// What a list of cases is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct CaseFilter {
    /// Only those that are settled, or only those that are not.
    pub resolved: Option<bool>,
    /// What kind.
    pub kind: Option<DifferenceKind>,
    /// On the bill of this Beijing day.
    pub bill_date: Option<String>,
    /// On this provider's bills.
    pub provider: Option<String>,
}

/// At most `limit` cases older than `before`, the newest first.
pub fn list(
    q: &mut impl Query,
    filter: &CaseFilter,
    before: Option<CaseId>,
    limit: i64,
) -> Result<Vec<CaseRow>> {
    let mut sql = format!(
        "SELECT {COLUMNS}, resolved_at, resolved_by, resolution FROM payment_cases WHERE case_id < ?"
    );
    let mut values: Vec<Value> = params![before.unwrap_or(Id::from_bits(u128::MAX))];
    if let Some(resolved) = filter.resolved {
        sql.push_str(if resolved { " AND resolved_at IS NOT NULL" } else { " AND resolved_at IS NULL" });
    }
    let texts = [
        ("kind", filter.kind.map(|kind| kind.as_str().to_owned())),
        ("bill_date", filter.bill_date.clone()),
        ("provider", filter.provider.clone()),
    ];
    for (column, text) in texts {
        if let Some(text) = text {
            sql.push_str(&format!(" AND {column} = ?"));
            values.push(text.into());
        }
    }
    sql.push_str(" ORDER BY case_id DESC LIMIT ?");
    values.push(limit.into());
    q.query(&sql, values, read)
}

/// How many cases of a day wait for a person.
pub fn open_of_day(q: &mut impl Query, provider: &str, bill_date: &str) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM payment_cases
         WHERE provider = ? AND bill_date = ? AND resolved_at IS NULL";
    q.query_one(sql, params![provider, bill_date], |row| row.get(0))
}

/// Settles a case; `false` when it was settled before, or there is none.
pub fn resolve(tx: &mut Tx<'_>, case_id: CaseId, resolved: &Resolved) -> Result<bool> {
    tx.guarded(
        "UPDATE payment_cases SET resolved_at = ?, resolved_by = ?, resolution = ?
         WHERE case_id = ? AND resolved_at IS NULL",
        params![resolved.at, resolved.by, &resolved.reason, case_id],
    )
}

/// The alert of a case was resolved, and with it the case.
pub fn resolve_with(tx: &mut Tx<'_>, alert_id: AlertId, resolved: &Resolved) -> Result<()> {
    tx.execute(
        "UPDATE payment_cases SET resolved_at = ?, resolved_by = ?, resolution = ?
         WHERE alert_id = ? AND resolved_at IS NULL",
        params![resolved.at, resolved.by, &resolved.reason, alert_id],
    )?;
    Ok(())
}
