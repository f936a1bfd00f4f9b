//! What has happened to a payment.

use merx_contracts::ids::{AccountId, AttemptId, OrderId, RefundId};
use merx_kernel::{Error, Money, Result, Timestamp};
use merx_platform::aggregate::DomainEvent;
use serde::{Deserialize, Serialize};

/// Who moves the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderName {
    /// Alipay, by its open API.
    Alipay,
}

impl ProviderName {
    /// The stored and public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alipay => "alipay",
        }
    }
}

/// Why nothing more can come of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    /// The provider closed its trade, unpaid.
    TradeClosed,
    /// The buyer never came to the cashier, and the time that was sent with the request is over.
    Expired,
}

/// An event of a payment's stream. Shapes are never changed, only followed by a new schema that is upcast on read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", content = "body")]
pub enum PaymentEvent {
    /// The buyer may pay until the deadline.
    PaymentOpened {
        /// What it pays for.
        order_id: OrderId,
        /// Who may pay.
        buyer: AccountId,
        /// How much is owed.
        amount: Money,
        /// No attempt outlives it.
        deadline: Timestamp,
        /// What the cashier shows.
        subject: String,
    },
    /// The buyer was sent to a provider's cashier.
    AttemptStarted {
        /// Its bare form is our order number at the provider.
        attempt_id: AttemptId,
        /// Whose cashier.
        provider: ProviderName,
        /// How much is asked.
        amount: Money,
        /// When it began.
        started_at: Timestamp,
        /// Sent to the provider: after it nobody can begin to pay.
        expires_at: Timestamp,
    },
    /// Nothing more can come of an attempt.
    AttemptClosed {
        /// Which.
        attempt_id: AttemptId,
        /// Why.
        end: AttemptEnd,
    },
    /// The provider has the buyer's money for us.
    PaymentCaptured {
        /// The attempt that brought it.
        attempt_id: AttemptId,
        /// How much.
        amount: Money,
        /// Who holds it.
        provider: ProviderName,
        /// The provider's own number.
        provider_trade_no: String,
        /// The payment was closed before.
        late: bool,
        /// Other money had been captured before.
        duplicate: bool,
    },
    /// The order wants no money any more, but an attempt is still open at the provider.
    CloseRequested {},
    /// Nothing can be paid any more. As the first event of a stream it refuses the open that comes after it.
    PaymentClosed {},
    /// Money shall go back.
    RefundRequested {
        /// Its bare form is the request number at the provider.
        refund_id: RefundId,
        /// Whose money.
        attempt_id: AttemptId,
        /// How much.
        amount: Money,
        /// A word for the provider's record; no personal data.
        reason: String,
        /// When it was asked.
        requested_at: Timestamp,
    },
    /// The provider confirmed that the money went back.
    RefundSucceeded {
        /// Which.
        refund_id: RefundId,
        /// Whose money.
        attempt_id: AttemptId,
        /// How much.
        amount: Money,
        /// Who gave it back.
        provider: ProviderName,
    },
    /// The provider refuses for good; a person must look.
    RefundFailed {
        /// Which.
        refund_id: RefundId,
        /// The provider's code.
        code: String,
    },
    /// A person wants a refund tried again that the provider had refused for good.
    RefundRetried {
        /// Which.
        refund_id: RefundId,
        /// When it was asked for again.
        requested_at: Timestamp,
    },
}

/// The version of the shapes above.
const SCHEMA: i64 = 1;

impl DomainEvent for PaymentEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::PaymentOpened { .. } => "PaymentOpened",
            Self::AttemptStarted { .. } => "AttemptStarted",
            Self::AttemptClosed { .. } => "AttemptClosed",
            Self::PaymentCaptured { .. } => "PaymentCaptured",
            Self::CloseRequested {} => "CloseRequested",
            Self::PaymentClosed {} => "PaymentClosed",
            Self::RefundRequested { .. } => "RefundRequested",
            Self::RefundSucceeded { .. } => "RefundSucceeded",
            Self::RefundFailed { .. } => "RefundFailed",
            Self::RefundRetried { .. } => "RefundRetried",
        }
    }

    fn schema(&self) -> i64 {
        SCHEMA
    }

    fn encode(&self) -> Result<String> {
        let unwritable = |e| Error::internal("a payment event cannot be written as JSON").with_source(e);
        let mut tagged = serde_json::to_value(self).map_err(unwritable)?;
        serde_json::to_string(&tagged["body"].take()).map_err(unwritable)
    }

    fn decode(name: &str, schema: i64, body: &str) -> Result<Self> {
        let unreadable = || Error::internal(format!("cannot read payment event {name} of schema {schema}"));
        if schema != SCHEMA {
            return Err(unreadable());
        }
        let body: serde_json::Value = serde_json::from_str(body).map_err(|e| unreadable().with_source(e))?;
        serde_json::from_value(serde_json::json!({ "name": name, "body": body }))
            .map_err(|e| unreadable().with_source(e))
    }
}
