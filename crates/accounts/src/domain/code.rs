//! Codes that are mailed and typed in.
//!
//! A code is eight symbols of Crockford's base 32 in two groups: 40 bits, of which five guesses see next to nothing.

use std::time::Duration;

use merx_kernel::Timestamp;

/// Guesses at a code; the last of them may be the right one.
pub const GUESSES_MAX: i64 = 5;
/// How long an invitation is good.
pub const INVITATION_LIFE: Duration = Duration::from_secs(72 * 3600);
const SYMBOLS: usize = 8;
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody of the staff sets a first password.
    StaffInvitation,
}

impl Purpose {
    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StaffInvitation => "staff_invitation",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        (name == Self::StaffInvitation.name()).then_some(Self::StaffInvitation)
    }
}

/// Whether a code that was made good until `expires_at` can still be used.
pub fn is_alive(used: bool, guesses: i64, expires_at: Timestamp, now: Timestamp) -> bool {
    !used && guesses < GUESSES_MAX && now < expires_at
}

/// The code in the first 40 bits of `bytes`, as it is mailed: `K7QM-3F9T`.
pub fn shown(bytes: [u8; 5]) -> String {
    let mut text = symbols(bytes);
    text.insert(SYMBOLS / 2, '-');
    text
}

fn symbols(bytes: [u8; 5]) -> String {
    let bits = bytes.iter().fold(0u64, |bits, byte| (bits << 8) | u64::from(*byte));
    let symbol = |index: usize| {
        let shift = 5 * (SYMBOLS - 1 - index);
        char::from(ALPHABET[usize::try_from((bits >> shift) & 31).unwrap_or(0)])
    };
    (0..SYMBOLS).map(symbol).collect()
}

/// The symbols of a code as it was typed: in any case, with dashes and blanks anywhere, `O` for `0`, `I` and `L` for
/// `1`. `None` when it cannot be one.
pub fn typed(text: &str) -> Option<String> {
    let plain = |c: char| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let symbols: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).map(plain).collect();
    let fits = symbols.len() == SYMBOLS && symbols.bytes().all(|b| ALPHABET.contains(&b));
    fits.then_some(symbols)
}

/// The symbols [`typed`] makes of [`shown`].
pub fn expected(bytes: [u8; 5]) -> String {
    symbols(bytes)
}
