//! A person says that money came which no provider moves, or that it was paid back: the bank's statement, the carrier's
//! cash. In the place of a provider's signature stand who said so, the reference and the reason.

use http::StatusCode;
use merx_contracts::ids::{AccountId, AttemptId, AttemptKind, PaymentId, RefundId, RefundKind};
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::{BoundedText, Money, Result};
use merx_platform::store::Saved;
use merx_sql::Tx;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{
    capture::{Report, facts},
    refund::succeed,
    resolve::{Reason, acted},
};
use crate::{
    context::{Cause, Payments, load_payment, record},
    domain::{Command, Payment, ProviderName, Rejection, decide, is_payable},
    queries::{ConfirmationView, RefundSummary},
    store::{
        self,
        offline::{self, Confirmed, KeptWord, ReceiptKind},
    },
};

/// The number by which a bank or a carrier knows the money.
pub type Reference = BoundedText<1, 200>;

/// What a person says of money that came.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoneyCame {
    /// How much. What is not as much as was asked is booked as what it is, and a person decides.
    pub amount: Money,
    /// The bank's or the carrier's number for it.
    pub reference: Reference,
    /// Where it was seen.
    pub reason: Reason,
}

/// What a person says of money that was paid back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoneyPaidBack {
    /// The bank's number for the transfer, or that of a receipt.
    pub reference: Reference,
    /// How it was paid back.
    pub reason: Reason,
}

fn confirmed(actor: AccountId, reference: Reference, reason: Reason, cause: &Cause) -> Confirmed {
    Confirmed { reference: reference.into_string(), reason: reason.into_string(), by: actor, at: cause.at }
}

/// What money for an attempt is booked as: of that attempt, or, where it brought some before, of `beside`.
fn as_what(
    tx: &mut Tx<'_>,
    payment: &Payment,
    report: &Report,
    beside: AttemptId,
    said: &KeptWord,
) -> Result<(AttemptId, Command)> {
    let Report { attempt_id, amount, provider_trade_no, .. } = report.clone();
    if payment.capture_of(attempt_id).is_none() {
        return Ok((attempt_id, Command::Capture { attempt_id, amount, provider_trade_no }));
    }
    let paid: Vec<AttemptId> = payment.captures.iter().map(|capture| capture.attempt_id).collect();
    if !offline::is_another(tx, &paid, said)? {
        return Err(Rejection::AlreadyCaptured.into());
    }
    let (paid, attempt_id, at) = (attempt_id, beside, said.at);
    let command = Command::CaptureBeside { beside: paid, attempt_id, amount, provider_trade_no, at };
    Ok((attempt_id, command))
}

