//! Log-out, here, from another device, or by staff.

use merx_contracts::ids::{AccountId, SessionId};
use merx_kernel::{Error, Guard, Result};
use merx_sql::Query;
use serde_json::json;

use crate::{
    State,
    commands::set_staff::account_not_found,
    domain::person::{Kind, Status},
    store::{
        accounts::{self, AccountRow},
        sessions,
    },
    telling::{Actor, Telling},
};

/// Ends a session of the account. Ending it again changes nothing.
///
/// # Errors
/// `accounts.session_not_found`, also when it is another's.
pub async fn end_session(state: &State, account: AccountId, session: SessionId) -> Result<()> {
    let now = state.clock.now();
    let found = state
        .write_rights("accounts.end_session", move |tx| {
            let owner = sessions::session_owner(tx, session)?;
            if owner.is_none_or(|owner| Guard::Owner.on() && owner != account) {
                return Ok(false);
            }
            sessions::end_session(tx, session, now)?;
            Ok(true)
        })
        .await?;
    if !found {
        return Err(session_not_found("You have no such session."));
    }
    // After the commit, also when it had ended: whoever asks is told that no token of it passes.
    state.revoke(session, now);
    Ok(())
}

/// Ends every session of the account but this one.
///
/// # Errors
/// What the database answers.
pub async fn end_sessions_elsewhere(state: &State, account: AccountId, here: SessionId) -> Result<()> {
    let now = state.clock.now();
    let ended = state
        .write_rights("accounts.end_sessions_elsewhere", move |tx| {
            sessions::end_sessions(tx, account, Some(here), now)
        })
        .await?;
    state.sessions_ended(account, ended, now);
    Ok(())
}

/// An account that staff may look at by its kind: somebody who buys.
///
/// # Errors
/// `accounts.account_not_found`, also for an account of staff.
pub(crate) fn customer(q: &mut impl Query, id: AccountId) -> Result<AccountRow> {
    accounts::account(q, id)?
        .filter(|row| row.kind != Kind::Staff && row.status != Status::Erased)
        .ok_or_else(account_not_found)
}

/// Ends one session of a customer, or all of them.
///
/// # Errors
/// `accounts.account_not_found`, `accounts.session_not_found`.
pub async fn end_customer_sessions(
    state: &State,
    by: Actor,
    account: AccountId,
    only: Option<SessionId>,
) -> Result<()> {
    let now = state.clock.now();
    let telling = Telling::new(state, by, "accounts.customer_sessions_ended", account, None);
    let own = state.clone();
    let ended = state
        .write_rights("accounts.end_customer_sessions", move |tx| {
            customer(tx, account)?;
            let ended = match only {
                None => sessions::end_sessions(tx, account, None, now)?,
                Some(session) => {
                    if sessions::session_owner(tx, session)? != Some(account) {
                        return Err(session_not_found("The account has no such session."));
                    }
                    if sessions::end_session(tx, session, now)? { vec![session] } else { Vec::new() }
                }
            };
            if !ended.is_empty() {
                telling.tell(&own, tx, json!({ "sessions": ended.len() }))?;
            }
            Ok(ended)
        })
        .await?;
    state.sessions_ended(account, ended, now);
    Ok(())
}

fn session_not_found(message: &str) -> Error {
    Error::not_found("accounts.session_not_found", message.to_owned())
}
