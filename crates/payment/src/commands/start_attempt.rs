//! Send the buyer to a cashier, or give out a code to scan.

use std::time::Duration;

use merx_contracts::ids::{AccountId, AttemptId, AttemptKind, PaymentId};
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::{Guard, Id, Money, Result, Timestamp};
use merx_platform::store::IdempotencyKeys;
use merx_sql::Tx;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::settle_attempt::Settled;
use crate::{
    context::{Payments, attempts_timer, load_payment, record},
    domain::{Command, Method, Payment, Rejection, Status, decide},
    provider::{CallBook, Offer, PayOrder},
    store,
};

/// How long after an attempt began its provider is asked for the first time. Who scans a code has his phone in hand
/// and a page before him that waits.
pub(crate) const fn first_look_after(method: Method) -> Duration {
    match method {
        Method::AlipayQr => Duration::from_secs(6),
        Method::AlipayPage
        | Method::AlipayWap
        | Method::AlipayApp
        | Method::BankTransfer
        | Method::CashOnDelivery => Duration::from_secs(60),
    }
}

/// How often a request looks again when others change the payment meanwhile.
const LOOKS_MAX: usize = 3;

/// An attempt to pay, and where to go for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// The attempt; without its prefix it is the order number at the provider.
    pub id: AttemptId,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// How it is paid.
    pub method: Method,
    /// How much is asked.
    pub amount: Money,
    /// Where to send the buyer's browser, with `alipay_page` and `alipay_wap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pay_url: Option<String>,
    /// The text of the QR code to show, with `alipay_qr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qr_code: Option<String>,
    /// Where the code is drawn, as SVG.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qr_svg_url: Option<String>,
    /// The signed text for Alipay's SDK in an app, with `alipay_app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_order: Option<String>,
    /// What the buyer is to do, with `bank_transfer` and `cash_on_delivery`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// What the buyer writes into a transfer, so that the money is found, with `bank_transfer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_reference: Option<String>,
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

/// What an ask came to.
#[derive(Clone, Debug)]
pub struct Started {
    /// Where to go.
    pub attempt: AttemptView,
    /// An earlier request with the key began it.
    pub repeated: bool,
}

/// What one transaction came to.
enum Tried {
    /// The attempt is there.
    Begun { attempt_id: AttemptId, repeated: bool, payment: Box<Payment> },
    /// An attempt of another method is open.
    Other(AttemptId),
}

impl Payments {
    /// Starts an attempt, or answers the one that is open: one transaction of five statements. An open attempt of
    /// another method is closed at the provider before; where the provider does not know it yet, the new one takes its
    /// place. No answer is kept for repetitions: the key names the attempt, its URL is signed the same every time, and
    /// its code is recorded.
    ///
    /// # Errors
    /// `payment.not_found` (also for another's), `payment.method_not_offered`, `payment.closed`, `payment.already_captured`, `payment.in_review`,
    /// `payment.deadline_passed`, `payment.too_many_attempts`, `payment.attempt_open` while the provider neither closes
    /// nor loses the earlier one, `payment.provider_unavailable`, `request.idempotency_key_reused`; and those of
    /// `Self::prepared`.
    pub async fn start_attempt(&self, ask: StartAttempt) -> Result<Started> {
        let mine: AttemptId = self.ids().next();
        let (book, mut replaces) = (self.book(), None);
        for _ in 0..LOOKS_MAX {
            let open = match self.try_start(ask, mine, replaces, &book).await? {
                Tried::Begun { attempt_id, repeated, payment } => {
                    // A signature takes longer than the whole transaction, so it is made after it, while nobody waits.
                    let payment = self.prepared(ask.payment_id, attempt_id, *payment).await?;
                    let attempt = self.attempt_view(ask.payment_id, &payment, attempt_id)?;
                    return Ok(Started { attempt, repeated });
                }
                Tried::Other(open) => open,
            };
            match self.settle_attempt(ask.payment_id, open, true, &book).await {
                Ok(Settled::Absent) => replaces = Some(open),
                Ok(Settled::Captured | Settled::Ended) => replaces = None,
                Ok(Settled::Open) => break,
                Err(doubt) => {
                    self.keep_calls(ask.payment_id, &book).await?;
                    return Err(doubt);
                }
            }
        }
        self.keep_calls(ask.payment_id, &book).await?;
        Err(Rejection::AttemptOpen.into())
    }

