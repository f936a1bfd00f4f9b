//! The chain over what staff did: each entry carries the hash of the one before, so that an entry cannot be changed,
//! taken out, put in or moved without breaking every hash after it. Who can write the whole table can write a whole new
//! chain; a head noted elsewhere (`merx staff-audit head`, the log) shows that too, and shows entries cut off at the
//! end.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use merx_contracts::ids::{AccountId, MessageId};
use merx_kernel::Timestamp;

/// Where a chain ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many entries it has.
    pub sequence: i64,
    /// The hash of the last.
    pub hash: [u8; 32],
}

impl Head {
    /// Of a chain without entries.
    pub const START: Self = Self { sequence: 0, hash: [0; 32] };

    /// Reads what [`Self`] prints: `<sequence>:<64 hexadecimal digits>`.
    ///
    /// # Errors
    /// A sentence naming the form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "must be a head such as `merx staff-audit head` prints: a number, a colon, 64 hexadecimal digits";
        let (sequence, hex) = text.trim().split_once(':').ok_or_else(wrong)?;
        let sequence = sequence.parse().map_err(|_| wrong())?;
        let mut hash = [0u8; 32];
        if hex.len() != 64 || !hex.is_ascii() || sequence < 0 {
            return Err(wrong().to_owned());
        }
        for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Self { sequence, hash })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, hex(&self.hash))
    }
}
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A hash in hexadecimal digits.
pub fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What somebody of the staff did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The message that told it.
    pub message: MessageId,
    /// When it happened.
    pub at: Timestamp,
    /// Who.
    pub actor: AccountId,
    /// What, `<context>.<verb in the past>`.
    pub action: String,
    /// On what.
    pub object: String,
    /// Why.
    pub reason: Option<String>,
    /// JSON.
    pub detail: String,
}

/// An act at its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place, from 1.
    pub sequence: i64,
    /// The message that told it.
    pub message: MessageId,
    /// When it happened.
    pub at: Timestamp,
    /// Who.
    pub actor: AccountId,
    /// What.
    pub action: String,
    /// On what.
    pub object: String,
    /// Why.
    pub reason: Option<String>,
    /// JSON.
    pub detail: String,
    /// The hash of the entry before.
    pub prev_hash: [u8; 32],
    /// Over everything above.
    pub hash: [u8; 32],
}

impl Entry {
    /// The act as the entry after `head`.
    pub fn after(head: Head, act: Act) -> Self {
        let Act { message, at, actor, action, object, reason, detail } = act;
        let (sequence, prev_hash) = (head.sequence + 1, head.hash);
        let mut entry =
            Self { sequence, message, at, actor, action, object, reason, detail, prev_hash, hash: [0; 32] };
        entry.hash = entry.computed();
        entry
    }

    /// The chain's end at this entry.
    pub const fn head(&self) -> Head {
        Head { sequence: self.sequence, hash: self.hash }
    }

    /// SHA-256 over every part with its length before it, so that no two entries are written alike.
    fn computed(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let mut part = |bytes: &[u8]| {
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        };
        part(b"merx staff audit 1");
        part(&self.sequence.to_be_bytes());
        part(&self.message.to_bytes());
        part(&self.at.as_millis().to_be_bytes());
        part(&self.actor.to_bytes());
        part(self.action.as_bytes());
        part(self.object.as_bytes());
        part(&[u8::from(self.reason.is_some())]);
        part(self.reason.as_deref().unwrap_or_default().as_bytes());
        part(self.detail.as_bytes());
        part(&self.prev_hash);
        let mut hash = [0u8; 32];
        hash.copy_from_slice(context.finish().as_ref());
        hash
    }
}

/// Where a chain is broken, and how one sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Break {
    /// The place at which it shows.
    pub at: i64,
    /// What is wrong there.
    pub why: Why,
}

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// An entry is missing: taken out, or moved.
    Missing,
    /// A place is there that must not be: put in, or moved.
    Misplaced,
    /// It does not follow the entry before: something was put in, taken out or written anew.
    Unlinked,
    /// Its content is not what was hashed.
    Changed,
    /// The chain ends before a head that was known.
    Truncated,
    /// Another entry is at the place of a head that was known: the chain was written anew.
    Rewritten,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Why::Missing => "the entry is missing",
            Why::Misplaced => "the entry is not at its place",
            Why::Unlinked => "the entry does not follow the one before it",
            Why::Changed => "the entry was changed",
            Why::Truncated => "the chain ends before the head that was known",
            Why::Rewritten => "the chain was written anew: another entry is where the known head was",
        };
        write!(f, "entry {}: {why}", self.at)
    }
}

/// Follows a chain, entry by entry.
#[derive(Clone, Debug)]
pub struct Verifier {
    head: Head,
    known: Option<Head>,
}

impl Verifier {
    /// From the beginning; `known` is a head that was noted earlier.
    pub const fn new(known: Option<Head>) -> Self {
        Self { head: Head::START, known }
    }
    /// How far it has come.
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// Where and how the chain is broken.
    pub fn follow(&mut self, entry: &Entry) -> Result<(), Break> {
        let expected = self.head.sequence + 1;
        let broken = |why| Err(Break { at: entry.sequence.min(expected), why });
        if entry.sequence > expected {
            return broken(Why::Missing);
        }
        if entry.sequence < expected {
            return broken(Why::Misplaced);
        }
        if entry.prev_hash != self.head.hash {
            return broken(Why::Unlinked);
        }
        if entry.hash != entry.computed() {
            return broken(Why::Changed);
        }
        self.head = entry.head();
        match self.known {
            Some(known) if known.sequence == self.head.sequence && known != self.head => {
                broken(Why::Rewritten)
            }
            _ => Ok(()),
        }
    }

    /// The end, after the last entry.
    ///
    /// # Errors
    /// The chain ends before the head that was known.
    pub fn finish(self) -> Result<Head, Break> {
        match self.known {
            Some(known) if known.sequence > self.head.sequence => {
                Err(Break { at: self.head.sequence + 1, why: Why::Truncated })
            }
            _ => Ok(self.head),
        }
    }
}

/// Verifies a whole chain in its order; `known` is a head that was noted earlier.
///
/// # Errors
/// Where and how it is broken.
pub fn verify_chain<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
    known: Option<Head>,
) -> Result<Head, Break> {
    let mut verifier = Verifier::new(known);
    for entry in entries {
        verifier.follow(entry)?;
    }
    verifier.finish()
}
