//! Who I am.

use axum::extract::State as Shared;
use merx_contracts::ids::{AccountId, SessionId};
use merx_http::{Access, Answer, Caller, Json, Owner, Route};
use merx_kernel::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{State, queries};

/// The account of the caller.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct MeView {
    /// The account.
    pub account_id: AccountId,
    /// The session the request came by.
    pub session_id: SessionId,
    /// The log-in name.
    pub email: String,
    /// How the person is called.
    pub name: String,
    /// What the account may be.
    pub roles: Vec<Role>,
}

async fn me(Shared(state): Shared<State>, Caller(caller): Caller) -> Answer<Json<MeView>> {
    let (email, name, roles) = queries::account(&state, caller.account).await?;
    Ok(Json(MeView { account_id: caller.account, session_id: caller.session, email, name, roles }))
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
