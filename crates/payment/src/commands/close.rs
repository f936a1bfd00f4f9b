//! Close a payment: after it nothing can be paid any more, and only then may the stock be let go.

use std::time::Duration;

use merx_contracts::ids::{AttemptId, PaymentId};
use merx_kernel::{Result, Timestamp};

use super::settle_attempt::over_at;
use crate::{
    context::{Payments, load_payment, record},
    domain::{Command, Rejection, Status, decide},
};

/// When to ask again while the provider leaves us in doubt.
const DOUBT_RETRY: Duration = Duration::from_secs(15);

/// How a close ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Nothing can be paid any more.
    Closed,
    /// It was paid in time; the close changed nothing.
    Captured,
    /// An attempt can still be paid; ask again then.
    Pending(Timestamp),
}

enum Step {
    Done(Closing),
    /// An attempt is open at the provider; so it can be paid until then at the latest.
    Open(AttemptId, Timestamp),
}

impl Payments {
    /// Closes a payment. Without an open attempt that is one transaction; otherwise the provider is asked to close
    /// the attempt first, and its word decides. A close before the open leaves a mark that refuses the open.
    ///
    /// # Errors
    /// What the database answers. A provider that does not answer makes it [`Closing::Pending`].
    pub async fn close(&self, payment_id: PaymentId) -> Result<Closing> {
        let (attempt_id, over_at) = match self.try_close(payment_id).await? {
            Step::Done(closing) => return Ok(closing),
            Step::Open(attempt_id, over_at) => (attempt_id, over_at),
        };
        if let Err(doubt) = self.settle_attempt(payment_id, attempt_id, true).await {
            if !doubt.kind().is_retryable() {
                return Err(doubt);
            }
            tracing::warn!(payment = %payment_id, error = %doubt.chain(), "the provider left a close in doubt");
            return Ok(Closing::Pending(self.now().plus(DOUBT_RETRY)));
        }
        match self.try_close(payment_id).await? {
            Step::Done(closing) => Ok(closing),
            // Nothing to close yet: the buyer has the URL, but has not begun. The expiry that was sent decides.
            Step::Open(..) => Ok(Closing::Pending(over_at.max(self.now().plus(DOUBT_RETRY)))),
        }
    }

    async fn try_close(&self, payment_id: PaymentId) -> Result<Step> {
        let (store, now) = (self.store(), self.now());
        self.db()
            .write("payment.close", move |tx| {
                let loaded = load_payment(&store, tx, payment_id)?;
                let open = loaded.state.open_attempt().map(|(id, attempt)| Step::Open(id, over_at(attempt)));
                let (events, open) = match (decide(&loaded.state, Command::Close), open) {
                    (Err(Rejection::AttemptOpen), Some(open)) => {
                        (decide(&loaded.state, Command::RequestClose)?, Some(open))
                    }
                    (decided, _) => (decided?, None),
                };
                let payment = record(&store, tx, payment_id, loaded, &events, now)?;
                Ok(match (open, payment.status) {
                    (Some(open), _) => open,
                    (None, Status::Captured) => Step::Done(Closing::Captured),
                    (None, _) => Step::Done(Closing::Closed),
                })
            })
            .await
    }
}
