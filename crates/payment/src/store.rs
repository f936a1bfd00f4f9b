//! Every SQL text of payment. `payment_payments`, `payment_attempts`, `payment_refunds` and `payment_postings` are
//! the projection and can be rebuilt from the events; `payment_notifications`, `payment_quarantine`, `payment_alerts`,
//! `payment_calls`, the two of `offline` and `payment_erased` are records of their own.

pub mod alerts;
pub mod bills;
pub mod calls;
pub mod cases;
pub mod ledger;
pub mod offline;
pub mod project;
pub mod quarantine;

use merx_contracts::ids::{AccountId, AttemptId, OrderId, PaymentId, RefundId};
use merx_kernel::{Currency, Money, Result, Timestamp};
use merx_sql::{Inserted, Migration, Query, Row, Tx, Value, params};

/// The tables of the context.
pub fn migrations() -> Vec<Migration> {
    let quarantine = include_str!("../migrations/101_quarantine_and_calls.sql");
    vec![
        Migration::same(100, "payments", include_str!("../migrations/100_payments.sql")),
        Migration::same(101, "quarantine and calls", quarantine),
        // Before there was quarantine, money of another amount made a payment `captured`.
        Migration::same(102, "quarantined status", include_str!("../migrations/102_quarantined_status.sql")),
        // Its rows are built anew from the events, see `bring_up_to_date`.
        Migration::same(103, "ledger", include_str!("../migrations/103_ledger.sql")),
        Migration::same(104, "offline", include_str!("../migrations/104_offline.sql")),
        Migration::same(105, "reconciliation", include_str!("../migrations/105_reconciliation.sql")),
        Migration::same(106, "erased", include_str!("../migrations/106_erased.sql")),
    ]
}

/// In which shape the rows of a projection were written; 0 for the first.
pub fn shape(q: &mut impl Query, projection: &str) -> Result<i64> {
    let sql = "SELECT shape FROM payment_shapes WHERE projection = ?";
    Ok(q.query_opt(sql, params![projection], |row| row.get(0))?.unwrap_or(0))
}

/// Says in which shape the rows of a projection are written.
pub fn set_shape(tx: &mut Tx<'_>, projection: &str, shape: i64) -> Result<()> {
    let insert = "INSERT INTO payment_shapes (projection, shape) VALUES (?, ?)";
    if !tx.insert_new(insert, params![projection, shape])?.is_new() {
        tx.execute("UPDATE payment_shapes SET shape = ? WHERE projection = ?", params![shape, projection])?;
    }
    Ok(())
}

/// A payment as the projection shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRow {
    /// Which.
    pub payment_id: PaymentId,
    /// What it pays for.
    pub order_id: OrderId,
    /// Who may pay.
    pub buyer: AccountId,
    /// How much is owed.
    pub amount: Money,
    /// No attempt outlives it.
    pub deadline: Timestamp,
    /// What the cashier shows.
    pub subject: String,
    /// `open`, `closing`, `captured`, `quarantined`, `closed`.
    pub status: String,
    /// What has come in.
    pub captured: Money,
    /// What went back.
    pub refunded: Money,
    /// When it was opened.
    pub opened_at: Timestamp,
}

/// What we know of the attempt a notification names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAttempt {
    /// The payment it is of.
    pub payment_id: PaymentId,
    /// How much was asked.
    pub amount: Money,
    /// Whether a notification of this trade in this status was taken in before.
    pub recorded: bool,
}

fn money(row: &Row<'_>, minor: usize, currency: usize) -> Result<Money> {
    let currency: Currency = row.get::<String>(currency)?.parse()?;
    Ok(Money::new(row.get(minor)?, currency))
}

/// The payment a refund is of.
pub fn payment_of_refund(q: &mut impl Query, refund_id: RefundId) -> Result<Option<PaymentId>> {
    let sql = "SELECT payment_id FROM payment_refunds WHERE refund_id = ?";
    q.query_opt(sql, params![refund_id], |row| row.get(0))
}

/// The attempt a notification names, and whether this notification was taken in before.
pub fn known_attempt(q: &mut impl Query, row: &NotificationRow) -> Result<Option<KnownAttempt>> {
    q.query_opt(
        "SELECT a.payment_id, a.amount_minor, a.currency, n.received_at
         FROM payment_attempts a
         LEFT JOIN payment_notifications n
           ON n.attempt_id = a.attempt_id AND n.provider = ? AND n.trade_no = ? AND n.status = ?
         WHERE a.attempt_id = ?",
        params![row.provider, &row.trade_no, &row.status, row.attempt_id],
        |row| {
            Ok(KnownAttempt {
                payment_id: row.get(0)?,
                amount: money(row, 1, 2)?,
                recorded: row.get::<Option<i64>>(3)?.is_some(),
            })
        },
    )
}

/// A notification that was believed.
#[derive(Clone, Debug)]
pub struct NotificationRow {
    /// Whose.
    pub provider: &'static str,
    /// The provider's number of the trade.
    pub trade_no: String,
    /// What it says.
    pub status: String,
    /// About which attempt.
    pub attempt_id: AttemptId,
    /// The provider's number of the notification.
    pub notify_id: String,
    /// The trace it came in.
    pub trace_id: Option<String>,
}

