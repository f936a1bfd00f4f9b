//! Log-in, refresh, log-out.

use axum::extract::State as Shared;
use http::{HeaderMap, StatusCode, header};
use merx_contracts::ids::{AccountId, SessionId};
use merx_http::{Access, Answer, Caller, ClientAddress, Idempotency, Json, Owner, Path, Route};
use merx_kernel::{Error, Principal, Result, Secret, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    State,
    commands::{
        end_session::{end_session, end_sessions_elsewhere},
        log_in::{LogIn, SessionTokens, log_in},
        refresh_session::refresh_session,
    },
    domain::email::Email,
    passwords::Password,
    queries,
    store::sessions::SessionRow,
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LogInBody {
    /// The log-in name.
    email: Email,
    /// The password.
    password: Password,
    /// A token of the guest the client has been until now: what is in the guest's cart becomes the member's. One that is
    /// not good any more is passed over.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    guest_token: Option<Secret<String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RefreshBody {
    /// The refresh token of the last answer.
    #[schemars(with = "String")]
    refresh_token: Secret<String>,
}

/// The tokens of a session.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct TokensView {
    /// The session.
    pub session_id: SessionId,
    /// The account.
    pub account_id: AccountId,
    /// For `Authorization: Bearer`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds the access token lives.
    pub expires_in: u64,
    /// Good once, for `POST /v1/sessions/refresh`.
    pub refresh_token: String,
    /// When the refresh token expires.
    pub refresh_expires_at: Timestamp,
}

/// One open session.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct SessionView {
    /// The session.
    pub id: SessionId,
    /// What the client calls itself.
    pub client: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was refreshed last.
    pub used_at: Timestamp,
    /// When it expires if it is not refreshed.
    pub expires_at: Timestamp,
    /// Whether the request came by it.
    pub current: bool,
}

/// The open sessions, the one used last first.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct SessionsView {
    /// The sessions.
    pub items: Vec<SessionView>,
}

pub(super) fn tokens_view(state: &State, tokens: SessionTokens) -> TokensView {
    TokensView {
        session_id: tokens.session,
        account_id: tokens.account,
        access_token: tokens.access.expose().clone(),
        token_type: "Bearer".to_owned(),
        expires_in: state.signer.life().as_secs(),
        refresh_token: tokens.refresh.expose().clone(),
        refresh_expires_at: tokens.refresh_expires_at,
    }
}

async fn begin(
    Shared(state): Shared<State>,
    address: ClientAddress,
    headers: HeaderMap,
    Json(body): Json<LogInBody>,
) -> Answer<(StatusCode, Json<TokensView>)> {
    let command = LogIn {
        email: body.email,
        password: body.password,
        client: client_name(&headers),
        address,
        guest_token: body.guest_token,
    };
    let tokens = log_in(&state, command).await?;
    Ok((StatusCode::CREATED, Json(tokens_view(&state, tokens))))
}

async fn refresh(Shared(state): Shared<State>, Json(body): Json<RefreshBody>) -> Answer<Json<TokensView>> {
    let tokens = refresh_session(&state, body.refresh_token).await?;
    Ok(Json(tokens_view(&state, tokens)))
}

/// What the client calls itself.
pub(super) fn client_name(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    agent.unwrap_or_default()
}

/// The sessions as they are shown.
pub(super) fn views(rows: Vec<SessionRow>, current: Option<SessionId>) -> Vec<SessionView> {
    let view = |row: SessionRow| SessionView {
        current: Some(row.id) == current,
        id: row.id,
        client: row.client,
        created_at: row.created_at,
        used_at: row.used_at,
        expires_at: row.expires_at,
    };
    rows.into_iter().map(view).collect()
}

async fn list(Shared(state): Shared<State>, Caller(caller): Caller) -> Answer<Json<SessionsView>> {
    let rows = queries::sessions(&state, caller.account).await?;
    Ok(Json(SessionsView { items: views(rows, caller.session()) }))
}

async fn end_elsewhere(Shared(state): Shared<State>, Caller(caller): Caller) -> Answer<StatusCode> {
    end_sessions_elsewhere(&state, caller.account, own_session(&caller)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The routes that ask for it let nobody else in.
pub(super) fn own_session(caller: &Principal) -> Result<SessionId> {
    caller.session().ok_or_else(|| Error::internal("a key at a route for persons"))
}

async fn end_current(Shared(state): Shared<State>, Caller(caller): Caller) -> Answer<StatusCode> {
    end_session(&state, caller.account, own_session(&caller)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    Path(session): Path<SessionId>,
) -> Answer<StatusCode> {
    end_session(&state, caller.account, session).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn routes(state: &State) -> Vec<Route> {
    let own = Access::LoggedIn { owner: Owner::Account("only sessions of the caller's account are found") };
    vec![
        Route::post("/v1/sessions", Access::Public, begin, state)
            .id("logIn")
            .summary("Log in")
            .body::<LogInBody>()
            .response::<TokensView>(201)
            .errors(&["accounts.credentials_wrong", "accounts.too_many_logins", "accounts.login_busy"])
            .idempotency(Idempotency::Excluded(
                "each log-in is a session of its own, and nothing is lost by one more",
            )),
        Route::post("/v1/sessions/refresh", Access::Public, refresh, state)
            .id("refreshSession")
            .summary("Exchange a refresh token for fresh tokens")
            .body::<RefreshBody>()
            .response::<TokensView>(200)
            .errors(&["accounts.refresh_token_invalid", "accounts.refresh_token_reused"])
            .idempotency(Idempotency::Excluded(
                "a refresh token is good once; its repetition is taken for theft",
            )),
        Route::get("/v1/sessions", own, list, state)
            .id("listSessions")
            .summary("My open sessions")
            .response::<SessionsView>(200),
        Route::delete("/v1/sessions/current", own, end_current, state)
            .id("logOut")
            .summary("Log out")
            .empty_response(204)
            .errors(&["accounts.session_not_found"]),
        Route::delete("/v1/sessions/elsewhere", own, end_elsewhere, state)
            .id("endSessionsElsewhere")
            .summary("End all my sessions but this one")
            .empty_response(204),
        Route::delete("/v1/sessions/{session}", own, end, state)
            .id("endSession")
            .summary("End one of my sessions")
            .param::<SessionId>("session")
            .empty_response(204)
            .errors(&["accounts.session_not_found"]),
    ]
}
