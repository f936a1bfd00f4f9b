//! `place-order`: stock is set aside, then the payment is opened; the order awaits payment, or is rejected with
//! everything undone.

use merx_contracts::{
    common::v1::SkuQuantity,
    events::ordering as facts,
    ids::{AccountId, OrderId, SagaId},
    inventory::v1 as inventory,
    payment::v1 as payment,
};
use merx_kernel::{Error, Money, Result, Timestamp};
use merx_platform::{
    rpc::ask,
    saga::{End, NewSaga, Saga, SagaRun, Step, StepOutcome, derived_id},
    store::{Saved, TimerId},
};
use serde::{Deserialize, Serialize};

use crate::{
    cause::CausedBy,
    context::Tools,
    domain::{Command, OrderNumber, OrderPlaced, OrderRejected},
    reactions::order_deadline,
    store,
    view::OrderView,
};

/// What the steps need to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Data {
    /// The order; the reservation and the payment have its bits.
    pub order_id: OrderId,
    /// Its buyer.
    pub account_id: AccountId,
    /// What is to be set aside.
    pub lines: Vec<facts::Line>,
    /// What is to be paid.
    pub total: Money,
    /// The part of it that is freight; not written by programs that did not tell payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freight: Option<Money>,
    /// Until when.
    pub deadline: Timestamp,
    /// The idempotency key that is answered when the saga ends.
    pub scope: [u8; 32],
}

/// The saga.
pub struct PlaceOrder(pub Tools);

impl Saga for PlaceOrder {
    const NAME: &'static str = "place-order";
    const VERSION: i64 = 1;
    type Data = Data;
    const STEPS: &'static [Step<Self>] = &[
        Step::<Self>::new("reserve-stock", |saga, run| Box::pin(saga.reserve_stock(&run.data)))
            .undo(|saga, run| Box::pin(saga.release_stock(&run.data))),
        Step::new("open-payment", |saga, run| Box::pin(saga.open_payment(&run.data))),
    ];

    async fn finish(&self, run: &SagaRun<Data>, end: &End) -> Result<()> {
        match end {
            End::Done => self.await_payment(run).await,
            End::Refused { code, message, .. } => {
                self.reject(run, OrderRejected { code: code.clone(), message: message.clone() }).await
            }
        }
    }
}

impl PlaceOrder {
    /// The saga of an order that is being placed.
    ///
    /// # Errors
    /// `Internal` when its data cannot be written.
    pub fn of(order_id: OrderId, terms: &OrderPlaced, scope: [u8; 32]) -> Result<NewSaga> {
        let lines = lines_of(terms);
        let (account_id, total, deadline) = (terms.account_id, terms.total, terms.payment_deadline);
        let freight = Some(terms.freight);
        let data = Data { order_id, account_id, lines, total, freight, deadline, scope };
        NewSaga::of::<Self>(Self::id(order_id), &data, terms.placed_at)
    }

    /// The saga's identity.
    pub fn id(order_id: OrderId) -> SagaId {
        derived_id(order_id, Self::NAME)
    }

    async fn reserve_stock(&self, data: &Data) -> Result<StepOutcome> {
        let request = inventory::ReserveRequest {
            reservation_id: data.order_id.cast::<merx_contracts::ids::ReservationKind>().to_string(),
            lines: data.lines.iter().map(|line| SkuQuantity::new(&line.sku, line.quantity)).collect(),
        };
        ask(self.0.asks.inventory().reserve(request).await)?;
        Ok(StepOutcome::Done)
    }

    async fn release_stock(&self, data: &Data) -> Result<StepOutcome> {
        let reservation_id = data.order_id.cast::<merx_contracts::ids::ReservationKind>().to_string();
        ask(self.0.asks.inventory().release(inventory::ReleaseRequest { reservation_id }).await)?;
        Ok(StepOutcome::Done)
    }

    async fn open_payment(&self, data: &Data) -> Result<StepOutcome> {
        let request = payment::OpenRequest {
            payment_id: data.order_id.cast::<merx_contracts::ids::PaymentKind>().to_string(),
            order_id: data.order_id.to_string(),
            account_id: data.account_id.to_string(),
            amount: Some(data.total.into()),
            deadline: data.deadline.as_millis(),
            subject: format!("Merx {}", OrderNumber::of(data.order_id)),
            freight: data.freight.map(Into::into),
        };
        ask(self.0.asks.payments().open(request).await)?;
        Ok(StepOutcome::Done)
    }

    async fn await_payment(&self, run: &SagaRun<Data>) -> Result<()> {
        let (store, saga_id, data) = (self.0.store.clone(), run.id, run.data.clone());
        let cause = self.0.cause(data.order_id, CausedBy::saga(Self::NAME, run.id));
        self.0
            .db
            .write("ordering.await_payment", move |tx| {
                if !store.sagas.end(tx, saga_id, cause.facts.now)? {
                    return Ok(());
                }
                let order_id = data.order_id;
                let loaded = store::load(&store, tx, order_id)?;
                let command = Command::AwaitPayment(order_id.cast());
                let changed = store::change(&store, tx, loaded, &command, &cause)?;
                if changed.events.is_empty() {
                    return Ok(());
                }
                store.timers.schedule(tx, TimerId::of(order_deadline::KIND, order_id), data.deadline)?;
                let view = OrderView::just_arranged(order_id, changed.terms()?);
                let Saved { status, body } = merx_http::answer(http::StatusCode::CREATED, &view)?;
                store.idempotency.complete(tx, data.scope, order_id.to_bytes(), status, &body)
            })
            .await
    }

    async fn reject(&self, run: &SagaRun<Data>, refusal: OrderRejected) -> Result<()> {
        let (store, saga_id, data) = (self.0.store.clone(), run.id, run.data.clone());
        let cause = self.0.cause(data.order_id, CausedBy::saga(Self::NAME, run.id));
        let answer = merx_http::refusal(Error::rejected(refusal.code.clone(), refusal.message.clone()))?;
        tracing::info!(order_id = %data.order_id, code = refusal.code, "order rejected");
        let command = Command::Reject(refusal);
        self.0
            .db
            .write("ordering.reject", move |tx| {
                if !store.sagas.end(tx, saga_id, cause.facts.now)? {
                    return Ok(());
                }
                let loaded = store::load(&store, tx, data.order_id)?;
                let changed = store::change(&store, tx, loaded, &command, &cause)?;
                store::free_quote(tx, data.order_id, changed.terms()?)?;
                let effect = data.order_id.to_bytes();
                store.idempotency.complete(tx, data.scope, effect, answer.status, &answer.body)
            })
            .await
    }
}

/// The lines as the other contexts know them.
pub(crate) fn lines_of(terms: &OrderPlaced) -> Vec<facts::Line> {
    terms.lines.iter().map(|line| facts::Line { sku: line.sku.clone(), quantity: line.quantity }).collect()
}
