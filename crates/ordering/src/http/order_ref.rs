//! An order in a path: its id, or its readable number.

use std::{borrow::Cow, fmt, str::FromStr};

use merx_contracts::ids::OrderId;
use merx_kernel::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::Api;
use crate::{
    domain::{OrderNumber, number::Misread},
    queries::orders,
};

/// How somebody names an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OrderRef {
    Id(OrderId),
    Number(OrderNumber),
    /// A number in which a symbol is wrong.
    Mistyped,
}

impl FromStr for OrderRef {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        match OrderNumber::parse(text) {
            Ok(number) => Ok(Self::Number(number)),
            Err(Misread::Check) => Ok(Self::Mistyped),
            Err(Misread::Form) => {
                Err("must be an order's id, which begins `ord_`, or its number, such as 261120-8K4M-2QXZ"
                    .to_owned())
            }
        }
    }
}

impl fmt::Display for OrderRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Mistyped => f.write_str("?"),
        }
    }
}

impl<'de> Deserialize<'de> for OrderRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for OrderRef {
    fn schema_name() -> Cow<'static, str> {
        "OrderIdOrNumber".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "The order's id, or its number; of a number the dashes may be left out, in any case, O for 0 \
                            and I or L for 1.",
            "pattern": "^(ord_[0-7][0-9a-hjkmnp-tv-z]{25}|[0-9OoIiLl]{6}-?[0-9A-TV-Za-tv-z]{4}-?[0-9A-TV-Za-tv-z]{4})$"
        })
    }
}

impl Api {
    /// The id of the order that is named.
    ///
    /// # Errors
    /// `ordering.order_not_found` for a number nothing has, `ordering.number_mistyped`.
    pub(super) async fn resolve(&self, order: OrderRef) -> Result<OrderId> {
        match order {
            OrderRef::Id(id) => Ok(id),
            OrderRef::Number(number) => orders::of_number(&self.ordering.tools.db, number).await,
            OrderRef::Mistyped => Err(Error::not_found(
                "ordering.number_mistyped",
                "The last symbol of an order number checks the others, and here it does not fit: one of them is wrong.",
            )),
        }
    }
}
