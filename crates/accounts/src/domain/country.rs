//! Countries (ISO 3166-1 alpha-2) and what their addresses must have.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// The officially assigned codes.
const CODES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS \
    BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI \
    FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR \
    IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM \
    MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT \
    PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM \
    TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// A country by its two letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Country([u8; 2]);

/// What the addresses of a country must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A first-level division (province, state) is part of the address.
    pub region: bool,
    /// A city is part of the address; it is not in a city state.
    pub city: bool,
    /// The postcode is part of the address.
    pub postcode: bool,
    /// The forms a postcode may have: `N` a digit, `A` a letter, anything else itself. Empty: any form.
    pub forms: &'static [&'static str],
    /// Written from the large to the small, when it is written in Chinese, Japanese or Korean.
    pub large_first: bool,
}

const ANY: Rules = Rules { region: false, city: true, postcode: false, forms: &[], large_first: false };

impl Country {
    /// China.
    pub const CN: Self = Self(*b"CN");

    /// Reads a code, upper or lower case.
    ///
    /// # Errors
    /// A sentence naming the rule.
    pub fn new(code: &str) -> Result<Self, String> {
        let upper = code.trim().to_ascii_uppercase();
        let known = upper.len() == 2 && CODES.split_ascii_whitespace().any(|c| c == upper);
        match upper.as_bytes() {
            [a, b] if known => Ok(Self([*a, *b])),
            _ => Err("must be a country code of ISO 3166-1 such as CN".to_owned()),
        }
    }
    /// Every country.
    pub fn all() -> impl Iterator<Item = Self> {
        CODES.split_ascii_whitespace().filter_map(|code| Self::new(code).ok())
    }
    /// The two letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("")
    }
    /// What its addresses must have. From the Universal Postal Union's addressing pages for the countries named;
    /// for the others only what every address has.
    pub fn rules(&self) -> Rules {
        let with_region = Rules { region: true, ..ANY };
        let coded = |forms| Rules { postcode: true, forms, ..ANY };
        let coded_with_region = |forms| Rules { region: true, ..coded(forms) };
        match self.code() {
            // In China a postcode is seldom known and never needed.
            "CN" => Rules { forms: &["NNNNNN"], large_first: true, ..with_region },
            "TW" => Rules { forms: &["NNN", "NNNNN", "NNNNNN"], large_first: true, ..ANY },
            "HK" | "MO" => Rules { city: false, large_first: true, ..ANY },
            "JP" => Rules { large_first: true, ..coded_with_region(&["NNN-NNNN"]) },
            "KR" => Rules { large_first: true, ..coded(&["NNNNN"]) },
            "SG" => Rules { city: false, ..coded(&["NNNNNN"]) },
            "MC" | "VA" => Rules { city: false, ..coded(&["NNNNN"]) },
            "US" => coded_with_region(&["NNNNN", "NNNNN-NNNN"]),
            "CA" => coded_with_region(&["ANA NAN"]),
            "AU" => coded_with_region(&["NNNN"]),
            "BR" => coded_with_region(&["NNNNN-NNN"]),
            "IN" => coded_with_region(&["NNNNNN"]),
            "MX" | "MY" => coded_with_region(&["NNNNN"]),
            "GB" => coded(&["AN NAA", "ANN NAA", "AAN NAA", "AANN NAA", "ANA NAA", "AANA NAA"]),
            "DE" | "FR" | "ES" | "IT" | "FI" | "TH" | "TR" | "UA" => coded(&["NNNNN"]),
            "AT" | "BE" | "CH" | "DK" | "NO" | "NZ" | "HU" => coded(&["NNNN"]),
            "NL" => coded(&["NNNN AA"]),
            "SE" | "CZ" | "SK" | "GR" => coded(&["NNN NN"]),
            "PL" => coded(&["NN-NNN"]),
            "PT" => coded(&["NNNN-NNN"]),
            "RU" | "VN" => coded(&["NNNNNN"]),
            _ => ANY,
        }
    }
}

impl Rules {
    /// Whether the postcode has one of the forms.
    pub fn fits(&self, postcode: &str) -> bool {
        let fits = |form: &&str| {
            form.len() == postcode.len()
                && form.bytes().zip(postcode.bytes()).all(|(wanted, given)| match wanted {
                    b'N' => given.is_ascii_digit(),
                    b'A' => given.is_ascii_alphabetic(),
                    other => given == other,
                })
        };
        self.forms.is_empty() || self.forms.iter().any(fits)
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl Serialize for Country {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for Country {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Country".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[A-Z]{2}$", "description": "ISO 3166-1 alpha-2"})
    }
}
