//! Money in minor units with its currency. No floating point anywhere; every sum is checked.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A currency of ISO 4217 with its number of decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the codes are ISO 4217")]
pub enum Currency {
    CNY,
    EUR,
    GBP,
    HKD,
    JPY,
    KWD,
    USD,
}

impl Currency {
    /// Every currency known.
    pub const ALL: &'static [Self] =
        &[Self::CNY, Self::EUR, Self::GBP, Self::HKD, Self::JPY, Self::KWD, Self::USD];

    /// Decimals of the minor unit, from ISO 4217.
    pub const fn decimals(self) -> u32 {
        match self {
            Self::JPY => 0,
            Self::KWD => 3,
            _ => 2,
        }
    }
    /// The three-letter code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::CNY => "CNY",
            Self::EUR => "EUR",
            Self::GBP => "GBP",
            Self::HKD => "HKD",
            Self::JPY => "JPY",
            Self::KWD => "KWD",
            Self::USD => "USD",
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl FromStr for Currency {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|c| c.code() == text)
            .ok_or_else(|| Error::invalid("currency", format!("`{text}` is not a currency Merx knows")))
    }
}

/// An amount in minor units (fen, cents) of one currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units; 1999 CNY is ¥19.99.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// `minor` units of `currency`.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }
    /// Nothing, in `currency`.
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    fn same(self, other: Self) -> Result<()> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(Error::internal(format!("cannot combine {} with {}", self.currency, other.currency)))
    }
    fn overflow() -> Error {
        Error::invalid("amount", "the amount is larger than Merx can count")
    }

    /// The sum.
    ///
    /// # Errors
    /// `Internal` for two currencies, `Invalid` for an overflow.
    pub fn plus(self, other: Self) -> Result<Self> {
        self.same(other)?;
        Ok(Self::new(self.minor.checked_add(other.minor).ok_or_else(Self::overflow)?, self.currency))
    }
    /// The difference.
    ///
    /// # Errors
    /// As [`Self::plus`].
    pub fn minus(self, other: Self) -> Result<Self> {
        self.same(other)?;
        Ok(Self::new(self.minor.checked_sub(other.minor).ok_or_else(Self::overflow)?, self.currency))
    }
    /// `count` times this amount.
    ///
    /// # Errors
    /// `Invalid` for an overflow.
    pub fn times(self, count: i64) -> Result<Self> {
        Ok(Self::new(self.minor.checked_mul(count).ok_or_else(Self::overflow)?, self.currency))
    }
    /// The sum of many amounts of `currency`.
    ///
    /// # Errors
    /// As [`Self::plus`].
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::plus)
    }

    /// Shares this amount over `weights` by the largest-remainder method (Hamilton): the parts sum to the
    /// whole to the minor unit, and no part is off its exact share by one unit or more. Ties go to the earlier
    /// part. All weights zero shares it evenly.
    ///
    /// # Errors
    /// `Internal` when `weights` is empty.
    pub fn split(self, weights: &[u64]) -> Result<Vec<Self>> {
        if weights.is_empty() {
            return Err(Error::internal("cannot split money into no parts"));
        }
        let even = vec![1u64; weights.len()];
        let weights = if weights.iter().all(|w| *w == 0) { &even } else { weights };
        let total: u128 = weights.iter().map(|w| u128::from(*w)).sum();
        let whole = u128::from(self.minor.unsigned_abs());
        let mut parts: Vec<u128> = Vec::with_capacity(weights.len());
        let mut remainders: Vec<(u128, usize)> = Vec::with_capacity(weights.len());
        for (index, weight) in weights.iter().enumerate() {
            let exact = whole * u128::from(*weight);
            parts.push(exact / total);
            remainders.push((exact % total, index));
        }
        let mut left = whole - parts.iter().sum::<u128>();
        remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, index) in remainders {
            if left == 0 {
                break;
            }
            parts[index] += 1;
            left -= 1;
        }
        parts
            .into_iter()
            .map(|part| {
                let part = i64::try_from(part).map_err(|_| Self::overflow())?;
                Ok(Self::new(if self.minor < 0 { -part } else { part }, self.currency))
            })
            .collect()
    }

    /// The amount as a decimal without currency, `19.99`; as many decimals as the currency has.
    pub fn to_decimal(self) -> String {
        let decimals = self.currency.decimals();
        let sign = if self.minor < 0 { "-" } else { "" };
        let magnitude = self.minor.unsigned_abs();
        if decimals == 0 {
            return format!("{sign}{magnitude}");
        }
        let unit = 10u64.pow(decimals);
        format!("{sign}{}.{:0width$}", magnitude / unit, magnitude % unit, width = decimals as usize)
    }

    /// Reads a decimal such as `19.99`, `19.9` or `19`; never rounds.
    ///
    /// # Errors
    /// `Invalid` for anything but digits and one point, for more decimals than the currency has, or overflow.
    pub fn parse_decimal(text: &str, currency: Currency) -> Result<Self> {
        let wrong = || {
            Error::invalid(
                "amount",
                format!("expected an amount such as 19.99 with at most {} decimals", currency.decimals()),
            )
        };
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let decimals = currency.decimals() as usize;
        let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || fraction.len() > decimals {
            return Err(wrong());
        }
        if digits.ends_with('.') {
            return Err(wrong());
        }
        let minor: i64 = format!("{whole}{fraction:0<decimals$}").parse().map_err(|_| Self::overflow())?;
        Ok(Self::new(if negative { -minor } else { minor }, currency))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.to_decimal(), self.currency)
    }
}
impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
