//! Guests, and the sweeping of those who left nothing.

use merx_contracts::ids::AccountId;
use merx_kernel::{Result, Timestamp};
use merx_sql::{Query, Tx, params};

use super::accounts::{AccountRow, account_row};
use crate::domain::{email::Email, person::Locale};

const SET_CONTACT: &str = "UPDATE accounts_accounts \
    SET contact_email = ?, name = ?, locale = ?, version = version + 1 \
    WHERE id = ? AND kind = 'guest' AND status = 'active'";
const BY_EMAIL: &str = "SELECT id, email, name, roles, kind, status, contact_email, locale, version, created_at, \
    password_hash <> '' FROM accounts_accounts \
    WHERE contact_email = ? AND kind = 'guest' AND id < ? ORDER BY id DESC LIMIT ?";
const DUE: &str =
    "SELECT id, contact_email FROM accounts_accounts WHERE sweep_at <= ? ORDER BY sweep_at LIMIT ?";
const HAS_ADDRESS: &str = "SELECT id FROM accounts_addresses WHERE account = ? LIMIT 1";
const HAS_SESSION: &str = "SELECT id FROM accounts_sessions \
    WHERE account = ? AND ended_at IS NULL AND expires_at > ? LIMIT 1";
const SWEEP: &str = "DELETE FROM accounts_accounts WHERE id = ? AND kind = 'guest' AND sweep_at IS NOT NULL";
const SWEEP_LATER: &str = "UPDATE accounts_accounts SET sweep_at = ? WHERE id = ?";

/// Sets how a guest is reached; false when it is no guest.
pub fn set_contact(
    tx: &mut Tx<'_>,
    id: AccountId,
    email: &Email,
    name: &str,
    locale: Locale,
) -> Result<bool> {
    tx.guarded(SET_CONTACT, params![email.as_str(), name, locale.name(), id])
}

/// The guests who are written to at an address, the youngest first.
pub fn by_email(q: &mut impl Query, email: &Email, before: AccountId, limit: i64) -> Result<Vec<AccountRow>> {
    q.query(BY_EMAIL, params![email.as_str(), before, limit], account_row)
}

/// What a sweep of some guests did.
pub struct Swept {
    pub looked_at: usize,
    pub gone: u64,
}

/// Looks at no more than `limit` guests that are due: who has an address (without which nobody orders) or can be
/// written to stays for good, who has an open session is looked at again at `later`, the others go.
pub fn sweep(tx: &mut Tx<'_>, now: Timestamp, later: Timestamp, limit: i64) -> Result<Swept> {
    let due: Vec<(AccountId, String)> =
        tx.query(DUE, params![now, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut gone = 0;
    for (guest, contact) in &due {
        let keeps = !contact.is_empty() || exists(tx, HAS_ADDRESS, params![*guest])?;
        if keeps {
            tx.execute(SWEEP_LATER, params![None::<Timestamp>, *guest])?;
        } else if exists(tx, HAS_SESSION, params![*guest, now])? {
            tx.execute(SWEEP_LATER, params![later, *guest])?;
        } else {
            gone += tx.execute(SWEEP, params![*guest])?;
        }
    }
    Ok(Swept { looked_at: due.len(), gone })
}

fn exists(q: &mut impl Query, sql: &str, values: Vec<merx_sql::Value>) -> Result<bool> {
    Ok(!q.query(sql, values, |_| Ok(()))?.is_empty())
}
