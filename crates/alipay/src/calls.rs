//! The methods Merx uses, with what they ask and what they answer. Fields nobody reads are left out, those that
//! name the buyer on purpose.

use merx_kernel::Result;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::values::{BeijingTime, BillDate, OutTradeNo, Subject, TradeStatus, Yuan, refused};

/// Something that can be signed and sent; its serialised form is the `biz_content`.
pub trait Method: Serialize {
    /// The name of the method.
    const METHOD: &'static str;

    /// Where Alipay shall send notifications about the trade.
    fn notify_url(&self) -> Option<&str> {
        None
    }
    /// Where the buyer's browser goes after paying.
    fn return_url(&self) -> Option<&str> {
        None
    }
    /// Checks limits that a single value cannot check for itself.
    ///
    /// # Errors
    /// `alipay.request_invalid` naming the limit.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// A method that answers the caller (a page method answers the buyer's browser instead).
pub trait Call: Method {
    /// What a 10000 carries.
    type Answer: DeserializeOwned;

    /// The order number asked about, if it is about one: an answer about another is not believed, however well signed.
    fn out_trade_no(&self) -> Option<&OutTradeNo>;
    /// Whether the answer is one to this call.
    fn is_answered_by(&self, answer: &Self::Answer) -> bool;
}

/// Absolute URLs only; Alipay allows 256 characters.
pub(crate) fn check_url(name: &str, url: Option<&str>) -> Result<()> {
    match url {
        Some(url) if url.len() > 256 || !(url.starts_with("http://") || url.starts_with("https://")) => {
            Err(refused(format!("{name} must be an absolute http(s) URL of at most 256 characters")))
        }
        _ => Ok(()),
    }
}

/// `alipay.trade.precreate`: a QR code. No trade exists until it is scanned.
#[derive(Clone, Debug, Serialize)]
pub struct Precreate {
    /// Our number for the attempt.
    pub out_trade_no: OutTradeNo,
    /// What is to be paid.
    pub total_amount: Yuan,
    /// What the buyer reads.
    pub subject: Subject,
    /// When the code stops taking money.
    pub time_expire: BeijingTime,
    /// Where notifications go.
    #[serde(skip)]
    pub notify_url: String,
}

/// What [`Precreate`] answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PrecreatedTrade {
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// The text of the QR code.
    pub qr_code: String,
}

impl Method for Precreate {
    const METHOD: &'static str = "alipay.trade.precreate";
    fn notify_url(&self) -> Option<&str> {
        Some(&self.notify_url)
    }
    fn check(&self) -> Result<()> {
        check_url("notify_url", self.notify_url())
    }
}
impl Call for Precreate {
    type Answer = PrecreatedTrade;
    fn out_trade_no(&self) -> Option<&OutTradeNo> {
        Some(&self.out_trade_no)
    }
    fn is_answered_by(&self, answer: &PrecreatedTrade) -> bool {
        answer.out_trade_no == self.out_trade_no
    }
}

/// `alipay.trade.query`: the arbiter after any doubt.
#[derive(Clone, Debug, Serialize)]
pub struct Query {
    /// Our number for the attempt.
    pub out_trade_no: OutTradeNo,
}

/// What [`Query`] answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct QueriedTrade {
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number.
    pub trade_no: String,
    /// Where the trade stands.
    pub trade_status: TradeStatus,
    /// What was to be paid.
    pub total_amount: Yuan,
    /// When the buyer paid.
    #[serde(default)]
    pub send_pay_date: Option<BeijingTime>,
}

impl Method for Query {
    const METHOD: &'static str = "alipay.trade.query";
}
impl Call for Query {
    type Answer = QueriedTrade;
    fn out_trade_no(&self) -> Option<&OutTradeNo> {
        Some(&self.out_trade_no)
    }
    fn is_answered_by(&self, answer: &QueriedTrade) -> bool {
        answer.out_trade_no == self.out_trade_no
    }
}

/// `alipay.trade.close`: ends an unpaid trade. A paid one is refused with `ACQ.TRADE_STATUS_ERROR`.
#[derive(Clone, Debug, Serialize)]
pub struct Close {
    /// Our number for the attempt.
    pub out_trade_no: OutTradeNo,
}

/// What [`Close`] answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ClosedTrade {
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number.
    #[serde(default)]
    pub trade_no: Option<String>,
}

impl Method for Close {
    const METHOD: &'static str = "alipay.trade.close";
}
impl Call for Close {
    type Answer = ClosedTrade;
    fn out_trade_no(&self) -> Option<&OutTradeNo> {
        Some(&self.out_trade_no)
    }
    fn is_answered_by(&self, answer: &ClosedTrade) -> bool {
        answer.out_trade_no == self.out_trade_no
    }
}

