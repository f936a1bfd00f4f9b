//! Every SQL text of payment. `payment_payments`, `payment_attempts`, `payment_refunds` and `payment_postings` are
//! the projection and can be rebuilt from the events; `payment_notifications` and `payment_alerts` are records of
//! their own.

use merx_contracts::ids::{AccountId, AttemptId, OrderId, PaymentId, RefundId};
use merx_kernel::{Currency, Id, IdKind, Money, Result, Timestamp};
use merx_sql::{Inserted, Migration, Query, Row, Tx, params};

/// The tables of the context.
pub fn migrations() -> Vec<Migration> {
    vec![Migration::same(100, "payments", include_str!("../migrations/100_payments.sql"))]
}

/// Marks alert ids.
pub enum AlertKind {}
impl IdKind for AlertKind {
    const PREFIX: &'static str = "alr";
}
/// Something a person must look at.
pub type AlertId = Id<AlertKind>;

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
    /// `open`, `closing`, `captured`, `closed`.
    pub status: String,
    /// What has come in.
    pub captured: Money,
    /// What went back.
    pub refunded: Money,
}

/// An attempt as the projection shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// Which.
    pub attempt_id: AttemptId,
    /// Whose cashier.
    pub provider: String,
    /// When it began.
    pub started_at: Timestamp,
    /// The end that was sent to the provider.
    pub expires_at: Timestamp,
    /// When it was known that nothing more can come of it.
    pub closed_at: Option<Timestamp>,
    /// When its money came.
    pub captured_at: Option<Timestamp>,
}

/// A refund as the projection shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRow {
    /// Which.
    pub refund_id: RefundId,
    /// How much.
    pub amount: Money,
    /// `requested`, `succeeded`, `failed`.
    pub status: String,
    /// When it was asked for, the last time.
    pub requested_at: Timestamp,
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

/// An alert as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRow {
    /// Which.
    pub alert_id: AlertId,
    /// What kind.
    pub kind: String,
    /// About which payment, where that is known.
    pub payment_id: Option<PaymentId>,
    /// The particulars as JSON, without personal data.
    pub detail: String,
    /// When.
    pub raised_at: Timestamp,
}

fn money(row: &Row<'_>, minor: usize, currency: usize) -> Result<Money> {
    let currency: Currency = row.get::<String>(currency)?.parse()?;
    Ok(Money::new(row.get(minor)?, currency))
}

/// A payment by its id.
pub fn payment(q: &mut impl Query, payment_id: PaymentId) -> Result<Option<PaymentRow>> {
    q.query_opt(
        "SELECT order_id, buyer, amount_minor, currency, deadline, subject, status, captured_minor, refunded_minor
         FROM payment_payments WHERE payment_id = ?",
        params![payment_id],
        |row| {
            Ok(PaymentRow {
                payment_id,
                order_id: row.get(0)?,
                buyer: row.get(1)?,
                amount: money(row, 2, 3)?,
                deadline: row.get(4)?,
                subject: row.get(5)?,
                status: row.get(6)?,
                captured: money(row, 7, 3)?,
                refunded: money(row, 8, 3)?,
            })
        },
    )
}

/// The attempts of a payment, oldest first.
pub fn attempts(q: &mut impl Query, payment_id: PaymentId) -> Result<Vec<AttemptRow>> {
    q.query(
        "SELECT a.attempt_id, a.provider, a.started_at, a.expires_at, a.closed_at, MIN(p.posted_at)
         FROM payment_attempts a
         LEFT JOIN payment_postings p
           ON p.payment_id = a.payment_id AND p.attempt_id = a.attempt_id AND p.refund_id IS NULL
         WHERE a.payment_id = ?
         GROUP BY a.attempt_id, a.provider, a.started_at, a.expires_at, a.closed_at
         ORDER BY a.attempt_id",
        params![payment_id],
        |row| {
            Ok(AttemptRow {
                attempt_id: row.get(0)?,
                provider: row.get(1)?,
                started_at: row.get(2)?,
                expires_at: row.get(3)?,
                closed_at: row.get(4)?,
                captured_at: row.get(5)?,
            })
        },
    )
}

