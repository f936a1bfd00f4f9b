//! A key that is to open nothing any more.

use merx_contracts::ids::ApiKeyId;
use merx_kernel::{Error, Guard, Principal, Result};
use serde_json::json;

use crate::{
    State,
    commands::make_api_key::of_staff,
    store::api_keys,
    telling::{Actor, Telling},
};

/// Revokes the key. Doing it again changes nothing.
///
/// # Errors
/// `accounts.api_key_not_found`, also when it is another's.
pub async fn revoke_api_key(state: &State, owner: &Principal, id: ApiKeyId) -> Result<()> {
    let (account, now) = (owner.account, state.clock.now());
    let telling = Telling::new(state, Actor::from(owner), "accounts.api_key_revoked", id, None);
    let own = state.clone();
    state
        .write_rights("accounts.revoke_api_key", move |tx| {
            let found = api_keys::key(tx, id)?
                .filter(|key| key.account == account || !Guard::Owner.on())
                .ok_or_else(|| Error::not_found("accounts.api_key_not_found", "You have no such key."))?;
            if api_keys::revoke_key(tx, &found, now)? && of_staff(found.scopes) {
                telling.tell(&own, tx, json!({}))?;
            }
            Ok(())
        })
        .await?;
    state.keys.forget(account);
    Ok(())
}
