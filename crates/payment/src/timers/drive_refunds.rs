//! Carries a payment's refunds to their end, one after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use merx_contracts::ids::{PaymentId, RefundId};
use merx_kernel::{Id, Result, Timestamp};
use merx_platform::timers::DueTimer;

use crate::{
    commands::retry_after,
    context::{Payments, load_payment, refunds_timer},
    domain::{Payment, ProviderName, Refund, RefundState},
    store,
};

/// The kind of the timer.
pub(super) const KIND: &str = "refunds";

/// The provider wants three seconds between two refunds of one trade.
const BETWEEN_REFUNDS: Duration = Duration::from_secs(3);

fn under_way(payment: &Payment) -> impl Iterator<Item = (RefundId, &Refund)> {
    payment.refunds.iter().filter(|(_, r)| r.state == RefundState::Requested).map(|(id, r)| (*id, r))
}

/// When a refund is due by its own age; at once when it has not been tried since it was asked for.
fn due_at(refund: &Refund, tried_at: Option<Timestamp>) -> Timestamp {
    match tried_at.filter(|tried_at| *tried_at >= refund.requested_at) {
        Some(tried_at) => tried_at.plus(retry_after(tried_at.since(refund.requested_at))),
        None => refund.requested_at,
    }
}

/// Whoever has the money; a refund is of an attempt that brought some.
fn provider_of(payment: &Payment, refund: &Refund) -> ProviderName {
    payment.attempts.get(&refund.attempt_id).map_or(ProviderName::Alipay, |attempt| attempt.provider)
}

impl Payments {
    /// Tries every refund of a payment that is under way, one for each trade, and sets the timer anew while there
    /// are some. Of one trade the one that is due first is tried, so that one that is stuck keeps no other back.
    ///
    /// # Errors
    /// What the database answers; a provider that does not answer is asked again later.
    pub(super) async fn drive_refunds(&self, timer: DueTimer) -> Result<()> {
        let payment_id: PaymentId = Id::from_bits(timer.key());
        let store = self.store();
        let read = move |q: &mut merx_sql::Reader<'_>| {
            Ok((load_payment(&store, q, payment_id)?.state, store::calls::refunds_tried(q, payment_id)?))
        };
        let (payment, tried) = self.db().read("payment.refunds", read).await?;
        let due = |id: RefundId, refund: &Refund| due_at(refund, tried.get(&id).copied());
        let mut open: Vec<_> =
            under_way(&payment).map(|(id, refund)| (due(id, refund), id, refund)).collect();
        open.sort_by_key(|(due_at, id, _)| (*due_at, *id));
        let mut trades = BTreeSet::new();
        let mut waits: BTreeMap<RefundId, Duration> = BTreeMap::new();
        let book = self.book();
        for (due_at, refund_id, refund) in open {
            let wait = if trades.insert(refund.attempt_id) {
                self.try_refund(payment_id, refund_id, refund, provider_of(&payment, refund), &book).await?
            } else {
                Some(due_at.since(self.now()).max(BETWEEN_REFUNDS))
            };
            waits.extend(wait.map(|wait| (refund_id, wait)));
        }
        let (store, now, calls) = (self.store(), self.now(), book.take());
        self.db()
            .write("payment.drive_refunds", move |tx| {
                store::calls::record(tx, payment_id, &calls)?;
                if !timer.fired(tx)? {
                    return Ok(());
                }
                // Read again: a refund that was asked for meanwhile, or again, has not been tried and is due at once.
                let payment = load_payment(&store, tx, payment_id)?.state;
                let waits = under_way(&payment).map(|(id, _)| waits.get(&id).copied().unwrap_or_default());
                match waits.min() {
                    Some(wait) => store.timers.schedule(tx, refunds_timer(payment_id), now.plus(wait)),
                    None => Ok(()),
                }
            })
            .await
    }
}
