//! What it costs to send a parcel, and the rule that says so in words.

use merx_kernel::{Currency, Error, Money, Result};
use serde::{Deserialize, Serialize};

use super::region::Zone;

/// How a parcel travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By road.
    Standard,
    /// By air.
    Express,
}

impl Method {
    /// Every method.
    pub const ALL: &'static [Self] = &[Self::Standard, Self::Express];

    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Express => "express",
        }
    }
    /// Reads [`Self::name`].
    ///
    /// # Errors
    /// `Invalid` naming the methods.
    pub fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().copied().find(|m| m.name() == name);
        found.ok_or_else(|| Error::invalid("/method", "must be standard or express"))
    }
    /// What the buyer reads, in Chinese.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Standard => "普通快递",
            Self::Express => "特快",
        }
    }
    /// What the buyer reads, in English.
    pub const fn en(self) -> &'static str {
        match self {
            Self::Standard => "Standard",
            Self::Express => "Express",
        }
    }
}

/// One row of the tariff; amounts in minor units of the tariff's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// To where.
    pub zone: Zone,
    /// How.
    pub method: Method,
    /// For the first kilogram, begun or whole.
    pub first_kg: i64,
    /// For each further kilogram begun.
    pub further_kg: i64,
    /// Goods worth this much or more travel free; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_from: Option<i64>,
}

/// The shop's freight rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// Of every amount in `rates`.
    pub currency: Currency,
    /// The heaviest parcel.
    pub weight_grams_max: i64,
    /// At most one per zone and method; a pair without a row is not served.
    pub rates: Vec<Rate>,
}

impl Default for Tariff {
    fn default() -> Self {
        let rate = |zone, method, first_kg, further_kg, free_from| Rate {
            zone,
            method,
            first_kg,
            further_kg,
            free_from,
        };
        Self {
            currency: Currency::CNY,
            weight_grams_max: 100_000,
            rates: vec![
                rate(Zone::Near, Method::Standard, 800, 200, Some(9_900)),
                rate(Zone::National, Method::Standard, 1_000, 400, Some(9_900)),
                rate(Zone::Remote, Method::Standard, 1_800, 1_200, Some(29_900)),
                rate(Zone::Offshore, Method::Standard, 3_500, 2_000, None),
                rate(Zone::Near, Method::Express, 1_500, 400, None),
                rate(Zone::National, Method::Express, 2_300, 800, None),
                rate(Zone::Remote, Method::Express, 3_000, 1_800, None),
            ],
        }
    }
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// First-level division, by ISO 3166-2 code or by name.
    pub region: String,
    /// Of all lines together.
    pub weight_grams: i64,
    /// What the goods cost.
    pub subtotal: Money,
}

/// One way to send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreightOption {
    /// How.
    pub method: Method,
    /// What it costs the buyer.
    pub fee: Money,
    /// The rule that gave the fee, in Chinese.
    pub explanation_zh: String,
    /// The rule that gave the fee, in English.
    pub explanation_en: String,
}

impl Tariff {
    /// Every way to send a parcel, cheapest first.
    ///
    /// # Errors
    /// `Invalid` for a negative weight; `shipping.too_heavy`, `shipping.currency_unsupported`,
    /// `shipping.destination_unserved`.
    pub fn quote(&self, parcel: &Parcel) -> Result<Vec<FreightOption>> {
        if parcel.weight_grams < 0 {
            return Err(Error::invalid("/weight_grams", "must not be negative"));
        }
        if parcel.weight_grams > self.weight_grams_max {
            let detail = format!(
                "The parcel weighs {} g, carriers take {} g at most.",
                parcel.weight_grams, self.weight_grams_max
            );
            return Err(Error::rejected("shipping.too_heavy", detail));
        }
        if parcel.subtotal.currency != self.currency {
            let detail =
                format!("Freight is counted in {}, not {}.", self.currency, parcel.subtotal.currency);
            return Err(Error::rejected("shipping.currency_unsupported", detail));
        }
        let zone = Zone::of(&parcel.country, &parcel.region);
        let rates = self.rates.iter().filter(|rate| Some(rate.zone) == zone);
        let mut options = rates.map(|rate| self.price(rate, parcel)).collect::<Result<Vec<_>>>()?;
        if options.is_empty() {
            let detail = format!("No carrier goes to {}.", parcel.country);
            return Err(Error::rejected("shipping.destination_unserved", detail));
        }
        options.sort_by_key(|option| (option.fee.minor, option.method));
        Ok(options)
    }

    fn price(&self, rate: &Rate, parcel: &Parcel) -> Result<FreightOption> {
        let money = |minor| Money::new(minor, self.currency);
        let further = (parcel.weight_grams.saturating_sub(1) / 1_000).max(0);
        let further_fee = money(rate.further_kg).times(further)?;
        let full = money(rate.first_kg).plus(further_fee)?;
        let (first, each) = (money(rate.first_kg), money(rate.further_kg));
        let mut zh = format!("{}:首重 1 公斤 {}", rate.zone.zh(), yuan(first));
        let mut en = format!("To {}: first kg {}", rate.zone.en(), yuan(first));
        if further > 0 {
            zh.push_str(&format!(",续重 {further} 公斤 × {} = {}", yuan(each), yuan(further_fee)));
            en.push_str(&format!(", {further} further kg at {} = {}", yuan(each), yuan(further_fee)));
        }
        zh.push_str(&format!(",共 {}", yuan(full)));
        en.push_str(&format!(", in all {}", yuan(full)));
        let fee = match rate.free_from {
            Some(limit) if parcel.subtotal.minor >= limit => {
                zh.push_str(&format!(";商品满 {} 包邮", yuan(money(limit))));
                en.push_str(&format!("; free for goods of {} or more", yuan(money(limit))));
                Money::zero(self.currency)
            }
            Some(limit) => {
                zh.push_str(&format!(";商品满 {} 可包邮", yuan(money(limit))));
                en.push_str(&format!("; it would be free for goods of {} or more", yuan(money(limit))));
                full
            }
            None => full,
        };
        Ok(FreightOption { method: rate.method, fee, explanation_zh: zh, explanation_en: en })
    }
}

fn yuan(money: Money) -> String {
    if money.currency == Currency::CNY { format!("¥{}", money.to_decimal()) } else { money.to_string() }
}
