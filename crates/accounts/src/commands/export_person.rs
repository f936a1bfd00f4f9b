//! Staff took out what there is about a person: nothing changes, and it is recorded.

use merx_contracts::ids::AccountId;
use merx_kernel::Result;
use serde_json::json;

use crate::{
    State,
    telling::{Actor, Telling},
};

/// Notes it.
///
/// # Errors
/// What the database answers.
pub(crate) async fn note_export(state: &State, by: Actor, account: AccountId, reason: String) -> Result<()> {
    let telling = Telling::new(state, by, "accounts.person_exported", account, Some(reason));
    let own = state.clone();
    state.db.write("accounts.note_export", move |tx| telling.tell(&own, tx, json!({}))).await
}
