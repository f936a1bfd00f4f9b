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
    freight: Money,
    deadline: Timestamp,
    subject: &str,
    at: Timestamp,
) -> Result<()> {
    let currency = amount.currency.code();
    tx.execute(
        "INSERT INTO payment_payments (payment_id, order_id, buyer, amount_minor, freight_minor, currency, deadline,
         subject, status, captured_minor, refunded_minor, opened_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'open', 0, 0, ?)",
        params![payment_id, order_id, buyer, amount.minor, freight.minor, currency, deadline, subject, at],
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

/// An attempt brought money: what reconciliation looks for on the provider's bill.
pub fn attempt_captured(
    tx: &mut Tx<'_>,
    attempt_id: AttemptId,
    amount: Money,
    trade_no: &str,
    at: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE payment_attempts SET captured_minor = ?, captured_trade_no = ?, captured_at = ? WHERE attempt_id = ?",
        params![amount.minor, trade_no, at, attempt_id],
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
