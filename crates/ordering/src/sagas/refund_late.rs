//! `refund-late`: money that is not owed goes back, once. The refund's identity is derived from order and attempt,
//! so however often this runs it is one refund.

use merx_contracts::ids::{AttemptId, OrderId, RefundId, SagaId};
use merx_kernel::{Money, Result, Timestamp};
use merx_platform::saga::{End, NewSaga, Saga, SagaRun, Step, StepOutcome, derived_id};
use serde::{Deserialize, Serialize};

use super::{
    refund::{REFUND_FAILED, Refund, refund, refund_failed},
    refused_for_good,
};
use crate::{
    context::Tools,
    domain::{event::SurplusReceived, identity},
};

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
                refund_failed(&self.0, run.data.order_id, run.data.refund_id);
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
        Self::of_surplus(order_id, &SurplusReceived { attempt_id, amount, refund_id }, now)
    }

    /// The saga of a surplus that has its refund's identity already.
    ///
    /// # Errors
    /// `Internal` when its data cannot be written.
    pub fn of_surplus(order_id: OrderId, surplus: &SurplusReceived, now: Timestamp) -> Result<NewSaga> {
        let SurplusReceived { attempt_id, amount, refund_id } = surplus.clone();
        let data = Data { order_id, attempt_id, refund_id, amount };
        NewSaga::of::<Self>(Self::id(refund_id), &data, now)
    }

    /// The saga's identity.
    pub fn id(refund_id: RefundId) -> SagaId {
        derived_id(refund_id, Self::NAME)
    }

    async fn refund_payment(&self, data: &Data) -> Result<StepOutcome> {
        let Data { order_id, attempt_id, refund_id, amount } = data.clone();
        refund(&self.0, Refund { order_id, refund_id, attempt_id, amount }, "not owed").await
    }
}
