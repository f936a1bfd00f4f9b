//! The one way money is asked back, by whichever saga.

use merx_contracts::{
    ids::{AttemptId, OrderId, PaymentKind, RefundId},
    payment::v1::{self as payment, refund_reply::State},
};
use merx_kernel::{Error, Guard, Money, Result};
use merx_platform::{rpc::ask, saga::StepOutcome};

use super::until_done;
use crate::{context::Tools, store};

/// The end where the provider refuses for good.
pub(super) const REFUND_FAILED: &str = "payment.refund_failed";

/// One refund.
pub(super) struct Refund {
    pub order_id: OrderId,
    pub refund_id: RefundId,
    pub attempt_id: AttemptId,
    pub amount: Money,
}

/// Asks for one refund, under its own identity however often.
pub(super) async fn refund(tools: &Tools, wanted: Refund, reason: &str) -> Result<StepOutcome> {
    let refund_id = if Guard::RefundOnce.on() { wanted.refund_id } else { tools.ids.next() };
    let request = payment::RefundRequest {
        payment_id: wanted.order_id.cast::<PaymentKind>().to_string(),
        refund_id: refund_id.to_string(),
        amount: Some(wanted.amount.into()),
        reason: reason.to_owned(),
        attempt_id: wanted.attempt_id.to_string(),
    };
    let reply = match ask(tools.asks.payments().refund(request).await) {
        Ok(reply) => reply,
        Err(error) => return until_done::<()>(Err(error)),
    };
    match reply.state() {
        State::Requested | State::Succeeded => Ok(StepOutcome::Done),
        // Payment keeps it with a parked alert, and a person may take it up there. Should it go through then, its
        // fact settles the order; until that the order shows that the money is still here.
        State::Failed => Ok(StepOutcome::Refused {
            code: REFUND_FAILED.to_owned(),
            message: "The provider refuses the refund for good.".to_owned(),
        }),
        State::Unspecified => Err(Error::internal("payment answered a refund without a state")),
    }
}

/// Tells people of a refund that the provider refuses for good.
pub(super) fn refund_failed(tools: &Tools, order_id: OrderId, refund_id: RefundId) {
    tools.metrics.alert("order_refund_failed");
    tracing::error!(%order_id, %refund_id, "the provider refuses a refund for good; see payment's alerts");
}

/// Asks for everything of an ended order that is still to go back. One that fails for good keeps no other back.
pub(super) async fn refund_all(tools: &Tools, order_id: OrderId) -> Result<StepOutcome> {
    let store = tools.store.clone();
    let read = move |q: &mut merx_sql::Reader<'_>| store::load(&store, q, order_id);
    let order = tools.db.read("ordering.to_refund", read).await?.state;
    for (refund_id, surplus) in order.to_refund() {
        let (attempt_id, amount) = (surplus.attempt_id, surplus.amount);
        let wanted = Refund { order_id, refund_id, attempt_id, amount };
        match refund(tools, wanted, "order cancelled").await? {
            StepOutcome::Done => {}
            StepOutcome::Refused { .. } => refund_failed(tools, order_id, refund_id),
            later @ StepOutcome::RetryLater { .. } => return Ok(later),
        }
    }
    Ok(StepOutcome::Done)
}
