//! `close-order`: an unpaid order ends. The payment decides: only what the provider says is closed lets the stock
//! go; money that came first wins.

use merx_contracts::{
    ids::{OrderId, PaymentKind, ReservationKind, SagaId},
    inventory::v1 as inventory,
    payment::v1::{self as payment, close_reply::Outcome},
};
use merx_kernel::{Error, Guard, Result, Timestamp};
use merx_platform::{
    rpc::ask,
    saga::{End, NewSaga, Saga, SagaRun, Step, StepOutcome, derived_id},
    store::TimerId,
};
use serde::{Deserialize, Serialize};

use super::{refused_for_good, until_done};
use crate::{
    cause::CausedBy,
    context::Tools,
    domain::{Command, Rejection},
    reactions::order_deadline,
    store,
};

/// What the steps need to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Data {
    /// The order; the reservation and the payment have its bits.
    pub order_id: OrderId,
}

/// The saga.
pub struct CloseOrder(pub Tools);

impl Saga for CloseOrder {
    const NAME: &'static str = "close-order";
    const VERSION: i64 = 1;
    type Data = Data;
    const STEPS: &'static [Step<Self>] = &[
        Step::new("close-payment", |saga, run| Box::pin(saga.close_payment(&run.data))),
        Step::new("release-stock", |saga, run| Box::pin(saga.release_stock(&run.data))),
    ];

    async fn finish(&self, run: &SagaRun<Data>, end: &End) -> Result<()> {
        match end {
            End::Done => self.cancel(run).await,
            End::Refused { step, code, .. } if code != Rejection::AlreadyPaid.code() => {
                refused_for_good(&self.0, run.id, Self::NAME, step, code).await
            }
            // The money came first: the capture's own way makes the order paid.
            End::Refused { .. } => {
                let (store, id, now) = (self.0.store.clone(), run.id, self.0.clock.now());
                self.0
                    .db
                    .write("ordering.close_overtaken", move |tx| store.sagas.end(tx, id, now).map(drop))
                    .await
            }
        }
    }
}

impl CloseOrder {
    /// The saga of an order whose cancellation is asked for.
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
        if !Guard::CloseBeforeRelease.on() {
            self.release_stock(data).await?;
        }
        let payment_id = data.order_id.cast::<PaymentKind>().to_string();
        let reply = match ask(self.0.asks.payments().close(payment::CloseRequest { payment_id }).await) {
            Ok(reply) => reply,
            // Whatever "no" means, it does not mean that nothing can be paid any more.
            Err(error) => return until_done::<()>(Err(error)),
        };
        match reply.outcome() {
            Outcome::Closed => Ok(StepOutcome::Done),
            Outcome::Captured => {
                let error = Error::from(Rejection::AlreadyPaid);
                Ok(StepOutcome::Refused {
                    code: error.code().to_owned(),
                    message: error.message().to_owned(),
                })
            }
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

    async fn cancel(&self, run: &SagaRun<Data>) -> Result<()> {
        let (store, saga_id, order_id) = (self.0.store.clone(), run.id, run.data.order_id);
        let cause = self.0.cause(order_id, CausedBy::saga(Self::NAME, run.id));
        self.0
            .db
            .write("ordering.cancel", move |tx| {
                if !store.sagas.end(tx, saga_id, cause.facts.now)? {
                    return Ok(());
                }
                let loaded = store::load(&store, tx, order_id)?;
                let changed = store::change(&store, tx, loaded, &Command::Cancel, &cause)?;
                if changed.events.is_empty() {
                    return Ok(());
                }
                store.timers.cancel(tx, TimerId::of(order_deadline::KIND, order_id))
            })
            .await
    }
}
