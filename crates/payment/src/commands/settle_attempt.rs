//! Ask the provider where an attempt stands, and record what it says. The one way any doubt about an attempt ends.

use std::time::Duration;

use merx_contracts::ids::{AttemptId, PaymentId};
use merx_kernel::{Result, Timestamp};

use super::capture::{Captured, Report};
use crate::{
    context::{Payments, load_payment, record},
    domain::{Attempt, AttemptEnd, Command, Rejection, decide},
    provider::{CallBook, Trade},
    store,
};

/// How far the provider's clock may be behind ours before we would call an attempt expired too early.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(10);

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Its money came.
    Captured,
    /// Nothing more can come of it.
    Ended,
    /// The provider does not know it yet: there is nothing to close, and until its expiry the buyer may begin.
    Absent,
    /// The buyer has begun and may pay, or has paid what cannot be booked.
    Open,
}

/// From when an attempt that the provider does not know can never be begun any more.
pub(crate) fn over_at(attempt: &Attempt) -> Timestamp {
    attempt.expires_at.plus(CLOCK_SKEW_MAX)
}

impl Payments {
    /// Asks the provider about an attempt. With `close`, or once the attempt has expired, what the buyer has begun
    /// is closed. The calls are in `book`; the caller keeps them.
    ///
    /// # Errors
    /// `payment.provider_unavailable`: nobody knows, ask again; what the database answers.
    pub(crate) async fn settle_attempt(
        &self,
        payment_id: PaymentId,
        attempt_id: AttemptId,
        close: bool,
        book: &CallBook,
    ) -> Result<Settled> {
        let payment = self.read(payment_id).await?;
        let attempt = payment.attempts.get(&attempt_id).ok_or(Rejection::AttemptUnknown)?;
        if payment.capture_of(attempt_id).is_some() {
            return Ok(Settled::Captured);
        }
        let over = self.now() >= over_at(attempt);
        let provider = self.provider_of(attempt.provider)?;
        let mut trade = provider.query(attempt_id, book).await?;
        if trade == Trade::Waiting && (close || over) {
            trade = match provider.close(attempt_id, book).await? {
                true => Trade::Closed,
                // Refused: the buyer was faster. Only the query says so for certain.
                false => provider.query(attempt_id, book).await?,
            };
        }
        let by = book.latest().map(|call| call.to_string());
        let end = |end| self.end_attempt(payment_id, attempt_id, end, by.clone());
        match trade {
            Trade::Paid { amount, provider_trade_no } => {
                let report = Report { attempt_id, amount, provider: provider.name(), provider_trade_no };
                match self.capture(payment_id, report, None, by.clone()).await? {
                    Captured::Now | Captured::Before => Ok(Settled::Captured),
                    // The alert is raised; a person decides. Until then it counts as payable.
                    Captured::Refused(_) => Ok(Settled::Open),
                }
            }
            Trade::Closed => end(AttemptEnd::TradeClosed).await,
            Trade::Absent if over => end(AttemptEnd::Expired).await,
            // Its code never left our hands, and does not once this is recorded: nobody can begin it.
            Trade::Absent if close && attempt.is_unoffered() => end(AttemptEnd::NotOffered).await,
            Trade::Absent => Ok(Settled::Absent),
            Trade::Waiting => Ok(Settled::Open),
        }
    }

    /// Records that nothing more can come of an attempt, unless its money came.
    ///
    /// # Errors
    /// What the database answers.
    pub(crate) async fn end_attempt(
        &self,
        payment_id: PaymentId,
        attempt_id: AttemptId,
        end: AttemptEnd,
        by: Option<String>,
    ) -> Result<Settled> {
        let (store, cause) = (self.store(), self.cause().after(by));
        self.db()
            .write("payment.end_attempt", move |tx| {
                let loaded = load_payment(&store, tx, payment_id)?;
                let attempt = loaded.state.attempts.get(&attempt_id).ok_or(Rejection::AttemptUnknown)?;
                // Its code may have been handed out since it was asked about.
                if end == AttemptEnd::NotOffered && !attempt.is_unoffered() {
                    return Ok(Settled::Absent);
                }
                let events = decide(&loaded.state, Command::CloseAttempt { attempt_id, end })?;
                let payment = record(&store, tx, payment_id, loaded, &events, &cause)?;
                let captured = payment.capture_of(attempt_id).is_some();
                Ok(if captured { Settled::Captured } else { Settled::Ended })
            })
            .await
    }

    /// Keeps the calls of a piece of work that wrote nothing else.
    ///
    /// # Errors
    /// What the database answers.
    pub(crate) async fn keep_calls(&self, payment_id: PaymentId, book: &CallBook) -> Result<()> {
        let calls = book.take();
        if calls.is_empty() {
            return Ok(());
        }
        self.db().write("payment.calls", move |tx| store::calls::record(tx, payment_id, &calls)).await
    }
}
