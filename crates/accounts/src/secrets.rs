//! What is made of a secret instead of being stored: codes that are mailed, and the tokens in the links guests are
//! mailed.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use merx_contracts::ids::{AccountId, CodeId};
use merx_kernel::Secret;

/// How the token of a guest's link begins.
pub const GUEST_TOKEN_PREFIX: &str = "mgt_";
const ID_BYTES: usize = 16;
const TAG_BYTES: usize = 16;

/// The key of both.
pub struct Secrets(hmac::Key);

impl Secrets {
    /// From the bytes of the key's file.
    pub fn new(key: &Secret<Vec<u8>>) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }
    /// A key that follows from another secret.
    pub fn derived_from(secret: &Secret<Vec<u8>>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        Self(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, b"merx accounts codes 1").as_ref()))
    }

    /// The bits of a code.
    pub fn code(&self, id: CodeId, generation: i64) -> [u8; 5] {
        let tag = self.tag(&[b"code", &id.to_bytes(), &generation.to_be_bytes()]);
        let mut bits = [0u8; 5];
        bits.copy_from_slice(&tag.as_ref()[..5]);
        bits
    }

    /// The token of a guest's link: who has it may come in as the guest.
    pub fn guest_token(&self, guest: AccountId) -> String {
        let mut bytes = guest.to_bytes().to_vec();
        bytes.extend_from_slice(&self.guest_tag(guest).as_ref()[..TAG_BYTES]);
        format!("{GUEST_TOKEN_PREFIX}{}", BASE64.encode(bytes))
    }

    /// Whose link the token is of.
    pub fn guest_of(&self, token: &str) -> Option<AccountId> {
        let encoded = token.strip_prefix(GUEST_TOKEN_PREFIX)?;
        if encoded.len() > 2 * (ID_BYTES + TAG_BYTES) {
            return None;
        }
        let bytes = BASE64.decode(encoded).ok()?;
        let (id, tag) = bytes.split_at_checked(ID_BYTES)?;
        let guest = AccountId::from_slice(id)?;
        verify_slices_are_equal(&self.guest_tag(guest).as_ref()[..TAG_BYTES], tag).ok()?;
        Some(guest)
    }

    fn guest_tag(&self, guest: AccountId) -> hmac::Tag {
        self.tag(&[b"guest", &guest.to_bytes()])
    }

    /// Each first part has another length, so no two lists of parts are the same bytes.
    fn tag(&self, parts: &[&[u8]]) -> hmac::Tag {
        hmac::sign(&self.0, &parts.concat())
    }
}
