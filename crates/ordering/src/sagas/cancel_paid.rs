//! `cancel-paid`: a paid order ends before anything of it leaves. Shipping's hold comes first and decides; once the order
//! is cancelled there is no way back, and money, stock and shipments follow it.

use merx_contracts::{
    ids::{HoldId, HoldKind, OrderId, ReturnKind, SagaId},
    shipping::v1 as shipping,
};
use merx_kernel::{Error, Result, Timestamp};
use merx_platform::{
    rpc::ask,
    saga::{End, NewSaga, Saga, SagaRun, Step, StepOutcome, derived_id},
};
use serde::{Deserialize, Serialize};

use super::{refund::refund_all, stock::take_back_all, until_done};
use crate::{
    cause::CausedBy,
    context::Tools,
    domain::{CancelReason, Command, Rejection},
    store,
};

/// Shipping's refusal of a hold: something has left.
const LEFT: &str = "shipping.already_dispatched";

/// What the steps need to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Data {
    /// The order; the reservation and the payment have its bits.
    pub order_id: OrderId,
}

/// The saga.
pub struct CancelPaid(pub Tools);

impl Saga for CancelPaid {
    const NAME: &'static str = "cancel-paid";
    const VERSION: i64 = 1;
    type Data = Data;
    const STEPS: &'static [Step<Self>] = &[
        Step::<Self>::new("hold-shipping", |saga, run| Box::pin(saga.hold(run)))
            .undo(|saga, run| Box::pin(saga.lift_hold(run))),
        Step::<Self>::new("cancel-order", |saga, run| Box::pin(saga.cancel_order(run))).pivot(),
        Step::<Self>::new("refund-payment", |saga, run| Box::pin(refund_all(&saga.0, run.data.order_id))),
        Step::new("take-back-stock", |saga, run| Box::pin(saga.take_back(run))),
        Step::new("cancel-shipments", |saga, run| Box::pin(saga.cancel_shipments(run))),
    ];

    async fn finish(&self, run: &SagaRun<Data>, end: &End) -> Result<()> {
        let (store, saga_id, order_id) = (self.0.store.clone(), run.id, run.data.order_id);
        let cause = self.0.cause(order_id, CausedBy::saga(Self::NAME, run.id));
        let refusal = match end {
            End::Done => None,
            End::Refused { code, .. } if code == LEFT => Some(Rejection::AlreadyShipped.code().to_owned()),
            End::Refused { code, .. } => Some(code.clone()),
        };
        self.0
            .db
            .write("ordering.cancel_paid_ended", move |tx| {
                if !store.sagas.end(tx, saga_id, cause.facts.now)? {
                    return Ok(());
                }
                let Some(code) = &refusal else { return Ok(()) };
                let loaded = store::load(&store, tx, order_id)?;
                let command = Command::RefuseCancellation(code.clone());
                store::change(&store, tx, loaded, &command, &cause).map(drop)
            })
            .await
    }
}

impl CancelPaid {
    /// The saga of the first request to cancel an order; [`Self::request`] makes those of others of it.
    ///
    /// # Errors
    /// `Internal` when its data cannot be written.
    pub fn of(order_id: OrderId, now: Timestamp) -> Result<NewSaga> {
        NewSaga::of::<Self>(Self::id(order_id, 1), &Data { order_id }, now)
    }

    /// The same for the request of this number: one that was refused leaves its hold lifted for good.
    ///
    /// # Errors
    /// `Internal` when the data of `first` cannot be read.
    pub fn request(first: &NewSaga, number: u32) -> Result<NewSaga> {
        let data: Data = serde_json::from_str(&first.data)
            .map_err(|e| Error::internal("the data of cancel-paid cannot be read").with_source(e))?;
        Ok(NewSaga { id: Self::id(data.order_id, number), ..first.clone() })
    }

    /// The saga's identity.
    pub fn id(order_id: OrderId, number: u32) -> SagaId {
        derived_id(order_id, &format!("{} {number}", Self::NAME))
    }

    fn hold_id(run: &SagaRun<Data>) -> HoldId {
        run.effect_id::<HoldKind>("hold")
    }

    async fn hold(&self, run: &SagaRun<Data>) -> Result<StepOutcome> {
        let request = shipping::HoldRequest {
            order_id: run.data.order_id.to_string(),
            hold_id: Self::hold_id(run).to_string(),
        };
        ask(self.0.asks.shipping().hold(request).await)?;
        Ok(StepOutcome::Done)
    }

    async fn lift_hold(&self, run: &SagaRun<Data>) -> Result<StepOutcome> {
        let request = shipping::LiftHoldRequest {
            order_id: run.data.order_id.to_string(),
            hold_id: Self::hold_id(run).to_string(),
        };
        ask(self.0.asks.shipping().lift_hold(request).await)?;
        Ok(StepOutcome::Done)
    }

    /// The order may have moved on since it was asked: then the rule refuses, and the hold is lifted.
    async fn cancel_order(&self, run: &SagaRun<Data>) -> Result<StepOutcome> {
        let (store, order_id) = (self.0.store.clone(), run.data.order_id);
        let cause = self.0.cause(order_id, CausedBy::saga(Self::NAME, run.id));
        self.0
            .db
            .write("ordering.cancel_paid", move |tx| {
                let loaded = store::load(&store, tx, order_id)?;
                store::change(&store, tx, loaded, &Command::CancelPaid, &cause).map(drop)
            })
            .await?;
        Ok(StepOutcome::Done)
    }

    async fn take_back(&self, run: &SagaRun<Data>) -> Result<StepOutcome> {
        let reason = format!("{}_cancelled", self.reason(run.data.order_id).await?.name());
        take_back_all(&self.0, run.data.order_id, run.effect_id::<ReturnKind>("return"), reason).await
    }

    async fn reason(&self, order_id: OrderId) -> Result<CancelReason> {
        let store = self.0.store.clone();
        let loaded =
            self.0.db.read("ordering.order_terms", move |q| store::load(&store, q, order_id)).await?;
        Ok(loaded.state.cancellation.unwrap_or(CancelReason::Staff))
    }

    async fn cancel_shipments(&self, run: &SagaRun<Data>) -> Result<StepOutcome> {
        let request = shipping::CancelRequest {
            order_id: run.data.order_id.to_string(),
            hold_id: Self::hold_id(run).to_string(),
        };
        until_done(ask(self.0.asks.shipping().cancel(request).await))
    }
}
