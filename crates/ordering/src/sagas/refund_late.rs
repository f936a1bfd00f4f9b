//! `refund-late`: money that is not owed goes back, once. The refund's identity is derived from order and attempt,
//! so however often this runs it is one refund.

use merx_contracts::{
    ids::{AttemptId, OrderId, PaymentKind, RefundId, SagaId},
    payment::v1::{self as payment, refund_reply::State},
};
use merx_kernel::{Error, Guard, Money, Result, Timestamp};
use merx_platform::{
    rpc::ask,
    saga::{End, NewSaga, Saga, SagaRun, Step, StepOutcome, derived_id},
};
use serde::{Deserialize, Serialize};

use super::{refused_for_good, until_done};
use crate::{context::Tools, domain::identity};

/// The end where the provider refuses for good.
const REFUND_FAILED: &str = "payment.refund_failed";

/// What the step needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Data {
    /// The order; the payment has its bits.
    pub order_id: OrderId,
    /// The attempt whose money goes back.
    pub attempt_id: AttemptId,
    /// The refund.
    pub refund_id: RefundId,
    /// How much.
    pub amount: Money,
}

/// The saga.
pub struct RefundLate(pub Tools);

impl Saga for RefundLate {
    const NAME: &'static str = "refund-late";
    const VERSION: i64 = 1;
    type Data = Data;
    const STEPS: &'static [Step<Self>] =
        &[Step::new("refund-payment", |saga, run| Box::pin(saga.refund_payment(&run.data)))];

    async fn finish(&self, run: &SagaRun<Data>, end: &End) -> Result<()> {
        match end {
            End::Refused { code, .. } if code == REFUND_FAILED => {
                self.0.metrics.alert("order_refund_failed");
                let (order_id, refund_id) = (run.data.order_id, run.data.refund_id);
                tracing::error!(%order_id, %refund_id, "the provider refuses a refund for good; see payment's alerts");
            }
            End::Refused { step, code, .. } => {
                return refused_for_good(&self.0, run.id, Self::NAME, step, code).await;
            }
            End::Done => {}
        }
        // That the money went back is payment's fact; the order hears it from there.
        let (store, id, now) = (self.0.store.clone(), run.id, self.0.clock.now());
        self.0.db.write("ordering.refund_asked", move |tx| store.sagas.end(tx, id, now).map(drop)).await
    }
}

impl RefundLate {
    /// The saga of money that came from `attempt_id` and is not owed.
    ///
    /// # Errors
    /// `Internal` when its data cannot be written.
    pub fn of(order_id: OrderId, attempt_id: AttemptId, amount: Money, now: Timestamp) -> Result<NewSaga> {
        let refund_id = identity::refund_of(order_id, attempt_id);
        let data = Data { order_id, attempt_id, refund_id, amount };
        NewSaga::of::<Self>(Self::id(refund_id), &data, now)
    }

    /// The saga's identity.
    pub fn id(refund_id: RefundId) -> SagaId {
        derived_id(refund_id, Self::NAME)
    }

    async fn refund_payment(&self, data: &Data) -> Result<StepOutcome> {
        let refund_id = if Guard::RefundOnce.on() { data.refund_id } else { self.0.ids.next() };
        let request = payment::RefundRequest {
            payment_id: data.order_id.cast::<PaymentKind>().to_string(),
            refund_id: refund_id.to_string(),
            amount: Some(data.amount.into()),
            reason: "not owed".to_owned(),
            attempt_id: data.attempt_id.to_string(),
        };
        let reply = match ask(self.0.asks.payments().refund(request).await) {
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
}
