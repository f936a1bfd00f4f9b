//! The routes of payment: parse, call, respond.

mod alerts;
mod attempts;
mod notifications;
mod payments;
mod refunds;

use std::sync::Arc;

use merx_http::{Idempotent, Route};

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
        attempts::start(&desk),
        payments::show(&desk),
        notifications::take(&desk),
        alerts::list(&desk),
        refunds::retry(&desk),
    ]
}