    async fn try_start(
        &self,
        ask: StartAttempt,
        mine: AttemptId,
        replaces: Option<AttemptId>,
        book: &CallBook,
    ) -> Result<Tried> {
        let StartAttempt { buyer, payment_id, method, key } = ask;
        let (store, cause, calls) = (self.store(), self.cause().of(buyer), book.take());
        let offered = self.providers().offered.contains(&method);
        self.db()
            .write("payment.start_attempt", move |tx| {
                store::calls::record(tx, payment_id, &calls)?;
                let loaded = load_payment(&store, tx, payment_id)?;
                let terms = loaded.state.terms.as_ref();
                if !terms.is_some_and(|terms| terms.buyer == buyer || !Guard::Owner.on()) {
                    return Err(Rejection::PaymentUnknown.into());
                }
                if !offered {
                    return Err(Rejection::MethodNotOffered.into());
                }
                let wanted = match loaded.state.open_attempt() {
                    Some((open, attempt)) if attempt.method == method => open,
                    Some((open, _)) if loaded.state.status == Status::Open && replaces != Some(open) => {
                        // A repetition of an earlier request must not end what was chosen after it.
                        let Some(effect) = effect_of(&key, store.idempotency, tx, cause.at)? else {
                            return Ok(Tried::Other(open));
                        };
                        return Ok(Tried::Begun {
                            attempt_id: effect,
                            repeated: true,
                            payment: Box::new(loaded.state),
                        });
                    }
                    _ => mine,
                };
                if let Begun::Repeated { effect, .. } = key.begin(store.idempotency, tx, wanted, cause.at)? {
                    // The first request may have begun its attempt while this one waited for the key.
                    let payment = Box::new(load_payment(&store, tx, payment_id)?.state);
                    return Ok(Tried::Begun { attempt_id: effect, repeated: true, payment });
                }
                let command = Command::StartAttempt { attempt_id: mine, method, replaces, at: cause.at };
                let events = decide(&loaded.state, command)?;
                let payment = Box::new(record(&store, tx, payment_id, loaded, &events, &cause)?);
                if !events.is_empty() {
                    let look_at = cause.at.plus(first_look_after(method));
                    store.timers.schedule(tx, attempts_timer(payment_id), look_at)?;
                }
                Ok(Tried::Begun { attempt_id: wanted, repeated: false, payment })
            })
            .await
    }

    /// What the provider is asked for with an attempt.
    pub(crate) fn pay_order<'a>(&self, payment: &'a Payment, id: AttemptId) -> Result<PayOrder<'a>> {
        let terms = payment.terms.as_ref().ok_or(Rejection::PaymentUnknown)?;
        let attempt = payment.attempts.get(&id).ok_or(Rejection::AttemptUnknown)?;
        Ok(PayOrder {
            attempt_id: id,
            method: attempt.method,
            amount: attempt.amount,
            subject: &terms.subject,
            started_at: attempt.started_at,
            expires_at: attempt.expires_at,
        })
    }

    fn attempt_view(&self, payment_id: PaymentId, payment: &Payment, id: AttemptId) -> Result<AttemptView> {
        let attempt = payment.attempts.get(&id).ok_or(Rejection::AttemptUnknown)?;
        let provider = self.provider_of(attempt.provider)?;
        let (mut pay_url, mut app_order, mut instructions) = (None, None, None);
        match provider.offer(&self.pay_order(payment, id)?)? {
            Offer::Redirect(url) => pay_url = Some(url),
            Offer::AppOrder(text) => app_order = Some(text),
            Offer::Instructions(text) => instructions = Some(text),
            Offer::QrCode => {}
        }
        let transfer_reference = (attempt.method == Method::BankTransfer).then(|| id.bare());
        let qr_code = attempt.qr_code.clone();
        let qr_svg_url = qr_code.as_ref().map(|_| format!("/v1/payments/{payment_id}/attempts/{id}/qr.svg"));
        Ok(AttemptView {
            id,
            payment_id,
            method: attempt.method,
            amount: attempt.amount,
            pay_url,
            qr_code,
            qr_svg_url,
            app_order,
            instructions,
            transfer_reference,
            expires_at: attempt.expires_at,
        })
    }
}

/// The attempt an earlier request with this key began, without claiming the key.
fn effect_of(
    key: &IdempotencyKey,
    keys: IdempotencyKeys,
    tx: &mut Tx<'_>,
    now: Timestamp,
) -> Result<Option<Id<AttemptKind>>> {
    let found = keys.find(tx, key.scope)?;
    let found = found.filter(|found| found.created_at > now.minus(IdempotencyKeys::KEPT));
    let Some(found) = found.filter(|_| Guard::IdempotencyKey.on()) else { return Ok(None) };
    // Claiming it says the same, and refuses it where it came with another request.
    match key.begin(keys, tx, Id::<AttemptKind>::from_bits(u128::from_be_bytes(found.effect)), now)? {
        Begun::Repeated { effect, .. } => Ok(Some(effect)),
        Begun::Fresh => Ok(None),
    }
}
