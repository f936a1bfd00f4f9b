//! `accept-deposits`: a person decided that quarantined money pays the order; payment's ledger is told, so that the money
//! lies there as nobody's no longer.

use merx_contracts::{
    ids::{OrderId, PaymentKind, SagaId},
    payment::v1 as payment,
};
use merx_kernel::{Result, Timestamp};
use merx_platform::{
    rpc::ask,
    saga::{End, NewSaga, Saga, SagaRun, Step, StepOutcome, derived_id},
};
use serde::{Deserialize, Serialize};

use super::{refused_for_good, until_done};
use crate::{context::Tools, domain::event::MoneyReceived};

/// Payment's refusal of money that has gone back meanwhile, or pays the order already.
const NOT_A_DEPOSIT: &str = "payment.not_a_deposit";

/// What the step needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Data {
    /// The order; the payment has its bits.
    pub order_id: OrderId,
    /// What pays it, by attempt.
    pub kept: Vec<MoneyReceived>,
}

/// The saga.
pub struct AcceptDeposits(pub Tools);

impl Saga for AcceptDeposits {
    const NAME: &'static str = "accept-deposits";
    const VERSION: i64 = 1;
    type Data = Data;
    const STEPS: &'static [Step<Self>] =
        &[Step::new("accept-deposits", |saga, run| Box::pin(saga.accept(&run.data)))];

    async fn finish(&self, run: &SagaRun<Data>, end: &End) -> Result<()> {
        if let End::Refused { step, code, .. } = end {
            return refused_for_good(&self.0, run.id, Self::NAME, step, code).await;
        }
        let (store, id, now) = (self.0.store.clone(), run.id, self.0.clock.now());
        let end = move |tx: &mut merx_sql::Tx<'_>| store.sagas.end(tx, id, now).map(drop);
        self.0.db.write("ordering.deposits_accepted", end).await
    }
}

impl AcceptDeposits {
    /// The saga of an order that is paid by `kept`.
    ///
    /// # Errors
    /// `Internal` when its data cannot be written.
    pub fn of(order_id: OrderId, kept: &[MoneyReceived], now: Timestamp) -> Result<NewSaga> {
        NewSaga::of::<Self>(Self::id(order_id), &Data { order_id, kept: kept.to_vec() }, now)
    }

    /// The saga's identity.
    pub fn id(order_id: OrderId) -> SagaId {
        derived_id(order_id, Self::NAME)
    }

    async fn accept(&self, data: &Data) -> Result<StepOutcome> {
        for MoneyReceived { attempt_id, amount } in &data.kept {
            let request = payment::AcceptDepositRequest {
                payment_id: data.order_id.cast::<PaymentKind>().to_string(),
                attempt_id: attempt_id.to_string(),
                amount: Some((*amount).into()),
            };
            match ask(self.0.asks.payments().accept_deposit(request).await) {
                Err(error) if error.is(NOT_A_DEPOSIT) => {
                    tracing::warn!(order_id = %data.order_id, %attempt_id, "money that was accepted is not there");
                }
                Err(error) => return until_done::<()>(Err(error)),
                Ok(_) => {}
            }
        }
        Ok(StepOutcome::Done)
    }
}
