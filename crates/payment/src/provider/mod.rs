//! The port to whoever moves the money. What a provider says is a fact to decide on; where it leaves a doubt it
//! answers an error, and the caller asks again.

mod alipay;
mod calls;
mod outbound;

use async_trait::async_trait;
use merx_contracts::ids::{AttemptId, RefundId};
use merx_kernel::{Money, Result, Timestamp};

pub use alipay::Alipay;
pub use calls::{About, CallBook, CallId, CallKind, CallRow};
pub use outbound::{InProcess, Network, Outbound};

use crate::domain::ProviderName;

/// What a buyer is sent to the cashier with.
#[derive(Clone, Debug)]
pub struct PayOrder<'a> {
    /// Its bare form is our order number at the provider.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// What the cashier shows.
    pub subject: &'a str,
    /// When the attempt began: signed with the order, so that asking again gives the same URL.
    pub started_at: Timestamp,
    /// When the cashier stops taking money.
    pub expires_at: Timestamp,
}

/// What is asked when money goes back.
#[derive(Clone, Debug)]
pub struct RefundOrder {
    /// Whose money.
    pub attempt_id: AttemptId,
    /// Its bare form is the request number at the provider: under one number money moves once.
    pub refund_id: RefundId,
    /// How much.
    pub amount: Money,
    /// A word for the provider's record.
    pub reason: String,
}

/// Where an attempt stands at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trade {
    /// The buyer has not begun: there is nothing to close, and until the expiry there may yet be.
    Absent,
    /// The buyer has begun and not paid.
    Waiting,
    /// Ended without our money.
    Closed,
    /// The provider has the money for us.
    Paid {
        /// How much.
        amount: Money,
        /// The provider's own number.
        provider_trade_no: String,
    },
}

/// What became of the wish for a QR code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// The text of the code.
    Code(String),
    /// There is a trade under the number already: asking about it says where it stands.
    Begun,
    /// The provider refuses for good; no code was made.
    Refused {
        /// The provider's code.
        code: String,
    },
}

/// What became of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundAnswer {
    /// The money went back.
    Succeeded,
    /// Not yet, or not known; the text says why, for the log.
    Pending(String),
    /// The provider refuses for good.
    Failed {
        /// The provider's code.
        code: String,
    },
}

/// A payment provider. Every error means that the outcome is not known.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Which one.
    fn name(&self) -> ProviderName;

    /// The signed URL of the cashier; the same order gives the same URL.
    ///
    /// # Errors
    /// `Invalid` for an order the provider would not take.
    fn pay_url(&self, order: &PayOrder<'_>) -> Result<String>;

    /// The QR code of an attempt. It makes no trade: asking again is harmless, and who has no code cannot pay.
    ///
    /// # Errors
    /// As [`Self::query`]; `Invalid` for an order the provider would not take.
    async fn precreate(&self, order: &PayOrder<'_>, book: &CallBook) -> Result<Prepared>;

    /// Where an attempt stands: the arbiter after any doubt. The call is noted in `book`, as those of all methods are.
    ///
    /// # Errors
    /// The provider did not answer, or not to be believed.
    async fn query(&self, attempt_id: AttemptId, book: &CallBook) -> Result<Trade>;

    /// Ends an attempt that the buyer has begun and not paid. `true` when it is closed for certain; `false` when
    /// the provider refused, and then [`Self::query`] tells why.
    ///
    /// # Errors
    /// As [`Self::query`].
    async fn close(&self, attempt_id: AttemptId, book: &CallBook) -> Result<bool>;

    /// Gives money back, once under the refund's id however often it is asked.
    ///
    /// # Errors
    /// As [`Self::query`].
    async fn refund(&self, order: &RefundOrder, book: &CallBook) -> Result<RefundAnswer>;
}
