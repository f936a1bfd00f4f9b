//! A person has mended what made the provider refuse a refund: it is tried again, under the same identity.

use http::StatusCode;
use merx_contracts::ids::{AccountId, RefundId, RefundKind};
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::Result;
use merx_platform::store::Saved;
use serde_json::json;

use super::resolve::acted;
use crate::{
    context::{Payments, load_payment, record, refunds_timer},
    domain::{Command, Rejection, decide},
    queries::RefundSummary,
    store,
};

impl Payments {
    /// Takes a refund up again that failed for good, and makes one that is under way due at once. Key, event, row,
    /// timer, record of who did it and answer are one transaction.
    ///
    /// # Errors
    /// `payment.refund_unknown`, `payment.refund_settled` when the money is back already,
    /// `payment.refund_above_captured` when another refund has taken its place, `request.idempotency_key_reused`.
    pub async fn retry_refund(
        &self,
        actor: AccountId,
        refund_id: RefundId,
        key: IdempotencyKey,
    ) -> Result<(Begun<RefundKind>, Option<Saved>)> {
        let (store, cause) = (self.store(), self.telling().of(actor));
        self.db()
            .write("payment.retry_refund", move |tx| {
                let begun = key.begin(store.idempotency, tx, refund_id, cause.at)?;
                if matches!(begun, Begun::Repeated { .. }) {
                    return Ok((begun, None));
                }
                let payment_id = store::payment_of_refund(tx, refund_id)?.ok_or(Rejection::RefundUnknown)?;
                let loaded = load_payment(&store, tx, payment_id)?;
                let events = decide(&loaded.state, Command::RetryRefund { refund_id, at: cause.at })?;
                let payment = record(&store, tx, payment_id, loaded, &events, &cause)?;
                store.timers.schedule(tx, refunds_timer(payment_id), cause.at)?;
                let refund = payment.refunds.get(&refund_id).ok_or(Rejection::RefundUnknown)?;
                let detail = json!({ "payment_id": payment_id, "amount": refund.amount });
                let told =
                    acted(&cause, actor, "payment.refund_retried", refund_id.to_string(), None, detail)?;
                store.outbox.publish(tx, &[told])?;
                let view = RefundSummary::under_way(refund_id, refund);
                let saved = merx_http::answer(StatusCode::ACCEPTED, &view)?;
                key.complete(store.idempotency, tx, refund_id, &saved)?;
                Ok((begun, Some(saved)))
            })
            .await
    }
}
