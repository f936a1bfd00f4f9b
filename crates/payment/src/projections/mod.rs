//! What readers see, written in the transaction of the event and rebuildable from the events alone.

use merx_contracts::ids::PaymentId;
use merx_kernel::Result;
use merx_platform::aggregate::DomainEvent as _;
use merx_sql::{RecordedEvent, Tx};

use crate::{
    domain::PaymentEvent,
    store::project::{self, Movement},
};

/// The tables the projection owns.
pub const TABLES: &[&str] = &["payment_payments", "payment_attempts", "payment_refunds", "payment_postings"];

/// What buyers have paid and not got back: the counterpart of every provider account.
const BUYERS: &str = "buyers";

/// Writes one event into the tables.
///
/// # Errors
/// What the database answers; `Internal` for an event that cannot be read.
pub fn apply(tx: &mut Tx<'_>, recorded: &RecordedEvent) -> Result<()> {
    let payment_id: PaymentId = recorded.stream.id();
    let at = recorded.recorded_at;
    match PaymentEvent::decode(&recorded.name, recorded.schema, &recorded.body)? {
        PaymentEvent::PaymentOpened { order_id, buyer, amount, deadline, subject } => {
            project::opened(tx, payment_id, order_id, buyer, amount, deadline, &subject, at)
        }
        PaymentEvent::AttemptStarted { attempt_id, provider, amount, started_at, expires_at, .. } => {
            let provider = provider.as_str();
            project::attempt_started(tx, payment_id, attempt_id, provider, amount, started_at, expires_at)
        }
        // The code and the order among attempts are read from the events alone.
        PaymentEvent::AttemptPrepared { .. } | PaymentEvent::AttemptSuperseded { .. } => Ok(()),
        PaymentEvent::AttemptClosed { attempt_id, .. } => project::attempt_closed(tx, attempt_id, at),
        PaymentEvent::PaymentCaptured { attempt_id, amount, provider, provider_trade_no, late, .. } => {
            project::captured(tx, payment_id, amount, late)?;
            let movement = Movement {
                payment_id,
                version: recorded.version,
                to: provider.as_str(),
                from: BUYERS,
                amount,
                attempt_id,
                refund_id: None,
                provider_trade_no: Some(&provider_trade_no),
                at,
            };
            project::post(tx, &movement)
        }
        PaymentEvent::CloseRequested {} => project::status(tx, payment_id, "closing"),
        PaymentEvent::PaymentClosed {} => project::status(tx, payment_id, "closed"),
        PaymentEvent::RefundRequested { refund_id, attempt_id, amount, requested_at, .. } => {
            project::refund_requested(tx, payment_id, refund_id, attempt_id, amount, requested_at)
        }
        PaymentEvent::RefundSucceeded { refund_id, attempt_id, amount, provider } => {
            project::refund_settled(tx, refund_id, "succeeded", at)?;
            project::refunded(tx, payment_id, amount)?;
            let movement = Movement {
                payment_id,
                version: recorded.version,
                to: BUYERS,
                from: provider.as_str(),
                amount,
                attempt_id,
                refund_id: Some(refund_id),
                provider_trade_no: None,
                at,
            };
            project::post(tx, &movement)
        }
        PaymentEvent::RefundFailed { refund_id, .. } => project::refund_settled(tx, refund_id, "failed", at),
        PaymentEvent::RefundRetried { refund_id, requested_at } => {
            project::refund_retried(tx, refund_id, requested_at)
        }
    }
}
