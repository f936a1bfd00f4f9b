//! The ledger's SQL: postings, and what is read from them.

use std::collections::BTreeMap;

use merx_contracts::ids::{AttemptId, OrderId, PaymentId, RefundId};
use merx_kernel::{Currency, Money, Result, Timestamp};
use merx_sql::{Query, RecordedEvent, Tx, Value, params};

use crate::domain::{
    PaymentEvent,
    ledger::{Account, Books, Posting},
};

/// What a booking is about, beside its payment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// By which attempt.
    pub attempt_id: Option<AttemptId>,
    /// By which refund.
    pub refund_id: Option<RefundId>,
    /// The provider's number, of a capture.
    pub provider_trade_no: Option<String>,
}

impl About {
    /// What an event is about.
    pub fn of(event: &PaymentEvent) -> Self {
        match event {
            PaymentEvent::PaymentCaptured { attempt_id, provider_trade_no, .. } => Self {
                attempt_id: Some(*attempt_id),
                refund_id: None,
                provider_trade_no: Some(provider_trade_no.clone()),
            },
            PaymentEvent::DepositAccepted { attempt_id, .. } => {
                Self { attempt_id: Some(*attempt_id), ..Self::default() }
            }
            PaymentEvent::RefundSucceeded { attempt_id, refund_id, .. } => {
                Self { attempt_id: Some(*attempt_id), refund_id: Some(*refund_id), provider_trade_no: None }
            }
            PaymentEvent::FeeCharged { attempt_id, refund_id, .. } => {
                Self { attempt_id: Some(*attempt_id), refund_id: *refund_id, provider_trade_no: None }
            }
            _ => Self::default(),
        }
    }
}

/// Writes a booking, which sums to zero.
pub fn post(
    tx: &mut Tx<'_>,
    payment_id: PaymentId,
    event: &RecordedEvent,
    kind: &str,
    currency: Currency,
    about: &About,
    postings: &[Posting],
) -> Result<()> {
    if postings.is_empty() {
        return Ok(());
    }
    let row = |posting: &Posting| {
        params![
            payment_id,
            event.version,
            posting.account.name(),
            posting.minor,
            currency.code(),
            kind,
            about.attempt_id,
            about.refund_id,
            about.provider_trade_no.clone(),
            event.recorded_at,
        ]
    };
    tx.insert_rows(
        "INSERT INTO payment_postings (payment_id, version, account, minor, currency, kind, attempt_id, refund_id,
         provider_trade_no, posted_at) VALUES",
        10,
        postings.iter().map(row).collect(),
    )
}

/// What the ledger says of a payment; `None` for one that was never opened. One statement.
pub fn books(q: &mut impl Query, payment_id: PaymentId) -> Result<Option<Books>> {
    type Line = (Books, Option<String>, Option<AttemptId>, i64);
    let lines: Vec<Line> = q.query(
        "SELECT p.amount_minor, p.freight_minor, p.currency, p.status, s.account, s.attempt_id,
         COALESCE(SUM(s.minor), 0)
         FROM payment_payments p LEFT JOIN payment_postings s ON s.payment_id = p.payment_id
         WHERE p.payment_id = ?
         GROUP BY p.amount_minor, p.freight_minor, p.currency, p.status, s.account, s.attempt_id",
        params![payment_id],
        |row| {
            let due = Money::new(row.get(0)?, row.get::<String>(2)?.parse()?);
            let mut books = Books::new(due, row.get(1)?);
            books.in_review = row.get::<String>(3)? == "quarantined";
            Ok((books, row.get(4)?, row.get(5)?, row.get(6)?))
        },
    )?;
    let Some((mut books, ..)) = lines.first().cloned() else { return Ok(None) };
    for (_, account, attempt_id, minor) in lines {
        match (account.as_deref(), attempt_id) {
            (Some("receivable"), _) => books.receivable += minor,
            (Some("freight"), _) => books.freight_balance += minor,
            (Some("refunds"), _) => books.refunds += minor,
            (Some("deposits"), Some(attempt_id)) => *books.deposits.entry(attempt_id).or_default() += minor,
            _ => {}
        }
    }
    Ok(Some(books))
}

/// What all postings of an account come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The account.
    pub account: String,
    /// Its currency.
    pub currency: Currency,
    /// Minor units of all debits.
    pub debit: i64,
    /// Minor units of all credits.
    pub credit: i64,
    /// How many postings there are.
    pub postings: i64,
}

