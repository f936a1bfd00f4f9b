//! Log-in: the same answer and the same time whether or not the account exists.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use merx_contracts::{
    events::accounts::GuestLoggedIn,
    ids::{AccountId, SessionId},
};
use merx_http::ClientAddress;
use merx_kernel::{Error, ErrorKind, Id, IdGen, Result, RoleName, Secret, Timestamp};

use merx_sql::Tx;

use crate::{
    State,
    commands::begin_guest::guest_of_token,
    domain::email::Email,
    passwords::Password,
    store::{
        accounts,
        sessions::{self, NewSession},
    },
    telling::envelope,
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
    /// A token of the guest the client has been until now.
    pub guest_token: Option<Secret<String>>,
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

/// An account about to have a session.
pub(crate) struct Bearer {
    pub account: AccountId,
    pub session: SessionId,
    pub roles: Vec<RoleName>,
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
    let (stored, bearer) = match found.credentials {
        Some((hash, bearer)) => (Some(hash), Some(bearer)),
        None => (None, None),
    };
    let right = state.passwords.verify(command.password, stored.clone()).await.inspect_err(|_| forgive())?;
    let (Some(bearer), Some(password_hash)) = (bearer.filter(|_| right), stored) else { return Err(wrong()) };
    forgive();
    let guest = match &command.guest_token {
        Some(token) => guest_of_token(state, token).await?,
        None => None,
    };
    begin_session(state, bearer, password_hash, guest, &command.client, network).await
}

fn wrong() -> Error {
    let message = "The e-mail address or the password is wrong.";
    Error::new(ErrorKind::Unauthenticated, "accounts.credentials_wrong", message)
}

pub(crate) fn too_many(wait: Duration) -> Error {
    Error::new(
        ErrorKind::RateLimited,
        "accounts.too_many_logins",
        "Too many log-ins; wait before the next one.",
    )
    .with_retry_after(wait)
}

struct FoundAccount {
    credentials: Option<(String, Bearer)>,
    known_network: bool,
}

/// The same statements for an account that exists and one that does not.
async fn find(state: &State, email: &Email, network: ClientAddress) -> Result<FoundAccount> {
    let (email, session, since) = (email.clone(), state.ids.next(), state.clock.now().minus(NETWORK_KNOWN));
    state
        .db
        .read("accounts.log_in", move |q| {
            let found = accounts::credentials(q, &email)?.filter(|f| !f.password_hash.is_empty());
            let account = found.as_ref().map_or(Id::from_bits(0), |f| f.account);
            let known_network = sessions::known_network(q, account, network_hash(account, network), since)?;
            let credentials =
                found.map(|f| (f.password_hash, Bearer { account: f.account, session, roles: f.roles }));
            Ok(FoundAccount { credentials, known_network })
        })
        .await
}

async fn begin_session(
    state: &State,
    bearer: Bearer,
    password_hash: String,
    guest: Option<AccountId>,
    client: &str,
    network: ClientAddress,
) -> Result<SessionTokens> {
    let now = state.clock.now();
    let (refresh, session) = new_session(state, &bearer, client, network);
    let (account, expires_at, store) = (bearer.account, session.row.expires_at, state.store.clone());
    let fact = guest.map(|guest_id| GuestLoggedIn { guest_id, account_id: account });
    let told: Vec<_> = fact.iter().map(|fact| envelope(state, fact)).collect::<Result<_>>()?;
    let ended = state
        .write_rights("accounts.begin_session", move |tx| {
            // What closes an account or changes its password ends its sessions: none may begin beside that.
            if !sessions::hold_account(tx, account, &password_hash)? {
                return Err(wrong());
            }
            store.outbox.publish(tx, &told)?;
            open_session(tx, &session, now)
        })
        .await?;
    state.sessions_ended(account, ended, now);
    tokens(state, &bearer, refresh, expires_at)
}

/// A session about to be opened, with its first refresh token.
#[derive(Clone)]
pub(crate) struct OpenSession {
    pub row: Arc<NewSession>,
    token: [u8; 32],
}

/// A session of the account, and its first refresh token.
pub(crate) fn new_session(
    state: &State,
    bearer: &Bearer,
    client: &str,
    network: ClientAddress,
) -> (Secret<String>, OpenSession) {
    let now = state.clock.now();
    let (refresh, token) = fresh_token(&state.ids);
    let row = NewSession {
        id: bearer.session,
        account: bearer.account,
        client: client.chars().filter(|c| !c.is_control()).take(CLIENT_LENGTH_MAX).collect(),
        network: network_hash(bearer.account, network),
        at: now,
        expires_at: now.plus(state.settings.refresh_life()),
    };
    (refresh, OpenSession { row: Arc::new(row), token })
}

/// Opens the session; answers those that end because the account has too many.
pub(crate) fn open_session(tx: &mut Tx<'_>, new: &OpenSession, now: Timestamp) -> Result<Vec<SessionId>> {
    let open = sessions::open_sessions(tx, new.row.account, now)?;
    let mut ended = Vec::new();
    for surplus in open.iter().skip(SESSIONS_MAX - 1) {
        sessions::end_session(tx, surplus.id, now)?;
        ended.push(surplus.id);
    }
    sessions::insert_session(tx, &new.row)?;
    sessions::insert_token(tx, new.token, new.row.id, new.row.expires_at)?;
    Ok(ended)
}

/// The answer of a log-in and of a refresh.
pub(crate) fn tokens(
    state: &State,
    bearer: &Bearer,
    refresh: Secret<String>,
    refresh_expires_at: Timestamp,
) -> Result<SessionTokens> {
    Ok(SessionTokens {
        session: bearer.session,
        account: bearer.account,
        access: Secret::new(state.signer.sign_session(
            bearer.account,
            bearer.session,
            &bearer.roles,
            state.clock.now(),
        )?),
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

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.copy_from_slice(digest(&SHA256, &parts.concat()).as_ref());
    out
}
