//! The port to whoever moves the money. What a provider says is a fact to decide on; where it leaves a doubt it
//! answers an error, and the caller asks again. One suite of tests runs on every provider.

mod alipay;
mod calls;
mod offline;
mod outbound;

use std::sync::Arc;

use async_trait::async_trait;
use merx_contracts::ids::{AttemptId, RefundId};
use merx_kernel::{Error, Guard, Money, Result, Timestamp};

pub use alipay::{Alipay, KeysInUse};
pub use calls::{About, CallBook, CallId, CallKind, CallRow};
pub use merx_alipay::BillDate;
pub use offline::Offline;
pub use outbound::{InProcess, Network, Outbound};

use crate::domain::{Method, ProviderName};

/// What a buyer is sent to the cashier with.
#[derive(Clone, Debug)]
pub struct PayOrder<'a> {
    /// Its bare form is our order number at the provider.
    pub attempt_id: AttemptId,
    /// How.
    pub method: Method,
    /// How much.
    pub amount: Money,
    /// What the cashier shows.
    pub subject: &'a str,
    /// When the attempt began: signed with the order, so that asking again gives the same URL.
    pub started_at: Timestamp,
    /// When the cashier stops taking money.
    pub expires_at: Timestamp,
}

/// What the buyer is given to pay with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// The signed address of a page, for his browser.
    Redirect(String),
    /// A signed text, for the provider's SDK in an app.
    AppOrder(String),
    /// A code to scan, which [`Provider::precreate`] makes.
    QrCode,
    /// What to do, in words.
    Instructions(String),
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

/// What a provider tells of a trade by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The buyer has begun and not paid.
    Waiting,
    /// The provider has the money for us.
    Paid,
    /// Money went back; the sum so far.
    Refunded(Money),
    /// The trade ended unpaid.
    Closed,
}

/// A field that does not agree with our record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Which, by the provider's name for it.
    pub field: &'static str,
    /// What we know.
    pub expected: String,
    /// What was told.
    pub found: String,
}

/// A notification that the provider signed. Nothing about the buyer is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The provider's number for it; the same on every repetition.
    pub notify_id: String,
    /// Our number for the attempt, as it was told.
    pub order_number: String,
    /// The provider's number for the trade.
    pub trade_no: String,
    /// Where the trade stands, in the provider's word.
    pub trade_status: &'static str,
    /// What that means.
    pub news: News,
    /// What was to be paid.
    pub amount: Money,
    /// The provider's name for the amount's field.
    pub amount_field: &'static str,
    /// The shop it is for, as it was told, by the provider's names: for a person who looks into it.
    pub addressed_to: Vec<(&'static str, String)>,
    /// What of that is not ours.
    pub foreign: Vec<Misfit>,
}

impl Notice {
    /// Where it disagrees with our record of an attempt over `asked`; empty means it may be believed.
    pub fn misfits(&self, asked: Money) -> Vec<Misfit> {
        let mut misfits = self.foreign.clone();
        if self.amount != asked && Guard::NotificationFields.on() {
            let (expected, found) = (asked.to_string(), self.amount.to_string());
            misfits.push(Misfit { field: self.amount_field, expected, found });
        }
        misfits
    }
}

/// A payment provider. Every error means that the outcome is not known.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Which one.
    fn name(&self) -> ProviderName;

    /// What the buyer is given; the same order gives the same.
    ///
    /// # Errors
    /// `Invalid` for an order the provider would not take, or a method that is not its own.
    fn offer(&self, order: &PayOrder<'_>) -> Result<Offer>;

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

    /// What became of a refund, without asking for it: never `Failed`.
    ///
    /// # Errors
    /// As [`Self::query`].
    async fn refund_query(&self, order: &RefundOrder, book: &CallBook) -> Result<RefundAnswer>;

    /// Reads what the provider sent by itself, and verifies that it did.
    ///
    /// # Errors
    /// `payment.notification_unreadable` for what is signed and cannot be read; anything else was not sent by it.
    fn notification(&self, form: &[u8], now: Timestamp) -> Result<Notice>;

    /// The provider's own account of a day of Beijing time, as it serves it; `None` where it keeps none for us, or has
    /// none of that day yet. The call is not noted in `book`: it is about no payment.
    ///
    /// # Errors
    /// As [`Self::query`].
    async fn daily_bill(&self, date: BillDate, book: &CallBook) -> Result<Option<Vec<u8>>>;
}

/// Every provider the shop has, and the ways to pay it offers.
#[derive(Clone)]
pub struct Providers {
    /// Alipay.
    pub alipay: Option<Arc<Alipay>>,
    /// Money that staff confirms.
    pub offline: Option<Arc<Offline>>,
    /// What buyers are offered, the first first.
    pub offered: Vec<Method>,
}

impl Providers {
    /// One by its name.
    ///
    /// # Errors
    /// `payment.provider_unavailable` for one that is not set up (any more): what is under way there waits for it.
    pub fn get(&self, name: ProviderName) -> Result<&dyn Provider> {
        let found: Option<&dyn Provider> = match name {
            ProviderName::Alipay => self.alipay.as_deref().map(|provider| provider as _),
            ProviderName::Offline => self.offline.as_deref().map(|provider| provider as _),
        };
        found.ok_or_else(|| doubt(format!("the provider {} is not configured", name.as_str())))
    }
}

/// The error of an outcome that is not known.
pub(crate) fn doubt(why: impl std::fmt::Display) -> Error {
    Error::unavailable("payment.provider_unavailable", "The payment provider does not answer.")
        .with_source(why.to_string())
}

/// The error of a method that is another provider's.
fn not_ours(method: Method) -> Error {
    Error::internal(format!("{} is another provider's", method.as_str()))
}
