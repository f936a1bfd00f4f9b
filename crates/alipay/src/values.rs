//! The values of the protocol: order numbers, amounts in yuan, subjects, times of Beijing, trade statuses.

use std::{borrow::Cow, fmt, time::Duration};

use merx_kernel::{Currency, Error, ErrorKind, Money, Result, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub(crate) fn refused(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, "alipay.request_invalid", detail)
}

/// Our number for one payment attempt: 1 to 64 letters, digits and underscores.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct OutTradeNo(String);

impl OutTradeNo {
    /// Checks the alphabet and the length.
    ///
    /// # Errors
    /// `alipay.request_invalid` naming the rule.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if text.is_empty() || text.len() > 64 || !plain {
            return Err(refused("an order number for Alipay has 1 to 64 letters, digits and underscores"));
        }
        Ok(Self(text))
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OutTradeNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for OutTradeNo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(|e| D::Error::custom(e.message()))
    }
}

/// What the buyer reads at the cashier: 1 to 256 characters without `/`, `=`, `&` and control characters.
///
/// Alipay forbids the three, and for a reason that protects us: values are signed joined by `&` and `=`, so a
/// subject that a stranger can choose could otherwise pose as further signed fields of a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subject(String);

impl Subject {
    /// The most characters of a subject.
    pub const CHARS_MAX: usize = 256;

    /// Checks the rule above.
    ///
    /// # Errors
    /// `alipay.request_invalid` naming the rule.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let length = text.chars().count();
        if text.trim().is_empty() || length > Self::CHARS_MAX || text.chars().any(forbidden) {
            return Err(refused(format!(
                "a subject for Alipay has 1 to {} characters, none of them `/`, `=`, `&` or a control character",
                Self::CHARS_MAX
            )));
        }
        Ok(Self(text))
    }

    /// The nearest allowed subject: forbidden characters become spaces, what is too long is cut, and nothing
    /// at all becomes `-`.
    pub fn nearest(text: &str) -> Self {
        let plain: String =
            text.chars().map(|c| if forbidden(c) { ' ' } else { c }).take(Self::CHARS_MAX).collect();
        let plain = plain.trim();
        Self(if plain.is_empty() { "-".to_owned() } else { plain.to_owned() })
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn forbidden(c: char) -> bool {
    matches!(c, '/' | '=' | '&') || c.is_control()
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(|e| D::Error::custom(e.message()))
    }
}

/// An amount of CNY as Alipay writes it: a decimal text with two places, never a number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Yuan(Money);

impl Yuan {
    /// The least amount of a payment or refund, in fen.
    pub const FEN_MIN: i64 = 1;
    /// The greatest amount of a payment or refund, in fen (100,000,000 yuan).
    pub const FEN_MAX: i64 = 10_000_000_000;

    /// An amount that can be paid or refunded: 0.01 to 100000000.00 CNY.
    ///
    /// # Errors
    /// `alipay.request_invalid` for another currency or an amount out of range.
    pub fn payable(amount: Money) -> Result<Self> {
        if amount.currency != Currency::CNY {
            return Err(refused(format!("Alipay is paid in CNY, not in {}", amount.currency)));
        }
        if !(Self::FEN_MIN..=Self::FEN_MAX).contains(&amount.minor) {
            return Err(refused("an amount for Alipay is from 0.01 to 100000000.00 yuan"));
        }
        Ok(Self(amount))
    }

    /// Reads an amount of an answer; zero is allowed there (nothing refunded yet).
    ///
    /// # Errors
    /// `Invalid` for anything that is not a decimal of at most two places.
    pub fn parse(text: &str) -> Result<Self> {
        Money::parse_decimal(text, Currency::CNY).map(Self)
    }

    /// An amount of an answer, zero allowed.
    pub const fn of_fen(fen: i64) -> Self {
        Self(Money::new(fen, Currency::CNY))
    }

    /// The amount.
    pub const fn money(self) -> Money {
        self.0
    }
}

impl fmt::Display for Yuan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_decimal())
    }
}
impl fmt::Debug for Yuan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for Yuan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Yuan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(|_| D::Error::custom("expected an amount in yuan such as \"19.99\""))
    }
}

/// A moment written `yyyy-MM-dd HH:mm:ss` in Beijing time; whole seconds, rounded down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BeijingTime(pub Timestamp);

impl Serialize for BeijingTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_beijing_string())
    }
}
impl<'de> Deserialize<'de> for BeijingTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Timestamp::parse_beijing(&text).map(Self).map_err(D::Error::custom)
    }
}

/// A day of Beijing time, for which there is a bill; written `yyyy-MM-dd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BillDate(Timestamp);

impl BillDate {
    const DAY: Duration = Duration::from_secs(86_400);

    /// The day of a moment.
    pub fn of(moment: Timestamp) -> Self {
        const EAST_SECS: i64 = 8 * 3_600;
        let day = (moment.as_secs() + EAST_SECS).div_euclid(86_400);
        Self(Timestamp::from_millis((day * 86_400 - EAST_SECS) * 1_000))
    }
    /// Reads `yyyy-MM-dd`.
    ///
    /// # Errors
    /// `alipay.request_invalid` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        Timestamp::parse_beijing(&format!("{text} 00:00:00"))
            .map(Self)
            .map_err(|e| refused("a day is written yyyy-MM-dd").with_source(e))
    }
    /// Its first moment.
    pub const fn start(self) -> Timestamp {
        self.0
    }
    /// The first moment after it.
    pub fn end(self) -> Timestamp {
        self.0.plus(Self::DAY)
    }
    /// The day before it.
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.minus(Self::DAY))
    }
}

impl fmt::Display for BillDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_beijing_string().get(..10).unwrap_or_default())
    }
}
impl Serialize for BillDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for BillDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(|e| D::Error::custom(e.message()))
    }
}

/// Where a trade stands at Alipay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TradeStatus {
    /// The buyer has begun and not yet paid.
    WaitBuyerPay,
    /// Run out of time unpaid, closed by the merchant, or fully refunded.
    TradeClosed,
    /// Paid; refunds are possible.
    TradeSuccess,
    /// Paid; no more refunds.
    TradeFinished,
}

impl TradeStatus {
    /// Every status.
    pub const ALL: &'static [Self] =
        &[Self::WaitBuyerPay, Self::TradeClosed, Self::TradeSuccess, Self::TradeFinished];

    /// As Alipay writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WaitBuyerPay => "WAIT_BUYER_PAY",
            Self::TradeClosed => "TRADE_CLOSED",
            Self::TradeSuccess => "TRADE_SUCCESS",
            Self::TradeFinished => "TRADE_FINISHED",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.name() == name)
    }
    /// Whether it means that the money is with the merchant. Nothing else does.
    pub const fn is_paid(self) -> bool {
        matches!(self, Self::TradeSuccess | Self::TradeFinished)
    }
}

impl fmt::Display for TradeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
