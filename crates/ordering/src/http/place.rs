//! `POST /v1/checkouts/{cart}/orders`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use merx_contracts::ids::{AddressId, CartId};
use merx_http::{Answer, Caller, IdempotencyKey, Json, Path, respond};
use merx_kernel::Role;
use merx_platform::saga::Progress;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Api, quote::Method, repeat::locate};
use crate::{
    commands::{
        place_order::{PlaceOrderCommand, Placed, arranged, ended, place_order},
        write_note::NoteText,
    },
    queries::checkout_quote::QuoteWanted,
};

/// What the buyer accepts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceBody {
    /// Where it goes.
    address_id: AddressId,
    /// How it goes: one of the quote's freight options.
    shipping_method: Method,
    /// The quote.
    #[schemars(extend("example" = "6f1c0e9b4f7d4c0a8a4f2f5f0b6f7f3c1d2e4a5b6c7d8e9f0a1b2c3d4e5f6071"))]
    quote_id: merx_kernel::BoundedText<64, 64>,
    /// What the buyer has to say to the shop.
    note: Option<NoteText>,
}

pub(super) async fn place(
    State(api): State<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(cart_id): Path<CartId>,
    Json(body): Json<PlaceBody>,
) -> Answer<Response> {
    let command = PlaceOrderCommand {
        wanted: QuoteWanted {
            account_id: caller.account,
            cart_id,
            address_id: body.address_id,
            shipping_method: Some(body.shipping_method.into_string()),
        },
        quote_id: body.quote_id.into_string(),
        note: body.note.map(NoteText::into_string),
        guest: caller.roles.iter().any(|role| *role == Role::Guest),
    };
    let (order_id, saga, terms) = match place_order(&api.ordering, key, &command).await {
        Ok(Placed::Begun { order_id, saga, terms }) => (order_id, saga, terms),
        Ok(Placed::Repeated(begun)) => return api.placed_before(&key, begun).await,
        // The first request under the key may have emptied the cart since, so that there is nothing to quote now.
        Err(error) => return api.earlier(&key).await?.ok_or_else(|| error.into()),
    };
    let mut response = match arranged(&api.ordering, &saga).await {
        Some(Progress::Ended(end)) => respond(ended(order_id, &terms, end)?),
        _ => (StatusCode::ACCEPTED, Json(api.view(order_id).await?)).into_response(),
    };
    locate(&mut response, order_id);
    Ok(response)
}
