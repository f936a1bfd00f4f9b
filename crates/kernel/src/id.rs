//! Identities: 128 bits in the layout of UUID version 7 (RFC 9562 §5.7), so they sort by time of making and
//! cannot be guessed. In the database 16 bytes, in public `prefix_` and 26 characters of Crockford base 32.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What an id names; its prefix is part of the public text form.
pub trait IdKind: 'static {
    /// Two to four lower-case letters, unique among all kinds.
    const PREFIX: &'static str;
}

/// A typed identity. Two kinds never mix; the same bits under another kind are had by [`Id::cast`].
pub struct Id<K> {
    bits: u128,
    kind: PhantomData<fn() -> K>,
}

impl<K> Id<K> {
    /// From the 128 bits.
    pub const fn from_bits(bits: u128) -> Self {
        Self { bits, kind: PhantomData }
    }
    /// The 128 bits.
    pub const fn bits(self) -> u128 {
        self.bits
    }
    /// Big-endian bytes, the stored form.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.bits.to_be_bytes()
    }
    /// From the stored form; `None` unless it is 16 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_bits(u128::from_be_bytes(bytes.try_into().ok()?)))
    }
    /// The same bits as another kind: how an effect takes its identity from its cause
    /// (the reservation of order X is reservation X).
    pub const fn cast<L>(self) -> Id<L> {
        Id::from_bits(self.bits)
    }
    /// The 26 characters without the prefix: letters and digits only, for outside systems with narrow alphabets.
    pub fn bare(self) -> String {
        let mut out = [0u8; 26];
        let mut bits = self.bits;
        for slot in out.iter_mut().rev() {
            *slot = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
        }
        out.iter().map(|b| char::from(*b)).collect()
    }
    /// Reads [`Self::bare`].
    ///
    /// # Errors
    /// Not 26 characters of the alphabet, or more than 128 bits.
    pub fn parse_bare(text: &str) -> Result<Self, String> {
        if text.len() != 26 {
            return Err("an id has 26 characters after its prefix".to_owned());
        }
        let mut bits: u128 = 0;
        for (index, byte) in text.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|a| *a == byte.to_ascii_lowercase());
            let Some(digit) = digit else {
                return Err(format!("`{}` is not a character of an id", char::from(byte).escape_default()));
            };
            if index == 0 && digit > 7 {
                return Err("the id is out of range".to_owned());
            }
            bits = (bits << 5) | digit as u128;
        }
        Ok(Self::from_bits(bits))
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bits.cmp(&other.bits)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits.hash(state);
    }
}

impl<K: IdKind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.bare())
    }
}
impl<K: IdKind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: IdKind> FromStr for Id<K> {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || format!("expected an id that begins `{}_` and goes on with 26 letters and digits", K::PREFIX);
        let bare = text.strip_prefix(K::PREFIX).and_then(|t| t.strip_prefix('_')).ok_or_else(expected)?;
        Self::parse_bare(bare).map_err(|_| expected())
    }
}

impl<K: IdKind> Serialize for Id<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de, K: IdKind> Deserialize<'de> for Id<K> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
impl<K: IdKind> JsonSchema for Id<K> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Id_{}", K::PREFIX).into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // 26 symbols of five bits hold 130: the first stands for three.
        let pattern = format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$", K::PREFIX);
        schemars::json_schema!({"type": "string", "pattern": pattern})
    }
}

/// Where randomness comes from. The operating system's is in `merx-platform`, a seeded one in `merx-testkit`.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `out` with unpredictable bytes.
    fn fill(&self, out: &mut [u8]);
}

/// Makes identities that rise strictly within this process even when the clock stands still or jumps back.
#[derive(Clone)]
pub struct IdGen {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    last: Arc<Mutex<u128>>,
}

impl IdGen {
    /// A generator over the given time and randomness.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy, last: Arc::new(Mutex::new(0)) }
    }

    /// The next identity.
    pub fn next<K: IdKind>(&self) -> Id<K> {
        let mut random = [0u8; 16];
        self.entropy.fill(&mut random);
        let millis = u128::try_from(self.clock.now().as_millis()).unwrap_or(0) & ((1 << 48) - 1);
        let tail = u128::from_be_bytes(random);
        let rand_a = (tail >> 64) & 0xfff;
        let rand_b = tail & ((1 << 62) - 1);
        let fresh = (millis << 80) | (7 << 76) | (rand_a << 64) | (2 << 62) | rand_b;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Same millisecond or a clock that went back: step on from the last one by a random stride.
        let bits = if fresh > *last { fresh } else { *last + 1 + (rand_b & 0xffff_ffff) };
        *last = bits;
        Id::from_bits(bits)
    }

    /// Unpredictable bytes from the same source, for tokens.
    pub fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0u8; N];
        self.entropy.fill(&mut out);
        out
    }
}
