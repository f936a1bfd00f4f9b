//! Finds what no notification told us: asks the provider about attempts until each has ended for certain.

use std::time::Duration;

use merx_contracts::ids::PaymentId;
use merx_kernel::{Guard, Id, Result, Timestamp};
use merx_platform::timers::DueTimer;

use crate::{
    commands::{Settled, first_look_after, over_at},
    context::{Payments, attempts_timer, by_age, load_payment},
    domain::{Attempt, Payment, Status},
    store::{
        self,
        alerts::{self, Resolved},
    },
};

/// The kind of the timer.
pub(super) const KIND: &str = "attempts";

/// When to look again while the provider leaves us in doubt.
const DOUBT_LOOK_AFTER: Duration = Duration::from_secs(60);
/// The wait between two looks doubles to this while the buyer may pay: money whose notification was lost is found
/// within five minutes.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(240);
/// An attempt that has expired and is still not settled is asked about this often at the least.
const OVERDUE_LOOK_EVERY_MAX: Duration = Duration::from_secs(600);
/// An attempt that is not settled this long after its expiry raises an alert; it is still asked about.
const UNSETTLED_AFTER: Duration = Duration::from_secs(900);
const UNSETTLED: &str = "payment_attempt_unsettled";
/// What settles that alert.
const SETTLED: &str = "The provider has answered.";
/// How long after its expiry an attempt that ended unpaid is looked at for the last time: money that lands after the
/// close, with its notification lost, is found then.
const LAST_LOOK_AFTER: Duration = Duration::from_secs(900);

fn last_look_at(attempt: &Attempt) -> Timestamp {
    attempt.expires_at.plus(LAST_LOOK_AFTER)
}

/// When an attempt is to be looked at next; `None` when there is nothing more to learn.
fn next_look(payment: &Payment, now: Timestamp) -> Option<Timestamp> {
    let looks = payment.attempts.iter().filter_map(|(id, attempt)| {
        if payment.capture_of(*id).is_some() {
            return None;
        }
        let (over_at, last) = (over_at(attempt), last_look_at(attempt));
        if attempt.end.is_some() {
            // The look at or after `last` is the last one.
            return (now < last).then_some(last);
        }
        let age = now.since(attempt.started_at);
        if now < over_at {
            return Some(
                now.plus(by_age(age, first_look_after(attempt.method), LOOK_EVERY_MAX)).min(over_at),
            );
        }
        Some(now.plus(by_age(now.since(over_at), DOUBT_LOOK_AFTER, OVERDUE_LOOK_EVERY_MAX)))
    });
    looks.min()
}

impl Payments {
    /// Asks about every attempt of a payment that may still bring money, and sets the timer anew while there is one.
    ///
    /// # Errors
    /// What the database answers; a provider that does not answer is asked again later.
    pub(super) async fn poll_attempts(&self, due: DueTimer) -> Result<()> {
        let payment_id: PaymentId = Id::from_bits(due.key());
        let payment = self.read(payment_id).await?;
        let (mut doubtful, mut settled, book) = (false, Vec::new(), self.book());
        for (id, attempt) in payment.attempts.iter().filter(|_| Guard::AttemptPoller.on()) {
            let ended = attempt.end.is_some();
            if payment.capture_of(*id).is_some() || (ended && self.now() < last_look_at(attempt)) {
                continue;
            }
            // An order that wants no money any more, or has it from another attempt, wants none from this one; nor
            // does one whose buyer has chosen another way.
            let close = payment.status != Status::Open || attempt.superseded_by.is_some();
            let overdue = self.now() >= attempt.expires_at.plus(UNSETTLED_AFTER);
            match self.settle_attempt(payment_id, *id, close, &book).await {
                Ok(Settled::Captured | Settled::Ended) if overdue => settled.push(id.to_string()),
                Ok(_) => {}
                Err(doubt) => {
                    tracing::warn!(attempt = %id, error = %doubt.chain(), "the provider left an attempt in doubt");
                    doubtful = true;
                    if overdue {
                        let detail = serde_json::json!({ "attempt_id": id });
                        self.raise(self.alert(UNSETTLED, Some(payment_id), detail).about(id)).await?;
                    }
                }
            }
        }
        let (store, now, calls) = (self.store(), self.now(), book.take());
        let prune = self.is_pruning_due();
        self.db()
            .write("payment.poll", move |tx| {
                store::calls::record(tx, payment_id, &calls)?;
                let resolved = Resolved { at: now, by: None, reason: SETTLED.to_owned() };
                settled.iter().try_for_each(|id| alerts::settle(tx, &[UNSETTLED], id, &resolved))?;
                if prune {
                    store::calls::forget(tx, now)?;
                }
                if !due.fired(tx)? {
                    return Ok(());
                }
                // Read again: an attempt may have begun or ended meanwhile.
                let payment = load_payment(&store, tx, payment_id)?.state;
                let retry = doubtful.then(|| now.plus(DOUBT_LOOK_AFTER));
                match next_look(&payment, now).into_iter().chain(retry).min() {
                    Some(next) => store.timers.schedule(tx, attempts_timer(payment_id), next),
                    None => Ok(()),
                }
            })
            .await
    }
}
