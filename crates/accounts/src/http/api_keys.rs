//! Keys of programs.

use axum::{extract::State as Shared, response::Response};
use http::StatusCode;
use merx_contracts::ids::ApiKeyId;
use merx_http::{Access, Answer, Caller, Idempotency, IdempotencyKey, Json, Owner, Path, Route, answer};
use merx_kernel::{BoundedText, Permission, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Desk;
use crate::{
    State,
    commands::{
        make_api_key::{ApiKeyMade, MakeApiKey, make_api_key},
        revoke_api_key::revoke_api_key,
    },
    queries,
    store::api_keys::KeyRow,
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    /// What I call it.
    name: BoundedText<1, 80>,
    /// What it may do, of what I may do.
    #[schemars(length(min = 1))]
    scopes: Vec<Permission>,
    /// When it ends by itself; never when left out.
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

/// A key of mine.
#[derive(Serialize, Deserialize, JsonSchema)]
struct KeyView {
    /// The key.
    id: ApiKeyId,
    /// What I call it.
    name: String,
    /// What it was given; it may do of this what I may do at the moment.
    scopes: Vec<Permission>,
    /// When it was made.
    created_at: Timestamp,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used_at: Option<Timestamp>,
}

/// My keys that were not revoked, the youngest first; 20 at most.
#[derive(Serialize, Deserialize, JsonSchema)]
struct KeysView {
    /// The keys.
    items: Vec<KeyView>,
}

fn view(row: KeyRow) -> KeyView {
    KeyView {
        id: row.id,
        name: row.name,
        scopes: row.scopes.iter().collect(),
        created_at: row.created_at,
        expires_at: row.expires_at,
        used_at: row.used_at,
    }
}

async fn list(Shared(state): Shared<State>, Caller(caller): Caller) -> Answer<Json<KeysView>> {
    let rows = queries::keys(&state, caller.account).await?;
    Ok(Json(KeysView { items: rows.into_iter().map(view).collect() }))
}

async fn make(
    Shared(desk): Shared<Desk>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Json(body): Json<KeyBody>,
) -> Answer<Response> {
    let command = MakeApiKey {
        name: body.name,
        scopes: body.scopes.into_iter().collect(),
        expires_at: body.expires_at,
    };
    let (id, secret, begun) = make_api_key(&desk.state, &caller, command, key).await?;
    let shown = || answer(StatusCode::CREATED, &ApiKeyMade { id, secret: Some(secret.expose().clone()) });
    desk.answer(&key, begun, shown).await
}

async fn revoke(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    Path(id): Path<ApiKeyId>,
) -> Answer<StatusCode> {
    revoke_api_key(&state, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn routes(desk: &Desk) -> Vec<Route> {
    let state = &desk.state;
    let own = Access::LoggedIn { owner: Owner::Account("only keys of the caller's account are found") };
    vec![
        Route::get("/v1/api-keys", own, list, state)
            .id("listApiKeys")
            .summary("My keys for programs")
            .response::<KeysView>(200),
        Route::post("/v1/api-keys", own, make, desk)
            .id("makeApiKey")
            .summary("Make a key for a program; its secret is shown this once")
            .description(
                "The program sends it as `Authorization: Bearer merx_…`. It may do what both its scopes and I may. \
                 Where the answer was lost, revoke the key and make another: a repetition does not show the secret.",
            )
            .body::<KeyBody>()
            .response::<ApiKeyMade>(201)
            .errors(&["accounts.api_key_limit", "accounts.grant_above_own", "request.forbidden"])
            .idempotency(Idempotency::Required),
        Route::delete("/v1/api-keys/{key}", own, revoke, state)
            .id("revokeApiKey")
            .summary("Revoke a key; it does not pass from the next request on")
            .param::<ApiKeyId>("key")
            .empty_response(204)
            .errors(&["accounts.api_key_not_found"]),
    ]
}
