//! Text from outside with a limit.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Trimmed text of `MIN` to `MAX` characters without control characters. What is cut off counts for the longest too: the
/// limit is told to clients, who count what they send.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct BoundedText<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> BoundedText<MIN, MAX> {
    /// Trims and checks.
    ///
    /// # Errors
    /// A sentence naming the limit.
    pub fn new(text: impl AsRef<str>) -> Result<Self, String> {
        let given = text.as_ref().chars().count();
        let text = text.as_ref().trim();
        let length = if given > MAX { given } else { text.chars().count() };
        if length < MIN || length > MAX {
            return Err(format!("must have {MIN} to {MAX} characters, has {length}"));
        }
        if text.chars().any(char::is_control) {
            return Err("must not contain control characters".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The owned text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for BoundedText<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl<const MIN: usize, const MAX: usize> fmt::Debug for BoundedText<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for BoundedText<MIN, MAX> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(text).map_err(serde::de::Error::custom)
    }
}
impl<const MIN: usize, const MAX: usize> JsonSchema for BoundedText<MIN, MAX> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Text_{MIN}_{MAX}").into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "minLength": MIN, "maxLength": MAX, "pattern": pattern(MIN),
            "description": "Without control characters; blanks around it are cut off."
        })
    }
}

/// What [`char::is_control`] and what [`str::trim`] speak of, in a class of a regular expression (ECMA-262).
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";
const BLANK: &str = r"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";

/// Text with at least `min` characters between the blanks around it, and no control character there.
fn pattern(min: usize) -> String {
    let (blanks, edge, inner) =
        (format!("[{BLANK}]*"), format!("[^{BLANK}{CONTROL}]"), format!("[^{CONTROL}]"));
    let text = match min {
        0 => format!("({edge}({inner}*{edge})?)?"),
        1 => format!("{edge}({inner}*{edge})?"),
        _ => format!("{edge}{inner}{{{},}}{edge}", min - 2),
    };
    format!("^{blanks}{text}{blanks}$")
}
