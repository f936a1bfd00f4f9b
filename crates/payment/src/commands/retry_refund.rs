//! A person has mended what made the provider refuse a refund: it is tried again, under the same identity.

use http::StatusCode;
use merx_contracts::ids::{RefundId, RefundKind};
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::Result;
use merx_platform::store::Saved;

use crate::{
    context::{Payments, load_payment, record, refunds_timer},
    domain::{Command, Rejection, decide},
    queries::RefundSummary,
    store,
};

impl Payments {
    /// Takes a refund up again that failed for good, and makes one that is under way due at once. Key, event, row,
    /// timer and answer are one transaction.
    ///
    /// # Errors
    /// `payment.refund_unknown`, `payment.refund_settled` when the money is back already,
    /// `payment.refund_above_captured` when another refund has taken its place, `request.idempotency_key_reused`.
    pub async fn retry_refund(
        &self,
        refund_id: RefundId,
        key: IdempotencyKey,
    ) -> Result<(Begun<RefundKind>, Option<Saved>)> {
        let (store, now) = (self.store(), self.now());
        self.db()
            .write("payment.retry_refund", move |tx| {
                let begun = key.begin(store.idempotency, tx, refund_id, now)?;
                if matches!(begun, Begun::Repeated { .. }) {
                    return Ok((begun, None));
                }
                let payment_id = store::payment_of_refund(tx, refund_id)?.ok_or(Rejection::RefundUnknown)?;
                let loaded = load_payment(&store, tx, payment_id)?;
                let events = decide(&loaded.state, Command::RetryRefund { refund_id, at: now })?;
                let payment = record(&store, tx, payment_id, loaded, &events, now)?;
                store.timers.schedule(tx, refunds_timer(payment_id), now)?;
                let refund = payment.refunds.get(&refund_id).ok_or(Rejection::RefundUnknown)?;
                let view = RefundSummary::of(refund_id, refund);
                let saved = merx_http::answer(StatusCode::ACCEPTED, &view)?;
                key.complete(store.idempotency, tx, refund_id, &saved)?;
                Ok((begun, Some(saved)))
            })
            .await
    }
}
