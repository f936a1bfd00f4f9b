//! What may be concluded from an answer of the gateway.

use std::fmt;

/// The conclusion. There is no way to read an answer without going through the doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// 10000: it was done, and this is what the signed answer says.
    Done(T),
    /// 10003: accepted, the buyer is still paying; query later.
    InProgress,
    /// 40004: a rule of Alipay refused. Nothing was changed by this call.
    Refused(Refusal),
    /// Our call is at fault (20001, 40001, 40002, 40003, 40006): configuration or a defect. It was not carried
    /// out, trying it again will not help, and somebody should look.
    Misused(Refusal),
    /// Nobody knows (20000, a system error, a time-out, half an answer, a signature that does not verify):
    /// query, never assume. The text says why, for the log.
    Unknown(String),
}

impl<T> Outcome<T> {
    /// Whether the only right reaction is to ask again.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
    /// The business code of a refusal.
    pub const fn refused_by(&self) -> Option<&SubCode> {
        match self {
            Self::Refused(refusal) => Some(&refusal.sub_code),
            _ => None,
        }
    }
}

/// A refusal in Alipay's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The gateway code, `40004` for a business failure.
    pub code: String,
    /// Which rule.
    pub sub_code: SubCode,
    /// Alipay's sentence, in Chinese.
    pub sub_msg: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alipay answered {} {} ({})", self.code, self.sub_code, self.sub_msg)
    }
}

macro_rules! sub_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal),+ $(,)?) => {
        /// A business code of Alipay, those that change what we do by name.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum SubCode {
            $($(#[doc = $doc])+ $variant,)+
            /// Any other.
            Other(String),
        }
        impl SubCode {
            /// As Alipay writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
            /// Reads a code; never fails.
            pub fn from_text(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    _ => Self::Other(text.to_owned()),
                }
            }
        }
    };
}

sub_codes! {
    /// No buyer has begun a trade under this number.
    TradeNotExist = "ACQ.TRADE_NOT_EXIST",
    /// The trade is not in a status that allows this (close: it is paid or closed already).
    TradeStatusError = "ACQ.TRADE_STATUS_ERROR",
    /// The trade is closed.
    TradeHasClose = "ACQ.TRADE_HAS_CLOSE",
    /// The trade is paid.
    TradeHasSuccess = "ACQ.TRADE_HAS_SUCCESS",
    /// The trade is finished; no more refunds.
    TradeHasFinished = "ACQ.TRADE_HAS_FINISHED",
    /// The same refund number with another amount.
    DiscordantRepeatRequest = "ACQ.DISCORDANT_REPEAT_REQUEST",
    /// More than is left of the payment.
    RefundAmountTooHigh = "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL",
    /// The merchant's balance does not cover the refund; later it may.
    SellerBalanceNotEnough = "ACQ.SELLER_BALANCE_NOT_ENOUGH",
    /// The same number was used with another amount or subject.
    ContextInconsistent = "ACQ.CONTEXT_INCONSISTENT",
    /// A parameter of the business content is wrong.
    InvalidParameter = "ACQ.INVALID_PARAMETER",
    /// There is no bill of the day, or not yet.
    BillNotExist = "isp.bill_not_exist",
    /// Alipay does not know itself; query.
    SystemError = "ACQ.SYSTEM_ERROR",
}

impl SubCode {
    /// Whether it says that Alipay does not know what became of the call, whatever the outer code.
    pub(crate) fn is_doubt(&self) -> bool {
        match self {
            Self::SystemError => true,
            Self::Other(text) => {
                text.is_empty()
                    || text.starts_with("isp.")
                    || text.starts_with("aop.")
                    || text.ends_with("SYSTEM_ERROR")
            }
            _ => false,
        }
    }
}

impl fmt::Display for SubCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an answer with this code means; `done` reads the body of a 10000.
pub(crate) fn conclude<T>(refusal: Refusal, done: impl FnOnce() -> Result<T, String>) -> Outcome<T> {
    match refusal.code.as_str() {
        "10000" => done().map_or_else(Outcome::Unknown, Outcome::Done),
        "10003" => Outcome::InProgress,
        "40004" if !refusal.sub_code.is_doubt() => Outcome::Refused(refusal),
        "20001" | "40001" | "40002" | "40003" | "40006" => Outcome::Misused(refusal),
        _ => Outcome::Unknown(refusal.to_string()),
    }
}
