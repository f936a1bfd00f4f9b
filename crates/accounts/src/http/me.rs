//! Who I am.

use axum::extract::State as Shared;
use merx_contracts::ids::{AccountId, SessionId};
use merx_http::{Access, Answer, Caller, Json, Owner, Route};
use merx_kernel::{Permission, RoleName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sessions::own_session;
use crate::{State, queries};

/// The account of the caller.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct MeView {
    /// The account.
    pub account_id: AccountId,
    /// The session the request came by.
    pub session_id: SessionId,
    /// The log-in name; of a guest, where it is written to.
    pub email: String,
    /// How the person is called.
    pub name: String,
    /// What the account may be.
    pub roles: Vec<RoleName>,
    /// What these roles open.
    pub permissions: Vec<Permission>,
}

async fn me(Shared(state): Shared<State>, Caller(caller): Caller) -> Answer<Json<MeView>> {
    let account = queries::account(&state, caller.account).await?;
    let session_id = own_session(&caller)?;
    Ok(Json(MeView {
        account_id: account.id,
        session_id,
        email: account.email().to_owned(),
        permissions: caller.permissions.iter().collect(),
        name: account.name,
        roles: account.roles,
    }))
}

pub(super) fn routes(state: &State) -> Vec<Route> {
    let own = Access::LoggedIn { owner: Owner::Account("the account is the one of the token") };
    vec![
        Route::get("/v1/me", own, me, state)
            .id("getMe")
            .summary("My account")
            .response::<MeView>(200)
            .errors(&["accounts.account_not_found"]),
    ]
}
