//! Give money back, once under one identity.

use std::time::Duration;

use merx_contracts::{
    Envelope,
    events::payment::PaymentRefunded,
    ids::{AttemptId, PaymentId, RefundId},
};
use merx_kernel::{Guard, Money, Result, Timestamp};
use merx_platform::store::Store;
use merx_sql::Tx;
use serde_json::json;

use super::quarantine::{DIFFERS, DOUBLE};
use crate::{
    context::{Cause, Payments, by_age, load_payment, record, refunds_timer},
    domain::{CaptureKind, Command, Payment, ProviderName, Refund, RefundState, Rejection, decide},
    provider::{CallBook, RefundAnswer, RefundOrder},
    store::{
        alerts::{self, Resolved},
        quarantine,
    },
};

/// Between two tries of a refund the wait doubles from here, the least the provider wants, …
const RETRY_MIN: Duration = Duration::from_secs(3);
/// … to here.
const RETRY_MAX: Duration = Duration::from_secs(600);
/// A refund that is not through by then raises an alert; it is still tried.
const STUCK_AFTER: Duration = Duration::from_secs(45);
/// A refund that is not through by then is tried once a day only, until it is: the alert stands, and money that is
/// owed is never given up.
const TRIED_OFTEN_FOR: Duration = Duration::from_secs(3 * 24 * 3600);
const RETRY_DAILY: Duration = Duration::from_secs(24 * 3600);

/// The alert of a refund that the provider refuses for good.
const FAILED: &str = "payment_refund_failed";
/// The alert of a refund that takes too long.
const STUCK: &str = "payment_refund_stuck";
/// The alert of a refund that staff pays back.
const BY_HAND: &str = "payment_refund_by_hand";
/// What settles the alerts of money that went back after all.
const RETURNED: &str = "The money went back.";

/// How long after a try at this age of a refund the next one is made.
pub(crate) fn retry_after(age: Duration) -> Duration {
    if age < TRIED_OFTEN_FOR { by_age(age, RETRY_MIN, RETRY_MAX) } else { RETRY_DAILY }
}

/// What is asked when money shall go back.
#[derive(Clone, Debug)]
pub struct RefundTerms {
    /// The identity of the refund.
    pub refund_id: RefundId,
    /// Whose money.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// A word for the provider's record; no personal data.
    pub reason: String,
}

impl Payments {
    /// Records that money shall go back and sets the timer that drives it; answers how far it has come. Asking again
    /// answers the same refund.
    ///
    /// # Errors
    /// `payment.refund_above_captured`, `payment.refund_id_reused`, `payment.not_found`.
    pub async fn refund(&self, payment_id: PaymentId, terms: RefundTerms) -> Result<RefundState> {
        let (store, cause) = (self.store(), self.cause());
        self.db()
            .write("payment.refund", move |tx| {
                let RefundTerms { refund_id, attempt_id, amount, reason } = terms.clone();
                let loaded = load_payment(&store, tx, payment_id)?;
                let command = Command::RequestRefund { refund_id, attempt_id, amount, reason, at: cause.at };
                let events = decide(&loaded.state, command)?;
                let is_new = !events.is_empty();
                let payment = record(&store, tx, payment_id, loaded, &events, &cause)?;
                if is_new {
                    store.timers.schedule(tx, refunds_timer(payment_id), cause.at)?;
                }
                Ok(payment.refunds.get(&refund_id).ok_or(Rejection::RefundUnknown)?.state.clone())
            })
            .await
    }

    /// Tries a refund that is under way once. `None` when it has ended, else when to try again. The calls are in
    /// `book`; the caller keeps them.
    ///
    /// # Errors
    /// What the database answers; a provider that does not answer is no error here.
    pub(crate) async fn try_refund(
        &self,
        payment_id: PaymentId,
        refund_id: RefundId,
        refund: &Refund,
        provider: ProviderName,
        book: &CallBook,
    ) -> Result<Option<Duration>> {
        let order = RefundOrder {
            attempt_id: refund.attempt_id,
            refund_id: if Guard::RefundOnce.on() { refund_id } else { self.ids().next() },
            amount: refund.amount,
            reason: refund.reason.clone(),
        };
        let answer = match self.provider_of(provider) {
            Ok(provider) => provider.refund(&order, book).await,
            Err(absent) => Err(absent),
        };
        let by = book.latest().map(|call| call.to_string());
        let why = match answer {
            Ok(RefundAnswer::Succeeded) => {
                self.settle_refund(payment_id, refund_id, refund, RefundState::Succeeded, by).await?;
                return Ok(None);
            }
            Ok(RefundAnswer::Failed { code }) => {
                self.settle_refund(payment_id, refund_id, refund, RefundState::Failed { code }, by).await?;
                return Ok(None);
            }
            Ok(RefundAnswer::Pending(why)) => why,
            Err(doubt) => doubt.chain(),
        };
        let age = self.now().since(refund.requested_at);
        tracing::warn!(payment = %payment_id, refund = %refund_id, error = why, "a refund is not through yet");
        let wait = retry_after(age);
        let detail = json!({ "refund_id": refund_id, "requested_at": refund.requested_at });
        if provider == ProviderName::Offline {
            // Nobody else will do it.
            self.raise(self.alert(BY_HAND, Some(payment_id), detail).about(refund_id)).await?;
        } else if age + wait >= STUCK_AFTER {
            self.raise(self.alert(STUCK, Some(payment_id), detail).about(refund_id)).await?;
        }
        Ok(Some(wait))
    }

