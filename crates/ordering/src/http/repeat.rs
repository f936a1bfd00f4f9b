//! Answers to requests that were made before under the same key.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use merx_contracts::ids::OrderId;
use merx_http::{Answer, IdempotencyKey, answer, refusal};
use merx_kernel::{Error, ErrorKind, Guard, Result};
use merx_platform::store::{IdempotencyKeys, Saved};

use super::Api;
use crate::{
    commands::Earlier,
    domain::{OrderAxis, Rejection},
    queries::orders::{self, Reader},
    view::OrderView,
};

impl Api {
    /// The answer to a request whose key is known already; `None` for a new one. Asked when a quote fails: the
    /// first request may have emptied the cart since.
    pub(super) async fn earlier(&self, key: &IdempotencyKey) -> Answer<Option<Response>> {
        let tools = &self.ordering.tools;
        if !Guard::IdempotencyKey.on() {
            return Ok(None);
        }
        let Some(found) = tools.store.idempotency.look(&tools.db, key.scope).await? else { return Ok(None) };
        if found.created_at <= tools.clock.now().minus(IdempotencyKeys::KEPT) {
            return Ok(None);
        }
        if found.body_hash != key.body_hash {
            let message = "This Idempotency-Key was used before for another request; take a new one.";
            return Err(Error::new(ErrorKind::Conflict, "request.idempotency_key_reused", message).into());
        }
        let order_id = OrderId::from_bits(u128::from_be_bytes(found.effect));
        self.placed_before(key, Earlier { order_id, saved: found.response }).await.map(Some)
    }

    /// The answer to a repeated placing: what was saved, or what the order says by now.
    pub(super) async fn placed_before(&self, key: &IdempotencyKey, earlier: Earlier) -> Answer<Response> {
        let rebuild = |order_id| async move {
            let view = self.view(order_id).await?;
            match view.axes.order {
                OrderAxis::Placed => Ok(None),
                OrderAxis::Rejected => {
                    let why =
                        view.rejection.ok_or_else(|| Error::internal("a rejected order without a reason"))?;
                    refusal(Error::rejected(why.code, why.message)).map(Some)
                }
                _ => answer(StatusCode::CREATED, &view).map(Some),
            }
        };
        let Earlier { order_id, saved } = earlier;
        let mut response = self.idempotent.repeat(key, order_id, saved, rebuild).await?;
        locate(&mut response, order_id);
        Ok(response)
    }

    /// The answer to a repeated change of an order: what was saved, or what `now` makes of the order as it is.
    pub(super) async fn changed_before(
        &self,
        key: &IdempotencyKey,
        earlier: Earlier,
        now: impl FnOnce(OrderView) -> Result<Saved>,
    ) -> Answer<Response> {
        let rebuild = |order_id| async move { now(self.view(order_id).await?).map(Some) };
        self.idempotent.repeat(key, earlier.order_id, earlier.saved, rebuild).await
    }

    /// The order under a key: the key is the caller's, and so is its order.
    pub(super) async fn view(&self, order_id: OrderId) -> Result<OrderView> {
        // Without notes: the answer is kept.
        let view = move |q: &mut merx_sql::Reader<'_>| orders::view(q, order_id, Reader::Staff);
        self.ordering.tools.db.read("ordering.order", view).await
    }
}

/// What a cancellation is answered, by how the order stands.
pub(super) fn cancellation_answer(view: OrderView) -> Result<Saved> {
    let refused = view.cancellation.as_ref().and_then(|asked| asked.refusal.as_deref());
    match view.axes.order {
        OrderAxis::Cancelled => answer(StatusCode::OK, &view),
        // The money came before an unpaid order could be closed.
        OrderAxis::Confirmed if refused == Some(Rejection::AlreadyPaid.code()) => {
            refusal(Rejection::AlreadyPaid.into())
        }
        OrderAxis::Confirmed if refused.is_none() => answer(StatusCode::ACCEPTED, &view),
        OrderAxis::Confirmed | OrderAxis::Completed => refusal(Rejection::AlreadyShipped.into()),
        _ => answer(StatusCode::ACCEPTED, &view),
    }
}

/// Says where the order is, when the answer is about a new order.
pub(super) fn locate(response: &mut Response, order_id: OrderId) {
    let made = matches!(response.status(), StatusCode::CREATED | StatusCode::ACCEPTED);
    if made && let Ok(location) = HeaderValue::try_from(format!("/v1/orders/{order_id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
}