/// The refunds of a payment, oldest first.
pub fn refunds(q: &mut impl Query, payment_id: PaymentId) -> Result<Vec<RefundRow>> {
    q.query(
        "SELECT refund_id, amount_minor, currency, status, requested_at FROM payment_refunds
         WHERE payment_id = ? ORDER BY requested_at, refund_id",
        params![payment_id],
        |row| {
            Ok(RefundRow {
                refund_id: row.get(0)?,
                amount: money(row, 1, 2)?,
                status: row.get(3)?,
                requested_at: row.get(4)?,
            })
        },
    )
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
}

/// Takes a notification in, once.
pub fn record_notification(tx: &mut Tx<'_>, row: &NotificationRow, at: Timestamp) -> Result<Inserted> {
    tx.insert_new(
        "INSERT INTO payment_notifications (provider, trade_no, status, attempt_id, notify_id, received_at)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![row.provider, &row.trade_no, &row.status, row.attempt_id, &row.notify_id, at],
    )
}

/// Keeps an alert; the same content is kept once.
pub fn record_alert(tx: &mut Tx<'_>, alert: &AlertRow, digest: [u8; 32]) -> Result<Inserted> {
    tx.insert_new(
        "INSERT INTO payment_alerts (alert_id, digest, kind, payment_id, detail, raised_at)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![alert.alert_id, digest, &alert.kind, alert.payment_id, &alert.detail, alert.raised_at],
    )
}

/// At most `limit` alerts older than `before`, the newest first.
pub fn alerts(q: &mut impl Query, before: Option<AlertId>, limit: i64) -> Result<Vec<AlertRow>> {
    q.query(
        "SELECT alert_id, kind, payment_id, detail, raised_at FROM payment_alerts
         WHERE alert_id < ? ORDER BY alert_id DESC LIMIT ?",
        params![before.unwrap_or(Id::from_bits(u128::MAX)), limit],
        |row| {
            Ok(AlertRow {
                alert_id: row.get(0)?,
                kind: row.get(1)?,
                payment_id: row.get(2)?,
                detail: row.get(3)?,
                raised_at: row.get(4)?,
            })
        },
    )
}

/// The projection's writes, one function for each thing that happens.
pub mod project {
    use super::{AccountId, AttemptId, Money, OrderId, PaymentId, RefundId, Result, Timestamp, Tx, params};

