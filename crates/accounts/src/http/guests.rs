//! Guests: who buys without registering.

use axum::extract::State as Shared;
use http::{HeaderMap, StatusCode};
use merx_http::{Access, Answer, Caller, ClientAddress, Idempotency, Json, Owner, Route};
use merx_kernel::{BoundedText, Permission, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    account::AccountView,
    sessions::{TokensView, client_name, tokens_view},
};
use crate::{
    State,
    commands::begin_guest::{Client, SetGuestContact, begin_guest, enter_as_guest, set_guest_contact},
    domain::{email::Email, person::Locale},
    queries,
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GuestBody {
    /// The language the guest is written to in.
    #[serde(default)]
    locale: Locale,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinkBody {
    /// The secret of the mailed link.
    #[schemars(with = "String")]
    token: Secret<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ContactBody {
    /// Where mails go.
    email: Email,
    /// How the guest is called.
    #[serde(default)]
    name: Option<BoundedText<1, 80>>,
    /// The language of the mails.
    locale: Locale,
}

async fn begin(
    Shared(state): Shared<State>,
    address: ClientAddress,
    headers: HeaderMap,
    Json(body): Json<GuestBody>,
) -> Answer<(StatusCode, Json<TokensView>)> {
    let client = Client { name: client_name(&headers), address };
    let tokens = begin_guest(&state, body.locale, client).await?;
    Ok((StatusCode::CREATED, Json(tokens_view(&state, tokens))))
}

async fn enter(
    Shared(state): Shared<State>,
    address: ClientAddress,
    headers: HeaderMap,
    Json(body): Json<LinkBody>,
) -> Answer<(StatusCode, Json<TokensView>)> {
    let client = Client { name: client_name(&headers), address };
    let tokens = enter_as_guest(&state, body.token, client).await?;
    Ok((StatusCode::CREATED, Json(tokens_view(&state, tokens))))
}

async fn contact(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    Json(body): Json<ContactBody>,
) -> Answer<Json<AccountView>> {
    let command = SetGuestContact { email: body.email, name: body.name, locale: body.locale };
    set_guest_contact(&state, caller.account, command).await?;
    Ok(Json(AccountView::of(&queries::account(&state, caller.account).await?)))
}

pub(super) fn routes(state: &State) -> Vec<Route> {
    let own = Access::SessionPermission {
        permission: Permission::Shop,
        owner: Owner::Account("the guest is the account of the token"),
    };
    vec![
        Route::post("/v1/guests", Access::Public, begin, state)
            .id("beginGuest")
            .summary("Begin to shop without registering")
            .description(
                "The tokens are those of a log-in. Sent as `guest_token` with a log-in they bring the guest's cart along.",
            )
            .body::<GuestBody>()
            .response::<TokensView>(201)
            .errors(&["accounts.too_many_guests"])
            .idempotency(Idempotency::Excluded("each guest is one more, and one who leaves nothing is removed")),
        Route::post("/v1/guests/sessions", Access::Public, enter, state)
            .id("enterAsGuest")
            .summary("Come in by the link of a guest's mail")
            .body::<LinkBody>()
            .response::<TokensView>(201)
            .errors(&["accounts.guest_token_invalid", "accounts.too_many_logins"])
            .idempotency(Idempotency::Excluded(
                "each coming in is a session of its own, and nothing is lost by one more",
            )),
        Route::put("/v1/guests/me", own, contact, state)
            .id("setGuestContact")
            .summary("Say where the mails about my orders go")
            .body::<ContactBody>()
            .response::<AccountView>(200)
            .errors(&["accounts.not_a_guest"]),
    ]
}
