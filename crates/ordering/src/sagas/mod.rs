//! What takes many steps in several contexts.

pub mod accept_deposits;
pub mod cancel_paid;
pub mod close_order;
pub mod fulfil_order;
pub mod place_order;
mod refund;
pub mod refund_late;
pub mod refund_quarantined;
pub mod refund_returned;
pub mod revive_order;
mod stock;

use merx_contracts::ids::SagaId;
use merx_kernel::Result;
use merx_platform::saga::StepOutcome;

use crate::context::Tools;

/// An ask after which there is no way back: money is held or a payment is closed. A refusal is no end then; it is
/// tried again until an operator, whom the stuck saga calls, has mended what it is about.
fn until_done<T>(answer: Result<T>) -> Result<StepOutcome> {
    match answer {
        Ok(_) => Ok(StepOutcome::Done),
        Err(error) if error.kind().is_retryable() => Err(error),
        Err(error) => Ok(StepOutcome::RetryLater { at: None, reason: error.code().to_owned() }),
    }
}

/// The end of a saga whose steps never refuse ([`until_done`]) and one did all the same: a person must look.
async fn refused_for_good(
    tools: &Tools,
    id: SagaId,
    saga: &'static str,
    step: &str,
    code: &str,
) -> Result<()> {
    tools.metrics.alert("order_saga_refused");
    tracing::error!(saga_id = %id, saga, step, code, "a step refused where nothing can be undone");
    let (store, now) = (tools.store.clone(), tools.clock.now());
    tools.db.write("ordering.saga_refused", move |tx| store.sagas.end(tx, id, now).map(drop)).await
}
