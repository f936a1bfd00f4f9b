//! Keys of programs: `merx_`, 26 symbols of the id, 32 of the secret and 7 of a checksum, all of Crockford's base 32,
//! so that those who look for leaked secrets know one when they see one, and a mistyped one costs no look at the
//! database.

use aws_lc_rs::digest::{SHA256, digest};
use merx_contracts::ids::ApiKeyId;
use merx_http::token::KEY_PREFIX;

/// Keys of one account that were not revoked.
pub const KEYS_MAX: i64 = 20;
const ID_LENGTH: usize = 26;
const SECRET_BYTES: usize = 20;
const SECRET_LENGTH: usize = SECRET_BYTES * 8 / 5;
const CHECKSUM_LENGTH: usize = 7;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The secret of a key, from 160 random bits.
pub fn secret(id: ApiKeyId, random: [u8; SECRET_BYTES]) -> String {
    let mut text = format!("{KEY_PREFIX}{}", id.bare());
    for chunk in random.chunks(5) {
        let bits = chunk.iter().fold(0u64, |bits, byte| (bits << 8) | u64::from(*byte));
        text.extend((0..8).map(|index| symbol(bits >> (35 - 5 * index))));
    }
    let sum = checksum(&text);
    text.push_str(&sum);
    text
}

/// Which key the secret says to be of; `None` when it is none, or was mistyped.
pub fn id_of(secret: &str) -> Option<ApiKeyId> {
    let rest = secret.strip_prefix(KEY_PREFIX)?;
    if rest.len() != ID_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH || !rest.is_ascii() {
        return None;
    }
    let (body, sum) = secret.split_at(secret.len() - CHECKSUM_LENGTH);
    if checksum(body) != sum {
        return None;
    }
    ApiKeyId::parse_bare(&rest[..ID_LENGTH]).ok()
}

/// What a secret is stored as. A plain hash is enough: there is nothing to guess.
pub fn hash(secret: &str) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    out
}

fn symbol(bits: u64) -> char {
    char::from(ALPHABET[usize::try_from(bits & 31).unwrap_or(0)])
}

/// CRC-32 (ISO 3309, the one of zip and PNG) as seven symbols.
fn checksum(text: &str) -> String {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let sum = u64::from(!crc);
    (0..CHECKSUM_LENGTH).map(|index| symbol(sum >> (5 * (CHECKSUM_LENGTH - 1 - index)))).collect()
}
