//! The projection's writes, one function for each thing that happens.

use merx_contracts::ids::{AccountId, AttemptId, OrderId, PaymentId, RefundId};
use merx_kernel::{Money, Result, Timestamp};
use merx_sql::{Tx, params};

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
    tx.execute("UPDATE payment_payments SET status = ? WHERE payment_id = ?", params![status, payment_id])?;
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
    tx.execute("UPDATE payment_attempts SET closed_at = ? WHERE attempt_id = ?", params![at, attempt_id])?;
    Ok(())
}

/// Money came in. Late money leaves the status as it is; the first that was in time decides it, and what is not as
/// much as was asked for is quarantined.
pub fn captured(tx: &mut Tx<'_>, payment_id: PaymentId, amount: Money, late: bool) -> Result<()> {
    if late {
        let sql = "UPDATE payment_payments SET captured_minor = captured_minor + ? WHERE payment_id = ?";
        tx.execute(sql, params![amount.minor, payment_id])?;
        return Ok(());
    }
    tx.execute(
        "UPDATE payment_payments SET captured_minor = captured_minor + ?,
         status = CASE WHEN status IN ('captured', 'quarantined') THEN status
         WHEN amount_minor = ? THEN 'captured' ELSE 'quarantined' END
         WHERE payment_id = ?",
        params![amount.minor, amount.minor, payment_id],
    )?;
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
