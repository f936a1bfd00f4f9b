//! The flat parameters of a request or a notification: form coding and the text that is signed.

use std::{collections::BTreeMap, fmt};

use merx_kernel::{Error, ErrorKind, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// What travels unescaped in a form or query (the unreserved characters of RFC 3986).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Parameters by name, each once, in the byte order of the names: the order in which they are signed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Params(BTreeMap<String, String>);

fn refused(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, "alipay.form_invalid", detail)
}

fn decoded(piece: &str) -> Result<String> {
    let plain = piece.replace('+', " ");
    let bytes = plain.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        let hex = |offset: usize| bytes.get(index + offset).is_some_and(u8::is_ascii_hexdigit);
        if *byte == b'%' && !(hex(1) && hex(2)) {
            return Err(refused("a `%` in the form is not followed by two hexadecimal digits"));
        }
    }
    let text =
        percent_decode(bytes).decode_utf8().map_err(|e| refused("the form is not UTF-8").with_source(e))?;
    Ok(text.into_owned())
}

impl Params {
    /// The most parameters a form may have.
    pub const COUNT_MAX: usize = 100;
    /// The most bytes a form may have.
    pub const BYTES_MAX: usize = 64 * 1024;

    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes `application/x-www-form-urlencoded`. A name that comes twice is refused: whoever reads the first
    /// and whoever reads the last would see different messages under one signature. Names are letters, digits,
    /// `_`, `-` and `.`, because `=` or `&` in a name makes the signed text ambiguous.
    ///
    /// # Errors
    /// `alipay.form_invalid` naming the rule.
    pub fn from_form(form: &[u8]) -> Result<Self> {
        if form.len() > Self::BYTES_MAX {
            return Err(refused(format!(
                "the form has {} bytes; at most {} are read",
                form.len(),
                Self::BYTES_MAX
            )));
        }
        let form = std::str::from_utf8(form).map_err(|e| refused("the form is not UTF-8").with_source(e))?;
        let mut params = Self::new();
        for piece in form.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let name = decoded(name)?;
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if name.is_empty() || !name.chars().all(plain) {
                return Err(refused("a parameter name may have letters, digits, `_`, `-` and `.` only"));
            }
            if params.0.len() == Self::COUNT_MAX {
                return Err(refused(format!("the form has more than {} parameters", Self::COUNT_MAX)));
            }
            if params.0.contains_key(&name) {
                return Err(refused(format!("the parameter `{name}` comes more than once")));
            }
            params.0.insert(name, decoded(value)?);
        }
        Ok(params)
    }

    /// Encodes as `application/x-www-form-urlencoded`, which is also the form of a query string.
    pub fn to_form(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.0 {
            if !out.is_empty() {
                out.push('&');
            }
            out.extend(utf8_percent_encode(name, ESCAPED));
            out.push('=');
            out.extend(utf8_percent_encode(value, ESCAPED));
        }
        out
    }

    /// Sets a parameter.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }
    /// With a parameter set.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }
    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
    /// Takes a parameter out.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }
    /// All, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
    /// Those for which `keep` is true, and the rest.
    #[must_use]
    pub fn partition(self, keep: impl Fn(&str) -> bool) -> (Self, Self) {
        let (kept, rest) = self.0.into_iter().partition(|(name, _)| keep(name));
        (Self(kept), Self(rest))
    }

    /// What the signature of a request covers: everything with a value except `sign`, so *with* `sign_type`.
    pub fn request_signing_text(&self) -> String {
        joined(self.iter().filter(|(name, value)| *name != "sign" && !value.is_empty()))
    }

    /// What the signature of a notification covers: everything except `sign` and `sign_type`, empty values too.
    pub fn notification_signing_text(&self) -> String {
        joined(self.iter().filter(|(name, _)| !matches!(*name, "sign" | "sign_type")))
    }
}

fn joined<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        out.push_str(value);
    }
    out
}

/// Names only: the values name people and carry signatures.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
