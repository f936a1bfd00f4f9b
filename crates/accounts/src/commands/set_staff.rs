//! Roles and status of an account of staff, and its sessions.

use merx_contracts::ids::AccountId;
use merx_http::IfMatch;
use merx_kernel::{Error, Result, Role, RoleName};
use merx_sql::{Query, Tx};
use serde_json::json;

use crate::{
    State,
    commands::invite_staff::{keep_an_administrator, permissions_of},
    domain::{
        grants,
        person::{Kind, Status},
    },
    store::{
        accounts::{self, AccountRow, GuardRow},
        api_keys, codes, sessions,
    },
    telling::{Actor, Telling},
};

/// An account of staff over which `by` may rule: one that may do no more than he.
///
/// # Errors
/// `accounts.account_not_found`, `accounts.grant_above_own`.
pub(crate) fn staff(q: &mut impl Query, id: AccountId, by: Actor) -> Result<AccountRow> {
    let found = accounts::account(q, id)?
        .filter(|row| row.kind == Kind::Staff && row.status != Status::Erased)
        .ok_or_else(account_not_found)?;
    grants::within_own(by.may, permissions_of(q, &found.roles)?)?;
    Ok(found)
}

/// There is no such account, or none of the kind that is asked for.
pub(crate) fn account_not_found() -> Error {
    Error::not_found("accounts.account_not_found", "There is no such account.")
}

/// Sets the roles. They count from the next request on.
///
/// # Errors
/// `accounts.account_not_found`, `accounts.role_not_found`, `accounts.grant_above_own`, `accounts.last_administrator`,
/// `request.version_stale`.
pub async fn set_staff_roles(
    state: &State,
    by: Actor,
    account: AccountId,
    names: Vec<RoleName>,
    seen: IfMatch,
    reason: Option<String>,
) -> Result<AccountRow> {
    let (names, now) = (grants::staff_roles(&names)?, state.clock.now());
    let telling = Telling::new(state, by, "accounts.staff_roles_changed", account, reason);
    let own = state.clone();
    let set = state
        .write_rights("accounts.set_staff_roles", move |tx| {
            accounts::pass_guard(tx, GuardRow::Staff)?;
            let found = staff(tx, account, by)?;
            seen.check(found.version)?;
            grants::within_own(by.may, permissions_of(tx, &names)?)?;
            if found.roles == names {
                return Ok(found);
            }
            if !accounts::set_roles(tx, account, found.version, &names, now)? {
                return Err(IfMatch::stale());
            }
            if found.roles.iter().any(|role| *role == Role::Administrator) {
                keep_an_administrator(tx)?;
            }
            telling.tell(&own, tx, json!({ "before": found.roles, "after": names }))?;
            Ok(AccountRow { roles: names.clone(), version: found.version + 1, ..found })
        })
        .await?;
    state.roles_changed(account, set.roles.clone(), set.version, now);
    Ok(set)
}

/// Closes the account, or opens it again. Closed: its sessions end at once and its keys are revoked.
///
/// # Errors
/// As [`set_staff_roles`].
pub async fn set_staff_status(
    state: &State,
    by: Actor,
    account: AccountId,
    open: bool,
    seen: IfMatch,
    reason: Option<String>,
) -> Result<AccountRow> {
    let now = state.clock.now();
    let action = if open { "accounts.staff_reactivated" } else { "accounts.staff_deactivated" };
    let telling = Telling::new(state, by, action, account, reason);
    let own = state.clone();
    let (set, ended) = state
        .write_rights("accounts.set_staff_status", move |tx| {
            accounts::pass_guard(tx, GuardRow::Staff)?;
            let found = staff(tx, account, by)?;
            seen.check(found.version)?;
            let status = match (open, found.has_password) {
                (true, true) => Status::Active,
                (true, false) => Status::Invited,
                (false, _) => Status::Deactivated,
            };
            if status == found.status {
                return Ok((found, Vec::new()));
            }
            if !accounts::set_status(tx, account, found.version, status)? {
                return Err(IfMatch::stale());
            }
            let ended = if open { Vec::new() } else { close(tx, &found, now)? };
            let detail = json!({ "before": found.status.name(), "after": status.name() });
            telling.tell(&own, tx, detail)?;
            Ok((AccountRow { status, version: found.version + 1, ..found }, ended))
        })
        .await?;
    state.sessions_ended(account, ended, now);
    Ok(set)
}

fn close(
    tx: &mut Tx<'_>,
    account: &AccountRow,
    now: merx_kernel::Timestamp,
) -> Result<Vec<merx_contracts::ids::SessionId>> {
    if account.roles.iter().any(|role| *role == Role::Administrator) {
        keep_an_administrator(tx)?;
    }
    codes::void_codes(tx, account.id, now)?;
    api_keys::revoke_keys(tx, account.id, now)?;
    sessions::end_sessions(tx, account.id, None, now)
}

/// Ends the sessions of an account of staff.
///
/// # Errors
/// `accounts.account_not_found`, `accounts.grant_above_own`.
pub async fn end_staff_sessions(state: &State, by: Actor, account: AccountId) -> Result<()> {
    let now = state.clock.now();
    let telling = Telling::new(state, by, "accounts.staff_sessions_ended", account, None);
    let own = state.clone();
    let ended = state
        .write_rights("accounts.end_staff_sessions", move |tx| {
            staff(tx, account, by)?;
            let ended = sessions::end_sessions(tx, account, None, now)?;
            if !ended.is_empty() {
                telling.tell(&own, tx, json!({ "sessions": ended.len() }))?;
            }
            Ok(ended)
        })
        .await?;
    state.sessions_ended(account, ended, now);
    Ok(())
}
