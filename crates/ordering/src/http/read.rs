//! `GET /v1/orders/{order}`, `GET /v1/orders/{order}/timeline`

use axum::extract::State;
use merx_http::{Answer, Caller, Json, Path, Query};
use merx_kernel::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Api, order_ref::OrderRef};
use crate::{
    queries::{
        orders::{self, Reader},
        timeline::{self, Timeline},
    },
    view::OrderView,
};

/// Of which moment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AsOf {
    /// Show it as it was at this moment, RFC 3339; as it is unless told.
    as_of: Option<Timestamp>,
}

pub(super) async fn one(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(order): Path<OrderRef>,
    Query(AsOf { as_of }): Query<AsOf>,
) -> Answer<Json<OrderView>> {
    let order_id = api.resolve(order).await?;
    let (tools, reader) = (&api.ordering.tools, Reader::of(&caller));
    Ok(Json(match as_of {
        None => orders::one(&tools.db, order_id, reader).await?,
        Some(moment) => orders::one_as_of(&tools.db, tools.store.clone(), order_id, reader, moment).await?,
    }))
}

pub(super) async fn timeline(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(order): Path<OrderRef>,
    Query(AsOf { as_of }): Query<AsOf>,
) -> Answer<Json<Timeline>> {
    let order_id = api.resolve(order).await?;
    let reader = Reader::of(&caller);
    Ok(Json(timeline::timeline(&api.ordering.tools, order_id, reader, as_of).await?))
}
