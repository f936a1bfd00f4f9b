//! Accounts: who there is.

use merx_contracts::ids::AccountId;
use merx_kernel::{Error, Guard, Result, RoleName, Timestamp};
use merx_sql::{Inserted, Query, Row, Tx, params};

use super::{roles_of, roles_text};
use crate::domain::{
    email::Email,
    person::{Kind, Locale, Status},
};

const INSERT_ACCOUNT: &str = "INSERT INTO accounts_accounts \
    (id, email, name, password_hash, roles, address_count, created_at, kind, status, locale, sweep_at) \
    VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)";
const CREDENTIALS: &str =
    "SELECT id, roles, password_hash FROM accounts_accounts WHERE email = ? AND status = 'active'";
const PASSWORD: &str =
    "SELECT email, password_hash FROM accounts_accounts WHERE id = ? AND status = 'active'";
const SET_PASSWORD: &str =
    "UPDATE accounts_accounts SET password_hash = ? WHERE id = ? AND status = 'active'";
const ACCOUNT: &str = "SELECT id, email, name, roles, kind, status, contact_email, locale, version, created_at, \
    password_hash <> '' \
    FROM accounts_accounts WHERE id = ?";
const ACCOUNT_BY_EMAIL: &str = "SELECT id, email, name, roles, kind, status, contact_email, locale, version, created_at, \
    password_hash <> '' \
    FROM accounts_accounts WHERE email = ?";
const OF_KIND: &str = "SELECT id, email, name, roles, kind, status, contact_email, locale, version, created_at, \
    password_hash <> '' \
    FROM accounts_accounts WHERE kind = ? AND id < ? ORDER BY id DESC LIMIT ?";
const SET_PROFILE: &str = "UPDATE accounts_accounts SET name = ?, locale = ?, version = version + 1 \
    WHERE id = ? AND version = ? AND status = 'active'";
const SET_ROLES: &str = "UPDATE accounts_accounts SET roles = ?, roles_changed_at = ?, version = version + 1 \
    WHERE id = ? AND version = ? AND kind = 'staff'";
const SET_STATUS: &str = "UPDATE accounts_accounts SET status = ?, version = version + 1 \
    WHERE id = ? AND version = ? AND kind = 'staff'";
const ACCEPT: &str = "UPDATE accounts_accounts SET password_hash = ?, status = 'active', version = version + 1 \
    WHERE id = ? AND status = 'invited'";
const ROLES_CHANGED: &str = "SELECT id, roles, version FROM accounts_accounts WHERE roles_changed_at > ?";
const ACTIVE_STAFF: &str = "SELECT roles FROM accounts_accounts WHERE kind = 'staff' AND status = 'active'";
const COUNT_STAFF: &str = "SELECT COUNT(*) FROM accounts_accounts WHERE kind = 'staff'";
const PASS_GUARD: &str = "UPDATE accounts_guards SET passes = passes + 1 WHERE name = ?";

/// A new account.
pub struct NewAccount {
    pub id: AccountId,
    /// `None` for a guest.
    pub email: Option<Email>,
    pub name: String,
    /// Empty for none.
    pub password_hash: String,
    pub roles: Vec<RoleName>,
    pub kind: Kind,
    pub status: Status,
    pub locale: Locale,
    /// When it is looked at whether a guest left anything.
    pub sweep_at: Option<Timestamp>,
}

/// What stands for the log-in name where there is none: no e-mail address is without `@`, so nobody logs in by it.
pub fn no_email(account: AccountId) -> String {
    account.to_string()
}

/// Adds the account; false when the e-mail address is taken.
pub fn insert_account(tx: &mut Tx<'_>, new: &NewAccount, at: Timestamp) -> Result<bool> {
    let values = params![
        new.id,
        new.email.as_ref().map_or_else(|| no_email(new.id), |e| e.as_str().to_owned()),
        new.name.as_str(),
        new.password_hash.as_str(),
        roles_text(&new.roles),
        at,
        new.kind.name(),
        new.status.name(),
        new.locale.name(),
        new.sweep_at
    ];
    Ok(tx.insert_new(INSERT_ACCOUNT, values)? == Inserted::New)
}

/// What a log-in is checked against.
pub struct Credentials {
    pub account: AccountId,
    pub roles: Vec<RoleName>,
    /// Empty for none.
    pub password_hash: String,
}

/// The active account of an e-mail address.
pub fn credentials(q: &mut impl Query, email: &Email) -> Result<Option<Credentials>> {
    q.query_opt(CREDENTIALS, params![email.as_str()], |row| {
        let roles: String = row.get(1)?;
        Ok(Credentials { account: row.get(0)?, roles: roles_of(&roles)?, password_hash: row.get(2)? })
    })
}

