//! What takes many steps in several contexts.

pub mod refund_case;
pub mod replace_case;

use merx_contracts::{
    common::v1::SkuQuantity,
    ids::{AfterSaleId, OrderId, ReturnKind},
    inventory::v1 as inventory,
    ordering::v1 as ordering,
};
use merx_kernel::Result;
use merx_platform::{
    rpc::ask,
    saga::{NewSaga, SagaRun, StepOutcome},
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
    /// The order; its payment has its bits.
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

/// What can be sold again goes back into stock, where it came from; what was written off stays sold, and nobody waits for
/// it any more.
async fn restock(state: &State, run: &SagaRun<Data>) -> Result<StepOutcome> {
    let case = case_of(state, &run.data).await?;
    let (restocked, written_off) = (case.restocked(), case.written_off());
    if restocked.is_empty() && written_off.is_empty() {
        return Ok(StepOutcome::Done);
    }
    let asked = ordering::ReservationRequest { order_id: run.data.order_id.to_string() };
    let reservation_id = match ask(state.ordering().reservation(asked).await) {
        Ok(reply) => reply.reservation_id,
        Err(error) => return until_done::<()>(Err(error)),
    };
    for (effect, units, written_off) in [("return", restocked, false), ("written off", written_off, true)] {
        if units.is_empty() {
            continue;
        }
        let request = inventory::TakeBackRequest {
            return_id: run.effect_id::<ReturnKind>(effect).to_string(),
            reservation_id: reservation_id.clone(),
            lines: units.iter().map(|(sku, units)| SkuQuantity::new(sku, *units)).collect(),
            reason: "after_sale".to_owned(),
            written_off,
        };
        match ask(state.inventory().take_back(request).await) {
            // The order was settled meanwhile, and took back everything that had not come back.
            Err(error) if error.is("inventory.returned_too_much") => {}
            answer => match until_done(answer)? {
                StepOutcome::Done => {}
                later => return Ok(later),
            },
        }
    }
    Ok(StepOutcome::Done)
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
