//! Keys of programs, by the hash of their secret.

use merx_contracts::ids::{AccountId, ApiKeyId};
use merx_kernel::{Error, Permissions, Result, RoleName, Timestamp};
use merx_sql::{Query, Row, Tx, params};

use super::{hash_of, permissions_of, permissions_text, roles_of};
use crate::domain::{api_key::KEYS_MAX, person::Status};

const COUNT_KEY: &str = "UPDATE accounts_accounts SET key_count = key_count + 1 \
    WHERE id = ? AND key_count < ? AND status = 'active'";
const UNCOUNT_KEY: &str = "UPDATE accounts_accounts SET key_count = key_count - 1 WHERE id = ?";
const UNCOUNT_KEYS: &str = "UPDATE accounts_accounts SET key_count = 0 WHERE id = ?";
const INSERT_KEY: &str = "INSERT INTO accounts_api_keys \
    (id, account, name, hash, scopes, created_at, expires_at, used_at, revoked_at) \
    VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL)";
const KEYS: &str = "SELECT id, account, name, scopes, created_at, expires_at, used_at \
    FROM accounts_api_keys WHERE account = ? AND revoked_at IS NULL ORDER BY id DESC";
const KEY: &str = "SELECT id, account, name, scopes, created_at, expires_at, used_at \
    FROM accounts_api_keys WHERE id = ?";
const LOOK_UP: &str = "SELECT k.account, k.hash, k.scopes, k.expires_at, k.revoked_at, a.roles, a.status \
    FROM accounts_api_keys k JOIN accounts_accounts a ON a.id = k.account WHERE k.id = ?";
const REVOKE_KEY: &str = "UPDATE accounts_api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL";
const REVOKE_KEYS: &str =
    "UPDATE accounts_api_keys SET revoked_at = ? WHERE account = ? AND revoked_at IS NULL";
const USED: &str = "UPDATE accounts_api_keys SET used_at = ? WHERE id = ?";

/// A new key.
pub struct NewKey {
    pub id: ApiKeyId,
    pub account: AccountId,
    pub name: String,
    pub hash: [u8; 32],
    pub scopes: Permissions,
    pub expires_at: Option<Timestamp>,
}

/// A key, for its owner.
#[derive(Clone, Debug)]
pub struct KeyRow {
    pub id: ApiKeyId,
    pub account: AccountId,
    pub name: String,
    pub scopes: Permissions,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub used_at: Option<Timestamp>,
}

/// What a request by a key is checked against.
#[derive(Clone, Debug)]
pub struct KeyFacts {
    pub account: AccountId,
    pub hash: [u8; 32],
    pub scopes: Permissions,
    pub expires_at: Option<Timestamp>,
    pub roles: Vec<RoleName>,
    /// It was not revoked, and its owner may come in.
    pub good: bool,
}

fn key_row(row: &Row<'_>) -> Result<KeyRow> {
    Ok(KeyRow {
        id: row.get(0)?,
        account: row.get(1)?,
        name: row.get(2)?,
        scopes: permissions_of(&row.get::<String>(3)?),
        created_at: row.get(4)?,
        expires_at: row.get(5)?,
        used_at: row.get(6)?,
    })
}

/// Adds a key; false when the account has as many as it may.
pub fn insert_key(tx: &mut Tx<'_>, new: &NewKey, at: Timestamp) -> Result<bool> {
    if !tx.guarded(COUNT_KEY, params![new.account, KEYS_MAX])? {
        return Ok(false);
    }
    let values = params![
        new.id,
        new.account,
        new.name.as_str(),
        new.hash,
        permissions_text(new.scopes),
        at,
        new.expires_at
    ];
    tx.execute(INSERT_KEY, values)?;
    Ok(true)
}

/// The keys of an account that were not revoked, the youngest first.
pub fn keys(q: &mut impl Query, account: AccountId) -> Result<Vec<KeyRow>> {
    q.query(KEYS, params![account], key_row)
}

/// One key.
pub fn key(q: &mut impl Query, id: ApiKeyId) -> Result<Option<KeyRow>> {
    q.query_opt(KEY, params![id], key_row)
}

/// What a request by the key is checked against.
pub fn look_up(q: &mut impl Query, id: ApiKeyId) -> Result<Option<KeyFacts>> {
    q.query_opt(LOOK_UP, params![id], |row| {
        let status: String = row.get(6)?;
        let status = Status::from_name(&status)
            .ok_or_else(|| Error::internal(format!("an account has the unknown status `{status}`")))?;
        Ok(KeyFacts {
            account: row.get(0)?,
            hash: hash_of(row, 1)?,
            scopes: permissions_of(&row.get::<String>(2)?),
            expires_at: row.get(3)?,
            good: row.get::<Option<Timestamp>>(4)?.is_none() && status == Status::Active,
            roles: roles_of(&row.get::<String>(5)?)?,
        })
    })
}

/// Revokes the key; false when it was.
pub fn revoke_key(tx: &mut Tx<'_>, key: &KeyRow, at: Timestamp) -> Result<bool> {
    let revoked = tx.guarded(REVOKE_KEY, params![at, key.id])?;
    if revoked {
        tx.execute(UNCOUNT_KEY, params![key.account])?;
    }
    Ok(revoked)
}

/// Revokes every key of the account.
pub fn revoke_keys(tx: &mut Tx<'_>, account: AccountId, at: Timestamp) -> Result<()> {
    tx.execute(REVOKE_KEYS, params![at, account])?;
    tx.execute(UNCOUNT_KEYS, params![account]).map(drop)
}

/// Notes when the key was used.
pub fn note_use(tx: &mut Tx<'_>, id: ApiKeyId, at: Timestamp) -> Result<()> {
    tx.execute(USED, params![at, id]).map(drop)
}
