//! Log-in: the same answer and the same time whether or not the account exists.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use merx_contracts::ids::{AccountId, SessionId};
use merx_http::ClientAddress;
use merx_kernel::{Error, ErrorKind, Id, IdGen, Principal, Result, Secret, Timestamp};

use crate::{
    State,
    domain::email::Email,
    passwords::Password,
    store::{self, NewSession},
};

/// Open sessions of one account; beyond it the one used longest ago ends.
pub const SESSIONS_MAX: usize = 50;
/// How long a network the account logged in from is known.
const NETWORK_KNOWN: Duration = Duration::from_secs(90 * 24 * 3600);
const CLIENT_LENGTH_MAX: usize = 200;

/// Who says to be whom, from where.
#[derive(Debug)]
pub struct LogIn {
    /// The log-in name.
    pub email: Email,
    /// The password.
    pub password: Password,
    /// What the client calls itself (`User-Agent`), for the list of sessions.
    pub client: String,
    /// Where the client is.
    pub address: ClientAddress,
}

/// The tokens of a session.
pub struct SessionTokens {
    /// The session.
    pub session: SessionId,
    /// The account.
    pub account: AccountId,
    /// The access token.
    pub access: Secret<String>,
    /// The refresh token, good once.
    pub refresh: Secret<String>,
    /// When the refresh token expires.
    pub refresh_expires_at: Timestamp,
}

/// Begins a session.
///
/// # Errors
/// `accounts.credentials_wrong`, `accounts.too_many_logins`, `accounts.login_busy`.
pub async fn log_in(state: &State, command: LogIn) -> Result<SessionTokens> {
    let network = command.address.network();
    let verdict = state.logins.take(&network, state.clock.now());
    if !verdict.allowed {
        return Err(too_many(verdict.retry_after));
    }
    let found = find(state, &command.email, network).await?;
    let subject = sha256(&[command.email.as_str().as_bytes()]);
    let admitted = state.throttle.lock().unwrap_or_else(PoisonError::into_inner).admit(
        subject,
        network,
        found.known_network,
        state.clock.now(),
    );
    let ticket = admitted.map_err(too_many)?;
    let forgive = || state.throttle.lock().unwrap_or_else(PoisonError::into_inner).forgive(ticket);
    let (stored, principal) = match found.credentials {
        Some((hash, principal)) => (Some(hash), Some(principal)),
        None => (None, None),
    };
    let right = state.passwords.verify(command.password, stored).await.inspect_err(|_| forgive())?;
    let Some(principal) = principal.filter(|_| right) else {
        let message = "The e-mail address or the password is wrong.";
        return Err(Error::new(ErrorKind::Unauthenticated, "accounts.credentials_wrong", message));
    };
    forgive();
    begin_session(state, principal, command.client, network).await
}

fn too_many(wait: Duration) -> Error {
    Error::new(
        ErrorKind::RateLimited,
        "accounts.too_many_logins",
        "Too many log-ins; wait before the next one.",
    )
    .with_retry_after(wait)
}

struct FoundAccount {
    credentials: Option<(String, Principal)>,
    known_network: bool,
}

/// The same statements for an account that exists and one that does not.
async fn find(state: &State, email: &Email, network: ClientAddress) -> Result<FoundAccount> {
    let (email, session, since) = (email.clone(), state.ids.next(), state.clock.now().minus(NETWORK_KNOWN));
    state
        .db
        .read("accounts.log_in", move |q| {
            let found = store::credentials(q, &email)?;
            let account = found.as_ref().map_or(Id::from_bits(0), |f| f.account);
            let known_network = store::known_network(q, account, network_hash(account, network), since)?;
            let credentials =
                found.map(|f| (f.password_hash, Principal { account: f.account, session, roles: f.roles }));
            Ok(FoundAccount { credentials, known_network })
        })
        .await
}

async fn begin_session(
    state: &State,
    principal: Principal,
    client: String,
    network: ClientAddress,
) -> Result<SessionTokens> {
    let now = state.clock.now();
    let (refresh, hash) = fresh_token(&state.ids);
    let expires_at = now.plus(state.settings.refresh_life());
    let new = Arc::new(NewSession {
        id: principal.session,
        account: principal.account,
        client: client.chars().filter(|c| !c.is_control()).take(CLIENT_LENGTH_MAX).collect(),
        network: network_hash(principal.account, network),
        at: now,
        expires_at,
    });
    let ended = state
        .db
        .write("accounts.begin_session", move |tx| {
            let open = store::open_sessions(tx, new.account, now)?;
            let mut ended = Vec::new();
            for surplus in open.iter().skip(SESSIONS_MAX - 1) {
                store::end_session(tx, surplus.id, now)?;
                ended.push(surplus.id);
            }
            store::insert_session(tx, &new)?;
            store::insert_token(tx, hash, new.id, expires_at)?;
            Ok(ended)
        })
        .await?;
    for session in ended {
        state.revoke(session, now);
    }
    tokens(state, &principal, refresh, expires_at)
}

/// The answer of a log-in and of a refresh.
pub(crate) fn tokens(
    state: &State,
    principal: &Principal,
    refresh: Secret<String>,
    refresh_expires_at: Timestamp,
) -> Result<SessionTokens> {
    Ok(SessionTokens {
        session: principal.session,
        account: principal.account,
        access: Secret::new(state.signer.sign(principal, state.clock.now())?),
        refresh,
        refresh_expires_at,
    })
}

/// 256 random bits, and the hash they are stored by.
pub(crate) fn fresh_token(ids: &IdGen) -> (Secret<String>, [u8; 32]) {
    let token = format!("mrt_{}", BASE64.encode(ids.random_bytes::<32>()));
    let hash = token_hash(&token);
    (Secret::new(token), hash)
}

/// A plain hash is enough: the token is random, so there is nothing to guess.
pub(crate) fn token_hash(token: &str) -> [u8; 32] {
    sha256(&[token.as_bytes()])
}

/// Where an account logs in from, without the address itself.
fn network_hash(account: AccountId, network: ClientAddress) -> [u8; 32] {
    sha256(&[&account.to_bytes(), network.0.to_string().as_bytes()])
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.copy_from_slice(digest(&SHA256, &parts.concat()).as_ref());
    out
}
