//! Ask the provider where an attempt stands, and record what it says. The one way any doubt about an attempt ends.

use std::time::Duration;

use merx_contracts::ids::{AttemptId, PaymentId};
use merx_kernel::{Result, Timestamp};

use super::capture::{Captured, Report};
use crate::{
    context::{Payments, load_payment, record},
    domain::{Attempt, AttemptEnd, Command, Rejection, decide},
    provider::Trade,
};

/// How far the provider's clock may be behind ours before we would call an attempt expired too early.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(10);

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Its money came.
    Captured,
    /// Nothing more can come of it.
    Ended,
    /// The buyer may still pay.
    Open,
}

/// From when an attempt that the provider does not know can never be begun any more.
pub(crate) fn over_at(attempt: &Attempt) -> Timestamp {
    attempt.expires_at.plus(CLOCK_SKEW_MAX)
}

impl Payments {
    /// Asks the provider about an attempt. With `close`, or once the attempt has expired, what the buyer has begun
    /// is closed.
    ///
    /// # Errors
    /// `payment.provider_unavailable`: nobody knows, ask again; what the database answers.
    pub async fn settle_attempt(
        &self,
        payment_id: PaymentId,
        attempt_id: AttemptId,
        close: bool,
    ) -> Result<Settled> {
        let payment = self.read(payment_id).await?;
        let attempt = payment.attempts.get(&attempt_id).ok_or(Rejection::AttemptUnknown)?;
        if payment.capture_of(attempt_id).is_some() {
            return Ok(Settled::Captured);
        }
        let over = self.now() >= over_at(attempt);
        let mut trade = self.provider().query(attempt_id, self.now()).await?;
        if trade == Trade::Waiting && (close || over) {
            trade = match self.provider().close(attempt_id, self.now()).await? {
                true => Trade::Closed,
                // Refused: the buyer was faster. Only the query says so for certain.
                false => self.provider().query(attempt_id, self.now()).await?,
            };
        }
        match trade {
            Trade::Paid { amount, provider_trade_no } => {
                let report = Report { attempt_id, amount, provider_trade_no };
                match self.capture(payment_id, report, None).await? {
                    Captured::Now | Captured::Before => Ok(Settled::Captured),
                    // The alert is raised; a person decides. Until then it counts as payable.
                    Captured::Refused(_) => Ok(Settled::Open),
                }
            }
            Trade::Closed => self.end_attempt(payment_id, attempt_id, AttemptEnd::TradeClosed).await,
            Trade::Absent if over => self.end_attempt(payment_id, attempt_id, AttemptEnd::Expired).await,
            Trade::Absent | Trade::Waiting => Ok(Settled::Open),
        }
    }

    async fn end_attempt(
        &self,
        payment_id: PaymentId,
        attempt_id: AttemptId,
        end: AttemptEnd,
    ) -> Result<Settled> {
        let (store, now) = (self.store(), self.now());
        self.db()
            .write("payment.end_attempt", move |tx| {
                let loaded = load_payment(&store, tx, payment_id)?;
                let events = decide(&loaded.state, Command::CloseAttempt { attempt_id, end })?;
                let payment = record(&store, tx, payment_id, loaded, &events, now)?;
                let captured = payment.capture_of(attempt_id).is_some();
                Ok(if captured { Settled::Captured } else { Settled::Ended })
            })
            .await
    }
}
