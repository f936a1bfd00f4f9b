//! `refund-returned`: everything of an order was shipped and came back, and a person decided that its money goes back.
//! The order is cancelled already; nothing can leave any more, so shipping need not be asked, and money and stock follow.

use merx_contracts::ids::{OrderId, ReturnKind, SagaId};
use merx_kernel::{Result, Timestamp};
use merx_platform::saga::{End, NewSaga, Saga, SagaRun, Step, StepOutcome, derived_id};
use serde::{Deserialize, Serialize};

use super::{refund::refund_all, refused_for_good, stock::take_back_all};
use crate::context::Tools;

/// What the steps need to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Data {
    /// The order; the reservation and the payment have its bits.
    pub order_id: OrderId,
}

/// The saga.
pub struct RefundReturned(pub Tools);

impl Saga for RefundReturned {
    const NAME: &'static str = "refund-returned";
    const VERSION: i64 = 1;
    type Data = Data;
    const STEPS: &'static [Step<Self>] = &[
        Step::<Self>::new("refund-payment", |saga, run| Box::pin(refund_all(&saga.0, run.data.order_id))),
        Step::new("take-back-stock", |saga, run| Box::pin(saga.take_back(run))),
    ];

    async fn finish(&self, run: &SagaRun<Data>, end: &End) -> Result<()> {
        if let End::Refused { step, code, .. } = end {
            return refused_for_good(&self.0, run.id, Self::NAME, step, code).await;
        }
        let (store, id, now) = (self.0.store.clone(), run.id, self.0.clock.now());
        let end = move |tx: &mut merx_sql::Tx<'_>| store.sagas.end(tx, id, now).map(drop);
        self.0.db.write("ordering.refund_returned_ended", end).await
    }
}

impl RefundReturned {
    /// The saga of an order whose parcels all came back.
    ///
    /// # Errors
    /// `Internal` when its data cannot be written.
    pub fn of(order_id: OrderId, now: Timestamp) -> Result<NewSaga> {
        NewSaga::of::<Self>(Self::id(order_id), &Data { order_id }, now)
    }

    /// The saga's identity.
    pub fn id(order_id: OrderId) -> SagaId {
        derived_id(order_id, Self::NAME)
    }

    async fn take_back(&self, run: &SagaRun<Data>) -> Result<StepOutcome> {
        let return_id = run.effect_id::<ReturnKind>("return");
        take_back_all(&self.0, run.data.order_id, return_id, "parcels_returned".to_owned()).await
    }
}