/// `alipay.trade.refund`: idempotent by `out_request_no`.
#[derive(Clone, Debug, Serialize)]
pub struct Refund {
    /// Our number for the attempt that was paid.
    pub out_trade_no: OutTradeNo,
    /// How much goes back.
    pub refund_amount: Yuan,
    /// Our number for this refund.
    pub out_request_no: OutTradeNo,
    /// Shown to the buyer; at most 256 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_reason: Option<String>,
}

/// What [`Refund`] answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RefundedTrade {
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number.
    pub trade_no: String,
    /// `Y` when this very call moved money.
    pub fund_change: String,
    /// What has been refunded on this trade so far, this refund included.
    pub refund_fee: Yuan,
}

impl RefundedTrade {
    /// Whether this very call moved money. If not, [`RefundQuery`] tells whether an earlier one did.
    pub fn moved_money(&self) -> bool {
        self.fund_change == "Y"
    }
}

impl Method for Refund {
    const METHOD: &'static str = "alipay.trade.refund";
    fn check(&self) -> Result<()> {
        match &self.refund_reason {
            Some(reason) if reason.chars().count() > 256 => {
                Err(refused("refund_reason has at most 256 characters"))
            }
            _ => Ok(()),
        }
    }
}
impl Call for Refund {
    type Answer = RefundedTrade;
    fn out_trade_no(&self) -> Option<&OutTradeNo> {
        Some(&self.out_trade_no)
    }
    fn is_answered_by(&self, answer: &RefundedTrade) -> bool {
        answer.out_trade_no == self.out_trade_no
    }
}

/// `alipay.trade.fastpay.refund.query`: what became of one refund.
#[derive(Clone, Debug, Serialize)]
pub struct RefundQuery {
    /// Our number for the attempt that was paid.
    pub out_trade_no: OutTradeNo,
    /// Our number for the refund.
    pub out_request_no: OutTradeNo,
}

/// What [`RefundQuery`] answers; a refund Alipay does not know is a 10000 without these fields.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct QueriedRefund {
    /// Our number.
    #[serde(default)]
    pub out_trade_no: Option<OutTradeNo>,
    /// Our number for the refund.
    #[serde(default)]
    pub out_request_no: Option<OutTradeNo>,
    /// How much went back.
    #[serde(default)]
    pub refund_amount: Option<Yuan>,
    /// `REFUND_SUCCESS` when it did.
    #[serde(default)]
    pub refund_status: Option<String>,
}

impl QueriedRefund {
    /// The amount that went back, when the refund is known to have succeeded; anything else is no proof.
    pub fn succeeded(&self) -> Option<Yuan> {
        let known = self.out_trade_no.is_some() && self.out_request_no.is_some();
        self.refund_amount.filter(|_| known && self.refund_status.as_deref() == Some("REFUND_SUCCESS"))
    }
}

impl Method for RefundQuery {
    const METHOD: &'static str = "alipay.trade.fastpay.refund.query";
}
impl Call for RefundQuery {
    type Answer = QueriedRefund;
    fn out_trade_no(&self) -> Option<&OutTradeNo> {
        Some(&self.out_trade_no)
    }
    fn is_answered_by(&self, answer: &QueriedRefund) -> bool {
        let same = |found: &Option<OutTradeNo>, asked| found.as_ref().is_none_or(|no| no == asked);
        same(&answer.out_trade_no, &self.out_trade_no) && same(&answer.out_request_no, &self.out_request_no)
    }
}

/// `alipay.data.dataservice.bill.downloadurl.query`: where the bill of one day can be fetched, for half a minute.
#[derive(Clone, Debug, Serialize)]
pub struct BillQuery {
    /// Always `trade`: what was bought and given back.
    bill_type: &'static str,
    /// The day; it must be over.
    bill_date: BillDate,
}

impl BillQuery {
    /// The bill of `date`.
    pub const fn new(date: BillDate) -> Self {
        Self { bill_type: "trade", bill_date: date }
    }
}

/// The longest address of a bill, as Alipay documents it.
const BILL_URL_BYTES_MAX: usize = 2_048;

/// What [`BillQuery`] answers. Nothing in it says of which day it is: the bill itself does.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BillPlace {
    /// A signed address; whoever has it has the bill, so it is never logged.
    pub bill_download_url: String,
}

impl Method for BillQuery {
    const METHOD: &'static str = "alipay.data.dataservice.bill.downloadurl.query";
}
impl Call for BillQuery {
    type Answer = BillPlace;
    fn out_trade_no(&self) -> Option<&OutTradeNo> {
        None
    }
    fn is_answered_by(&self, answer: &BillPlace) -> bool {
        let url = &answer.bill_download_url;
        url.len() <= BILL_URL_BYTES_MAX && (url.starts_with("http://") || url.starts_with("https://"))
    }
}