    /// A payment was opened.
    #[allow(clippy::too_many_arguments, reason = "one argument a column")]
    pub fn opened(
        tx: &mut Tx<'_>,
        payment_id: PaymentId,
        order_id: OrderId,
        buyer: AccountId,
        amount: Money,
        deadline: Timestamp,
        subject: &str,
        at: Timestamp,
    ) -> Result<()> {
        tx.execute(
            "INSERT INTO payment_payments (payment_id, order_id, buyer, amount_minor, currency, deadline, subject,
             status, captured_minor, refunded_minor, opened_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'open', 0, 0, ?)",
            params![payment_id, order_id, buyer, amount.minor, amount.currency.code(), deadline, subject, at],
        )?;
        Ok(())
    }

    /// A payment changed its status. A payment that was closed before its open has no row.
    pub fn status(tx: &mut Tx<'_>, payment_id: PaymentId, status: &str) -> Result<()> {
        tx.execute(
            "UPDATE payment_payments SET status = ? WHERE payment_id = ?",
            params![status, payment_id],
        )?;
        Ok(())
    }

    /// An attempt began.
    pub fn attempt_started(
        tx: &mut Tx<'_>,
        payment_id: PaymentId,
        attempt_id: AttemptId,
        provider: &str,
        amount: Money,
        started_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<()> {
        let currency = amount.currency.code();
        tx.execute(
            "INSERT INTO payment_attempts (attempt_id, payment_id, provider, amount_minor, currency, started_at,
             expires_at, closed_at) VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
            params![attempt_id, payment_id, provider, amount.minor, currency, started_at, expires_at],
        )?;
        Ok(())
    }

    /// Nothing more can come of an attempt.
    pub fn attempt_closed(tx: &mut Tx<'_>, attempt_id: AttemptId, at: Timestamp) -> Result<()> {
        tx.execute(
            "UPDATE payment_attempts SET closed_at = ? WHERE attempt_id = ?",
            params![at, attempt_id],
        )?;
        Ok(())
    }

    /// Money came in; late money leaves the status as it is.
    pub fn captured(tx: &mut Tx<'_>, payment_id: PaymentId, amount: Money, late: bool) -> Result<()> {
        let sql = if late {
            "UPDATE payment_payments SET captured_minor = captured_minor + ? WHERE payment_id = ?"
        } else {
            "UPDATE payment_payments SET captured_minor = captured_minor + ?, status = 'captured'
             WHERE payment_id = ?"
        };
        tx.execute(sql, params![amount.minor, payment_id])?;
        Ok(())
    }

    /// A refund was asked for.
    pub fn refund_requested(
        tx: &mut Tx<'_>,
        payment_id: PaymentId,
        refund_id: RefundId,
        attempt_id: AttemptId,
        amount: Money,
        at: Timestamp,
    ) -> Result<()> {
        let currency = amount.currency.code();
        tx.execute(
            "INSERT INTO payment_refunds (refund_id, payment_id, attempt_id, amount_minor, currency, status,
             requested_at, settled_at) VALUES (?, ?, ?, ?, ?, 'requested', ?, NULL)",
            params![refund_id, payment_id, attempt_id, amount.minor, currency, at],
        )?;
        Ok(())
    }

    /// A refund ended.
    pub fn refund_settled(tx: &mut Tx<'_>, refund_id: RefundId, status: &str, at: Timestamp) -> Result<()> {
        tx.execute(
            "UPDATE payment_refunds SET status = ?, settled_at = ? WHERE refund_id = ?",
            params![status, at, refund_id],
        )?;
        Ok(())
    }

    /// A refund that had ended is under way again.
    pub fn refund_retried(tx: &mut Tx<'_>, refund_id: RefundId, at: Timestamp) -> Result<()> {
        tx.execute(
            "UPDATE payment_refunds SET status = 'requested', requested_at = ?, settled_at = NULL
             WHERE refund_id = ?",
            params![at, refund_id],
        )?;
        Ok(())
    }

    /// Money went back.
    pub fn refunded(tx: &mut Tx<'_>, payment_id: PaymentId, amount: Money) -> Result<()> {
        tx.execute(
            "UPDATE payment_payments SET refunded_minor = refunded_minor + ? WHERE payment_id = ?",
            params![amount.minor, payment_id],
        )?;
        Ok(())
    }

    /// One movement of money, as the two postings that make it: what is added to one account is taken from the
    /// other.
    #[derive(Clone, Debug)]
    pub struct Movement<'a> {
        /// Of which payment.
        pub payment_id: PaymentId,
        /// The version of the event that made it.
        pub version: i64,
        /// The account that gains.
        pub to: &'a str,
        /// The account that loses.
        pub from: &'a str,
        /// How much.
        pub amount: Money,
        /// By which attempt.
        pub attempt_id: AttemptId,
        /// By which refund, if it is one.
        pub refund_id: Option<RefundId>,
        /// The provider's number, of a capture.
        pub provider_trade_no: Option<&'a str>,
        /// When.
        pub at: Timestamp,
    }

    /// Writes a movement into the ledger.
    pub fn post(tx: &mut Tx<'_>, movement: &Movement<'_>) -> Result<()> {
        let posting = |account: &str, minor: i64| {
            params![
                movement.payment_id,
                movement.version,
                account,
                minor,
                movement.amount.currency.code(),
                movement.attempt_id,
                movement.refund_id,
                movement.provider_trade_no,
                movement.at,
            ]
        };
        let minor = movement.amount.minor;
        tx.insert_rows(
            "INSERT INTO payment_postings (payment_id, version, account, minor, currency, attempt_id, refund_id,
             provider_trade_no, posted_at) VALUES",
            9,
            vec![posting(movement.to, minor), posting(movement.from, -minor)],
        )
    }
}
