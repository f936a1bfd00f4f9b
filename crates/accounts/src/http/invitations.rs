//! Who was invited sets a password.

use axum::extract::State as Shared;
use http::StatusCode;
use merx_http::{Access, Answer, ClientAddress, Idempotency, Json, Route};
use merx_kernel::{BoundedText, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    State,
    commands::accept_invitation::{AcceptInvitation, accept_invitation},
    domain::email::Email,
    passwords::{NewPassword, Password},
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AcceptanceBody {
    /// Where the mail came to.
    email: Email,
    /// The code in it; case, blanks and dashes do not matter.
    code: BoundedText<1, 32>,
    /// The password to be.
    #[schemars(with = "NewPassword")]
    password: Password,
}

async fn accept(
    Shared(state): Shared<State>,
    address: ClientAddress,
    Json(body): Json<AcceptanceBody>,
) -> Answer<StatusCode> {
    let command = AcceptInvitation {
        email: body.email,
        code: Secret::new(body.code.into_string()),
        password: body.password,
        address,
    };
    accept_invitation(&state, command).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn routes(state: &State) -> Vec<Route> {
    vec![
        Route::post("/v1/invitations/acceptance", Access::Public, accept, state)
            .id("acceptInvitation")
            .summary("Set the first password with the code of the invitation")
            .description("Five guesses and the code is dead; somebody has to invite again then.")
            .body::<AcceptanceBody>()
            .empty_response(204)
            .errors(&["accounts.code_wrong", "accounts.too_many_logins", "accounts.login_busy"])
            .idempotency(Idempotency::Excluded("a code is good once; log in when the answer was lost")),
    ]
}
