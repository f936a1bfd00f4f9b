//! A person says that money came which no provider moves, or that it was paid back: the bank's statement, the carrier's
//! cash. In the place of a provider's signature stand who said so, the reference and the reason.

use http::StatusCode;
use merx_contracts::ids::{AccountId, AttemptId, AttemptKind, PaymentId, RefundId, RefundKind};
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::{BoundedText, Money, Result};
use merx_platform::store::Saved;
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
    domain::{Command, ProviderName, Rejection, decide, is_payable},
    queries::{ConfirmationView, RefundSummary},
    store::{
        self,
        offline::{self, Confirmed, ReceiptKind},
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
    let (reference, reason) = (reference.into_string(), reason.into_string());
    Confirmed { reference, reason, by: actor, at: cause.at }
}

impl Payments {
    /// Books money that staff has seen for an attempt, once; money for a payment that was closed or paid meanwhile is late
    /// or double, as any other. Key, receipt, event, projection, fact, record of who said so and answer are one transaction.
    ///
    /// # Errors
    /// `payment.not_found`, `payment.attempt_unknown`, `payment.not_offline`, `payment.already_captured` when it was
    /// confirmed before, `payment.amount_not_payable` for another currency or nothing at all,
    /// `request.idempotency_key_reused`.
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
        let (amount, provider, receipt) = (said.amount, ProviderName::Offline, receipt_id.bare());
        let odd =
            self.odd_money(payment_id, Report { attempt_id, amount, provider, provider_trade_no: receipt });
        let said = confirmed(actor, said.reference, said.reason, &cause);
        let done = self
            .db()
            .write("payment.confirm_money", move |tx| {
                let begun = key.begin(store.idempotency, tx, attempt_id, cause.at)?;
                if matches!(begun, Begun::Repeated { .. }) {
                    return Ok((begun, None, None));
                }
                let loaded = load_payment(&store, tx, payment_id)?;
                loaded.state.terms.as_ref().ok_or(Rejection::PaymentUnknown)?;
                let attempt = loaded.state.attempts.get(&attempt_id).ok_or(Rejection::AttemptUnknown)?;
                if attempt.provider != ProviderName::Offline {
                    return Err(Rejection::NotOffline.into());
                }
                if !is_payable(amount) {
                    return Err(Rejection::AmountNotPayable.into());
                }
                if loaded.state.capture_of(attempt_id).is_some()
                    || !offline::confirm(tx, attempt_id, receipt_id, amount, &said)?
                {
                    return Err(Rejection::AlreadyCaptured.into());
                }
                let provider_trade_no = receipt_id.bare();
                let command = Command::Capture { attempt_id, amount, provider_trade_no };
                let events = decide(&loaded.state, command)?;
                let payment = record(&store, tx, payment_id, loaded, &events, &cause)?;
                let mut told = facts(payment_id, &payment, &events, &cause)?;
                let detail = json!({ "payment_id": payment_id, "amount": amount, "receipt_id": receipt_id });
                let staff = cause.clone().telling_by(staff_message);
                let (object, why) = (attempt_id.to_string(), Some(said.reason.clone()));
                told.push(acted(&staff, actor, "payment.money_confirmed", object, why, detail)?);
                store.outbox.publish(tx, &told)?;
                let capture = payment.capture_of(attempt_id).ok_or(Rejection::AttemptUnknown)?;
                let alerted = odd.keep(tx, capture)?;
                let view = ConfirmationView::of(payment_id, capture, receipt_id, &said);
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
                offline::confirm_refund(tx, refund_id, &said)?;
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