/// Log-in name and password hash of an active account; the hash is empty for none.
pub fn password(q: &mut impl Query, id: AccountId) -> Result<Option<(String, String)>> {
    q.query_opt(PASSWORD, params![id], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Sets the password of an active account.
pub fn set_password(tx: &mut Tx<'_>, id: AccountId, hash: &str) -> Result<bool> {
    tx.guarded(SET_PASSWORD, params![hash, id])
}

/// An account.
#[derive(Clone)]
pub struct AccountRow {
    pub id: AccountId,
    /// The log-in name; of a guest or an erased person what [`no_email`] says.
    pub login: String,
    pub name: String,
    pub roles: Vec<RoleName>,
    pub kind: Kind,
    pub status: Status,
    /// Where a guest wants to be written to.
    pub contact_email: String,
    pub locale: Locale,
    pub version: i64,
    pub created_at: Timestamp,
    pub has_password: bool,
}

impl AccountRow {
    /// Where the person can be written to; empty for nowhere.
    pub fn email(&self) -> &str {
        match (self.status, self.kind) {
            (Status::Erased, _) => "",
            (_, Kind::Guest) => &self.contact_email,
            _ => &self.login,
        }
    }
}

pub(super) fn account_row(row: &Row<'_>) -> Result<AccountRow> {
    let unknown = |what: &str| Error::internal(format!("an account has an unknown {what}"));
    Ok(AccountRow {
        id: row.get(0)?,
        login: row.get(1)?,
        name: row.get(2)?,
        roles: roles_of(&row.get::<String>(3)?)?,
        kind: Kind::from_name(&row.get::<String>(4)?).ok_or_else(|| unknown("kind"))?,
        status: Status::from_name(&row.get::<String>(5)?).ok_or_else(|| unknown("status"))?,
        contact_email: row.get(6)?,
        locale: Locale::from_name(&row.get::<String>(7)?).ok_or_else(|| unknown("locale"))?,
        version: row.get(8)?,
        created_at: row.get(9)?,
        has_password: row.get(10)?,
    })
}

/// One account.
pub fn account(q: &mut impl Query, id: AccountId) -> Result<Option<AccountRow>> {
    q.query_opt(ACCOUNT, params![id], account_row)
}

/// The account of a log-in name, whatever its state.
pub fn account_by_email(q: &mut impl Query, email: &Email) -> Result<Option<AccountRow>> {
    q.query_opt(ACCOUNT_BY_EMAIL, params![email.as_str()], account_row)
}

/// The accounts of a kind made before `before`, the youngest first.
pub fn of_kind(q: &mut impl Query, kind: Kind, before: AccountId, limit: i64) -> Result<Vec<AccountRow>> {
    q.query(OF_KIND, params![kind.name(), before, limit], account_row)
}

/// Sets what a person may set; false when the version is another.
pub fn set_profile(tx: &mut Tx<'_>, id: AccountId, version: i64, name: &str, locale: Locale) -> Result<bool> {
    tx.guarded(SET_PROFILE, params![name, locale.name(), id, version])
}

/// Sets the roles of a staff account; false when the version is another.
pub fn set_roles(
    tx: &mut Tx<'_>,
    id: AccountId,
    version: i64,
    roles: &[RoleName],
    at: Timestamp,
) -> Result<bool> {
    tx.guarded(SET_ROLES, params![roles_text(roles), at, id, version])
}

/// Sets the status of a staff account; false when the version is another.
pub fn set_status(tx: &mut Tx<'_>, id: AccountId, version: i64, status: Status) -> Result<bool> {
    tx.guarded(SET_STATUS, params![status.name(), id, version])
}

/// Gives an invited account its password and opens it; false when it is not invited any more.
pub fn accept_invitation(tx: &mut Tx<'_>, id: AccountId, password_hash: &str) -> Result<bool> {
    tx.guarded(ACCEPT, params![password_hash, id])
}

/// The accounts whose roles changed after `since`: roles and version.
pub fn roles_changed_since(
    q: &mut impl Query,
    since: Timestamp,
) -> Result<Vec<(AccountId, Vec<RoleName>, i64)>> {
    q.query(ROLES_CHANGED, params![since], |row| {
        Ok((row.get(0)?, roles_of(&row.get::<String>(1)?)?, row.get(2)?))
    })
}

/// The roles of each staff account that can log in.
pub fn active_staff(q: &mut impl Query) -> Result<Vec<Vec<RoleName>>> {
    q.query(ACTIVE_STAFF, params![], |row| roles_of(&row.get::<String>(0)?))
}

/// How many staff accounts there are.
pub fn count_staff(q: &mut impl Query) -> Result<i64> {
    q.query_one(COUNT_STAFF, params![], |row| row.get(0))
}

/// What a rule over several rows passes first, so that transactions under it come one after the other.
#[derive(Clone, Copy)]
pub enum GuardRow {
    /// There is always an administrator; there are not too many accounts of staff.
    Staff,
    /// There are not too many roles.
    Roles,
    /// A guess at nobody's code costs the write that a guess at somebody's does.
    Guesses,
}

/// Passes a guard row.
pub fn pass_guard(tx: &mut Tx<'_>, guard: GuardRow) -> Result<()> {
    if !Guard::GuardRow.on() {
        return Ok(());
    }
    let name = match guard {
        GuardRow::Staff => "staff",
        GuardRow::Roles => "roles",
        GuardRow::Guesses => "guesses",
    };
    if tx.guarded(PASS_GUARD, params![name])? {
        Ok(())
    } else {
        Err(Error::internal(format!("the guard row `{name}` is missing")))
    }
}
