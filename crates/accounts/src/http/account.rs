//! My account: profile, password, everything there is about me, and the end of it.

use axum::{extract::State as Shared, response::Response};
use http::StatusCode;
use merx_contracts::ids::{AccountId, ApiKeyId};
use merx_http::{Access, Answer, Caller, ClientAddress, Idempotency, IfMatch, Json, Owner, Route, Versioned};
use merx_kernel::{BoundedText, Error, Permission, RoleName, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{addresses, sessions};
use crate::{
    State,
    commands::{
        change_password::{ChangePassword, change_password, check_password},
        change_profile::change_profile,
        erase_person::erase_myself,
    },
    domain::person::{Kind, Locale},
    passwords::{NewPassword, Password},
    queries::{self, Everything},
    store::{accounts::AccountRow, api_keys::KeyRow},
};

/// My account, as I may see it.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct AccountView {
    /// The account.
    pub id: AccountId,
    /// `member`, `guest` or `staff`.
    pub kind: Kind,
    /// The log-in name; of a guest, where it is written to, empty for nowhere.
    pub email: String,
    /// How I am called.
    pub name: String,
    /// The language I am written to in.
    pub locale: Locale,
    /// When it was made.
    pub created_at: Timestamp,
}

impl AccountView {
    pub(super) fn of(row: &AccountRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            email: row.email().to_owned(),
            name: row.name.clone(),
            locale: row.locale,
            created_at: row.created_at,
        }
    }
}

/// What I may change.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProfileBody {
    /// How I am called.
    name: BoundedText<1, 80>,
    /// The language I am written to in.
    locale: Locale,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    /// The password there is.
    password: Password,
    /// The password to be.
    #[schemars(with = "NewPassword")]
    new_password: Password,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ErasureBody {
    /// The password; a guest has none.
    #[serde(default)]
    password: Option<Password>,
}

/// Everything accounts keeps about a person. Orders are at `/v1/orders`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct ExportView {
    /// The account.
    pub account: AccountView,
    /// Its roles.
    pub roles: Vec<RoleName>,
    /// Every version of every address, the newest first; 1000 at most.
    pub addresses: Vec<addresses::AddressView>,
    /// The open sessions.
    pub sessions: Vec<sessions::SessionView>,
    /// The keys of programs.
    pub api_keys: Vec<ExportedKey>,
}

/// A key of a program.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct ExportedKey {
    /// The key.
    pub id: ApiKeyId,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Permission>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl ExportView {
    pub(super) fn of(all: Everything) -> Self {
        let key = |key: KeyRow| ExportedKey {
            id: key.id,
            name: key.name,
            scopes: key.scopes.iter().collect(),
            created_at: key.created_at,
        };
        Self {
            account: AccountView::of(&all.account),
            roles: all.account.roles,
            addresses: all.addresses.into_iter().filter_map(addresses::view).collect(),
            sessions: sessions::views(all.sessions, None),
            api_keys: all.keys.into_iter().map(key).collect(),
        }
    }
}

pub(super) fn versioned(row: &AccountRow) -> Versioned<AccountView> {
    Versioned { version: row.version, body: AccountView::of(row) }
}

async fn get(Shared(state): Shared<State>, Caller(caller): Caller) -> Answer<Versioned<AccountView>> {
    Ok(versioned(&queries::account(&state, caller.account).await?))
}

async fn put(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    seen: IfMatch,
    Json(body): Json<ProfileBody>,
) -> Answer<Versioned<AccountView>> {
    Ok(versioned(&change_profile(&state, caller.account, body.name, body.locale, seen).await?))
}

async fn password(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    address: ClientAddress,
    Json(body): Json<PasswordBody>,
) -> Answer<StatusCode> {
    let command = ChangePassword {
        account: caller.account,
        session: sessions::own_session(&caller)?,
        old: body.password,
        new: body.new_password,
        address,
    };
    change_password(&state, command).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn export(Shared(state): Shared<State>, Caller(caller): Caller) -> Answer<Json<ExportView>> {
    Ok(Json(ExportView::of(queries::everything(&state, caller.account, false).await?)))
}

async fn erase(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    address: ClientAddress,
    Json(body): Json<ErasureBody>,
) -> Answer<Response> {
    let account = queries::account(&state, caller.account).await?;
    match body.password {
        Some(password) => drop(check_password(&state, account.id, password, address).await?),
        None if account.has_password => {
            return Err(
                Error::invalid("/password", "must be given: what is erased does not come back").into()
            );
        }
        None => {}
    }
    erase_myself(&state, account.id).await?;
    Ok(axum::response::IntoResponse::into_response(StatusCode::NO_CONTENT))
}

pub(super) fn routes(state: &State) -> Vec<Route> {
    let own = Access::LoggedIn { owner: Owner::Account("the account is the one of the token") };
    let guesses = ["accounts.password_wrong", "accounts.too_many_logins", "accounts.login_busy"];
    vec![
        Route::get("/v1/account", own, get, state)
            .id("getAccount")
            .summary("My account, with its version as the ETag")
            .response::<AccountView>(200)
            .errors(&["accounts.account_not_found"]),
        Route::put("/v1/account", own, put, state)
            .id("changeAccount")
            .summary("Change my name and my language")
            .if_match()
            .body::<ProfileBody>()
            .response::<AccountView>(200)
            .errors(&["accounts.account_not_found"]),
        Route::put("/v1/account/password", own, password, state)
            .id("changePassword")
            .summary("Change my password; all my other sessions end at once")
            .body::<PasswordBody>()
            .empty_response(204)
            .errors(&guesses),
        Route::post("/v1/account/export", own, export, state)
            .id("exportAccount")
            .summary("Everything there is about me here; my orders are at /v1/orders")
            .response::<ExportView>(200)
            .errors(&["accounts.account_not_found"])
            .idempotency(Idempotency::Natural("it changes nothing")),
        Route::post("/v1/account/erasure", own, erase, state)
            .id("eraseAccount")
            .summary("Erase me: name, e-mail address, addresses and sessions are gone at once")
            .description(
                "What is erased does not come back. Orders stay, without a person in them; a parcel that was not \
                 dispatched yet has no address any more.",
            )
            .body::<ErasureBody>()
            .empty_response(204)
            .errors(&guesses)
            .errors(&["accounts.account_not_found", "accounts.last_administrator"])
            .idempotency(Idempotency::Natural("who was erased stays erased")),
    ]
}
