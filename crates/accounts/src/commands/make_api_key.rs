//! A key for a program.

use std::sync::Arc;

use http::StatusCode;
use merx_contracts::ids::ApiKeyId;
use merx_http::{Begun, IdempotencyKey, answer};
use merx_kernel::{
    BoundedText, Error, ErrorKind, Permission, Permissions, Principal, Result, Role, Secret, Timestamp,
    principal::ApiKeyKind,
};
use merx_platform::store::Saved;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    State,
    commands::make_role::names,
    domain::{
        api_key::{self, KEYS_MAX},
        grants,
    },
    store::api_keys::{self, NewKey},
    telling::{Actor, Telling},
};

/// What to make.
#[derive(Clone, Debug)]
pub struct MakeApiKey {
    /// What its owner calls it.
    pub name: BoundedText<1, 80>,
    /// What it may do, of what its owner may do.
    pub scopes: Permissions,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// The answer. The secret is in the first answer only: it is kept nowhere, not with the idempotency key either.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyMade {
    /// The key.
    pub id: ApiKeyId,
    /// For `Authorization: Bearer`. Shown this once; absent when the answer is a repetition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl ApiKeyMade {
    pub(crate) fn saved(id: ApiKeyId) -> Result<Saved> {
        answer(StatusCode::CREATED, &Self { id, secret: None })
    }
}

/// Makes the key, once for the idempotency key; answers its secret.
///
/// # Errors
/// `accounts.grant_above_own`, `accounts.api_key_limit`; `Invalid` for no scope or a time that is over;
/// `request.forbidden` for a guest; `request.rate_limited`.
pub(crate) async fn make_api_key(
    state: &State,
    owner: &Principal,
    command: MakeApiKey,
    key: IdempotencyKey,
) -> Result<(ApiKeyId, Secret<String>, Begun<ApiKeyKind>)> {
    let (id, now): (ApiKeyId, _) = (state.ids.next(), state.clock.now());
    check(owner, &command, now)?;
    let verdict = state.keys_made.take(&owner.account, now);
    if !verdict.allowed {
        let message = "Too many keys in a short time; wait before the next one.";
        return Err(Error::new(ErrorKind::RateLimited, "request.rate_limited", message)
            .with_retry_after(verdict.retry_after));
    }
    let secret = api_key::secret(id, state.ids.random_bytes());
    let new = Arc::new(NewKey {
        id,
        account: owner.account,
        name: command.name.into_string(),
        hash: api_key::hash(&secret),
        scopes: command.scopes,
        expires_at: command.expires_at,
    });
    let telling = Telling::new(state, Actor::from(owner), "accounts.api_key_made", id, None);
    let (own, keys) = (state.clone(), state.store.idempotency);
    let begun = state
        .db
        .write("accounts.make_api_key", move |tx| {
            let begun = key.begin(keys, tx, id, now)?;
            if matches!(begun, Begun::Fresh) {
                if !api_keys::insert_key(tx, &new, now)? {
                    let message = format!("You have {KEYS_MAX} keys; revoke one first.");
                    return Err(Error::rejected("accounts.api_key_limit", message));
                }
                if of_staff(new.scopes) {
                    let detail = json!({ "scopes": names(new.scopes), "expires_at": new.expires_at });
                    telling.tell(&own, tx, detail)?;
                }
                key.complete(keys, tx, id, &ApiKeyMade::saved(id)?)?;
            }
            Ok(begun)
        })
        .await?;
    Ok((id, Secret::new(secret), begun))
}

fn check(owner: &Principal, command: &MakeApiKey, now: Timestamp) -> Result<()> {
    if owner.roles.iter().any(|role| *role == Role::Guest) {
        return Err(Error::new(ErrorKind::Forbidden, "request.forbidden", "Guests have no keys."));
    }
    if command.scopes == Permissions::NONE {
        return Err(Error::invalid("/scopes", "must name at least one permission"));
    }
    if command.expires_at.is_some_and(|at| at <= now) {
        return Err(Error::invalid("/expires_at", "must be in the future"));
    }
    grants::within_own(owner.permissions, command.scopes)
}

/// Whether what the scopes open is the business of staff, which is recorded.
pub(crate) fn of_staff(scopes: Permissions) -> bool {
    !scopes.is_within([Permission::Shop].into_iter().collect())
}
