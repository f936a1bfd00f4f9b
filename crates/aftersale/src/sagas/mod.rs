//! What takes many steps in several contexts.

pub mod refund_case;
pub mod replace_case;

use merx_contracts::{
    common::v1::SkuQuantity,
    ids::{AfterSaleId, OrderId, ReservationKind, ReturnId},
    inventory::v1 as inventory,
};
use merx_kernel::Result;
use merx_platform::{
    rpc::ask,
    saga::{NewSaga, StepOutcome},
};
use serde::{Deserialize, Serialize};

use crate::{
    State,
    domain::{Case, Command, Rejection},
    store::{self, Act, Changed},
};

/// What the steps need to know.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Data {
    /// The order; its payment and reservation have its bits.
    pub order_id: OrderId,
    /// The case.
    pub case_id: AfterSaleId,
}

/// The code with which ordering refuses when the order was cancelled.
const ORDER_ENDED: &str = "ordering.order_ended";

/// An ask after which there is no way back: tried again until an operator has mended what it is about.
fn until_done<T>(answer: Result<T>) -> Result<StepOutcome> {
    match answer {
        Ok(_) => Ok(StepOutcome::Done),
        Err(error) if error.kind().is_retryable() => Err(error),
        Err(error) => Ok(StepOutcome::RetryLater { at: None, reason: error.code().to_owned() }),
    }
}

async fn case_of(state: &State, data: &Data) -> Result<Case> {
    let (store, order_id) = (state.store.clone(), data.order_id);
    let read = move |q: &mut merx_sql::Reader<'_>| store::load(&store, q, order_id);
    let mut all = state.db.read("aftersale.case", read).await?.state;
    all.cases.remove(&data.case_id).ok_or_else(|| Rejection::CaseUnknown.into())
}

/// One command on the case, as a step.
async fn record(state: &State, label: &'static str, data: &Data, command: Command) -> Result<Changed> {
    let (act, store) = (Act::now(state, data.order_id, data.case_id)?, state.store.clone());
    state.db.write(label, move |tx| store::change(tx, &store, &act, &command)).await
}

/// What can be sold again goes back into stock, where it came from; what was written off stays sold.
async fn restock(state: &State, data: &Data, return_id: ReturnId) -> Result<StepOutcome> {
    let restocked = case_of(state, data).await?.restocked();
    if restocked.is_empty() {
        return Ok(StepOutcome::Done);
    }
    let request = inventory::TakeBackRequest {
        return_id: return_id.to_string(),
        reservation_id: data.order_id.cast::<ReservationKind>().to_string(),
        lines: restocked.iter().map(|(sku, units)| SkuQuantity::new(sku, *units)).collect(),
        reason: "after_sale".to_owned(),
    };
    until_done(ask(state.inventory().take_back(request).await))
}

/// Ends a saga in one transaction with what becomes of the case; answers the saga that follows.
async fn end(
    state: &State,
    label: &'static str,
    (saga, data): (merx_contracts::ids::SagaId, &Data),
    command: Option<Command>,
) -> Result<Option<NewSaga>> {
    let (act, store) = (Act::now(state, data.order_id, data.case_id)?, state.store.clone());
    let write = move |tx: &mut merx_sql::Tx<'_>| {
        if !store.sagas.end(tx, saga, act.facts.now)? {
            return Ok(None);
        }
        match &command {
            Some(command) => Ok(store::change(tx, &store, &act, command)?.saga),
            None => Ok(None),
        }
    };
    state.db.write(label, write).await
}

/// A step refused where that is no ordinary end: a person must look.
fn alarm(state: &State, data: &Data, saga: &'static str, step: &str, code: &str) {
    state.metrics.alert("aftersale_saga_refused");
    tracing::error!(order_id = %data.order_id, case_id = %data.case_id, saga, step, code, "an after-sale case was refused");
}
