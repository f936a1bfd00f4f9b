//! A new password. Whoever had the old one is out: every other session of the account ends.

use std::sync::PoisonError;

use merx_contracts::ids::{AccountId, SessionId};
use merx_http::ClientAddress;
use merx_kernel::{Error, ErrorKind, Result};

use crate::{
    State,
    commands::log_in::{sha256, too_many},
    passwords::Password,
    store::{accounts, sessions},
};

/// Who wants another password.
pub struct ChangePassword {
    /// The account.
    pub account: AccountId,
    /// The session it is asked by, which goes on.
    pub session: SessionId,
    /// The password there is.
    pub old: Password,
    /// The password to be.
    pub new: Password,
    /// Where the client is.
    pub address: ClientAddress,
}

/// Sets the password and ends the other sessions.
///
/// # Errors
/// `accounts.password_wrong`, `accounts.too_many_logins`, `accounts.login_busy`; `Invalid` for a short password.
pub async fn change_password(state: &State, command: ChangePassword) -> Result<()> {
    let ChangePassword { account, session, old, new, address } = command;
    new.checked_as_new("/new_password")?;
    let known = check_password(state, account, old, address).await?;
    let (hash, now) = (state.passwords.hash(new).await?, state.clock.now());
    let ended = state
        .write_rights("accounts.change_password", move |tx| {
            // Another change may have come between: then the old password is wrong by now.
            if !sessions::hold_account(tx, account, &known)? || !accounts::set_password(tx, account, &hash)? {
                return Err(wrong());
            }
            sessions::end_sessions(tx, account, Some(session), now)
        })
        .await?;
    state.sessions_ended(account, ended, now);
    Ok(())
}

/// Checks the password of an account, throttled like a log-in; answers the hash it is kept as.
///
/// # Errors
/// `accounts.password_wrong`, also when the account has none; `accounts.too_many_logins`, `accounts.login_busy`.
pub(crate) async fn check_password(
    state: &State,
    account: AccountId,
    password: Password,
    address: ClientAddress,
) -> Result<String> {
    let found = state.db.read("accounts.password", move |q| accounts::password(q, account)).await?;
    let (login, hash) = found.filter(|(_, hash)| !hash.is_empty()).ok_or_else(wrong)?;
    let throttle = || state.throttle.lock().unwrap_or_else(PoisonError::into_inner);
    let subject = sha256(&[login.as_bytes()]);
    let ticket = throttle().admit(subject, address.network(), true, state.clock.now()).map_err(too_many)?;
    let right = state.passwords.verify(password, Some(hash.clone())).await;
    if !matches!(right, Ok(false)) {
        throttle().forgive(ticket);
    }
    if right? { Ok(hash) } else { Err(wrong()) }
}

fn wrong() -> Error {
    Error::new(ErrorKind::Forbidden, "accounts.password_wrong", "The password is wrong.")
}
