//! Send the buyer to a cashier.

use std::time::Duration;

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

/// Asks in a row that may find another attempt open than the one they signed for. Each needs an attempt to begin or to
/// end in between.
const ROUNDS_MAX: usize = 5;

/// The payment, if it is the buyer's; another's is not found.
pub(crate) fn owned(row: Option<PaymentRow>, buyer: AccountId) -> Result<PaymentRow> {
    let row = row.filter(|row| row.buyer == buyer || !Guard::Owner.on());
    row.ok_or_else(|| Rejection::PaymentUnknown.into())
}

/// What became of an ask whose answer was signed for one attempt.
enum Tried {
    /// It is answered, now or by an earlier request with the key.
    Answered(Begun<AttemptKind>, Option<Saved>),
    /// Another attempt is open by now, or none any more; nothing was changed.
    Overtaken,
}

impl Payments {
    /// Starts an attempt, or answers the one that is open. The effect, the answer kept for repetitions and the
    /// timer that asks the provider are one transaction of six statements.
    ///
    /// # Errors
    /// `payment.not_found` (also for another's), `payment.closed`, `payment.already_captured`,
    /// `payment.deadline_passed`, `request.idempotency_key_reused`.
    pub async fn start_attempt(&self, ask: StartAttempt) -> Result<(Begun<AttemptKind>, Option<Saved>)> {
        let mine: AttemptId = self.ids().next();
        for _ in 0..ROUNDS_MAX {
            let payment = self.read(ask.payment_id).await?;
            let now = self.now();
            let answer = self.offer(&ask, &payment, mine, now)?;
            if let Tried::Answered(begun, saved) = self.try_start(&ask, mine, answer, now).await? {
                return Ok((begun, saved));
            }
        }
        Err(merx_sql::contention("attempts of this payment begin and end all the time"))
    }

    /// The answer for the attempt that is open or, where none is, for the one that would begin now. A signature takes
    /// longer than the whole transaction, so it is made before, not while others wait for the writer.
    fn offer(
        &self,
        ask: &StartAttempt,
        payment: &Payment,
        mine: AttemptId,
        now: Timestamp,
    ) -> Result<AttemptView> {
        let terms = payment.terms.as_ref().filter(|terms| terms.buyer == ask.buyer || !Guard::Owner.on());
        let terms = terms.ok_or(Rejection::PaymentUnknown)?;
        let order = match payment.open_attempt() {
            // The same order is signed the same, so whoever asks is sent to the same URL.
            Some((attempt_id, open)) => PayOrder {
                attempt_id,
                amount: open.amount,
                subject: &terms.subject,
                started_at: open.started_at,
                expires_at: open.expires_at,
            },
            None => PayOrder {
                attempt_id: mine,
                amount: terms.amount,
                subject: &terms.subject,
                started_at: now,
                expires_at: attempt_expiry(terms.deadline),
            },
        };
        Ok(AttemptView {
            id: order.attempt_id,
            payment_id: ask.payment_id,
            amount: order.amount,
            pay_url: self.provider().pay_url(&order)?,
            expires_at: order.expires_at,
        })
    }

    async fn try_start(
        &self,
        ask: &StartAttempt,
        mine: AttemptId,
        answer: AttemptView,
        now: Timestamp,
    ) -> Result<Tried> {
        let StartAttempt { payment_id, method, key, .. } = *ask;
        let store = self.store();
        let saved = merx_http::answer(StatusCode::CREATED, &answer)?;
        self.db()
            .write("payment.start_attempt", move |tx| {
                let loaded = load_payment(&store, tx, payment_id)?;
                let wanted = loaded.state.open_attempt().map_or(mine, |(open, _)| open);
                if wanted != answer.id {
                    return Ok(Tried::Overtaken);
                }
                let begun = key.begin(store.idempotency, tx, wanted, now)?;
                if matches!(begun, Begun::Repeated { .. }) {
                    return Ok(Tried::Answered(begun, None));
                }
                let command =
                    Command::StartAttempt { attempt_id: mine, provider: method.provider(), at: now };
                let events = decide(&loaded.state, command)?;
                record(&store, tx, payment_id, loaded, &events, now)?;
                if !events.is_empty() {
                    store.timers.schedule(tx, attempts_timer(payment_id), now.plus(FIRST_LOOK_AFTER))?;
                }
                key.complete(store.idempotency, tx, wanted, &saved)?;
                Ok(Tried::Answered(begun, Some(saved.clone())))
            })
            .await
    }
}
