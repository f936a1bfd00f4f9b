//! JSON that means one thing only: no property twice, no depth beyond a limit, nothing after the end.
//!
//! `serde_json` keeps the last of two equal properties and another reader keeps the first; a request that two
//! parsers read differently is refused (RFC 8259 §4 leaves the meaning open).

use std::{borrow::Cow, collections::BTreeSet, fmt};

use merx_kernel::{Error, ErrorKind, Result};
use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};

/// Nesting of arrays and objects.
pub const DEPTH_MAX: usize = 32;

/// Checks a whole JSON text.
///
/// # Errors
/// `request.malformed_json` naming the line and column.
pub fn check(text: &[u8]) -> Result<()> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    Node { depth: 0 }.deserialize(&mut reader).and_then(|()| reader.end()).map_err(malformed)
}

/// The text with `2.0` as `2`: the same number in JSON Schema, and in JSON as JavaScript writes it. The text is valid JSON.
pub(crate) fn whole_numbers(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.windows(2).any(|pair| pair == b".0") {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(&first) = rest.first() {
        let end = match first {
            b'"' => string_end(rest),
            b'-' | b'0'..=b'9' => {
                rest.iter().position(|b| !b"+-.eE0123456789".contains(b)).unwrap_or(rest.len())
            }
            _ => 1,
        };
        let (token, after) = rest.split_at(end);
        out.extend_from_slice(if first == b'"' { token } else { whole(token) });
        rest = after;
    }
    Cow::Owned(out)
}

/// Where a string that begins the text ends.
fn string_end(text: &[u8]) -> usize {
    let mut escaped = false;
    let inside = |byte: &u8| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    };
    text[1..].iter().position(inside).map_or(text.len(), |at| at + 2)
}

/// The number without a fraction of nothing but zeros.
fn whole(number: &[u8]) -> &[u8] {
    let Some(point) = number.iter().position(|b| *b == b'.') else { return number };
    match &number[..point] {
        _ if number[point + 1..].iter().any(|b| *b != b'0') => number,
        b"-0" => b"0",
        whole => whole,
    }
}

pub(crate) fn malformed(error: serde_json::Error) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "request.malformed_json",
        format!("The body is not the JSON we read: {error}."),
    )
}

#[derive(Clone, Copy)]
struct Node {
    depth: usize,
}

impl Node {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX}")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Node {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.inside()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.inside()?;
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(serde::de::Error::custom(format_args!("the property {key:?} is there twice")));
            }
            seen.insert(key);
            map.next_value_seed(inner)?;
        }
        Ok(())
    }
}