    /// Records how a refund ended, in one transaction with what that means to others: a success is told and settles
    /// what was alerted about it, a failure is an alert.
    async fn settle_refund(
        &self,
        payment_id: PaymentId,
        refund_id: RefundId,
        refund: &Refund,
        ended: RefundState,
        by: Option<String>,
    ) -> Result<()> {
        let (store, cause) = (self.store(), self.telling().after(by));
        let alert = match &ended {
            RefundState::Failed { code } => {
                let detail =
                    json!({ "refund_id": refund_id, "requested_at": refund.requested_at, "code": code });
                Some(self.alert(FAILED, Some(payment_id), detail).about(refund_id))
            }
            _ => None,
        };
        let alerted = self
            .db()
            .write("payment.settle_refund", move |tx| {
                if let Some(alert) = &alert {
                    let loaded = load_payment(&store, tx, payment_id)?;
                    let command = Command::SettleRefund { refund_id, state: ended.clone() };
                    let events = decide(&loaded.state, command)?;
                    record(&store, tx, payment_id, loaded, &events, &cause)?;
                    return if events.is_empty() { Ok(false) } else { alert.keep(tx) };
                }
                succeed(&store, tx, payment_id, refund_id, &cause)?;
                Ok(false)
            })
            .await?;
        self.announce(FAILED, Some(payment_id), alerted);
        Ok(())
    }
}

/// Records that the money of a refund went back, tells it, and settles what was alerted about it; answers the payment.
pub(super) fn succeed(
    store: &Store,
    tx: &mut Tx<'_>,
    payment_id: PaymentId,
    refund_id: RefundId,
    cause: &Cause,
) -> Result<Payment> {
    let loaded = load_payment(store, tx, payment_id)?;
    let command = Command::SettleRefund { refund_id, state: RefundState::Succeeded };
    let events = decide(&loaded.state, command)?;
    let payment = record(store, tx, payment_id, loaded, &events, cause)?;
    if events.is_empty() {
        return Ok(payment);
    }
    let terms = payment.terms.as_ref().ok_or(Rejection::PaymentUnknown)?;
    let amount = payment.refunds.get(&refund_id).ok_or(Rejection::RefundUnknown)?.amount;
    let fact = PaymentRefunded { payment_id, order_id: terms.order_id, refund_id, amount };
    let envelope = Envelope::new(cause.message()?, cause.at, cause.traceparent.clone(), &fact)?;
    store.outbox.publish(tx, &[envelope])?;
    settle_alerts(tx, payment_id, refund_id, &payment, cause.at)?;
    Ok(payment)
}

/// Money went back: what was alerted about the refund has settled itself, and what was about the capture, once all of
/// it is back.
fn settle_alerts(
    tx: &mut Tx<'_>,
    payment_id: PaymentId,
    refund_id: RefundId,
    payment: &Payment,
    at: Timestamp,
) -> Result<()> {
    let settled = Resolved { at, by: None, reason: RETURNED.to_owned() };
    alerts::settle(tx, &[FAILED, STUCK, BY_HAND], &refund_id.to_string(), &settled)?;
    let refund = payment.refunds.get(&refund_id).ok_or(Rejection::RefundUnknown)?;
    let Some(capture) = payment.capture_of(refund.attempt_id) else { return Ok(()) };
    let all_back = payment.refunded_minor(refund.attempt_id) == capture.amount.minor;
    if capture.kind() != CaptureKind::Owed && all_back {
        alerts::settle(tx, &[DOUBLE, DIFFERS], &refund.attempt_id.to_string(), &settled)?;
        quarantine::settle(tx, payment_id, refund.attempt_id, &settled)?;
    }
    Ok(())
}
