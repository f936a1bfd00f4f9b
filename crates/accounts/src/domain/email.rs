//! E-mail addresses as log-in names.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// A normalised e-mail address: trimmed and lower-case, so that one mailbox is one account. Personal data: it
/// prints as `[email]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// The longest address, RFC 5321 §4.5.3.1.3 (path without its brackets).
    pub const LENGTH_MAX: usize = 254;
    const LOCAL_MAX: usize = 64;

    /// Checks and normalises. Whether the mailbox exists only a mail can tell, so the form is checked for what
    /// is certain: one `@`, no blanks, a domain with a dot, the lengths.
    ///
    /// # Errors
    /// A sentence naming the rule.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim().to_lowercase();
        let wrong = || "must be an e-mail address such as name@example.com".to_owned();
        if text.len() > Self::LENGTH_MAX {
            return Err(format!("must have at most {} bytes", Self::LENGTH_MAX));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(wrong());
        }
        let (local, domain) = text.split_once('@').ok_or_else(wrong)?;
        let labels_fit = domain.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        });
        if local.is_empty() || local.len() > Self::LOCAL_MAX || !domain.contains('.') || !labels_fit {
            return Err(wrong());
        }
        Ok(Self(text))
    }
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[email]")
    }
}
impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for Email {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Email".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "email", "maxLength": Self::LENGTH_MAX})
    }
}
