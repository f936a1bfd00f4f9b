//! Give money back, once under one identity.

use std::time::Duration;

use merx_contracts::{
    Envelope,
    events::payment::PaymentRefunded,
    ids::{AttemptId, MessageKind, PaymentId, RefundId},
};
use merx_kernel::{Guard, Money, Result};
use merx_platform::trace;
use serde_json::json;

use crate::{
    context::{Payments, by_age, load_payment, record, refunds_timer},
    domain::{Command, Refund, RefundState, Rejection, decide},
    provider::{RefundAnswer, RefundOrder},
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
        let (store, now) = (self.store(), self.now());
        self.db()
            .write("payment.refund", move |tx| {
                let RefundTerms { refund_id, attempt_id, amount, reason } = terms.clone();
                let loaded = load_payment(&store, tx, payment_id)?;
                let command = Command::RequestRefund { refund_id, attempt_id, amount, reason, at: now };
                let events = decide(&loaded.state, command)?;
                let is_new = !events.is_empty();
                let payment = record(&store, tx, payment_id, loaded, &events, now)?;
                if is_new {
                    store.timers.schedule(tx, refunds_timer(payment_id), now)?;
                }
                Ok(payment.refunds.get(&refund_id).ok_or(Rejection::RefundUnknown)?.state.clone())
            })
            .await
    }

    /// Tries a refund that is under way once. `None` when it has ended, else when to try again.
    ///
    /// # Errors
    /// What the database answers; a provider that does not answer is no error here.
    pub(crate) async fn try_refund(
        &self,
        payment_id: PaymentId,
        refund_id: RefundId,
        refund: &Refund,
    ) -> Result<Option<Duration>> {
        let order = RefundOrder {
            attempt_id: refund.attempt_id,
            refund_id: if Guard::RefundOnce.on() { refund_id } else { self.ids().next() },
            amount: refund.amount,
            reason: refund.reason.clone(),
        };
        let why = match self.provider().refund(&order, self.now()).await {
            Ok(RefundAnswer::Succeeded) => {
                self.settle_refund(payment_id, refund_id, refund, RefundState::Succeeded).await?;
                return Ok(None);
            }
            Ok(RefundAnswer::Failed { code }) => {
                self.settle_refund(payment_id, refund_id, refund, RefundState::Failed { code }).await?;
                return Ok(None);
            }
            Ok(RefundAnswer::Pending(why)) => why,
            Err(doubt) => doubt.chain(),
        };
        let age = self.now().since(refund.requested_at);
        tracing::warn!(payment = %payment_id, refund = %refund_id, error = why, "a refund is not through yet");
        let wait = if age < TRIED_OFTEN_FOR { by_age(age, RETRY_MIN, RETRY_MAX) } else { RETRY_DAILY };
        if age + wait >= STUCK_AFTER {
            let detail = json!({ "refund_id": refund_id, "requested_at": refund.requested_at });
            self.raise("payment_refund_stuck", Some(payment_id), detail).await?;
        }
        Ok(Some(wait))
    }

    /// Records how a refund ended, in one transaction with what that means to others: a success is told, a failure is
    /// an alert.
    async fn settle_refund(
        &self,
        payment_id: PaymentId,
        refund_id: RefundId,
        refund: &Refund,
        ended: RefundState,
    ) -> Result<()> {
        let (store, now) = (self.store(), self.now());
        let (message, traceparent) = (self.ids().next::<MessageKind>(), trace::current_traceparent());
        let alert = match &ended {
            RefundState::Failed { code } => {
                let detail =
                    json!({ "refund_id": refund_id, "requested_at": refund.requested_at, "code": code });
                Some(self.alert(FAILED, Some(payment_id), detail))
            }
            _ => None,
        };
        let alerted = self
            .db()
            .write("payment.settle_refund", move |tx| {
                let loaded = load_payment(&store, tx, payment_id)?;
                let command = Command::SettleRefund { refund_id, state: ended.clone() };
                let events = decide(&loaded.state, command)?;
                let payment = record(&store, tx, payment_id, loaded, &events, now)?;
                if events.is_empty() {
                    return Ok(false);
                }
                if let Some(alert) = &alert {
                    return alert.keep(tx);
                }
                let terms = payment.terms.as_ref().ok_or(Rejection::PaymentUnknown)?;
                let amount = payment.refunds.get(&refund_id).ok_or(Rejection::RefundUnknown)?.amount;
                let fact = PaymentRefunded { payment_id, order_id: terms.order_id, refund_id, amount };
                store.outbox.publish(tx, &[Envelope::new(message, now, traceparent.clone(), &fact)?])?;
                Ok(false)
            })
            .await?;
        self.announce(FAILED, Some(payment_id), alerted);
        Ok(())
    }
}
