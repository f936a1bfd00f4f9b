//! Pictures of cases. Rows come before objects and go after them, so that no object is unknown.

use merx_contracts::ids::{AccountId, AfterSaleId, EvidenceId};
use merx_kernel::{Result, Timestamp};
use merx_sql::{Query, Tx, params};

use super::words;

const INSERT: &str =
    "INSERT INTO aftersale_evidence (evidence_id, case_id, account_id, state, width, height, bytes, added_at)
 VALUES (?, ?, ?, 'coming', ?, ?, ?, ?)";
const KEEP: &str = "UPDATE aftersale_evidence SET state = 'kept' WHERE evidence_id = ? AND state = 'coming'";
const COUNT: &str = "SELECT COUNT(*) FROM aftersale_evidence WHERE case_id = ? AND state = 'kept'";
const OF_CASE: &str = "SELECT evidence_id, width, height, added_at FROM aftersale_evidence
 WHERE case_id = ? AND state = 'kept' ORDER BY added_at, evidence_id";
const IS_KEPT: &str =
    "SELECT 1 FROM aftersale_evidence WHERE evidence_id = ? AND case_id = ? AND state = 'kept'";
const DROP: &str = "UPDATE aftersale_evidence SET state = 'going' WHERE account_id = ?";
const LEFT: &str = "UPDATE aftersale_evidence SET state = 'going' WHERE state = 'coming' AND added_at < ?";
const GOING: &str =
    "SELECT evidence_id FROM aftersale_evidence WHERE state = 'going' ORDER BY added_at, evidence_id LIMIT ?";
const REMOVE: &str = "DELETE FROM aftersale_evidence WHERE evidence_id = ? AND state = 'going'";

/// A picture of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceRow {
    /// The picture.
    pub evidence_id: EvidenceId,
    /// Pixels.
    pub width: i64,
    /// Pixels.
    pub height: i64,
    /// When it came.
    pub added_at: Timestamp,
}

/// Says that a picture is about to be put; of somebody whose data was erased none is.
pub fn claim(
    tx: &mut Tx<'_>,
    (case_id, account_id): (AfterSaleId, AccountId),
    row: &EvidenceRow,
    bytes: i64,
) -> Result<()> {
    if words::is_erased(tx, account_id)? {
        return Ok(());
    }
    let EvidenceRow { evidence_id, width, height, added_at } = *row;
    tx.execute(INSERT, params![evidence_id, case_id, account_id, width, height, bytes, added_at]).map(drop)
}

/// It was put; `false` when a sweep or an erasure came first.
pub fn keep(tx: &mut Tx<'_>, evidence_id: EvidenceId) -> Result<bool> {
    tx.guarded(KEEP, params![evidence_id])
}

/// How many pictures a case has.
pub fn count(q: &mut impl Query, case_id: AfterSaleId) -> Result<i64> {
    q.query_one(COUNT, params![case_id], |row| row.get(0))
}

/// The pictures of a case, oldest first.
pub fn of_case(q: &mut impl Query, case_id: AfterSaleId) -> Result<Vec<EvidenceRow>> {
    q.query(OF_CASE, params![case_id], |row| {
        let (width, height) = (row.get(1)?, row.get(2)?);
        Ok(EvidenceRow { evidence_id: row.get(0)?, width, height, added_at: row.get(3)? })
    })
}

/// Whether a picture may be shown with the case.
pub fn is_kept(q: &mut impl Query, evidence_id: EvidenceId, case_id: AfterSaleId) -> Result<bool> {
    Ok(q.query_opt(IS_KEPT, params![evidence_id, case_id], |row| row.get::<i64>(0))?.is_some())
}

/// A person's pictures are shown no more; [`going`] says which objects go.
pub fn erase(tx: &mut Tx<'_>, account_id: AccountId) -> Result<()> {
    tx.execute(DROP, params![account_id]).map(drop)
}

/// Uploads that never ended are given up.
pub fn give_up(tx: &mut Tx<'_>, before: Timestamp) -> Result<()> {
    tx.execute(LEFT, params![before]).map(drop)
}

/// Pictures whose objects are to be removed.
pub fn going(q: &mut impl Query, limit: i64) -> Result<Vec<EvidenceId>> {
    q.query(GOING, params![limit], |row| row.get(0))
}

/// The object is gone.
pub fn removed(tx: &mut Tx<'_>, evidence_id: EvidenceId) -> Result<()> {
    tx.execute(REMOVE, params![evidence_id]).map(drop)
}