impl Payments {
    /// Books money that staff has seen for an attempt, each reference once; money for a payment that was closed or paid
    /// meanwhile is late or double, as any other. What comes under another reference for an attempt that brought money is
    /// kept as an attempt of its own. Key, receipt, event, projection, fact, record of who said so and answer are one
    /// transaction.
    ///
    /// # Errors
    /// `payment.not_found`, `payment.attempt_unknown`, `payment.not_offline`, `payment.already_captured` when the reference
    /// was confirmed before, or cannot be told from one that was erased, `payment.amount_not_payable` for another currency
    /// or nothing at all, `request.idempotency_key_reused`.
    pub async fn confirm_money(
        &self,
        actor: AccountId,
        payment_id: PaymentId,
        attempt_id: AttemptId,
        said: MoneyCame,
        key: IdempotencyKey,
    ) -> Result<(Begun<AttemptKind>, Option<Saved>)> {
        let (store, cause) = (self.store(), self.telling().of(actor));
        let (receipt_id, staff_message) = (self.ids().next::<ReceiptKind>(), self.ids().next());
        let beside = self.ids().next::<AttemptKind>();
        let (amount, provider, receipt) = (said.amount, ProviderName::Offline, receipt_id.bare());
        let report = Report { attempt_id, amount, provider, provider_trade_no: receipt };
        let odd = self.odd_money(payment_id, report.clone());
        let said = confirmed(actor, said.reference, said.reason, &cause);
        let done = self
            .db()
            .write("payment.confirm_money", move |tx| {
                let begun = key.begin(store.idempotency, tx, attempt_id, cause.at)?;
                if matches!(begun, Begun::Repeated { .. }) {
                    return Ok((begun, None, None));
                }
                let loaded = load_payment(&store, tx, payment_id)?;
                let terms = loaded.state.terms.as_ref().ok_or(Rejection::PaymentUnknown)?;
                let attempt = loaded.state.attempts.get(&attempt_id).ok_or(Rejection::AttemptUnknown)?;
                if attempt.provider != ProviderName::Offline {
                    return Err(Rejection::NotOffline.into());
                }
                if !is_payable(amount) {
                    return Err(Rejection::AmountNotPayable.into());
                }
                let kept = offline::may_keep(tx, payment_id, terms.buyer, &said)?;
                let (captured, command) = as_what(tx, &loaded.state, &report, beside, &kept)?;
                if !offline::confirm(tx, captured, receipt_id, amount, &kept)? {
                    return Err(Rejection::AlreadyCaptured.into());
                }
                let events = decide(&loaded.state, command)?;
                let payment = record(&store, tx, payment_id, loaded, &events, &cause)?;
                let mut told = facts(payment_id, &payment, &events, &cause)?;
                let detail = json!({ "payment_id": payment_id, "amount": amount, "receipt_id": receipt_id });
                let staff = cause.clone().telling_by(staff_message);
                let (object, why) = (captured.to_string(), Some(said.reason.clone()));
                told.push(acted(&staff, actor, "payment.money_confirmed", object, why, detail)?);
                store.outbox.publish(tx, &told)?;
                let capture = payment.capture_of(captured).ok_or(Rejection::AttemptUnknown)?;
                let alerted = odd.keep(tx, capture)?;
                let view = ConfirmationView::of(payment_id, capture, receipt_id, cause.at);
                let saved = merx_http::answer(StatusCode::OK, &view)?;
                key.complete(store.idempotency, tx, attempt_id, &saved)?;
                Ok((begun, Some(saved), alerted))
            })
            .await?;
        let (begun, saved, alerted) = done;
        if let Some(kind) = alerted {
            self.announce(kind, Some(payment_id), true);
        }
        Ok((begun, saved))
    }

    /// Records that staff paid a refund back, once.
    ///
    /// # Errors
    /// `payment.refund_unknown`, `payment.not_offline`, `payment.refund_settled` when it failed before,
    /// `request.idempotency_key_reused`.
    pub async fn confirm_refund(
        &self,
        actor: AccountId,
        refund_id: RefundId,
        said: MoneyPaidBack,
        key: IdempotencyKey,
    ) -> Result<(Begun<RefundKind>, Option<Saved>)> {
        let (store, cause) = (self.store(), self.telling().of(actor));
        let staff_message = self.ids().next();
        let said = confirmed(actor, said.reference, said.reason, &cause);
        self.db()
            .write("payment.confirm_refund", move |tx| {
                let begun = key.begin(store.idempotency, tx, refund_id, cause.at)?;
                if matches!(begun, Begun::Repeated { .. }) {
                    return Ok((begun, None));
                }
                let payment_id = store::payment_of_refund(tx, refund_id)?.ok_or(Rejection::RefundUnknown)?;
                let state = load_payment(&store, tx, payment_id)?.state;
                let refund = state.refunds.get(&refund_id).ok_or(Rejection::RefundUnknown)?;
                let attempt = state.attempts.get(&refund.attempt_id).ok_or(Rejection::AttemptUnknown)?;
                if attempt.provider != ProviderName::Offline {
                    return Err(Rejection::NotOffline.into());
                }
                offline::ask_refund(tx, refund_id, refund.attempt_id, refund.amount, cause.at)?;
                let buyer = state.terms.as_ref().ok_or(Rejection::PaymentUnknown)?.buyer;
                let kept = offline::may_keep(tx, payment_id, buyer, &said)?;
                offline::confirm_refund(tx, refund_id, &kept)?;
                let payment = succeed(&store, tx, payment_id, refund_id, &cause)?;
                let refund = payment.refunds.get(&refund_id).ok_or(Rejection::RefundUnknown)?;
                let detail = json!({ "payment_id": payment_id, "amount": refund.amount });
                let staff = cause.clone().telling_by(staff_message);
                let (object, why) = (refund_id.to_string(), Some(said.reason.clone()));
                let told = acted(&staff, actor, "payment.refund_confirmed", object, why, detail)?;
                store.outbox.publish(tx, &[told])?;
                let view = RefundSummary::settled(refund_id, refund, cause.at);
                let saved = merx_http::answer(StatusCode::OK, &view)?;
                key.complete(store.idempotency, tx, refund_id, &saved)?;
                Ok((begun, Some(saved)))
            })
            .await
    }
}
