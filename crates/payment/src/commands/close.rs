//! Close a payment: after it nothing can be paid any more, and only then may the stock be let go.

use std::time::Duration;

use merx_contracts::ids::{AttemptId, PaymentId};
use merx_kernel::{Result, Timestamp};

use super::settle_attempt::over_at;
use crate::{
    context::{Payments, load_payment, record},
    domain::{Command, Rejection, Status, decide},
    provider::CallRow,
    store,
};

/// When to ask again while the provider leaves us in doubt.
const DOUBT_RETRY: Duration = Duration::from_secs(15);

/// How a close ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Nothing can be paid any more.
    Closed,
    /// Money came in time; the close changed nothing.
    Captured,
    /// An attempt can still be paid; ask again then.
    Pending(Timestamp),
}

enum Step {
    Done(Closing),
    /// These attempts may still be paid, each until then at the latest.
    Open(Vec<(AttemptId, Timestamp)>),
}

impl Payments {
    /// Closes a payment. Without an attempt that may be paid that is one transaction; otherwise the provider is asked
    /// to close each of them first, and its word decides. A close before the open leaves a mark that refuses the open.
    ///
    /// # Errors
    /// What the database answers. A provider that does not answer makes it [`Closing::Pending`].
    pub async fn close(&self, payment_id: PaymentId) -> Result<Closing> {
        let open = match self.try_close(payment_id, Vec::new()).await? {
            Step::Done(closing) => return Ok(closing),
            Step::Open(open) => open,
        };
        let book = self.book();
        for (attempt_id, _) in open {
            if let Err(doubt) = self.settle_attempt(payment_id, attempt_id, true, &book).await {
                self.keep_calls(payment_id, &book).await?;
                if !doubt.kind().is_retryable() {
                    return Err(doubt);
                }
                tracing::warn!(payment = %payment_id, error = %doubt.chain(), "the provider left a close in doubt");
                return Ok(Closing::Pending(self.now().plus(DOUBT_RETRY)));
            }
        }
        match self.try_close(payment_id, book.take()).await? {
            Step::Done(closing) => Ok(closing),
            // Nothing to close yet: the buyer has the URL, but has not begun. The expiry that was sent decides.
            Step::Open(open) => {
                let over_at = open.into_iter().map(|(_, over_at)| over_at).max();
                let retry_at = self.now().plus(DOUBT_RETRY);
                Ok(Closing::Pending(over_at.map_or(retry_at, |over_at| over_at.max(retry_at))))
            }
        }
    }

    async fn try_close(&self, payment_id: PaymentId, calls: Vec<CallRow>) -> Result<Step> {
        let (store, cause) = (self.store(), self.cause());
        self.db()
            .write("payment.close", move |tx| {
                store::calls::record(tx, payment_id, &calls)?;
                let loaded = load_payment(&store, tx, payment_id)?;
                let open: Vec<_> =
                    loaded.state.payable_attempts().map(|(id, attempt)| (id, over_at(attempt))).collect();
                let (events, open) = match decide(&loaded.state, Command::Close) {
                    Err(Rejection::AttemptOpen) => {
                        (decide(&loaded.state, Command::RequestClose)?, Some(Step::Open(open)))
                    }
                    decided => (decided?, None),
                };
                let payment = record(&store, tx, payment_id, loaded, &events, &cause)?;
                Ok(match (open, payment.status) {
                    (Some(open), _) => open,
                    (None, Status::Captured | Status::Quarantined) => Step::Done(Closing::Captured),
                    (None, _) => Step::Done(Closing::Closed),
                })
            })
            .await
    }
}
