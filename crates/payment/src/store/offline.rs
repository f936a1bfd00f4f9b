//! Money that staff confirms: what came for an attempt, and what was paid back. References and reasons are words of
//! people and stay here, where they can be erased.

use merx_contracts::ids::{AccountId, AttemptId, RefundId};
use merx_kernel::{Currency, Id, IdKind, Money, Result, Timestamp};
use merx_sql::{Query, Tx, params};

/// Marks the ids of receipts.
pub enum ReceiptKind {}
impl IdKind for ReceiptKind {
    const PREFIX: &'static str = "rcp";
}
/// That money came, in the word of a person.
pub type ReceiptId = Id<ReceiptKind>;

/// Where an attempt stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was closed before anybody confirmed money.
    Closed,
    /// Somebody confirmed it.
    Paid {
        /// How much.
        amount: Money,
        /// The number of the receipt.
        receipt_id: ReceiptId,
    },
}

/// Where a refund stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundStanding {
    /// Whose money.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// Whether somebody confirmed that it was paid back.
    pub paid_back: bool,
}

/// A person's word that money moved.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// The bank's or the carrier's number.
    pub reference: String,
    /// Why it is believed.
    pub reason: String,
    /// Who says so.
    pub by: AccountId,
    /// When.
    pub at: Timestamp,
}

/// Where an attempt stands; `None` while nothing was said.
pub fn standing(q: &mut impl Query, attempt_id: AttemptId) -> Result<Option<Standing>> {
    q.query_opt(
        "SELECT receipt_id, amount_minor, currency FROM payment_offline_trades WHERE attempt_id = ?",
        params![attempt_id],
        |row| {
            let receipt_id: Option<ReceiptId> = row.get(0)?;
            let Some(receipt_id) = receipt_id else { return Ok(Standing::Closed) };
            let currency: Currency = row.get::<String>(2)?.parse()?;
            Ok(Standing::Paid { amount: Money::new(row.get(1)?, currency), receipt_id })
        },
    )
}

/// Closes an attempt; `false` when money was confirmed before.
pub fn close(tx: &mut Tx<'_>, attempt_id: AttemptId, at: Timestamp) -> Result<bool> {
    let sql = "INSERT INTO payment_offline_trades (attempt_id, recorded_at) VALUES (?, ?)";
    if tx.insert_new(sql, params![attempt_id, at])?.is_new() {
        return Ok(true);
    }
    Ok(standing(tx, attempt_id)? == Some(Standing::Closed))
}

/// Keeps that money came, also for an attempt that was closed; `false` when that was confirmed before.
pub fn confirm(
    tx: &mut Tx<'_>,
    attempt_id: AttemptId,
    receipt_id: ReceiptId,
    amount: Money,
    said: &Confirmed,
) -> Result<bool> {
    close(tx, attempt_id, said.at)?;
    let rows = tx.execute(
        "UPDATE payment_offline_trades SET receipt_id = ?, amount_minor = ?, currency = ?, reference = ?, reason = ?,
         confirmed_by = ?, recorded_at = ? WHERE attempt_id = ? AND receipt_id IS NULL",
        params![
            receipt_id,
            amount.minor,
            amount.currency.code(),
            &said.reference,
            &said.reason,
            said.by,
            said.at,
            attempt_id,
        ],
    )?;
    Ok(rows == 1)
}

/// Notes that money shall be paid back, once.
pub fn ask_refund(
    tx: &mut Tx<'_>,
    refund_id: RefundId,
    attempt_id: AttemptId,
    amount: Money,
    at: Timestamp,
) -> Result<()> {
    // Asked for again it is the same refund.
    let _ = tx.insert_new(
        "INSERT INTO payment_offline_refunds (refund_id, attempt_id, amount_minor, currency, asked_at)
         VALUES (?, ?, ?, ?, ?)",
        params![refund_id, attempt_id, amount.minor, amount.currency.code(), at],
    )?;
    Ok(())
}

/// Where a refund stands; `None` before it was asked for.
pub fn refund_standing(q: &mut impl Query, refund_id: RefundId) -> Result<Option<RefundStanding>> {
    q.query_opt(
        "SELECT attempt_id, amount_minor, currency, confirmed_at FROM payment_offline_refunds WHERE refund_id = ?",
        params![refund_id],
        |row| {
            let currency: Currency = row.get::<String>(2)?.parse()?;
            Ok(RefundStanding {
                attempt_id: row.get(0)?,
                amount: Money::new(row.get(1)?, currency),
                paid_back: row.get::<Option<i64>>(3)?.is_some(),
            })
        },
    )
}

/// Keeps that a refund was paid back; nothing where that was confirmed before.
pub fn confirm_refund(tx: &mut Tx<'_>, refund_id: RefundId, said: &Confirmed) -> Result<()> {
    tx.execute(
        "UPDATE payment_offline_refunds SET reference = ?, reason = ?, confirmed_by = ?, confirmed_at = ?
         WHERE refund_id = ? AND confirmed_at IS NULL",
        params![&said.reference, &said.reason, said.by, said.at, refund_id],
    )?;
    Ok(())
}
