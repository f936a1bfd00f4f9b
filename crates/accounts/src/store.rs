//! Every SQL text of accounts.

use merx_contracts::ids::{AccountId, AddressId, SessionId};
use merx_kernel::{BoundedText, Error, Result, Role, Timestamp};
use merx_sql::{Inserted, Migration, Query, Row, Tx, params};

use crate::domain::{
    address::{ADDRESSES_MAX, Address, AddressForm, text},
    country::Country,
    email::Email,
};

/// The tables of this context.
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration::same(100, "accounts", include_str!("../migrations/0100_accounts.sql")),
        Migration::same(101, "sessions", include_str!("../migrations/0101_sessions.sql")),
        Migration::same(102, "addresses", include_str!("../migrations/0102_addresses.sql")),
    ]
}

const INSERT_ACCOUNT: &str = "INSERT INTO accounts_accounts \
    (id, email, name, password_hash, roles, address_count, created_at) VALUES (?, ?, ?, ?, ?, 0, ?)";
const ACCOUNT_BY_EMAIL: &str = "SELECT id, roles, password_hash FROM accounts_accounts WHERE email = ?";
const ACCOUNT: &str = "SELECT email, name, roles FROM accounts_accounts WHERE id = ?";
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
const ENDED_SINCE: &str = "SELECT id, ended_at FROM accounts_sessions WHERE ended_at > ?";
const INSERT_TOKEN: &str =
    "INSERT INTO accounts_refresh_tokens (hash, session, expires_at, replaced_at) VALUES (?, ?, ?, NULL)";
const TOKEN: &str = "SELECT t.session, t.expires_at, t.replaced_at, s.ended_at, a.id, a.roles \
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
const COUNT_ADDRESS: &str =
    "UPDATE accounts_accounts SET address_count = address_count + 1 WHERE id = ? AND address_count < ?";
const UNCOUNT_ADDRESS: &str = "UPDATE accounts_accounts SET address_count = address_count - 1 WHERE id = ?";
const INSERT_ADDRESS: &str = "INSERT INTO accounts_addresses (id, account, country, region, city, line1, line2, \
    postcode, recipient, phone, created_at, retired_at, replaced_by) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)";
const ADDRESS: &str = "SELECT id, account, country, region, city, line1, line2, postcode, recipient, phone, \
    created_at, retired_at, replaced_by FROM accounts_addresses WHERE id = ?";
const ADDRESSES: &str = "SELECT id, account, country, region, city, line1, line2, postcode, recipient, phone, \
    created_at, retired_at, replaced_by FROM accounts_addresses \
    WHERE account = ? AND retired_at IS NULL ORDER BY created_at DESC, id DESC";
const RETIRE_ADDRESS: &str =
    "UPDATE accounts_addresses SET retired_at = ?, replaced_by = ? WHERE id = ? AND retired_at IS NULL";

fn roles_text(roles: &[Role]) -> String {
    roles.iter().map(|r| r.name()).collect::<Vec<_>>().join(",")
}
fn roles_of(text: &str) -> Result<Vec<Role>> {
    let role = |name: &str| Role::from_name(name).ok_or_else(|| Error::internal(format!("no role `{name}`")));
    text.split(',').filter(|name| !name.is_empty()).map(role).collect()
}

/// A new account.
pub struct NewAccount {
    pub id: AccountId,
    pub email: Email,
    pub name: String,
    pub password_hash: String,
    pub roles: Vec<Role>,
}

/// Adds the account; false when the e-mail address is taken.
pub fn insert_account(tx: &mut Tx<'_>, new: &NewAccount, at: Timestamp) -> Result<bool> {
    let values = params![
        new.id,
        new.email.as_str(),
        new.name.as_str(),
        new.password_hash.as_str(),
        roles_text(&new.roles),
        at
    ];
    Ok(tx.insert_new(INSERT_ACCOUNT, values)? == Inserted::New)
}

/// What a log-in is checked against.
pub struct Credentials {
    pub account: AccountId,
    pub roles: Vec<Role>,
    pub password_hash: String,
}

