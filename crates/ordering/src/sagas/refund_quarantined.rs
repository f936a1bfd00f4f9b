//! `refund-quarantined`: a person decided that quarantined money goes back. The order is cancelled already, so whatever
//! is still captured is late money; payment is closed, the stock let go and the money refunded.

use merx_contracts::{
    ids::{OrderId, PaymentKind, ReservationKind, SagaId},
    inventory::v1 as inventory,
    payment::v1::{self as payment, close_reply::Outcome},
};
use merx_kernel::{Error, Result, Timestamp};
use merx_platform::{
    rpc::ask,
    saga::{End, NewSaga, Saga, SagaRun, Step, StepOutcome, derived_id},
};
use serde::{Deserialize, Serialize};

use super::{refund::refund_all, refused_for_good, until_done};
use crate::context::Tools;

/// What the steps need to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Data {
    /// The order; the reservation and the payment have its bits.
    pub order_id: OrderId,
}

/// The saga.
pub struct RefundQuarantined(pub Tools);

impl Saga for RefundQuarantined {
    const NAME: &'static str = "refund-quarantined";
    const VERSION: i64 = 1;
    type Data = Data;
    const STEPS: &'static [Step<Self>] = &[
        Step::<Self>::new("refund-payment", |saga, run| Box::pin(refund_all(&saga.0, run.data.order_id))),
        Step::new("close-payment", |saga, run| Box::pin(saga.close_payment(&run.data))),
        Step::new("release-stock", |saga, run| Box::pin(saga.release_stock(&run.data))),
    ];

    async fn finish(&self, run: &SagaRun<Data>, end: &End) -> Result<()> {
        if let End::Refused { step, code, .. } = end {
            return refused_for_good(&self.0, run.id, Self::NAME, step, code).await;
        }
        let (store, id, now) = (self.0.store.clone(), run.id, self.0.clock.now());
        let end = move |tx: &mut merx_sql::Tx<'_>| store.sagas.end(tx, id, now).map(drop);
        self.0.db.write("ordering.refund_quarantined_ended", end).await
    }
}

impl RefundQuarantined {
    /// The saga of an order whose quarantined money goes back.
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

    async fn close_payment(&self, data: &Data) -> Result<StepOutcome> {
        let payment_id = data.order_id.cast::<PaymentKind>().to_string();
        let reply = match ask(self.0.asks.payments().close(payment::CloseRequest { payment_id }).await) {
            Ok(reply) => reply,
            Err(error) => return until_done::<()>(Err(error)),
        };
        match reply.outcome() {
            // That money was captured is why we are here.
            Outcome::Closed | Outcome::Captured => Ok(StepOutcome::Done),
            Outcome::Pending => Ok(StepOutcome::RetryLater {
                at: Some(Timestamp::from_millis(reply.retry_at)),
                reason: "the provider cannot close the trade yet".to_owned(),
            }),
            Outcome::Unspecified => Err(Error::internal("payment answered a close without an outcome")),
        }
    }

    async fn release_stock(&self, data: &Data) -> Result<StepOutcome> {
        let reservation_id = data.order_id.cast::<ReservationKind>().to_string();
        until_done(ask(self.0.asks.inventory().release(inventory::ReleaseRequest { reservation_id }).await))
    }
}
