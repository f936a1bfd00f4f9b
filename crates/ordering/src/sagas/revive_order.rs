//! `revive-order`: money came after its order had ended. If the goods can still be had, it pays for them and the order
//! goes on; otherwise it goes back. Which of the two is decided in the order's stream, so that never both happen.

use std::time::Duration;

use merx_contracts::{
    accounts::v1 as accounts,
    catalogue::v1 as catalogue,
    common::v1::SkuQuantity,
    ids::{AttemptId, OrderId, ReservationId, SagaId},
    inventory::v1 as inventory,
};
use merx_kernel::{Error, Money, Result, Timestamp};
use merx_platform::{
    rpc::ask,
    saga::{End, NewSaga, Saga, SagaRun, Step, StepOutcome, derived_id},
};
use serde::{Deserialize, Serialize};

use super::{accept_deposits::AcceptDeposits, fulfil_order::FulfilOrder, refund_late::RefundLate};
use crate::{
    cause::CausedBy,
    context::Tools,
    domain::{
        Command, Event, Order, OrderAxis, OrderLine, OrderPlaced, Rejection,
        event::{MoneyReceived, RevivalBegun},
    },
    store::{
        self,
        limits::{self, BuyerLimit},
    },
};

/// How long the saga waits for the cancellation that its money met half-way; that takes seconds.
const CLOSING_FOR: Duration = Duration::from_secs(2);

/// What the steps need to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Data {
    /// The order; the payment has its bits.
    pub order_id: OrderId,
    /// The attempt whose money came late.
    pub attempt_id: AttemptId,
    /// What the stock is set aside under: the first reservation was let go for good.
    pub reservation_id: ReservationId,
    /// What came, the order's total.
    pub amount: Money,
}

/// The saga.
pub struct ReviveOrder(pub Tools);

impl Saga for ReviveOrder {
    const NAME: &'static str = "revive-order";
    const VERSION: i64 = 1;
    type Data = Data;
    const STEPS: &'static [Step<Self>] = &[
        Step::new("find-buyer", |saga, run| Box::pin(saga.find_buyer(&run.data))),
        Step::<Self>::new("take-stock", |saga, run| Box::pin(saga.take_stock(&run.data)))
            .undo(|saga, run| Box::pin(saga.release_stock(&run.data))),
        Step::<Self>::new("revive", |saga, run| Box::pin(saga.revive(run))).pivot(),
    ];

    async fn finish(&self, run: &SagaRun<Data>, end: &End) -> Result<()> {
        let Data { order_id, attempt_id, amount, .. } = run.data;
        let (store, saga_id) = (self.0.store.clone(), run.id);
        let cause = self.0.cause(order_id, CausedBy::saga(Self::NAME, run.id));
        let refund = RefundLate::of(order_id, attempt_id, amount, cause.facts.now)?;
        let refusal = match end {
            End::Done => None,
            End::Refused { code, .. } => Some(code.clone()),
        };
        let next = self
            .0
            .db
            .write("ordering.revival_ended", move |tx| {
                if !store.sagas.end(tx, saga_id, cause.facts.now)? {
                    return Ok(None);
                }
                let Some(code) = refusal.clone() else { return Ok(None) };
                let loaded = store::load(&store, tx, order_id)?;
                let command = Command::RefuseRevival { attempt_id, code };
                if store::change(&store, tx, loaded, &command, &cause)?.events.is_empty() {
                    return Ok(None);
                }
                store.sagas.start(tx, &refund)?;
                Ok(Some(refund.clone()))
            })
            .await?;
        if let Some(refund) = next {
            self.0.run(&refund);
        }
        Ok(())
    }
}

impl ReviveOrder {
    /// The saga of late money that may pay for its order.
    ///
    /// # Errors
    /// `Internal` when its data cannot be written.
    pub fn of(order_id: OrderId, begun: &RevivalBegun, amount: Money, now: Timestamp) -> Result<NewSaga> {
        let RevivalBegun { attempt_id, reservation_id } = *begun;
        let data = Data { order_id, attempt_id, reservation_id, amount };
        NewSaga::of::<Self>(Self::id(reservation_id), &data, now)
    }

    /// The saga's identity: its reservation is a function of order and attempt.
    pub fn id(reservation_id: ReservationId) -> SagaId {
        derived_id(reservation_id, Self::NAME)
    }

    async fn order(&self, order_id: OrderId) -> Result<(Order, Box<OrderPlaced>)> {
        let store = self.0.store.clone();
        let read = move |q: &mut merx_sql::Reader<'_>| store::load(&store, q, order_id);
        let mut order = self.0.db.read("ordering.order_terms", read).await?.state;
        let terms = order.terms.take().ok_or(Rejection::OrderUnknown)?;
        Ok((order, terms))
    }

