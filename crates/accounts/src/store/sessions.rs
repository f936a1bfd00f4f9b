//! Sessions and their refresh tokens.

use merx_contracts::ids::{AccountId, SessionId};
use merx_kernel::{Result, RoleName, Timestamp};
use merx_sql::{Query, Tx, params};

use super::roles_of;
use crate::domain::person::Kind;

const KNOWN_NETWORK: &str = "SELECT id FROM accounts_sessions \
    WHERE account = ? AND network = ? AND created_at > ? ORDER BY created_at DESC LIMIT 1";
const INSERT_SESSION: &str = "INSERT INTO accounts_sessions \
    (id, account, client, network, created_at, used_at, expires_at, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, NULL)";
const OPEN_SESSIONS: &str = "SELECT id, client, created_at, used_at, expires_at FROM accounts_sessions \
    WHERE account = ? AND ended_at IS NULL AND expires_at > ? ORDER BY used_at DESC, id";
const SESSION_OWNER: &str = "SELECT account FROM accounts_sessions WHERE id = ?";
const END_SESSION: &str = "UPDATE accounts_sessions SET ended_at = ? WHERE id = ? AND ended_at IS NULL";
const USE_SESSION: &str =
    "UPDATE accounts_sessions SET used_at = ?, expires_at = ? WHERE id = ? AND ended_at IS NULL";
const END_OTHERS: &str =
    "UPDATE accounts_sessions SET ended_at = ? WHERE account = ? AND ended_at IS NULL AND id <> ?";
const HOLD_ACCOUNT: &str =
    "UPDATE accounts_accounts SET status = status WHERE id = ? AND status = 'active' AND password_hash = ?";
const LOCK_ACCOUNT: &str = "UPDATE accounts_accounts SET status = status WHERE id = ?";
const ENDED_SINCE: &str = "SELECT id, ended_at FROM accounts_sessions WHERE ended_at > ?";
const INSERT_TOKEN: &str =
    "INSERT INTO accounts_refresh_tokens (hash, session, expires_at, replaced_at) VALUES (?, ?, ?, NULL)";
const TOKEN: &str = "SELECT t.session, t.expires_at, t.replaced_at, s.ended_at, a.id, a.roles, \
    a.kind \
    FROM accounts_refresh_tokens t JOIN accounts_sessions s ON s.id = t.session \
    JOIN accounts_accounts a ON a.id = s.account WHERE t.hash = ?";
const REPLACE_TOKEN: &str =
    "UPDATE accounts_refresh_tokens SET replaced_at = ? WHERE hash = ? AND replaced_at IS NULL";
const OLD_TOKENS: &str =
    "SELECT expires_at FROM accounts_refresh_tokens WHERE expires_at <= ? ORDER BY expires_at LIMIT ?";
const PRUNE_TOKENS: &str = "DELETE FROM accounts_refresh_tokens WHERE expires_at <= ?";
const OLD_SESSIONS: &str =
    "SELECT expires_at FROM accounts_sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT ?";
const PRUNE_SESSIONS: &str = "DELETE FROM accounts_sessions WHERE expires_at <= ?";

/// Whether the account logged in from the network after `since`.
pub fn known_network(
    q: &mut impl Query,
    account: AccountId,
    network: [u8; 32],
    since: Timestamp,
) -> Result<bool> {
    let found =
        q.query_opt(KNOWN_NETWORK, params![account, network.to_vec(), since], |row| row.get::<SessionId>(0))?;
    Ok(found.is_some())
}

/// A new session.
pub struct NewSession {
    pub id: SessionId,
    pub account: AccountId,
    pub client: String,
    pub network: [u8; 32],
    pub at: Timestamp,
    pub expires_at: Timestamp,
}

/// Adds the session.
pub fn insert_session(tx: &mut Tx<'_>, new: &NewSession) -> Result<()> {
    let values = params![
        new.id,
        new.account,
        new.client.as_str(),
        new.network.to_vec(),
        new.at,
        new.at,
        new.expires_at
    ];
    tx.execute(INSERT_SESSION, values).map(|_| ())
}