impl NotificationRow {
    /// Its entry in the timeline.
    pub fn entry(&self) -> String {
        format!("{}/{}/{}", self.provider, self.trade_no, self.status)
    }
}

/// Takes a notification in, once.
pub fn record_notification(tx: &mut Tx<'_>, row: &NotificationRow, at: Timestamp) -> Result<Inserted> {
    tx.insert_new(
        "INSERT INTO payment_notifications (provider, trade_no, status, attempt_id, notify_id, received_at,
         trace_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![
            row.provider,
            &row.trade_no,
            &row.status,
            row.attempt_id,
            &row.notify_id,
            at,
            row.trace_id.clone(),
        ],
    )
}

/// What a list of payments is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct PaymentFilter {
    /// Where it stands.
    pub status: Option<String>,
    /// What it pays for.
    pub order_id: Option<OrderId>,
    /// One of its attempts.
    pub attempt_id: Option<AttemptId>,
    /// The provider's number of a trade that paid it.
    pub trade_no: Option<String>,
    /// Opened then or later.
    pub from: Option<Timestamp>,
    /// Opened before.
    pub to: Option<Timestamp>,
}

/// Where a page of payments ended.
pub type PaymentCursor = (Timestamp, PaymentId);

/// At most `limit` payments after `cursor`, the newest first.
pub fn payments(
    q: &mut impl Query,
    filter: &PaymentFilter,
    cursor: Option<PaymentCursor>,
    limit: i64,
) -> Result<Vec<PaymentRow>> {
    let mut sql = String::from(
        "SELECT payment_id, order_id, buyer, amount_minor, currency, deadline, subject, status, captured_minor,
         refunded_minor, opened_at FROM payment_payments WHERE 1 = 1",
    );
    let mut values: Vec<Value> = Vec::new();
    let mut narrow = |condition: &str, mut with: Vec<Value>| {
        sql.push_str(" AND ");
        sql.push_str(condition);
        values.append(&mut with);
    };
    if let Some(status) = &filter.status {
        narrow("status = ?", params![status]);
    }
    if let Some(order_id) = filter.order_id {
        narrow("order_id = ?", params![order_id]);
    }
    if let Some(attempt_id) = filter.attempt_id {
        let of_attempt = "payment_id IN (SELECT payment_id FROM payment_attempts WHERE attempt_id = ?)";
        narrow(of_attempt, params![attempt_id]);
    }
    if let Some(trade_no) = &filter.trade_no {
        let of_trade = "payment_id IN (SELECT payment_id FROM payment_postings WHERE provider_trade_no = ?)";
        narrow(of_trade, params![trade_no]);
    }
    if let Some(from) = filter.from {
        narrow("opened_at >= ?", params![from]);
    }
    if let Some(to) = filter.to {
        narrow("opened_at < ?", params![to]);
    }
    if let Some((opened_at, payment_id)) = cursor {
        let after = "(opened_at < ? OR (opened_at = ? AND payment_id < ?))";
        narrow(after, params![opened_at, opened_at, payment_id]);
    }
    sql.push_str(" ORDER BY opened_at DESC, payment_id DESC LIMIT ?");
    values.push(limit.into());
    q.query(&sql, values, |row| {
        Ok(PaymentRow {
            payment_id: row.get(0)?,
            order_id: row.get(1)?,
            buyer: row.get(2)?,
            amount: money(row, 3, 4)?,
            deadline: row.get(5)?,
            subject: row.get(6)?,
            status: row.get(7)?,
            captured: money(row, 8, 4)?,
            refunded: money(row, 9, 4)?,
            opened_at: row.get(10)?,
        })
    })
}

/// A notification that counted, as the timeline shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenNotification {
    /// Whose.
    pub provider: String,
    /// The provider's number of the trade.
    pub trade_no: String,
    /// What it said.
    pub status: String,
    /// About which attempt.
    pub attempt_id: AttemptId,
    /// When it came.
    pub received_at: Timestamp,
    /// The trace it came in.
    pub trace_id: Option<String>,
}

/// The notifications about the attempts of a payment that counted, oldest first, at most `limit`.
pub fn notifications(
    q: &mut impl Query,
    payment_id: PaymentId,
    limit: i64,
) -> Result<Vec<TakenNotification>> {
    q.query(
        "SELECT n.provider, n.trade_no, n.status, n.attempt_id, n.received_at, n.trace_id
         FROM payment_attempts a JOIN payment_notifications n ON n.attempt_id = a.attempt_id
         WHERE a.payment_id = ? ORDER BY n.received_at, n.trade_no, n.status LIMIT ?",
        params![payment_id, limit],
        |row| {
            Ok(TakenNotification {
                provider: row.get(0)?,
                trade_no: row.get(1)?,
                status: row.get(2)?,
                attempt_id: row.get(3)?,
                received_at: row.get(4)?,
                trace_id: row.get(5)?,
            })
        },
    )
}
