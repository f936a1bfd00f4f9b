//! How a webhook is signed (Standard Webhooks 1.0, "Signature scheme").

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use merx_kernel::{Error, Result, Secret, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes of a secret: the key of the HMAC, or the seed of the Ed25519 pair.
pub const SECRET_BYTES: usize = 32;

/// Which scheme an endpoint is signed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// HMAC-SHA256 under a shared secret, `v1`.
    #[default]
    Hmac,
    /// Ed25519, `v1a`: the endpoint holds the public key only.
    Ed25519,
}

impl Scheme {
    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hmac => "hmac",
            Self::Ed25519 => "ed25519",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Hmac, Self::Ed25519].into_iter().find(|s| s.name() == name)
    }
}

/// One key an endpoint's webhooks are signed with.
#[derive(Clone, Debug)]
pub struct SigningKey {
    scheme: Scheme,
    bytes: Secret<Vec<u8>>,
}

impl SigningKey {
    /// From its scheme and bytes.
    pub const fn new(scheme: Scheme, bytes: Secret<Vec<u8>>) -> Self {
        Self { scheme, bytes }
    }

    fn pair(&self) -> Result<Ed25519KeyPair> {
        Ed25519KeyPair::from_seed_unchecked(self.bytes.expose())
            .map_err(|_| Error::internal("a webhook's Ed25519 seed is not 32 bytes"))
    }

    /// What the receiver is given: `whsec_…`, the shared secret, or `whpk_…`, the public key.
    ///
    /// # Errors
    /// `Internal` for a seed that is none.
    pub fn for_receiver(&self) -> Result<String> {
        Ok(match self.scheme {
            Scheme::Hmac => format!("whsec_{}", BASE64.encode(self.bytes.expose())),
            Scheme::Ed25519 => format!("whpk_{}", BASE64.encode(self.pair()?.public_key().as_ref())),
        })
    }

    /// The signature over id, timestamp and body, with its version.
    ///
    /// # Errors
    /// `Internal` for a seed that is none.
    pub fn sign(&self, id: &str, at: Timestamp, body: &str) -> Result<String> {
        let content = format!("{id}.{}.{body}", at.as_secs());
        Ok(match self.scheme {
            Scheme::Hmac => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.bytes.expose());
                format!("v1,{}", BASE64.encode(hmac::sign(&key, content.as_bytes()).as_ref()))
            }
            Scheme::Ed25519 => {
                format!("v1a,{}", BASE64.encode(self.pair()?.sign(content.as_bytes()).as_ref()))
            }
        })
    }
}

/// The value of `webhook-signature`: one signature for each key that is valid, the newest first.
///
/// # Errors
/// `Internal` for a seed that is none.
pub fn header(keys: &[SigningKey], id: &str, at: Timestamp, body: &str) -> Result<String> {
    let all = keys.iter().map(|key| key.sign(id, at, body)).collect::<Result<Vec<_>>>()?;
    Ok(all.join(" "))
}
