//! Signatures of Standard Webhooks over any id and body, checked by a reader of its own.

use aws_lc_rs::{
    hmac,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use merx_kernel::{Secret, Timestamp};
use merx_notification::domain::signature::{Scheme, SigningKey, header};

use super::text;

const SEED: [u8; 32] = [7; 32];

/// A line with the id, the second of the signing, and the body: every signature of the header verifies over exactly
/// these, and with one byte changed none does.
pub fn signature(input: &[u8]) {
    let Some(text) = text(input) else { return };
    let mut lines = text.splitn(3, '\n');
    let (id, at, body) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    let at = Timestamp::from_millis(at.trim().parse::<i32>().map_or(0, i64::from).saturating_mul(1000));
    let keys =
        [Scheme::Hmac, Scheme::Ed25519].map(|scheme| SigningKey::new(scheme, Secret::new(SEED.to_vec())));
    let made = header(&keys, id, at, body).unwrap();
    assert!(http::HeaderValue::from_str(&made).is_ok(), "{made}");
    let signatures: Vec<&str> = made.split(' ').collect();
    assert_eq!(signatures.len(), 2, "{made}");
    let content = format!("{id}.{}.{body}", at.as_secs());
    for signature in signatures {
        assert!(verifies(signature, content.as_bytes()), "{signature} over {content:?}");
        let mut other = content.clone().into_bytes();
        let middle = other.len() / 2;
        other[middle] ^= 1;
        assert!(!verifies(signature, &other), "{signature} also over {other:?}");
    }
}

fn verifies(signature: &str, content: &[u8]) -> bool {
    let (version, bytes) = signature.split_once(',').unwrap();
    let bytes = BASE64.decode(bytes).unwrap();
    match version {
        "v1" => hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &SEED), content, &bytes).is_ok(),
        "v1a" => {
            let pair = Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap();
            UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref()).verify(content, &bytes).is_ok()
        }
        other => panic!("an unknown version: {other}"),
    }
}
