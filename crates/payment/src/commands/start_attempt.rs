//! Send the buyer to a cashier.

use std::time::Duration;

use merx_contracts::ids::{AccountId, AttemptId, PaymentId};
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::{Guard, Money, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    context::{Payments, attempts_timer, load_payment, record},
    domain::{Command, Payment, ProviderName, Rejection, decide},
    provider::PayOrder,
    store::PaymentRow,
};

/// How long after an attempt began its provider is asked for the first time.
pub(crate) const FIRST_LOOK_AFTER: Duration = Duration::from_secs(60);

/// A way to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Alipay's cashier in the browser.
    AlipayPage,
}

impl Method {
    const fn provider(self) -> ProviderName {
        match self {
            Self::AlipayPage => ProviderName::Alipay,
        }
    }
}

/// An attempt to pay, and where to go for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// The attempt; without its prefix it is the order number at the provider.
    pub id: AttemptId,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// How much is asked.
    pub amount: Money,
    /// Where to send the buyer's browser.
    pub pay_url: String,
    /// When the cashier stops taking money.
    pub expires_at: Timestamp,
}

/// What the buyer asks for.
#[derive(Clone, Copy, Debug)]
pub struct StartAttempt {
    /// Who asks.
    pub buyer: AccountId,
    /// To pay what.
    pub payment_id: PaymentId,
    /// How.
    pub method: Method,
    /// The key of the request.
    pub key: IdempotencyKey,
}

/// The payment, if it is the buyer's; another's is not found.
pub(crate) fn owned(row: Option<PaymentRow>, buyer: AccountId) -> Result<PaymentRow> {
    let row = row.filter(|row| row.buyer == buyer || !Guard::Owner.on());
    row.ok_or_else(|| Rejection::PaymentUnknown.into())
}

/// What an ask came to.
#[derive(Clone, Debug)]
pub struct Started {
    /// Where to go.
    pub attempt: AttemptView,
    /// An earlier request with the key began it.
    pub repeated: bool,
}

impl Payments {
    /// Starts an attempt, or answers the one that is open: one transaction of five statements. No answer is kept for
    /// repetitions: the key names the attempt, and its URL is signed the same every time.
    ///
    /// # Errors
    /// `payment.not_found` (also for another's), `payment.closed`, `payment.already_captured`,
    /// `payment.deadline_passed`, `request.idempotency_key_reused`.
    pub async fn start_attempt(&self, ask: StartAttempt) -> Result<Started> {
        let StartAttempt { buyer, payment_id, method, key } = ask;
        let (store, now) = (self.store(), self.now());
        let mine: AttemptId = self.ids().next();
        let (attempt_id, repeated, payment) = self
            .db()
            .write("payment.start_attempt", move |tx| {
                let loaded = load_payment(&store, tx, payment_id)?;
                let terms = loaded.state.terms.as_ref();
                if !terms.is_some_and(|terms| terms.buyer == buyer || !Guard::Owner.on()) {
                    return Err(Rejection::PaymentUnknown.into());
                }
                let wanted = loaded.state.open_attempt().map_or(mine, |(open, _)| open);
                if let Begun::Repeated { effect, .. } = key.begin(store.idempotency, tx, wanted, now)? {
                    // The first request may have begun its attempt while this one waited for the key.
                    return Ok((effect, true, load_payment(&store, tx, payment_id)?.state));
                }
                let command =
                    Command::StartAttempt { attempt_id: mine, provider: method.provider(), at: now };
                let events = decide(&loaded.state, command)?;
                let payment = record(&store, tx, payment_id, loaded, &events, now)?;
                if !events.is_empty() {
                    store.timers.schedule(tx, attempts_timer(payment_id), now.plus(FIRST_LOOK_AFTER))?;
                }
                Ok((wanted, false, payment))
            })
            .await?;
        // A signature takes longer than the whole transaction, so it is made after it, while nobody waits.
        Ok(Started { attempt: self.attempt_view(payment_id, &payment, attempt_id)?, repeated })
    }

    fn attempt_view(&self, payment_id: PaymentId, payment: &Payment, id: AttemptId) -> Result<AttemptView> {
        let terms = payment.terms.as_ref().ok_or(Rejection::PaymentUnknown)?;
        let attempt = payment.attempts.get(&id).ok_or(Rejection::AttemptUnknown)?;
        let pay_url = self.provider().pay_url(&PayOrder {
            attempt_id: id,
            amount: attempt.amount,
            subject: &terms.subject,
            started_at: attempt.started_at,
            expires_at: attempt.expires_at,
        })?;
        Ok(AttemptView { id, payment_id, amount: attempt.amount, pay_url, expires_at: attempt.expires_at })
    }
}
