//! What readers see, written in the transaction of the event and rebuildable from the events alone.

use merx_contracts::ids::PaymentId;
use merx_kernel::Result;
use merx_platform::{Projection, Store, aggregate::DomainEvent as _, projection::rebuild};
use merx_sql::{Db, RecordedEvent, Tx};

use crate::{
    domain::{
        PaymentEvent,
        ledger::{self, Books},
    },
    store::{
        self,
        ledger::{About, post},
        project,
    },
};

/// The inline projection; it can be rebuilt from the events.
pub const PAYMENTS: Projection = Projection {
    name: "payment.payments",
    tables: &["payment_payments", "payment_attempts", "payment_refunds", "payment_postings"],
    apply,
};
/// Raised with every change of what the rows show of the same events: 1 brought the chart of accounts, freight, and
/// what attempts brought.
pub const SHAPE: i64 = 1;

/// Builds the rows anew when an older program wrote them: they know less than their events. To be awaited before the
/// first request is served.
///
/// # Errors
/// `projection.unsequenced` when events wait too long for their positions; what the database answers.
pub async fn bring_up_to_date(db: &Db, of: &Store) -> Result<()> {
    let shape = db.read("payment.shape", |q| store::shape(q, PAYMENTS.name)).await?;
    if shape >= SHAPE {
        return Ok(());
    }
    let events = rebuild(db, of, PAYMENTS).await?;
    if events > 0 {
        tracing::info!(projection = PAYMENTS.name, events, "rows of an older program were built anew");
    }
    db.write("payment.shape", |tx| store::set_shape(tx, PAYMENTS.name, SHAPE)).await
}

/// Writes one event into the tables.
///
/// # Errors
/// What the database answers; `Internal` for an event that cannot be read.
pub fn apply(tx: &mut Tx<'_>, recorded: &RecordedEvent) -> Result<()> {
    let payment_id: PaymentId = recorded.stream.id();
    let event = PaymentEvent::decode(&recorded.name, recorded.schema, &recorded.body)?;
    let (books, kind) = match (&event, ledger::kind_of(&event)) {
        (_, None) => (None, ""),
        (PaymentEvent::PaymentOpened { amount, freight, .. }, Some(kind)) => {
            (Some(Books::new(*amount, freight.minor)), kind)
        }
        // A payment that was closed before its open has no books.
        (_, Some(kind)) => (store::ledger::books(tx, payment_id)?, kind),
    };
    show(tx, payment_id, recorded, &event)?;
    let Some(books) = books else { return Ok(()) };
    let postings = ledger::postings(&books, &event)?;
    post(tx, payment_id, recorded, kind, books.due.currency, &About::of(&event), &postings)
}

fn show(
    tx: &mut Tx<'_>,
    payment_id: PaymentId,
    recorded: &RecordedEvent,
    event: &PaymentEvent,
) -> Result<()> {
    let at = recorded.recorded_at;
    match event.clone() {
        PaymentEvent::PaymentOpened { order_id, buyer, amount, freight, deadline, subject } => {
            project::opened(tx, payment_id, order_id, buyer, amount, freight, deadline, &subject, at)
        }
        PaymentEvent::AttemptStarted { attempt_id, provider, amount, started_at, expires_at, .. } => {
            let provider = provider.as_str();
            project::attempt_started(tx, payment_id, attempt_id, provider, amount, started_at, expires_at)
        }
        // The code and the order among attempts are read from the events alone.
        PaymentEvent::AttemptPrepared { .. } | PaymentEvent::AttemptSuperseded { .. } => Ok(()),
        PaymentEvent::AttemptClosed { attempt_id, .. } => project::attempt_closed(tx, attempt_id, at),
        PaymentEvent::PaymentCaptured { attempt_id, amount, provider_trade_no, late, .. } => {
            project::captured(tx, payment_id, amount, late)?;
            project::attempt_captured(tx, attempt_id, amount, &provider_trade_no, at)
        }
        // These two are read from the ledger.
        PaymentEvent::DepositAccepted { .. } | PaymentEvent::FeeCharged { .. } => Ok(()),
        PaymentEvent::CloseRequested {} => project::status(tx, payment_id, "closing"),
        PaymentEvent::PaymentClosed {} => project::status(tx, payment_id, "closed"),
        PaymentEvent::RefundRequested { refund_id, attempt_id, amount, requested_at, .. } => {
            project::refund_requested(tx, payment_id, refund_id, attempt_id, amount, requested_at)
        }
        PaymentEvent::RefundSucceeded { refund_id, amount, .. } => {
            project::refund_settled(tx, refund_id, "succeeded", at)?;
            project::refunded(tx, payment_id, amount)
        }
        PaymentEvent::RefundFailed { refund_id, .. } => project::refund_settled(tx, refund_id, "failed", at),
        PaymentEvent::RefundRetried { refund_id, requested_at } => {
            project::refund_retried(tx, refund_id, requested_at)
        }
    }
}
