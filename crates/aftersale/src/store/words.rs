//! What people wrote, and tracking numbers they typed: rows that are erased with the person.

use merx_contracts::ids::{AccountId, AfterSaleId};
use merx_kernel::{Result, Timestamp};
use merx_sql::{Query, Tx, params};

const INSERT: &str = "INSERT INTO aftersale_words (case_id, topic, account_id, buyer_id, words, written_at)
 VALUES (?, ?, ?, ?, ?, ?)";
const UPDATE: &str =
    "UPDATE aftersale_words SET account_id = ?, words = ?, written_at = ? WHERE case_id = ? AND topic = ?";
/// Whose data was erased: nothing is written about them any more.
const NOTE_ERASED: &str = "INSERT INTO aftersale_erased (account_id) VALUES (?)";
const IS_ERASED: &str = "SELECT 1 FROM aftersale_erased WHERE account_id = ?";
const OF_CASE: &str = "SELECT topic, words, written_at FROM aftersale_words WHERE case_id = ? ORDER BY topic";
const ERASE: &str = "DELETE FROM aftersale_words WHERE account_id = ? OR buyer_id = ?";

/// What words are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Why the buyer asks.
    Request,
    /// What staff say to it.
    Answer,
    /// Who carries what goes back.
    Carrier,
    /// The carrier's number.
    Tracking,
    /// What the inspection found.
    Inspection,
}

impl Topic {
    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
            Self::Carrier => "carrier",
            Self::Tracking => "tracking",
            Self::Inspection => "inspection",
        }
    }
}

/// Writes words, in place of what was there; none about a buyer who was erased, nor of one.
pub fn write(
    tx: &mut Tx<'_>,
    (case_id, buyer): (AfterSaleId, AccountId),
    topic: Topic,
    author: AccountId,
    words: &str,
    at: Timestamp,
) -> Result<()> {
    if words.is_empty() || is_erased(tx, buyer)? || is_erased(tx, author)? {
        return Ok(());
    }
    if !tx.insert_new(INSERT, params![case_id, topic.name(), author, buyer, words, at])?.is_new() {
        tx.execute(UPDATE, params![author, words, at, case_id, topic.name()])?;
    }
    Ok(())
}

/// Everything written about a case, by topic.
pub fn of_case(q: &mut impl Query, case_id: AfterSaleId) -> Result<Vec<(String, String, Timestamp)>> {
    q.query(OF_CASE, params![case_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}

/// Whether a person's data was erased.
pub fn is_erased(q: &mut impl Query, account_id: AccountId) -> Result<bool> {
    Ok(q.query_opt(IS_ERASED, params![account_id], |row| row.get::<i64>(0))?.is_some())
}

/// Erases what was written by a person, and about the person's cases.
pub fn erase(tx: &mut Tx<'_>, account_id: AccountId) -> Result<()> {
    let _ = tx.insert_new(NOTE_ERASED, params![account_id])?;
    tx.execute(ERASE, params![account_id, account_id]).map(drop)
}
