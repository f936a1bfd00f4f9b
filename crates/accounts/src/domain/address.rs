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
    #[serde(default)]
    pub region: BoundedText<0, 100>,
    /// City; in China the prefecture-level city.
    #[serde(default)]
    pub city: BoundedText<0, 100>,
    /// Street and number; in China begin with the district.
    pub line1: BoundedText<1, 200>,
    /// Building, floor, flat.
    #[serde(default)]
    pub line2: BoundedText<0, 200>,
    /// Postcode, in the form of the country.
    #[serde(default)]
    pub postcode: BoundedText<0, 16>,
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
        if rules.region && form.region.as_str().is_empty() {
            wrong.push(("/region", format!("an address in {country} names its province or state")));
        }
        if rules.city && form.city.as_str().is_empty() {
            wrong.push(("/city", format!("an address in {country} names its city")));
        }
        match postcode(form.postcode.as_str(), &rules) {
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
                Err(wrong.fold(Error::invalid(pointer, rule), |e, (pointer, rule)| e.with_field(pointer, rule)))
            }
        }
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
        let (country, region, city) = (f.country.code(), f.region.as_str(), f.city.as_str());
        let (line1, line2, postcode) = (f.line1.as_str(), f.line2.as_str(), f.postcode.as_str());
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

fn postcode(given: &str, rules: &Rules) -> Result<BoundedText<0, 16>, String> {
    let upper = given.to_uppercase();
    if upper.is_empty() {
        return match rules.postcode {
            true => Err(format!("must be given, as {}", rules.forms.join(" or "))),
            false => BoundedText::new(upper),
        };
    }
    let plain = upper.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ' || c == '-');
    if !plain || !rules.fits(&upper) {
        let forms = rules.forms.join(" or ");
        let forms = if forms.is_empty() { "letters, digits, blanks and hyphens".to_owned() } else { forms };
        return Err(format!("must be {forms} (N a digit, A a letter)"));
    }
    BoundedText::new(upper)
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
        let mobile = digits.len() == 11 && digits.as_bytes()[0] == b'1' && (b'3'..=b'9').contains(&digits.as_bytes()[1]);
        let with_area = digits.starts_with('0') && (10..=12).contains(&digits.len());
        if !mobile && !with_area {
            return Err("must be a mobile number of 11 digits, or one with its area code such as 0755-12345678".to_owned());
        }
    }
    BoundedText::new(format!("{plus}{digits}"))
}
