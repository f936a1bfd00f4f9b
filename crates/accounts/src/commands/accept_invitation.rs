//! Who was invited sets a password with the code of the mail.

use std::sync::{Arc, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use merx_http::ClientAddress;
use merx_kernel::{Error, ErrorKind, Guard, Result, Secret};

use crate::{
    State,
    commands::log_in::{sha256, too_many},
    domain::{
        code::{self, GUESSES_MAX, Purpose},
        email::Email,
    },
    passwords::Password,
    store::{
        accounts::{self, GuardRow},
        codes::{self, CodeRow},
    },
};

/// Who says to have been invited, from where.
#[derive(Debug)]
pub struct AcceptInvitation {
    /// The address the mail went to.
    pub email: Email,
    /// The code in it, as it was typed.
    pub code: Secret<String>,
    /// The password to be.
    pub password: Password,
    /// Where the client is.
    pub address: ClientAddress,
}

/// Sets the password and opens the account. Who was not invited is answered like a wrong code, with the same
/// statements.
///
/// # Errors
/// `accounts.code_wrong`, `accounts.too_many_logins`, `accounts.login_busy`; `Invalid` for a short password.
pub async fn accept_invitation(state: &State, command: AcceptInvitation) -> Result<()> {
    command.password.checked_as_new("/password")?;
    let (network, now) = (command.address.network(), state.clock.now());
    let verdict = state.logins.take(&network, now);
    if !verdict.allowed {
        return Err(too_many(verdict.retry_after));
    }
    let subject = sha256(&[b"invitation ", command.email.as_str().as_bytes()]);
    let throttle = || state.throttle.lock().unwrap_or_else(PoisonError::into_inner);
    let ticket = throttle().admit(subject, network, false, now).map_err(too_many)?;
    let found = guess(state, command.email).await?;
    let typed = code::typed(command.code.expose()).unwrap_or_default();
    let right = |code: &CodeRow| {
        let expected = code::expected(state.secrets.code(code.id, code.generation));
        verify_slices_are_equal(expected.as_bytes(), typed.as_bytes()).is_ok()
    };
    let code = Arc::new(found.filter(right).ok_or_else(wrong)?);
    throttle().forgive(ticket);
    let password = state.passwords.hash(command.password).await?;
    let now = state.clock.now();
    let accepted = state
        .db
        .write("accounts.accept_invitation", move |tx| {
            Ok(codes::use_code(tx, &code, now)? && accounts::accept_invitation(tx, code.account, &password)?)
        })
        .await?;
    if accepted { Ok(()) } else { Err(wrong()) }
}

/// Counts the guess before it is looked at, so that many at once are no more than five; answers the code when it is
/// alive. A guess at nobody's code costs the same write.
async fn guess(state: &State, email: Email) -> Result<Option<CodeRow>> {
    let now = state.clock.now();
    state
        .db
        .write("accounts.guess", move |tx| {
            let found = codes::code_of_email(tx, &email, Purpose::StaffInvitation)?;
            let guesses_max = if Guard::CodeGuesses.on() { GUESSES_MAX } else { i64::MAX };
            let alive = match &found {
                Some(code) => codes::count_guess(tx, code, guesses_max, now)?,
                None => false,
            };
            if !alive {
                accounts::pass_guard(tx, GuardRow::Guesses)?;
            }
            Ok(found.filter(|_| alive))
        })
        .await
}

fn wrong() -> Error {
    let message = "The e-mail address or the code is wrong, or the code is not good any more.";
    Error::new(ErrorKind::Unauthenticated, "accounts.code_wrong", message)
}