/// A session that is open.
pub struct SessionRow {
    pub id: SessionId,
    pub client: String,
    pub created_at: Timestamp,
    pub used_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The open sessions of an account, the one used last first.
pub fn open_sessions(q: &mut impl Query, account: AccountId, now: Timestamp) -> Result<Vec<SessionRow>> {
    q.query(OPEN_SESSIONS, params![account, now], |row| {
        Ok(SessionRow {
            id: row.get(0)?,
            client: row.get(1)?,
            created_at: row.get(2)?,
            used_at: row.get(3)?,
            expires_at: row.get(4)?,
        })
    })
}

/// Whose session it is.
pub fn session_owner(q: &mut impl Query, session: SessionId) -> Result<Option<AccountId>> {
    q.query_opt(SESSION_OWNER, params![session], |row| row.get(0))
}

/// Ends the session; false when it had ended.
pub fn end_session(tx: &mut Tx<'_>, session: SessionId, at: Timestamp) -> Result<bool> {
    tx.guarded(END_SESSION, params![at, session])
}

/// Notes that the session was used; false when it has ended.
pub fn use_session(
    tx: &mut Tx<'_>,
    session: SessionId,
    at: Timestamp,
    expires_at: Timestamp,
) -> Result<bool> {
    tx.guarded(USE_SESSION, params![at, expires_at, session])
}

/// Holds the account until the transaction ends, so that a session does not begin beside what ends all of them; false
/// when it is not active any more, or the password it was let in by is another. Empty stands for none.
pub fn hold_account(tx: &mut Tx<'_>, account: AccountId, password_hash: &str) -> Result<bool> {
    tx.guarded(HOLD_ACCOUNT, params![account, password_hash])
}

/// Ends every open session of the account but `except`; answers those that were open.
pub fn end_sessions(
    tx: &mut Tx<'_>,
    account: AccountId,
    except: Option<SessionId>,
    now: Timestamp,
) -> Result<Vec<SessionId>> {
    tx.execute(LOCK_ACCOUNT, params![account])?;
    let except = except.unwrap_or(SessionId::from_bits(0));
    let open = open_sessions(tx, account, now)?;
    tx.execute(END_OTHERS, params![now, account, except])?;
    Ok(open.into_iter().map(|s| s.id).filter(|id| *id != except).collect())
}

/// The sessions that ended after `since`, and when.
pub fn ended_since(q: &mut impl Query, since: Timestamp) -> Result<Vec<(SessionId, Timestamp)>> {
    q.query(ENDED_SINCE, params![since], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// A refresh token with its session and account.
pub struct TokenRow {
    pub session: SessionId,
    pub expires_at: Timestamp,
    pub replaced: bool,
    pub ended: bool,
    pub account: AccountId,
    pub roles: Vec<RoleName>,
    pub guest: bool,
}

/// Adds a refresh token by its hash.
pub fn insert_token(
    tx: &mut Tx<'_>,
    hash: [u8; 32],
    session: SessionId,
    expires_at: Timestamp,
) -> Result<()> {
    tx.execute(INSERT_TOKEN, params![hash.to_vec(), session, expires_at]).map(|_| ())
}

/// The refresh token with this hash.
pub fn token(q: &mut impl Query, hash: [u8; 32]) -> Result<Option<TokenRow>> {
    q.query_opt(TOKEN, params![hash.to_vec()], |row| {
        Ok(TokenRow {
            session: row.get(0)?,
            expires_at: row.get(1)?,
            replaced: row.get::<Option<Timestamp>>(2)?.is_some(),
            ended: row.get::<Option<Timestamp>>(3)?.is_some(),
            account: row.get(4)?,
            roles: roles_of(&row.get::<String>(5)?)?,
            guest: row.get::<String>(6)? == Kind::Guest.name(),
        })
    })
}

/// Marks the token as used up; false when it was before.
pub fn replace_token(tx: &mut Tx<'_>, hash: [u8; 32], at: Timestamp) -> Result<bool> {
    tx.guarded(REPLACE_TOKEN, params![at, hash.to_vec()])
}

/// Removes at most about `limit` expired tokens and sessions each; answers how many went.
pub fn prune(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64> {
    let mut gone = 0;
    for (select, delete) in [(OLD_TOKENS, PRUNE_TOKENS), (OLD_SESSIONS, PRUNE_SESSIONS)] {
        let times: Vec<Timestamp> = tx.query(select, params![before, limit], |row| row.get(0))?;
        if let Some(last) = times.last() {
            gone += tx.execute(delete, params![*last])?;
        }
    }
    Ok(gone)
}
