//! Money and times as the languages of mails write them (CLDR).

use merx_kernel::{Currency, Money, Timestamp};

/// The languages of mails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Chinese.
    #[default]
    Chinese,
    /// English.
    English,
}

impl Language {
    /// Every language.
    pub const ALL: &'static [Self] = &[Self::Chinese, Self::English];

    /// From a locale; what is not English is Chinese, the shop's own language.
    pub fn of(locale: &str) -> Self {
        let english = locale.get(..2).is_some_and(|l| l.eq_ignore_ascii_case("en"));
        if english { Self::English } else { Self::Chinese }
    }
    /// The BCP 47 tag.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en",
        }
    }
}

const fn symbol(currency: Currency, language: Language) -> &'static str {
    match (currency, language) {
        (Currency::CNY, Language::Chinese) | (Currency::JPY, Language::English) => "¥",
        (Currency::CNY, Language::English) => "CN¥",
        (Currency::JPY, Language::Chinese) => "JP¥",
        (Currency::USD, Language::Chinese) => "US$",
        (Currency::USD, Language::English) => "$",
        (Currency::EUR, _) => "€",
        (Currency::GBP, _) => "£",
        (Currency::HKD, _) => "HK$",
        (Currency::KWD, _) => "KWD\u{a0}",
    }
}

/// An amount: `¥1,234.50`, `CN¥1,234.50`.
pub fn money(amount: Money, language: Language) -> String {
    let decimal = amount.to_decimal();
    let (sign, digits) = decimal.strip_prefix('-').map_or(("", decimal.as_str()), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{grouped}{point}{fraction}", symbol(amount.currency, language))
}

/// A moment on the shop's clock: `2026年11月20日 16:30 (UTC+8)`, `20 November 2026, 16:30 (UTC+8)`.
pub fn time(at: Timestamp, utc_offset_minutes: i32, language: Language) -> String {
    let shifted = at.as_millis().saturating_add(i64::from(utc_offset_minutes) * 60_000);
    let moment = jiff::Timestamp::from_millisecond(shifted).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let pattern = match language {
        Language::Chinese => "%Y年%-m月%-d日 %H:%M",
        Language::English => "%-d %B %Y, %H:%M",
    };
    format!("{} ({})", moment.strftime(pattern), offset(utc_offset_minutes))
}

fn offset(minutes: i32) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
    match (hours, rest) {
        (0, 0) => "UTC".to_owned(),
        (hours, 0) => format!("UTC{sign}{hours}"),
        (hours, rest) => format!("UTC{sign}{hours}:{rest:02}"),
    }
}
