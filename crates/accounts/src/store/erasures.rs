//! Erasing a person.

use merx_contracts::ids::AccountId;
use merx_kernel::{Result, Timestamp};
use merx_sql::{Inserted, Query, Tx, params};

use super::accounts::no_email;

const INSERT_ERASURE: &str = "INSERT INTO accounts_erasures (account, at) VALUES (?, ?)";
const ERASURES: &str = "SELECT account, at FROM accounts_erasures ORDER BY at, account";
const ERASE_ACCOUNT: &str = "UPDATE accounts_accounts SET email = ?, name = '', password_hash = '', \
    contact_email = '', roles = '', status = 'erased', roles_changed_at = ?, sweep_at = NULL, \
    version = version + 1 WHERE id = ?";
const ERASE_ADDRESSES: &str = "UPDATE accounts_addresses SET country = '', region = '', city = '', line1 = '', \
    line2 = '', postcode = '', recipient = '', phone = '', erased = 1, retired_at = COALESCE(retired_at, ?) \
    WHERE account = ?";
const ERASE_SESSIONS: &str = "UPDATE accounts_sessions SET client = '', network = ?, \
    ended_at = COALESCE(ended_at, ?) WHERE account = ?";
const ERASE_KEYS: &str = "UPDATE accounts_api_keys SET name = '' WHERE account = ?";

/// Wipes whatever says who the person is; false when it was done before.
pub fn erase(tx: &mut Tx<'_>, account: AccountId, at: Timestamp) -> Result<bool> {
    if tx.insert_new(INSERT_ERASURE, params![account, at])? == Inserted::Exists {
        return Ok(false);
    }
    tx.execute(ERASE_ACCOUNT, params![no_email(account), at, account])?;
    tx.execute(ERASE_ADDRESSES, params![at, account])?;
    tx.execute(ERASE_SESSIONS, params![[0u8; 32], at, account])?;
    tx.execute(ERASE_KEYS, params![account])?;
    super::api_keys::revoke_keys(tx, account, at)?;
    super::codes::void_codes(tx, account, at)?;
    Ok(true)
}

/// Everybody who was erased.
pub fn erasures(q: &mut impl Query) -> Result<Vec<(AccountId, Timestamp)>> {
    q.query(ERASURES, params![], |row| Ok((row.get(0)?, row.get(1)?)))
}
