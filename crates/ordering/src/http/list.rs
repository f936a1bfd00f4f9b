//! `GET /v1/orders`, `GET /v1/admin/orders`

use std::borrow::Cow;

use axum::extract::State;
use merx_contracts::ids::{AccountId, Sku};
use merx_http::{Answer, Caller, Json, Query};
use merx_kernel::{BoundedText, Error, Page, PageRequest, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::Api;
use crate::{
    domain::{Axis, BuyerStatus, FulfilmentAxis, OrderNumber, PaymentAxis},
    queries::orders,
    store::search::{Filter, Sort},
    view::OrderView,
};

/// Words of one search.
const WORDS_MAX: usize = 5;

/// One or more statuses, separated by commas.
#[derive(Debug)]
pub(super) struct Statuses(Vec<BuyerStatus>);

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let status = |name: &str| {
            BuyerStatus::ALL.iter().copied().find(|status| status.name() == name).ok_or_else(|| {
                let known: Vec<&str> = BuyerStatus::ALL.iter().map(|status| status.name()).collect();
                serde::de::Error::custom(format!(
                    "must be one or more of {}, separated by commas",
                    known.join(", ")
                ))
            })
        };
        text.split(',').map(status).collect::<Result<_, _>>().map(Self)
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "OrderStatuses".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names: Vec<&str> = BuyerStatus::ALL.iter().map(|status| status.name()).collect();
        let one = names.join("|");
        schemars::json_schema!({ "type": "string", "pattern": format!("^({one})(,({one}))*$") })
    }
}

/// The beginning of an order number.
#[derive(Debug)]
pub(super) struct NumberPrefix(String);

impl<'de> Deserialize<'de> for NumberPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let prefix = OrderNumber::prefix(&text);
        prefix.map(Self).ok_or_else(|| serde::de::Error::custom("must be the beginning of an order number"))
    }
}

impl JsonSchema for NumberPrefix {
    fn schema_name() -> Cow<'static, str> {
        "OrderNumberPrefix".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^([0-9OoIiLl]{1,6}|[0-9OoIiLl]{6}-?[0-9A-TV-Za-tv-z]{0,4}|[0-9OoIiLl]{6}-?[0-9A-TV-Za-tv-z]{4}-?[0-9A-TV-Za-tv-z]{0,4})$"
        })
    }
}

type SearchText = BoundedText<1, 100>;

/// Which orders of one's own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnOrders {
    /// How many items, 1 to 100; 20 unless told.
    limit: Option<u32>,
    /// Where the last page ended; opaque.
    cursor: Option<String>,
    /// In one of these statuses, separated by commas. Orders that could not be arranged are shown only when `rejected` is
    /// asked for.
    status: Option<Statuses>,
    /// With the money here.
    payment: Option<PaymentAxis>,
    /// With the goods here.
    fulfilment: Option<FulfilmentAxis>,
    /// Placed then or later.
    placed_from: Option<Timestamp>,
    /// Placed before.
    placed_to: Option<Timestamp>,
    /// With a line of this SKU.
    sku: Option<Sku>,
    /// Whose number begins so.
    number: Option<NumberPrefix>,
    /// At most five words, each in the number, or in the SKU or title of a line. A page may then have fewer items than
    /// the limit; as long as there is a `next_cursor` the search goes on with it.
    q: Option<SearchText>,
    /// The newest first unless told.
    sort: Option<Sort>,
}

/// Which orders of anybody.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AllOrders {
    /// How many items, 1 to 100; 20 unless told.
    limit: Option<u32>,
    /// Where the last page ended; opaque.
    cursor: Option<String>,
    /// Of this buyer.
    account_id: Option<AccountId>,
    /// In one of these statuses, separated by commas.
    status: Option<Statuses>,
    /// With the money here.
    payment: Option<PaymentAxis>,
    /// With the goods here.
    fulfilment: Option<FulfilmentAxis>,
    /// Placed then or later.
    placed_from: Option<Timestamp>,
    /// Placed before.
    placed_to: Option<Timestamp>,
    /// With a line of this SKU.
    sku: Option<Sku>,
    /// Whose number begins so.
    number: Option<NumberPrefix>,
    /// At most five words, each in the number, or in the SKU or title of a line. A page may then have fewer items than
    /// the limit; as long as there is a `next_cursor` the search goes on with it.
    q: Option<SearchText>,
    /// The newest first unless told.
    sort: Option<Sort>,
}

/// The words of a search.
fn words(text: Option<SearchText>) -> Result<Vec<String>> {
    let text = text.map(SearchText::into_string).unwrap_or_default();
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if words.len() > WORDS_MAX {
        return Err(Error::invalid("q", format!("must have at most {WORDS_MAX} words")));
    }
    Ok(words)
}

pub(super) async fn own(
    State(api): State<Api>,
    Caller(caller): Caller,
    Query(wanted): Query<OwnOrders>,
) -> Answer<Json<Page<OrderView>>> {
    let statuses = wanted.status.map(|status| status.0).unwrap_or_default();
    let hidden = if statuses.is_empty() { vec![BuyerStatus::Rejected] } else { Vec::new() };
    let filter = Filter {
        account_id: Some(caller.account),
        statuses,
        hidden,
        payment: wanted.payment,
        fulfilment: wanted.fulfilment,
        placed_from: wanted.placed_from,
        placed_to: wanted.placed_to,
        sku: wanted.sku,
        number: wanted.number.map(|number| number.0),
        words: words(wanted.q)?,
    };
    let request = PageRequest { limit: wanted.limit, cursor: wanted.cursor };
    let sort = wanted.sort.unwrap_or_default();
    Ok(Json(orders::page(&api.ordering.tools.db, filter, sort, &request).await?))
}

pub(super) async fn all(
    State(api): State<Api>,
    Query(wanted): Query<AllOrders>,
) -> Answer<Json<Page<OrderView>>> {
    let filter = Filter {
        account_id: wanted.account_id,
        statuses: wanted.status.map(|status| status.0).unwrap_or_default(),
        hidden: Vec::new(),
        payment: wanted.payment,
        fulfilment: wanted.fulfilment,
        placed_from: wanted.placed_from,
        placed_to: wanted.placed_to,
        sku: wanted.sku,
        number: wanted.number.map(|number| number.0),
        words: words(wanted.q)?,
    };
    let request = PageRequest { limit: wanted.limit, cursor: wanted.cursor };
    let sort = wanted.sort.unwrap_or_default();
    Ok(Json(orders::page(&api.ordering.tools.db, filter, sort, &request).await?))
}
