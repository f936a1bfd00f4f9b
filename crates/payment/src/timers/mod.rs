//! What happens when a durable timer of payment is due.

mod drive_refunds;
mod poll_attempts;
mod reconcile_daily;

use merx_platform::timers::{DueTimer, TimerHandler};

use crate::context::Payments;

/// The handlers of all timers.
pub fn handlers(payments: &Payments) -> Vec<TimerHandler> {
    let (poll, drive, reconcile) = (payments.clone(), payments.clone(), payments.clone());
    vec![
        TimerHandler::new(poll_attempts::KIND, move |due: DueTimer| {
            let payments = poll.clone();
            async move { payments.poll_attempts(due).await }
        }),
        TimerHandler::new(drive_refunds::KIND, move |due: DueTimer| {
            let payments = drive.clone();
            async move { payments.drive_refunds(due).await }
        }),
        TimerHandler::new(reconcile_daily::KIND, move |due: DueTimer| {
            let payments = reconcile.clone();
            async move { payments.reconcile_due(due).await }
        }),
    ]
}
