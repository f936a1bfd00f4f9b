//! The readable number of an order, `YYMMDD-XXXX-XXXC`: the day of its placing (UTC), seven symbols of its id's random
//! bits, and a check symbol. It is a function of the id, so it is stored for finding the order and never for knowing it.

use std::fmt;

use merx_contracts::ids::OrderId;

/// Crockford's base 32, which leaves out I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const DATE: usize = 6;
const RANDOM: usize = 7;
/// Symbols without the dashes.
const SYMBOLS: usize = DATE + RANDOM + 1;
/// Where dashes stand before a symbol.
const DASHES: [usize; 2] = [6, 10];
const DAY_MS: i64 = 24 * 3_600_000;

/// The number of an order, in its one written form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderNumber(String);

/// Why a text is no order number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misread {
    /// It has not the form of one.
    Form,
    /// It has, and its check symbol says that one of the symbols is wrong.
    Check,
}

impl OrderNumber {
    /// The characters of a number, dashes included.
    pub const LENGTH: usize = SYMBOLS + DASHES.len();

    /// The number of the order with this id. The id begins with the millisecond of its making.
    pub fn of(order: OrderId) -> Self {
        let bits = order.bits();
        let millis = i64::try_from(bits >> 80).unwrap_or(i64::MAX);
        let (year, month, day) = civil(millis.div_euclid(DAY_MS));
        let mut symbols = Vec::with_capacity(SYMBOLS);
        for part in [year.rem_euclid(100), month, day] {
            symbols.extend([part / 10, part % 10].map(|digit| u8::try_from(digit).unwrap_or(0)));
        }
        for place in (0..RANDOM).rev() {
            symbols.push(u8::try_from((bits >> (5 * place)) & 31).unwrap_or(0));
        }
        symbols.push(check(&symbols));
        Self(written(&symbols))
    }

    /// Reads a number as people write it: in any case, with or without dashes, O for 0, I or L for 1.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Misread> {
        let symbols = symbols(text).ok_or(Misread::Form)?;
        let date_is_digits = symbols.iter().take(DATE).all(|symbol| *symbol < 10);
        if symbols.len() != SYMBOLS || !date_is_digits {
            return Err(Misread::Form);
        }
        let (data, last) = symbols.split_at(SYMBOLS - 1);
        if last != [check(data)] {
            return Err(Misread::Check);
        }
        Ok(Self(written(&symbols)))
    }

    /// The beginning of a number, in the written form; `None` when no number begins so.
    pub fn prefix(text: &str) -> Option<String> {
        let symbols = symbols(text)?;
        let fits = (1..=SYMBOLS).contains(&symbols.len()) && symbols.iter().take(DATE).all(|s| *s < 10);
        fits.then(|| written(&symbols))
    }

    /// The written form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for OrderNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Dashes may be left out, but stand nowhere else than where they belong.
fn symbols(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(SYMBOLS);
    let mut dashed = false;
    for byte in text.trim().bytes() {
        if byte == b'-' {
            if dashed || !DASHES.contains(&out.len()) {
                return None;
            }
            dashed = true;
            continue;
        }
        dashed = false;
        let symbol = match byte.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        };
        let value = ALPHABET.iter().position(|known| *known == symbol)?;
        if out.len() == SYMBOLS {
            return None;
        }
        out.push(u8::try_from(value).ok()?);
    }
    Some(out)
}

fn written(symbols: &[u8]) -> String {
    let mut out = String::with_capacity(OrderNumber::LENGTH);
    for (place, symbol) in symbols.iter().enumerate() {
        if DASHES.contains(&place) {
            out.push('-');
        }
        out.push(char::from(ALPHABET[usize::from(*symbol) & 31]));
    }
    out
}

/// What makes the symbols, read as a polynomial over GF(32), vanish at the field's generator: every single wrong symbol
/// and every two symbols that changed places are noticed.
fn check(data: &[u8]) -> u8 {
    times_generator(data.iter().fold(0, |sum, symbol| times_generator(sum) ^ symbol))
}

/// Modulo the primitive polynomial x⁵ + x² + 1.
const fn times_generator(value: u8) -> u8 {
    let doubled = value << 1;
    if doubled & 32 == 0 { doubled } else { doubled ^ 0b10_0101 }
}

/// Year, month and day of a day counted from 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}
