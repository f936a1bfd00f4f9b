//! Money that staff confirms: what came for an attempt, and what was paid back. References and reasons are words of
//! people and stay here, where they can be erased.

use merx_contracts::ids::{AccountId, AttemptId, PaymentId, RefundId};
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

/// What of it is kept: no words of an erased person's money.
#[derive(Clone, Debug)]
pub struct KeptWord {
    /// The bank's or the carrier's number.
    pub reference: Option<String>,
    /// Why it is believed.
    pub reason: Option<String>,
    /// Who says so.
    pub by: AccountId,
    /// When.
    pub at: Timestamp,
}

/// What may be kept of a word about a payment. Whoever erases its buyer's words waits for this transaction, or is waited for.
pub fn may_keep(
    tx: &mut Tx<'_>,
    payment_id: PaymentId,
    buyer: AccountId,
    said: &Confirmed,
) -> Result<KeptWord> {
    tx.execute("UPDATE payment_payments SET buyer = buyer WHERE payment_id = ?", params![payment_id])?;
    let sql = "SELECT account_id FROM payment_erased WHERE account_id = ?";
    let is_erased = tx.query_opt(sql, params![buyer], |_| Ok(()))?.is_some();
    let kept = |text: &String| (!is_erased).then(|| text.clone());
    Ok(KeptWord { reference: kept(&said.reference), reason: kept(&said.reason), by: said.by, at: said.at })
}

/// Whether this is said of other money than was confirmed for these attempts. Where a reference was erased nobody can tell.
pub fn is_another(q: &mut impl Query, attempts: &[AttemptId], said: &KeptWord) -> Result<bool> {
    let sql = "SELECT reference FROM payment_offline_trades WHERE attempt_id = ? AND receipt_id IS NOT NULL";
    for attempt_id in attempts {
        let known = q.query_opt(sql, params![*attempt_id], |row| row.get::<Option<String>>(0))?;
        if known.is_some_and(|reference| reference.is_none() || reference == said.reference) {
            return Ok(false);
        }
    }
    Ok(said.reference.is_some())
}

/// Blanks what was written about a person's money; what is said of it later is not kept.
pub fn erase(tx: &mut Tx<'_>, account: AccountId, at: Timestamp) -> Result<()> {
    let mark = "INSERT INTO payment_erased (account_id, erased_at) VALUES (?, ?)";
    if !tx.insert_new(mark, params![account, at])?.is_new() {
        return Ok(());
    }
    // Whoever is keeping a word holds the row of its payment: this waits, and then finds the word.
    tx.execute("UPDATE payment_payments SET buyer = buyer WHERE buyer = ?", params![account])?;
    // One by one: MariaDB reads the whole table for an update by a subquery.
    let attempts =
        "SELECT a.attempt_id FROM payment_payments p JOIN payment_attempts a ON a.payment_id = p.payment_id
         WHERE p.buyer = ? AND a.provider = 'offline'";
    for attempt_id in tx.query(attempts, params![account], |row| row.get::<AttemptId>(0))? {
        let blank = "UPDATE payment_offline_trades SET reference = NULL, reason = NULL WHERE attempt_id = ?";
        tx.execute(blank, params![attempt_id])?;
    }
    let refunds =
        "SELECT r.refund_id FROM payment_payments p JOIN payment_refunds r ON r.payment_id = p.payment_id
         WHERE p.buyer = ?";
    for refund_id in tx.query(refunds, params![account], |row| row.get::<RefundId>(0))? {
        let blank = "UPDATE payment_offline_refunds SET reference = NULL, reason = NULL WHERE refund_id = ?";
        tx.execute(blank, params![refund_id])?;
    }
    Ok(())
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
    said: &KeptWord,
) -> Result<bool> {
    close(tx, attempt_id, said.at)?;
    let rows = tx.execute(
        "UPDATE payment_offline_trades SET receipt_id = ?, amount_minor = ?, currency = ?, reference = ?, reason = ?,
         confirmed_by = ?, recorded_at = ? WHERE attempt_id = ? AND receipt_id IS NULL",
        params![
            receipt_id,
            amount.minor,
            amount.currency.code(),
            said.reference.as_deref(),
            said.reason.as_deref(),
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
pub fn confirm_refund(tx: &mut Tx<'_>, refund_id: RefundId, said: &KeptWord) -> Result<()> {
    tx.execute(
        "UPDATE payment_offline_refunds SET reference = ?, reason = ?, confirmed_by = ?, confirmed_at = ?
         WHERE refund_id = ? AND confirmed_at IS NULL",
        params![said.reference.as_deref(), said.reason.as_deref(), said.by, said.at, refund_id],
    )?;
    Ok(())
}
