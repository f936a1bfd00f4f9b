//! Guests: who buys without registering. A guest is an account without a password.

use std::sync::Arc;

use merx_contracts::ids::AccountId;
use merx_http::ClientAddress;
use merx_kernel::{BoundedText, Error, ErrorKind, Result, Role, RoleName, Secret};

use crate::{
    State,
    commands::{
        log_in::{Bearer, SessionTokens, new_session, open_session, token_hash, tokens, too_many},
        prune::GUESTS_KEPT,
    },
    domain::{
        email::Email,
        person::{Kind, Locale, Status},
    },
    store::{
        accounts::{self, NewAccount},
        guests, sessions,
    },
};

/// Where a client is and what it calls itself.
#[derive(Clone, Debug)]
pub struct Client {
    /// `User-Agent`, for the list of sessions.
    pub name: String,
    /// Where it is.
    pub address: ClientAddress,
}

/// Makes a guest and begins a session of it.
///
/// # Errors
/// `accounts.too_many_guests` for a network that makes too many.
pub async fn begin_guest(state: &State, locale: Locale, client: Client) -> Result<SessionTokens> {
    let (network, now) = (client.address.network(), state.clock.now());
    let verdict = state.guests.take(&network, now);
    if !verdict.allowed {
        let message = "Too many guests from your network; wait before the next one.";
        return Err(Error::new(ErrorKind::RateLimited, "accounts.too_many_guests", message)
            .with_retry_after(verdict.retry_after));
    }
    let guest = Bearer { account: state.ids.next(), session: state.ids.next(), roles: guest_roles() };
    let (refresh, session) = new_session(state, &guest, &client.name, network);
    let new = Arc::new(NewAccount {
        id: guest.account,
        email: None,
        name: String::new(),
        password_hash: String::new(),
        roles: guest_roles(),
        kind: Kind::Guest,
        status: Status::Active,
        locale,
        sweep_at: Some(now.plus(GUESTS_KEPT)),
    });
    let (opened, expires_at) = (session.clone(), session.row.expires_at);
    state
        .db
        .write("accounts.begin_guest", move |tx| {
            if !accounts::insert_account(tx, &new, now)? {
                return Err(Error::internal("the id of a new guest is taken"));
            }
            open_session(tx, &opened, now).map(drop)
        })
        .await?;
    tokens(state, &guest, refresh, expires_at)
}

fn guest_roles() -> Vec<RoleName> {
    vec![Role::Guest.into()]
}

/// Begins a session of the guest whose mailed link the token is of.
///
/// # Errors
/// `accounts.guest_token_invalid`; `accounts.too_many_logins`.
pub async fn enter_as_guest(state: &State, token: Secret<String>, client: Client) -> Result<SessionTokens> {
    let (network, now) = (client.address.network(), state.clock.now());
    let verdict = state.logins.take(&network, now);
    if !verdict.allowed {
        return Err(too_many(verdict.retry_after));
    }
    let account = state.secrets.guest_of(token.expose()).ok_or_else(invalid)?;
    let guest = Bearer { account, session: state.ids.next(), roles: guest_roles() };
    let (refresh, session) = new_session(state, &guest, &client.name, network);
    let expires_at = session.row.expires_at;
    let ended = state
        .write_rights("accounts.enter_as_guest", move |tx| {
            let found = accounts::account(tx, account)?;
            let still =
                found.is_some_and(|a| a.kind == Kind::Guest) && sessions::hold_account(tx, account, "")?;
            if !still {
                return Err(invalid());
            }
            open_session(tx, &session, now)
        })
        .await?;
    state.sessions_ended(account, ended, now);
    tokens(state, &guest, refresh, expires_at)
}

fn invalid() -> Error {
    let message = "The link is not valid, or what it led to was erased.";
    Error::new(ErrorKind::Unauthenticated, "accounts.guest_token_invalid", message)
}

/// How a guest is reached.
#[derive(Clone, Debug)]
pub struct SetGuestContact {
    /// Where mails go.
    pub email: Email,
    /// How the person is called.
    pub name: Option<BoundedText<1, 80>>,
    /// The language of the mails.
    pub locale: Locale,
}

/// Sets how the guest is reached.
///
/// # Errors
/// `accounts.not_a_guest`.
pub async fn set_guest_contact(state: &State, guest: AccountId, command: SetGuestContact) -> Result<()> {
    let name = command.name.as_ref().map_or("", BoundedText::as_str).to_owned();
    let command = Arc::new(command);
    let set = state
        .db
        .write("accounts.set_guest_contact", move |tx| {
            guests::set_contact(tx, guest, &command.email, &name, command.locale)
        })
        .await?;
    if set {
        return Ok(());
    }
    let message = "You are no guest; change your account instead.";
    Err(Error::conflict("accounts.not_a_guest", message))
}

/// The guest that a token of a session of its, or of its link, speaks for. A token that is not good any more is
/// nobody's: whoever logs in with it has lost the guest's cart, not the log-in.
pub(crate) async fn guest_of_token(state: &State, token: &Secret<String>) -> Result<Option<AccountId>> {
    if let Some(guest) = state.secrets.guest_of(token.expose()) {
        return Ok(Some(guest));
    }
    if let Ok(principal) = state.verifier().verify(token.expose()) {
        let guest = principal.roles.iter().any(|role| *role == Role::Guest);
        return Ok(guest.then_some(principal.account));
    }
    let (hash, now) = (token_hash(token.expose()), state.clock.now());
    let found = state.db.read("accounts.guest_token", move |q| sessions::token(q, hash)).await?;
    let good = found.filter(|t| t.guest && !t.ended && !t.replaced && t.expires_at > now);
    Ok(good.map(|t| t.account))
}
