//! What a buyer reads.

use axum::extract::State as FromState;
use merx_contracts::ids::OrderId;
use merx_http::{Answer, Caller, Json, Path, Query};
use merx_kernel::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::views::{OrderShipmentView, OrderShipmentsView};
use crate::{State, queries};

/// At which moment.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AsOf {
    /// What was known then; now unless told.
    pub as_of: Option<Timestamp>,
}

pub async fn order_shipments(
    FromState(state): FromState<State>,
    Caller(caller): Caller,
    Path(order): Path<OrderId>,
    Query(moment): Query<AsOf>,
) -> Answer<Json<OrderShipmentsView>> {
    let records = queries::of_buyer(&state, caller.account, order, moment.as_of).await?;
    Ok(Json(OrderShipmentsView { items: records.into_iter().map(OrderShipmentView::from).collect() }))
}
