//! Carries a payment's refunds to their end, one after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use merx_contracts::ids::{PaymentId, RefundId};
use merx_kernel::{Id, Result};
use merx_platform::timers::DueTimer;

use crate::{
    context::{Payments, load_payment, refunds_timer},
    domain::{Payment, Refund, RefundState},
    store,
};

/// The kind of the timer.
pub(super) const KIND: &str = "refunds";

/// The provider wants three seconds between two refunds of one trade.
const BETWEEN_REFUNDS: Duration = Duration::from_secs(3);

fn under_way(payment: &Payment) -> impl Iterator<Item = (RefundId, &Refund)> {
    payment.refunds.iter().filter(|(_, r)| r.state == RefundState::Requested).map(|(id, r)| (*id, r))
}

impl Payments {
    /// Tries every refund of a payment that is under way, one for each trade, and sets the timer anew while there
    /// are some.
    ///
    /// # Errors
    /// What the database answers; a provider that does not answer is asked again later.
    pub(super) async fn drive_refunds(&self, due: DueTimer) -> Result<()> {
        let payment_id: PaymentId = Id::from_bits(due.key());
        let payment = self.read(payment_id).await?;
        let mut trades = BTreeSet::new();
        let mut waits: BTreeMap<RefundId, Duration> = BTreeMap::new();
        let book = self.book();
        for (refund_id, refund) in under_way(&payment) {
            let wait = if trades.insert(refund.attempt_id) {
                self.try_refund(payment_id, refund_id, refund, &book).await?
            } else {
                Some(BETWEEN_REFUNDS)
            };
            waits.extend(wait.map(|wait| (refund_id, wait)));
        }
        let (store, now, calls) = (self.store(), self.now(), book.take());
        self.db()
            .write("payment.drive_refunds", move |tx| {
                store::calls::record(tx, payment_id, &calls)?;
                if !due.fired(tx)? {
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
