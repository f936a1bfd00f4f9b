//! Send the buyer to a cashier.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use merx_contracts::ids::{AccountId, AttemptId, AttemptKind, PaymentId};
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::{Guard, Money, Result, Timestamp};
use merx_platform::store::Saved;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    context::{Payments, attempts_timer, load_payment, record},
    domain::{Command, Payment, ProviderName, Rejection, attempt_expiry, decide},
    provider::{PayOrder, Provider as _},
    store::{self, PaymentRow},
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
    pub attempt_id: AttemptId,
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

/// What the cashier needs, signed ahead of the transaction.
struct Offer {
    attempt_id: AttemptId,
    pay_url: String,
}

/// The payment, if it is the buyer's; another's is not found.
pub(crate) fn owned(row: Option<PaymentRow>, buyer: AccountId) -> Result<PaymentRow> {
    let row = row.filter(|row| row.buyer == buyer || !Guard::Owner.on());
    row.ok_or_else(|| Rejection::PaymentUnknown.into())
}

impl Payments {
    /// Starts an attempt, or answers the one that is open. The effect, the answer kept for repetitions and the
    /// timer that asks the provider are one transaction of six statements.
    ///
    /// # Errors
    /// `payment.not_found` (also for another's), `payment.closed`, `payment.already_captured`,
    /// `payment.deadline_passed`, `request.idempotency_key_reused`.
    pub async fn start_attempt(&self, ask: StartAttempt) -> Result<(Begun<AttemptKind>, Option<Saved>)> {
        let StartAttempt { buyer, payment_id, method, key } = ask;
        let row = self.payment_of(buyer, payment_id).await?;
        let (store, now) = (self.store(), self.now());
        let attempt_id = self.ids().next();
        // A signature takes longer than the whole transaction, so it is made before, not while others wait for
        // the writer.
        let offer = Arc::new(Offer { attempt_id, pay_url: self.sign_offer(&row, attempt_id, now)? });
        let this = self.clone();
        self.db()
            .write("payment.start_attempt", move |tx| {
                let begun = key.begin(store.idempotency, tx, attempt_id, now)?;
                if matches!(begun, Begun::Repeated { .. }) {
                    return Ok((begun, None));
                }
                let loaded = load_payment(&store, tx, payment_id)?;
                let command = Command::StartAttempt { attempt_id, provider: method.provider(), at: now };
                let events = decide(&loaded.state, command)?;
                let begins = !events.is_empty();
                let payment = record(&store, tx, payment_id, loaded, &events, now)?;
                if begins {
                    store.timers.schedule(tx, attempts_timer(payment_id), now.plus(FIRST_LOOK_AFTER))?;
                }
                let saved = merx_http::answer(
                    StatusCode::CREATED,
                    &this.attempt_view(payment_id, &payment, &offer)?,
                )?;
                key.complete(store.idempotency, tx, &saved)?;
                Ok((begun, Some(saved)))
            })
            .await
    }

    async fn payment_of(&self, buyer: AccountId, payment_id: PaymentId) -> Result<PaymentRow> {
        self.db().read("payment.of_buyer", move |q| owned(store::payment(q, payment_id)?, buyer)).await
    }

    fn sign_offer(&self, row: &PaymentRow, attempt_id: AttemptId, now: Timestamp) -> Result<String> {
        self.provider().pay_url(&PayOrder {
            attempt_id,
            amount: row.amount,
            subject: &row.subject,
            started_at: now,
            expires_at: attempt_expiry(row.deadline),
        })
    }

    fn attempt_view(&self, payment_id: PaymentId, payment: &Payment, offer: &Offer) -> Result<AttemptView> {
        let terms = payment.terms.as_ref().ok_or(Rejection::PaymentUnknown)?;
        let (attempt_id, attempt) = payment.open_attempt().ok_or(Rejection::AttemptUnknown)?;
        let pay_url = if attempt_id == offer.attempt_id {
            offer.pay_url.clone()
        } else {
            // Another request has an attempt open: its URL is signed again, and is the same.
            self.alipay().pay_url(&PayOrder {
                attempt_id,
                amount: attempt.amount,
                subject: &terms.subject,
                started_at: attempt.started_at,
                expires_at: attempt.expires_at,
            })?
        };
        Ok(AttemptView {
            attempt_id,
            payment_id,
            amount: attempt.amount,
            pay_url,
            expires_at: attempt.expires_at,
        })
    }
}
