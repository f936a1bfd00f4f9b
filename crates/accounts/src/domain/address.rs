//! Postal addresses, Chinese and of elsewhere.

use merx_kernel::{BoundedText, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::country::{Country, Rules};

/// Active addresses of one account.
pub const ADDRESSES_MAX: i64 = 50;

/// An address as it is given. Personal data: it is not `Debug`, so that it cannot slip into a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressForm {
    /// ISO 3166-1 alpha-2.
    pub country: Country,
    /// First-level division: province, state. Needed where addresses have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<BoundedText<1, 100>>,
    /// City; in China the prefecture-level city.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<BoundedText<1, 100>>,
    /// Street and number; in China begin with the district.
    pub line1: BoundedText<1, 200>,
    /// Building, floor, flat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<BoundedText<1, 200>>,
    /// Postcode, in the form of the country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<BoundedText<1, 16>>,
    /// Who receives.
    pub recipient: BoundedText<1, 80>,
    /// Where the carrier calls: digits with an optional `+`, blanks and hyphens allowed.
    pub phone: BoundedText<5, 30>,
}

/// A checked address in its normal form.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    form: AddressForm,
}

impl Address {
    /// Checks the form by the rules of its country; brings postcode and phone into their normal form.
    ///
    /// # Errors
    /// `Invalid` naming every property that does not fit.
    pub fn new(mut form: AddressForm) -> Result<Self> {
        let rules = form.country.rules();
        let country = form.country;
        let mut wrong: Vec<(&str, String)> = Vec::new();
        if rules.region && form.region.is_none() {
            wrong.push(("/region", format!("an address in {country} names its province or state")));
        }
        if rules.city && form.city.is_none() {
            wrong.push(("/city", format!("an address in {country} names its city")));
        }
        match postcode(text(&form.postcode), &rules) {
            Ok(normal) => form.postcode = normal,
            Err(rule) => wrong.push(("/postcode", rule)),
        }
        match phone(form.phone.as_str(), country) {
            Ok(normal) => form.phone = normal,
            Err(rule) => wrong.push(("/phone", rule)),
        }
        let mut wrong = wrong.into_iter();
        match wrong.next() {
            None => Ok(Self { form }),
            Some((pointer, rule)) => {
                Err(wrong
                    .fold(Error::invalid(pointer, rule), |e, (pointer, rule)| e.with_field(pointer, rule)))
            }
        }
    }

    /// An address that was checked before it was stored: rules that became stricter since do not apply to it.
    pub(crate) const fn stored(form: AddressForm) -> Self {
        Self { form }
    }

    /// The checked values.
    pub const fn form(&self) -> &AddressForm {
        &self.form
    }

    /// The lines of a shipping label, in the order the country's carriers read them: written in Chinese, Japanese
    /// or Korean from the large to the small, else from the small to the large.
    pub fn label(&self) -> Vec<String> {
        let f = &self.form;
        let join = |parts: &[&str], by: &str| {
            parts.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>().join(by)
        };
        let (country, region, city) = (f.country.code(), text(&f.region), text(&f.city));
        let (line1, line2, postcode) = (f.line1.as_str(), text(&f.line2), text(&f.postcode));
        let lines = if f.country.rules().large_first && line1.chars().any(is_cjk) {
            let municipality = if region == city { "" } else { city };
            vec![
                join(&[postcode, country], " "),
                join(&[region, municipality, line1, line2], " "),
                join(&[f.recipient.as_str(), f.phone.as_str()], " "),
            ]
        } else {
            vec![
                f.recipient.as_str().to_owned(),
                line2.to_owned(),
                line1.to_owned(),
                join(&[city, region, postcode], " "),
                country.to_owned(),
                f.phone.as_str().to_owned(),
            ]
        };
        lines.into_iter().filter(|line| !line.is_empty()).collect()
    }
}

/// Han, kana and hangul.
const fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{20000}'..='\u{323af}')
}

/// The text, empty when there is none.
pub fn text<const MAX: usize>(part: &Option<BoundedText<1, MAX>>) -> &str {
    part.as_ref().map_or("", BoundedText::as_str)
}

fn postcode(given: &str, rules: &Rules) -> Result<Option<BoundedText<1, 16>>, String> {
    let upper = given.to_uppercase();
    let forms = rules.forms.join(" or ");
    if upper.is_empty() {
        return if rules.postcode {
            Err(format!("must be given, as {forms} (N a digit, A a letter)"))
        } else {
            Ok(None)
        };
    }
    let plain = upper.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ' || c == '-');
    if !plain || !rules.fits(&upper) {
        return Err(match forms.as_str() {
            "" => "must be letters, digits, blanks and hyphens".to_owned(),
            forms => format!("must be {forms} (N a digit, A a letter)"),
        });
    }
    BoundedText::new(upper).map(Some)
}

/// Digits with an optional `+` before them. E.164 allows 15 digits; a Chinese number without `+` is a mobile one
/// (11 digits from 13 to 19), or one with its area code (beginning with 0).
fn phone(given: &str, country: Country) -> Result<BoundedText<5, 30>, String> {
    let (plus, rest) = given.strip_prefix('+').map_or(("", given), |rest| ("+", rest));
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    let clean = rest.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '(' | ')' | '.'));
    if !clean || !(5..=15).contains(&digits.len()) {
        return Err("must be a telephone number: 5 to 15 digits, with an optional + before them".to_owned());
    }
    if country == Country::CN && plus.is_empty() {
        let mobile = digits.len() == 11
            && digits.as_bytes()[0] == b'1'
            && (b'3'..=b'9').contains(&digits.as_bytes()[1]);
        let with_area = digits.starts_with('0') && (10..=12).contains(&digits.len());
        if !mobile && !with_area {
            return Err(
                "must be a mobile number of 11 digits, or one with its area code such as 0755-12345678"
                    .to_owned(),
            );
        }
    }
    BoundedText::new(format!("{plus}{digits}"))
}