/// The account of an e-mail address.
pub fn credentials(q: &mut impl Query, email: &Email) -> Result<Option<Credentials>> {
    q.query_opt(ACCOUNT_BY_EMAIL, params![email.as_str()], |row| {
        let roles: String = row.get(1)?;
        Ok(Credentials { account: row.get(0)?, roles: roles_of(&roles)?, password_hash: row.get(2)? })
    })
}

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

/// E-mail address, name and roles.
pub fn account(q: &mut impl Query, id: AccountId) -> Result<Option<(String, String, Vec<Role>)>> {
    q.query_opt(ACCOUNT, params![id], |row| Ok((row.get(0)?, row.get(1)?, roles_of(&row.get::<String>(2)?)?)))
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
    pub roles: Vec<Role>,
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

/// One version of an address.
pub struct AddressRow {
    pub id: AddressId,
    pub account: AccountId,
    pub address: Address,
    pub created_at: Timestamp,
    pub retired: bool,
    pub replaced_by: Option<AddressId>,
}

fn address_row(row: &Row) -> Result<AddressRow> {
    let broken = |e: String| Error::internal(format!("inconsistent address row: {e}"));
    let optional = |index: usize| row.get::<String>(index).map(|t| (!t.is_empty()).then_some(t));
    let form = AddressForm {
        country: Country::new(&row.get::<String>(2)?).map_err(broken)?,
        region: optional(3)?.map(BoundedText::new).transpose().map_err(broken)?,
        city: optional(4)?.map(BoundedText::new).transpose().map_err(broken)?,
        line1: BoundedText::new(row.get::<String>(5)?).map_err(broken)?,
        line2: optional(6)?.map(BoundedText::new).transpose().map_err(broken)?,
        postcode: optional(7)?.map(BoundedText::new).transpose().map_err(broken)?,
        recipient: BoundedText::new(row.get::<String>(8)?).map_err(broken)?,
        phone: BoundedText::new(row.get::<String>(9)?).map_err(broken)?,
    };
    Ok(AddressRow {
        id: row.get(0)?,
        account: row.get(1)?,
        address: Address::stored(form),
        created_at: row.get(10)?,
        retired: row.get::<Option<Timestamp>>(11)?.is_some(),
        replaced_by: row.get(12)?,
    })
}

/// Counts one more active address; false when the account has as many as it may.
pub fn count_address(tx: &mut Tx<'_>, account: AccountId) -> Result<bool> {
    tx.guarded(COUNT_ADDRESS, params![account, ADDRESSES_MAX])
}

/// Counts one active address less.
pub fn uncount_address(tx: &mut Tx<'_>, account: AccountId) -> Result<()> {
    tx.execute(UNCOUNT_ADDRESS, params![account]).map(|_| ())
}

/// Adds an address.
pub fn insert_address(
    tx: &mut Tx<'_>,
    id: AddressId,
    account: AccountId,
    address: &Address,
    at: Timestamp,
) -> Result<()> {
    let f = address.form();
    let values = params![
        id,
        account,
        f.country.code(),
        text(&f.region),
        text(&f.city),
        f.line1.as_str(),
        text(&f.line2),
        text(&f.postcode),
        f.recipient.as_str(),
        f.phone.as_str(),
        at
    ];
    tx.execute(INSERT_ADDRESS, values).map(|_| ())
}

/// One address, retired or not.
pub fn address(q: &mut impl Query, id: AddressId) -> Result<Option<AddressRow>> {
    q.query_opt(ADDRESS, params![id], address_row)
}

/// The active addresses of an account, the newest first.
pub fn addresses(q: &mut impl Query, account: AccountId) -> Result<Vec<AddressRow>> {
    q.query(ADDRESSES, params![account], address_row)
}

/// Retires an address; false when it was retired before.
pub fn retire_address(tx: &mut Tx<'_>, id: AddressId, by: Option<AddressId>, at: Timestamp) -> Result<bool> {
    tx.guarded(RETIRE_ADDRESS, params![at, by, id])
}
