//! The routes of payment: parse, call, respond.

mod alerts;
mod attempts;
mod ledger;
mod notifications;
mod offline;
mod payments;
mod quarantine;
mod reconciliations;
mod refunds;

use std::sync::Arc;

use axum::response::Response;
use merx_http::{Answer, Begun, IdempotencyKey, Idempotent, Route, respond};
use merx_kernel::Error;
use merx_platform::store::Saved;

use crate::context::Payments;

/// The path Alipay sends its notifications to; what an operator gives as `notify_url` ends with it.
pub const NOTIFICATIONS_PATH: &str = "/v1/payments/alipay/notifications";

/// What the handlers hold.
#[derive(Clone)]
pub(crate) struct Desk {
    payments: Payments,
    idempotent: Arc<Idempotent>,
}

/// All routes of payment.
pub fn routes(payments: Payments, idempotent: Idempotent) -> Vec<Route> {
    let desk = Desk { payments, idempotent: Arc::new(idempotent) };
    vec![
        offline::methods(&desk),
        attempts::start(&desk),
        attempts::draw(&desk),
        payments::show(&desk),
        refunds::show(&desk),
        notifications::take(&desk),
        payments::list(&desk),
        alerts::list(&desk),
        alerts::resolve(&desk),
        quarantine::list(&desk),
        quarantine::resolve(&desk),
        refunds::retry(&desk),
        offline::confirm_money(&desk),
        offline::confirm_refund(&desk),
        ledger::trial_balance(&desk),
        ledger::postings(&desk),
        ledger::export(&desk),
        reconciliations::reconcile(&desk),
        reconciliations::list(&desk),
        reconciliations::cases(&desk),
        reconciliations::resolve(&desk),
    ]
}

/// The answer of a command that keeps it in the transaction of its effect, so that there is never one to rebuild.
async fn kept<K>(desk: &Desk, key: &IdempotencyKey, done: (Begun<K>, Option<Saved>)) -> Answer<Response> {
    match done {
        (Begun::Fresh, Some(saved)) => Ok(respond(saved)),
        (Begun::Fresh, None) => Err(Error::internal("a command had its effect without an answer").into()),
        (Begun::Repeated { effect, saved }, _) => {
            desk.idempotent.repeat(key, effect, saved, |_| async { Ok(None) }).await
        }
    }
}