    /// To somebody who is gone nothing can be sent.
    async fn find_buyer(&self, data: &Data) -> Result<StepOutcome> {
        let (_, terms) = self.order(data.order_id).await?;
        let request = accounts::AddressRequest {
            address_id: terms.address_id.to_string(),
            account_id: terms.account_id.to_string(),
        };
        if ask(self.0.asks.accounts().address(request).await)?.erased {
            return Err(Rejection::BuyerErased.into());
        }
        Ok(StepOutcome::Done)
    }

    async fn take_stock(&self, data: &Data) -> Result<StepOutcome> {
        let (order, terms) = self.order(data.order_id).await?;
        if order.axes.is_some_and(|axes| axes.order == OrderAxis::AwaitingPayment) {
            // The stock it had comes back first.
            let (at, reason) = (self.0.clock.now().plus(CLOSING_FOR), Rejection::StillClosing.code());
            return Ok(StepOutcome::RetryLater { at: Some(at), reason: reason.to_owned() });
        }
        let request = inventory::ReserveRequest {
            reservation_id: data.reservation_id.to_string(),
            lines: terms.lines.iter().map(|line| SkuQuantity::new(&line.sku, line.quantity)).collect(),
        };
        ask(self.0.asks.inventory().reserve(request).await)?;
        Ok(StepOutcome::Done)
    }

    async fn release_stock(&self, data: &Data) -> Result<StepOutcome> {
        let reservation_id = data.reservation_id.to_string();
        ask(self.0.asks.inventory().release(inventory::ReleaseRequest { reservation_id }).await)?;
        Ok(StepOutcome::Done)
    }

    /// The order goes on as any that was paid, and payment is told that the money is nobody's no longer.
    async fn revive(&self, run: &SagaRun<Data>) -> Result<StepOutcome> {
        let Data { order_id, attempt_id, reservation_id, amount } = run.data;
        let limits = self.limits(order_id).await?;
        let cause = self.0.cause(order_id, CausedBy::saga(Self::NAME, run.id));
        let now = cause.facts.now;
        let kept = [MoneyReceived { attempt_id, amount }];
        let sagas =
            [FulfilOrder::revived(order_id, reservation_id, now)?, AcceptDeposits::of(order_id, &kept, now)?];
        let (store, following) = (self.0.store.clone(), sagas.clone());
        let revived = self
            .0
            .db
            .write("ordering.revive", move |tx| {
                let loaded = store::load(&store, tx, order_id)?;
                let changed = store::change(&store, tx, loaded, &Command::Revive(attempt_id), &cause)?;
                if !matches!(changed.events.first(), Some(Event::OrderRevived(_))) {
                    return Ok(false);
                }
                let buyer = changed.terms()?.account_id;
                limits.iter().try_for_each(|limit| limits::count(tx, buyer, limit))?;
                following.iter().try_for_each(|saga| store.sagas.start(tx, saga))?;
                Ok(true)
            })
            .await?;
        if revived {
            sagas.iter().for_each(|saga| self.0.run(saga));
        }
        Ok(StepOutcome::Done)
    }

    /// What of the order is counted against what one buyer may buy, as of today: the cancellation gave it back, and the
    /// buyer may have bought it anew.
    async fn limits(&self, order_id: OrderId) -> Result<Vec<BuyerLimit>> {
        let (_, terms) = self.order(order_id).await?;
        let mut lines: Vec<&OrderLine> =
            terms.lines.iter().filter(|line| terms.limited.contains(&line.sku)).collect();
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        // Two orders count in the same order.
        lines.sort_by(|a, b| a.sku.cmp(&b.sku));
        let wanted = lines.iter().map(|line| SkuQuantity::new(&line.sku, line.quantity)).collect();
        let quoted = ask(self.0.asks.catalogue().quote(catalogue::QuoteRequest { lines: wanted }).await)?;
        let limit = |line: &&OrderLine| {
            let found = quoted.lines.iter().find(|quoted| quoted.sku == line.sku.as_str());
            let limit = found.ok_or_else(|| Error::internal("catalogue left a line out"))?.limit_per_buyer;
            // What is not limited any more is still counted: a cancellation gives it back.
            let limit = if limit > 0 { limit } else { i64::MAX };
            Ok(BuyerLimit { sku: line.sku.clone(), quantity: line.quantity, limit })
        };
        lines.iter().map(limit).collect()
    }
}
