//! The record of what staff did, for operators: verified, listed, its head noted elsewhere. Reads only; a running shop
//! does not mind.

use merx_kernel::Result;
use merx_sql::Db;

use crate::domain::audit_chain::Verifier;
use crate::store::audit;
pub use crate::{
    domain::audit_chain::{Break, Entry, Head, Why, hex, verify_chain},
    store::audit::AuditFilter,
};

/// Entries read at a time.
const CHUNK: i64 = 500;

/// How a record was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Whole, up to this head. Note it elsewhere: the next verification can be given it.
    Whole(Head),
    /// Broken.
    Broken(Break),
}

/// Where the chain ends.
///
/// # Errors
/// What the database answers.
pub async fn head(db: &Db) -> Result<Head> {
    db.read("accounts.audit_head", |q| audit::head(q)).await
}

/// Verifies the whole chain against itself, against the head the table of heads tells, and against `known`, a head that
/// was noted earlier. `progress` is told how many entries of how many are done.
///
/// # Errors
/// What the database answers.
pub async fn verify(db: &Db, known: Option<Head>, mut progress: impl FnMut(i64, i64)) -> Result<Found> {
    let stored = head(db).await?;
    let mut verifier = Verifier::new(known);
    let mut stored_verifier = Verifier::new(Some(stored));
    loop {
        let at = verifier.head().sequence;
        progress(at, stored.sequence.max(at));
        let entries = db.read("accounts.audit_verify", move |q| audit::entries_after(q, at, CHUNK)).await?;
        if entries.is_empty() {
            break;
        }
        for entry in &entries {
            if let Err(broken) = verifier.follow(entry).and_then(|()| stored_verifier.follow(entry)) {
                return Ok(Found::Broken(broken));
            }
        }
    }
    let whole = stored_verifier.finish().and_then(|_| verifier.finish());
    Ok(whole.map_or_else(Found::Broken, Found::Whole))
}

/// The entries before the place `before` that fit, the youngest first.
///
/// # Errors
/// `Invalid` for an action that is none; what the database answers.
pub async fn list(db: &Db, filter: AuditFilter, before: i64, limit: i64) -> Result<Vec<Entry>> {
    db.read("accounts.audit_list", move |q| audit::entries_before(q, &filter, before, limit)).await
}
