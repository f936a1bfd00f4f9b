//! `POST /v1/checkouts/{cart}/quote`

use axum::extract::State;
use merx_contracts::ids::{AddressId, CartId};
use merx_http::{Answer, Caller, Json, Path};
use merx_kernel::BoundedText;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Api;
use crate::{
    domain::quote::Quote,
    queries::checkout_quote::{QuoteWanted, checkout_quote},
};

/// A shipping method, as quotes name it.
pub(super) type Method = BoundedText<1, 32>;

/// What is to be quoted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuoteBody {
    /// Where it would go.
    address_id: AddressId,
    /// How; the cheapest way unless told.
    shipping_method: Option<Method>,
}

pub(super) async fn quote(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(cart_id): Path<CartId>,
    Json(body): Json<QuoteBody>,
) -> Answer<Json<Quote>> {
    let wanted = QuoteWanted {
        account_id: caller.account,
        cart_id,
        address_id: body.address_id,
        shipping_method: body.shipping_method.map(Method::into_string),
    };
    Ok(Json(checkout_quote(&api.ordering.tools.asks, &wanted).await?.quote))
}
