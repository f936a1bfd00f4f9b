//! What has happened to a payment.

use merx_contracts::ids::{AccountId, AttemptId, OrderId, RefundId};
use merx_kernel::{Error, Money, Result, Timestamp};
use merx_platform::aggregate::DomainEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who moves the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderName {
    /// Alipay, by its open API.
    Alipay,
    /// Nobody outside: money that staff confirms.
    Offline,
}

impl ProviderName {
    /// Every provider.
    pub const ALL: &'static [Self] = &[Self::Alipay, Self::Offline];

    /// The stored and public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alipay => "alipay",
            Self::Offline => "offline",
        }
    }
}

/// A way to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Alipay's cashier in the browser.
    AlipayPage,
    /// A QR code that the buyer scans with Alipay's app.
    AlipayQr,
    /// Alipay's cashier in the browser of a phone.
    AlipayWap,
    /// Alipay's SDK in an app of the shop.
    AlipayApp,
    /// A transfer to the shop's bank account, confirmed by staff.
    BankTransfer,
    /// Cash when the goods are handed over, confirmed by staff.
    CashOnDelivery,
}

impl Method {
    /// Every way to pay.
    pub const ALL: &'static [Self] = &[
        Self::AlipayPage,
        Self::AlipayQr,
        Self::AlipayWap,
        Self::AlipayApp,
        Self::BankTransfer,
        Self::CashOnDelivery,
    ];

    /// Whose it is.
    pub const fn provider(self) -> ProviderName {
        match self {
            Self::AlipayPage | Self::AlipayQr | Self::AlipayWap | Self::AlipayApp => ProviderName::Alipay,
            Self::BankTransfer | Self::CashOnDelivery => ProviderName::Offline,
        }
    }
    /// The stored and public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlipayPage => "alipay_page",
            Self::AlipayQr => "alipay_qr",
            Self::AlipayWap => "alipay_wap",
            Self::AlipayApp => "alipay_app",
            Self::BankTransfer => "bank_transfer",
            Self::CashOnDelivery => "cash_on_delivery",
        }
    }
}

/// Why nothing more can come of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    /// The provider closed its trade, unpaid.
    TradeClosed,
    /// The buyer never came to the cashier, and the time that was sent with the request is over.
    Expired,
    /// Its QR code never left our hands, so nobody can have scanned it. Since schema 2.
    NotOffered,
}

impl AttemptEnd {
    /// The stored and public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TradeClosed => "trade_closed",
            Self::Expired => "expired",
            Self::NotOffered => "not_offered",
        }
    }
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
        /// The part of it that is freight. Schema 1 did not say: nothing.
        freight: Money,
        /// No attempt outlives it.
        deadline: Timestamp,
        /// What the cashier shows.
        subject: String,
    },
    /// The buyer was sent to a provider's cashier, or is to be given a code. Schema 1 had no method: there was only
    /// the page.
    AttemptStarted {
        /// Its bare form is our order number at the provider.
        attempt_id: AttemptId,
        /// Whose cashier.
        provider: ProviderName,
        /// How.
        method: Method,
        /// How much is asked.
        amount: Money,
        /// When it began.
        started_at: Timestamp,
        /// Sent to the provider: after it nobody can begin to pay.
        expires_at: Timestamp,
    },
    /// The provider made the QR code of an attempt. No code is handed out before this is durable.
    AttemptPrepared {
        /// Which.
        attempt_id: AttemptId,
        /// The text of the code.
        qr_code: String,
    },
    /// The buyer chose another way. The provider knows nothing of this attempt yet, so that it cannot be closed: it is
    /// not offered any more, and until its expiry may all the same be paid.
    AttemptSuperseded {
        /// Which.
        attempt_id: AttemptId,
        /// The attempt that took its place.
        by: AttemptId,
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
    /// Money that lay with us as nobody's (over, late, double) pays the order after all.
    DepositAccepted {
        /// The attempt that brought it.
        attempt_id: AttemptId,
        /// How much of it; what is left of it stays a deposit.
        amount: Money,
    },
    /// The provider's bill says what it kept for a capture or a refund.
    FeeCharged {
        /// Whose money.
        attempt_id: AttemptId,
        /// The refund; none for the fee of the capture.
        refund_id: Option<RefundId>,
        /// How much; below zero where it gave a fee back.
        amount: Money,
        /// Who.
        provider: ProviderName,
        /// The Beijing day of the bill, `2026-11-20`.
        bill_day: String,
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

impl DomainEvent for PaymentEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::PaymentOpened { .. } => "PaymentOpened",
            Self::AttemptStarted { .. } => "AttemptStarted",
            Self::AttemptPrepared { .. } => "AttemptPrepared",
            Self::AttemptSuperseded { .. } => "AttemptSuperseded",
            Self::AttemptClosed { .. } => "AttemptClosed",
            Self::PaymentCaptured { .. } => "PaymentCaptured",
            Self::DepositAccepted { .. } => "DepositAccepted",
            Self::FeeCharged { .. } => "FeeCharged",
            Self::CloseRequested {} => "CloseRequested",
            Self::PaymentClosed {} => "PaymentClosed",
            Self::RefundRequested { .. } => "RefundRequested",
            Self::RefundSucceeded { .. } => "RefundSucceeded",
            Self::RefundFailed { .. } => "RefundFailed",
            Self::RefundRetried { .. } => "RefundRetried",
        }
    }

    fn schema(&self) -> i64 {
        newest(self.name())
    }

    fn encode(&self) -> Result<String> {
        serde_json::to_string(&self.body()?).map_err(unwritable)
    }

    fn decode(name: &str, schema: i64, body: &str) -> Result<Self> {
        let unreadable = || Error::internal(format!("cannot read payment event {name} of schema {schema}"));
        if !(1..=newest(name)).contains(&schema) {
            return Err(unreadable());
        }
        let mut body: Value = serde_json::from_str(body).map_err(|e| unreadable().with_source(e))?;
        if name == "AttemptStarted" && schema == 1 {
            body["method"] = Method::AlipayPage.as_str().into();
        }
        if name == "PaymentOpened" && schema == 1 {
            body["freight"] = serde_json::json!({ "minor": 0, "currency": body["amount"]["currency"] });
        }
        serde_json::from_value(serde_json::json!({ "name": name, "body": body }))
            .map_err(|e| unreadable().with_source(e))
    }
}

/// The version of the shape above, by the event's name.
const fn newest(name: &str) -> i64 {
    match name.as_bytes() {
        // 3, and the 2 of money that moved, brought the provider `offline` and its ways to pay.
        b"AttemptStarted" => 3,
        b"PaymentOpened" | b"AttemptClosed" | b"PaymentCaptured" | b"RefundSucceeded" => 2,
        _ => 1,
    }
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::internal("a payment event cannot be written as JSON").with_source(error)
}

impl PaymentEvent {
    /// Whether others are told of it.
    pub(crate) const fn is_told(&self) -> bool {
        matches!(self, Self::PaymentCaptured { .. } | Self::RefundSucceeded { .. })
    }

    /// What is stored of it, as JSON.
    ///
    /// # Errors
    /// `Internal` when it cannot be written.
    pub(crate) fn body(&self) -> Result<Value> {
        let mut tagged = serde_json::to_value(self).map_err(unwritable)?;
        Ok(tagged["body"].take())
    }
}
