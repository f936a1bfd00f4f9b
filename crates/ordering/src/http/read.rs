//! `GET /v1/orders`, `GET /v1/orders/{order}`, `GET /v1/orders/{order}/timeline`

use axum::extract::State;
use merx_contracts::ids::OrderId;
use merx_http::{Answer, Caller, Json, Path, Query};
use merx_kernel::{Page, PageRequest};

use super::Api;
use crate::{
    queries::{
        orders::{self, Reader},
        timeline::{self, Timeline},
    },
    view::OrderView,
};

pub(super) async fn list(
    State(api): State<Api>,
    Caller(caller): Caller,
    Query(request): Query<PageRequest>,
) -> Answer<Json<Page<OrderView>>> {
    Ok(Json(orders::page(&api.ordering.tools.db, caller.account, &request).await?))
}

pub(super) async fn one(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(order_id): Path<OrderId>,
) -> Answer<Json<OrderView>> {
    Ok(Json(orders::one(&api.ordering.tools.db, order_id, Reader::of(&caller)).await?))
}

pub(super) async fn timeline(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(order_id): Path<OrderId>,
) -> Answer<Json<Timeline>> {
    let tools = &api.ordering.tools;
    let reader = Reader::of(&caller);
    Ok(Json(timeline::timeline(&tools.db, tools.store.clone(), order_id, reader).await?))
}