/// The balance of every account, of what was posted up to `as_of`.
pub fn balances(q: &mut impl Query, as_of: Option<Timestamp>) -> Result<Vec<Balance>> {
    q.query(
        "SELECT account, currency, SUM(CASE WHEN minor > 0 THEN minor ELSE 0 END),
         SUM(CASE WHEN minor < 0 THEN -minor ELSE 0 END), COUNT(*)
         FROM payment_postings WHERE posted_at <= ? GROUP BY account, currency ORDER BY account, currency",
        params![as_of.unwrap_or(Timestamp::from_millis(i64::MAX))],
        |row| {
            Ok(Balance {
                account: row.get(0)?,
                currency: row.get::<String>(1)?.parse()?,
                debit: row.get(2)?,
                credit: row.get(3)?,
                postings: row.get(4)?,
            })
        },
    )
}

/// The first bookings that do not balance within their currency, at most `limit`: payment and version.
pub fn unbalanced(q: &mut impl Query, limit: i64) -> Result<Vec<(PaymentId, i64)>> {
    q.query(
        "SELECT payment_id, version FROM payment_postings GROUP BY payment_id, version, currency
         HAVING SUM(minor) <> 0 ORDER BY payment_id, version LIMIT ?",
        params![limit],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// A posting as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostingRow {
    /// When.
    pub posted_at: Timestamp,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// Of which order.
    pub order_id: Option<OrderId>,
    /// The version of the event that made it.
    pub version: i64,
    /// Where.
    pub account: String,
    /// How much: a debit above zero, a credit below.
    pub amount: Money,
    /// What kind of booking it is of.
    pub kind: String,
    /// What it is about.
    pub about: About,
}

/// Where a page of postings ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostingCursor {
    /// When the last one was posted.
    pub posted_at: Timestamp,
    /// Of which payment it was.
    pub payment_id: PaymentId,
    /// The version of its event.
    pub version: i64,
    /// Its account.
    pub account: String,
}

/// What a list of postings is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct PostingFilter {
    /// Of this account.
    pub account: Option<String>,
    /// Posted then or later.
    pub from: Option<Timestamp>,
    /// Posted before.
    pub to: Option<Timestamp>,
}

/// At most `limit` postings after `cursor`, the oldest first.
pub fn postings(
    q: &mut impl Query,
    filter: &PostingFilter,
    cursor: Option<&PostingCursor>,
    limit: i64,
) -> Result<Vec<PostingRow>> {
    let mut sql = String::from(
        "SELECT s.posted_at, s.payment_id, p.order_id, s.version, s.account, s.minor, s.currency, s.kind, s.attempt_id,
         s.refund_id, s.provider_trade_no
         FROM payment_postings s LEFT JOIN payment_payments p ON p.payment_id = s.payment_id
         WHERE s.posted_at >= ? AND s.posted_at < ?",
    );
    let mut values: Vec<Value> = params![
        filter.from.unwrap_or(Timestamp::from_millis(i64::MIN)),
        filter.to.unwrap_or(Timestamp::from_millis(i64::MAX)),
    ];
    if let Some(account) = &filter.account {
        sql.push_str(" AND s.account = ?");
        values.push(account.as_str().into());
    }
    if let Some(PostingCursor { posted_at, payment_id, version, account }) = cursor {
        sql.push_str(
            " AND (s.posted_at > ? OR (s.posted_at = ? AND (s.payment_id > ? OR (s.payment_id = ?
             AND (s.version > ? OR (s.version = ? AND s.account > ?))))))",
        );
        values.append(&mut params![
            *posted_at,
            *posted_at,
            *payment_id,
            *payment_id,
            *version,
            *version,
            account.as_str()
        ]);
    }
    sql.push_str(" ORDER BY s.posted_at, s.payment_id, s.version, s.account LIMIT ?");
    values.push(limit.into());
    q.query(&sql, values, |row| {
        Ok(PostingRow {
            posted_at: row.get(0)?,
            payment_id: row.get(1)?,
            order_id: row.get(2)?,
            version: row.get(3)?,
            account: row.get(4)?,
            amount: Money::new(row.get(5)?, row.get::<String>(6)?.parse()?),
            kind: row.get(7)?,
            about: About { attempt_id: row.get(8)?, refund_id: row.get(9)?, provider_trade_no: row.get(10)? },
        })
    })
}

/// The balance of every account of one payment, by name.
pub fn balances_of(q: &mut impl Query, payment_id: PaymentId) -> Result<BTreeMap<String, i64>> {
    let sql = "SELECT account, SUM(minor) FROM payment_postings WHERE payment_id = ? GROUP BY account";
    Ok(q.query(sql, params![payment_id], |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect())
}

/// The account of a provider.
pub fn clearing(provider: crate::domain::ProviderName) -> String {
    Account::Clearing(provider).name()
}
