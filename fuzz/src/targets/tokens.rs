//! What comes after `Authorization: Bearer`.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use merx_http::{
    Revocations,
    token::{Realm, TokenVerifier},
};
use merx_kernel::{ErrorKind, Id, Principal, Role};
use merx_platform::time::VirtualClock;
use merx_testkit::{START, TOKEN_SEED, signer};

use super::text;

static VERIFIER: LazyLock<TokenVerifier> = LazyLock::new(|| {
    let revocations = Arc::new(Revocations::in_process());
    revocations.load([], START);
    TokenVerifier::new(
        [signer().public_key()],
        Realm::default(),
        Arc::new(VirtualClock::new(START)),
        revocations,
    )
});
static GOOD: LazyLock<String> = LazyLock::new(|| {
    let principal = Principal::of_session(Id::from_bits(5), Id::from_bits(6), &[Role::Customer]);
    signer().sign(&principal, START).unwrap()
});

/// A token as it comes: the one that was signed is good, and no other text is. An input that is an object is taken for
/// claims, signed by our own key, and read as such.
pub fn bearer(input: &[u8]) {
    let Some(text) = text(input) else { return };
    match VERIFIER.verify(text) {
        Ok(_) => assert_eq!(text, *GOOD, "a token that was never made is good"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{}", error.chain()),
    }
    if text.starts_with('{') {
        signed(&GOOD[..GOOD.find('.').unwrap_or(0)], input);
        signed(&BASE64.encode(input), input);
    }
}

/// Header and claims under a signature of our own.
fn signed(header: &str, claims: &[u8]) {
    let key = Ed25519KeyPair::from_seed_unchecked(&TOKEN_SEED).unwrap();
    let text = format!("{header}.{}", BASE64.encode(claims));
    let signature = BASE64.encode(key.sign(text.as_bytes()).as_ref());
    match VERIFIER.verify(&format!("{text}.{signature}")) {
        Ok(principal) => {
            let claims: serde_json::Value = serde_json::from_slice(claims).unwrap();
            assert_eq!(claims["sub"], principal.account.to_string());
            assert!(claims["exp"].as_i64() > Some(START.as_secs()), "an expired token is good: {claims}");
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{}", error.chain()),
    }
}
