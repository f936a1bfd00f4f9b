//! Finds what no notification told us: asks the provider about attempts until each has ended for certain.

use std::time::Duration;

use merx_contracts::ids::PaymentId;
use merx_kernel::{Id, Result, Timestamp};
use merx_platform::timers::DueTimer;

use crate::{
    commands::{FIRST_LOOK_AFTER, over_at},
    context::{Payments, attempts_timer, by_age, load_payment},
    domain::{Attempt, Payment, Status},
};

/// The kind of the timer.
pub(super) const KIND: &str = "attempts";

/// The wait between two looks doubles to this while the buyer may pay: money whose notification was lost is found
/// within five minutes.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(240);
/// An attempt that has expired and is still not settled is asked about this often at the least.
const OVERDUE_LOOK_EVERY_MAX: Duration = Duration::from_secs(600);
/// An attempt that is not settled this long after its expiry raises an alert; it is still asked about.
const UNSETTLED_AFTER: Duration = Duration::from_secs(900);
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
            return Some(now.plus(by_age(age, FIRST_LOOK_AFTER, LOOK_EVERY_MAX)).min(over_at));
        }
        Some(now.plus(by_age(now.since(over_at), FIRST_LOOK_AFTER, OVERDUE_LOOK_EVERY_MAX)))
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
        // An order that wants no money any more, or has it from another attempt, wants none from this one.
        let close = payment.status != Status::Open;
        let mut doubtful = false;
        for (id, attempt) in &payment.attempts {
            let ended = attempt.end.is_some();
            if payment.capture_of(*id).is_some() || (ended && self.now() < last_look_at(attempt)) {
                continue;
            }
            if let Err(doubt) = self.settle_attempt(payment_id, *id, close).await {
                tracing::warn!(attempt = %id, error = %doubt.chain(), "the provider left an attempt in doubt");
                doubtful = true;
                if self.now() >= attempt.expires_at.plus(UNSETTLED_AFTER) {
                    let detail = serde_json::json!({ "attempt_id": id });
                    self.raise("payment_attempt_unsettled", Some(payment_id), detail).await?;
                }
            }
        }
        let (store, now) = (self.store(), self.now());
        self.db()
            .write("payment.poll", move |tx| {
                if !due.fired(tx)? {
                    return Ok(());
                }
                // Read again: an attempt may have begun or ended meanwhile.
                let payment = load_payment(&store, tx, payment_id)?.state;
                let retry = doubtful.then(|| now.plus(FIRST_LOOK_AFTER));
                match next_look(&payment, now).into_iter().chain(retry).min() {
                    Some(next) => store.timers.schedule(tx, attempts_timer(payment_id), next),
                    None => Ok(()),
                }
            })
            .await
    }
}
