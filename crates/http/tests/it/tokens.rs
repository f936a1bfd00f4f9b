//! Attacks on access tokens. Each case is one token that must not pass.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use merx_http::{
    Revocations,
    token::{Realm, TOKEN_BYTES_MAX, TokenSigner, TokenVerifier},
};
use merx_kernel::{Clock, ErrorKind, Result, Role, Secret, Timestamp, clock::BoxFuture};
use serde_json::{Value, json};

use crate::kit::{START, principal};

struct Fixed(Timestamp);
impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
    fn sleep(&self, _: Duration) -> BoxFuture<()> {
        Box::pin(std::future::ready(()))
    }
}

const SEED: [u8; 32] = [9; 32];

fn signer() -> TokenSigner {
    TokenSigner::new(&Secret::new(SEED.to_vec()), Realm::default(), Duration::from_secs(600)).unwrap()
}
fn verifier(at: Timestamp) -> TokenVerifier {
    let revocations = Arc::new(Revocations::in_process());
    revocations.load([], START);
    TokenVerifier::new([signer().public_key()], Realm::default(), Arc::new(Fixed(at)), revocations)
}
fn good() -> String {
    signer().sign(&principal(5, &[Role::Customer]), START).unwrap()
}
fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&BASE64.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}
fn header() -> Value {
    part(&good(), 0)
}
fn claims() -> Value {
    part(&good(), 1)
}
fn with(mut value: Value, name: &str, new: Value) -> Value {
    value[name] = new;
    value
}
fn without(mut value: Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name);
    value
}
fn key(seed: &[u8; 32]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).unwrap()
}
/// A token of any texts, validly signed with the key of `seed`.
fn signed_text(header: &str, claims: &str, seed: &[u8; 32]) -> String {
    let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let signature = BASE64.encode(key(seed).sign(signed.as_bytes()).as_ref());
    format!("{signed}.{signature}")
}
fn signed(header: Value, claims: Value) -> String {
    signed_text(&header.to_string(), &claims.to_string(), &SEED)
}
fn hmac_token(algorithm: hmac::Algorithm, name: &str, secret: &[u8]) -> String {
    let signed = format!(
        "{}.{}",
        BASE64.encode(with(header(), "alg", json!(name)).to_string()),
        BASE64.encode(claims().to_string())
    );
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), signed.as_bytes());
    format!("{signed}.{}", BASE64.encode(tag.as_ref()))
}
fn unsigned(alg: &str) -> String {
    format!(
        "{}.{}.",
        BASE64.encode(with(header(), "alg", json!(alg)).to_string()),
        BASE64.encode(claims().to_string())
    )
}
fn twice(value: Value, name: &str, second: &str) -> String {
    let text = value.to_string();
    format!("{},\"{name}\":{second}}}", text.strip_suffix('}').unwrap())
}
/// Replaces the signature.
fn signature(change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let token = good();
    let (head, signature) = token.rsplit_once('.').unwrap();
    format!("{head}.{}", BASE64.encode(change(BASE64.decode(signature).unwrap())))
}

/// The order of the group, little-endian: S + L verifies too where S is not checked (RFC 8032 §5.1.7).
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
fn malleable(mut signature: Vec<u8>) -> Vec<u8> {
    let mut carry = 0u16;
    for (byte, add) in signature[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    signature
}

fn algorithm_attacks() -> Vec<(&'static str, String)> {
    let public = signer().public_key();
    let base64_public = BASE64.encode(&public);
    let mut cases = vec![
        ("alg none, no signature", unsigned("none")),
        ("alg None, no signature", unsigned("None")),
        ("alg NONE, no signature", unsigned("NONE")),
        ("alg nOnE, no signature", unsigned("nOnE")),
        ("alg EdDSA, no signature", unsigned("EdDSA")),
        ("alg none, valid signature", signed(with(header(), "alg", json!("none")), claims())),
        ("HS256 with the public key", hmac_token(hmac::HMAC_SHA256, "HS256", &public)),
        (
            "HS256 with the public key in base64",
            hmac_token(hmac::HMAC_SHA256, "HS256", base64_public.as_bytes()),
        ),
        ("HS384 with the public key", hmac_token(hmac::HMAC_SHA384, "HS384", &public)),
        ("HS512 with the public key", hmac_token(hmac::HMAC_SHA512, "HS512", &public)),
        ("HS256 with an empty key", hmac_token(hmac::HMAC_SHA256, "HS256", b"")),
        ("HMAC under the name EdDSA", hmac_token(hmac::HMAC_SHA256, "EdDSA", &public)),
        ("no alg", signed(without(header(), "alg"), claims())),
        ("alg null", signed(with(header(), "alg", Value::Null), claims())),
        ("alg a number", signed(with(header(), "alg", json!(0)), claims())),
        ("alg a list", signed(with(header(), "alg", json!(["EdDSA"])), claims())),
        ("alg twice", signed_text(&twice(header(), "alg", "\"none\""), &claims().to_string(), &SEED)),
        (
            "alg twice, escaped",
            signed_text(&twice(header(), "\\u0061lg", "\"none\""), &claims().to_string(), &SEED),
        ),
    ];
    for alg in ["RS256", "RS512", "PS256", "ES256", "ES256K", "eddsa", "EDDSA", "Ed448", ""] {
        cases.push(("another alg, valid signature", signed(with(header(), "alg", json!(alg)), claims())));
    }
    cases
}

fn header_attacks() -> Vec<(&'static str, String)> {
    let theirs = [1u8; 32];
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(key(&theirs).public_key().as_ref())});
    let by_them = |header: Value| signed_text(&header.to_string(), &claims().to_string(), &theirs);
    let their_signer =
        TokenSigner::new(&Secret::new(theirs.to_vec()), Realm::default(), Duration::from_secs(600)).unwrap();
    let extra = |name: &str, value: Value| signed(with(header(), name, value), claims());
    vec![
        ("no kid", signed(without(header(), "kid"), claims())),
        ("kid null", signed(with(header(), "kid", Value::Null), claims())),
        ("kid unknown", signed(with(header(), "kid", json!("other")), claims())),
        ("kid empty", signed(with(header(), "kid", json!("")), claims())),
        ("kid a path", by_them(with(header(), "kid", json!("../../../../dev/null")))),
        ("kid SQL", by_them(with(header(), "kid", json!("x' UNION SELECT 'key' -- ")))),
        ("kid a command", by_them(with(header(), "kid", json!("key|/usr/bin/id")))),
        ("kid a URL", by_them(with(header(), "kid", json!("https://evil.example/key")))),
        ("kid twice", signed_text(&twice(header(), "kid", "\"x\""), &claims().to_string(), &SEED)),
        ("our kid, their key", by_them(header())),
        ("their kid, their key", their_signer.sign(&principal(5, &[Role::Administrator]), START).unwrap()),
        ("jwk with their key", by_them(with(header(), "jwk", jwk.clone()))),
        ("jwk with our signature", extra("jwk", jwk)),
        ("jku", by_them(with(header(), "jku", json!("https://evil.example/keys")))),
        ("x5u", by_them(with(header(), "x5u", json!("https://evil.example/cert")))),
        ("x5c", extra("x5c", json!(["AAAA"]))),
        ("crit", extra("crit", json!(["exp"]))),
        ("b64", extra("b64", json!(false))),
        ("zip", extra("zip", json!("DEF"))),
        ("cty JWT", extra("cty", json!("JWT"))),
        ("enc", extra("enc", json!("A256GCM"))),
        ("typ JWT", signed(with(header(), "typ", json!("JWT")), claims())),
        ("typ of a refresh token", signed(with(header(), "typ", json!("rt+jwt")), claims())),
        ("no typ", signed(without(header(), "typ"), claims())),
        ("header a list", signed(json!([]), claims())),
        ("header empty", signed(json!({}), claims())),
        ("header with an end", signed_text(&format!("{} x", header()), &claims().to_string(), &SEED)),
    ]
}

fn claim_attacks() -> Vec<(&'static str, String)> {
    let now = START.as_secs();
    let change = |name: &str, value: Value| signed(header(), with(claims(), name, value));
    let remove = |name: &str| signed(header(), without(claims(), name));
    let text = |text: String| signed_text(&header().to_string(), &text, &SEED);
    vec![
        ("aud of another", change("aud", json!("merx/other"))),
        ("aud a list", change("aud", json!(["merx/api"]))),
        ("aud empty", change("aud", json!(""))),
        ("no aud", remove("aud")),
        ("iss of another", change("iss", json!("https://evil.example"))),
        ("iss with a tail", change("iss", json!("merx/accounts/"))),
        ("iss null", change("iss", Value::Null)),
        ("no iss", remove("iss")),
        ("sub of another kind", change("sub", json!("ord_00000000000000000000000005"))),
        ("sub empty", change("sub", json!(""))),
        ("no sub", remove("sub")),
        ("no sid", remove("sid")),
        ("no roles", remove("roles")),
        ("a role we do not have", change("roles", json!(["root"]))),
        ("roles a text", change("roles", json!("administrator"))),
        ("expired", change("exp", json!(now - 1))),
        ("expires now", change("exp", json!(now))),
        ("no exp", remove("exp")),
        ("exp null", change("exp", Value::Null)),
        ("exp a text", change("exp", json!((now + 600).to_string()))),
        ("exp a fraction", change("exp", json!(now as f64 + 0.5))),
        (
            "exp beyond 64 bits",
            text(claims().to_string().replace(&(now + 600).to_string(), "99999999999999999999")),
        ),
        ("exp infinite", text(claims().to_string().replace(&(now + 600).to_string(), "1e999"))),
        (
            "exp before iat",
            signed(header(), with(with(claims(), "exp", json!(now + 3)), "iat", json!(now + 4))),
        ),
        ("not yet", change("nbf", json!(now + 60))),
        ("nbf a text", change("nbf", json!("0"))),
        ("made in the future", change("iat", json!(now + 60))),
        ("no iat", remove("iat")),
        ("another claim", change("admin", json!(true))),
        ("sub twice", text(twice(claims(), "sub", "\"acc_00000000000000000000000001\""))),
        ("roles twice", text(twice(claims(), "roles", "[\"administrator\"]"))),
        ("exp twice", text(twice(claims(), "exp", "9999999999"))),
        ("claims a list", text("[]".to_owned())),
        ("claims a text", text("\"x\"".to_owned())),
        ("claims empty", text(String::new())),
        ("claims not JSON", text("exp=1".to_owned())),
        ("claims with an end", text(format!("{} x", claims()))),
        ("a token inside a token", text(good())),
    ]
}

fn form_attacks() -> Vec<(&'static str, String)> {
    let token = good();
    let parts: Vec<&str> = token.split('.').collect();
    let [head, body, tail] = parts[..] else { panic!("a token has three parts") };
    let richer = BASE64.encode(with(claims(), "roles", json!(["administrator"])).to_string());
    vec![
        ("empty", String::new()),
        ("dots", "..".to_owned()),
        ("one part", head.to_owned()),
        ("two parts", format!("{head}.{body}")),
        ("four parts", format!("{token}.{tail}")),
        ("five parts, as JWE", format!("{head}..{body}.{tail}.{tail}")),
        ("changed claims", format!("{head}.{richer}.{tail}")),
        ("claims and signature swapped", format!("{head}.{tail}.{body}")),
        ("signature trimmed by a character", token[..token.len() - 1].to_owned()),
        ("signature trimmed by a byte", signature(|s| s[..63].to_vec())),
        ("signature cut in half", signature(|s| s[..32].to_vec())),
        (
            "signature one byte too long",
            signature(|mut s| {
                s.push(0);
                s
            }),
        ),
        ("signature of zeros", signature(|_| vec![0; 64])),
        (
            "signature of the identity point",
            signature(|_| {
                let mut s = vec![0; 64];
                s[0] = 1;
                s
            }),
        ),
        (
            "signature with one bit changed",
            signature(|mut s| {
                s[5] ^= 1;
                s
            }),
        ),
        ("signature S + L", signature(malleable)),
        ("padding", format!("{head}.{body}.{tail}==")),
        ("white space inside", format!("{head}. {body}.{tail}")),
        ("line end", format!("{token}\n")),
        ("other alphabet", format!("{head}.{body}.{}", tail.replace(['-', '_'], "+"))),
        ("NUL", format!("{head}\0.{body}.{tail}")),
        ("as JSON", json!({"protected": head, "payload": body, "signature": tail}).to_string()),
        ("huge", signed(header(), with(claims(), "roles", json!(vec!["customer"; 4_000])))),
        ("huge rubbish", "a".repeat(10 << 20)),
        ("many dots", ".".repeat(TOKEN_BYTES_MAX)),
    ]
}

#[test]
fn no_attack_passes() {
    let verifier = verifier(START);
    assert!(verifier.verify(&good()).is_ok());
    let mut count = 0;
    for cases in [algorithm_attacks(), header_attacks(), claim_attacks(), form_attacks()] {
        for (name, token) in cases {
            let verdict = verifier.verify(&token);
            let refused = verdict.as_ref().is_err_and(|e| e.kind() == ErrorKind::Unauthenticated);
            assert!(refused, "{name}: {verdict:?}: {}", &token[..token.len().min(400)]);
            count += 1;
        }
    }
    assert!(count >= 100, "{count} attacks");
    println!(
        "PROOF | T33 | forged tokens: algorithm, header, claims and form attacks | size={count} | 0 of {count} accepted, the valid one is | \
         seed=-"
    );
}

#[test]
fn what_is_signed_in_another_order_or_with_spaces_is_the_same_token() {
    let (h, c) = (header(), claims());
    let header = format!("{{ \"typ\": \"at+jwt\", \"kid\": {}, \"alg\": \"EdDSA\" }}", h["kid"]);
    let claims = format!(
        "{{\n \"exp\": {}, \"iat\": {}, \"nbf\": {}, \"roles\": {}, \"sid\": {}, \"sub\": {}, \"aud\": {}, \"iss\": {} }}",
        c["exp"], c["iat"], c["iat"], c["roles"], c["sid"], c["sub"], c["aud"], c["iss"]
    );
    let seen = verifier(START).verify(&signed_text(&header, &claims, &SEED)).unwrap();
    assert_eq!(seen, principal(5, &[Role::Customer]));
}

#[test]
fn a_token_lives_ten_minutes_and_bears_a_little_skew() {
    let at =
        |seconds: i64| verifier(Timestamp::from_millis(START.as_millis() + seconds * 1000)).verify(&good());
    assert!(at(599).is_ok());
    assert_eq!(code(at(600)), "request.token_expired");
    assert!(at(-5).is_ok(), "the verifier's clock may be a little behind");
    assert_eq!(code(at(-6)), "request.token_invalid");
}

fn code<T>(result: Result<T>) -> String {
    result.err().map(|e| e.code().to_owned()).unwrap_or_default()
}

#[test]
fn a_revocation_set_that_is_not_known_lets_nobody_in() {
    let revocations = Arc::new(Revocations::pushed(Duration::from_secs(1)));
    let session = principal(5, &[]).session().unwrap();
    assert_eq!(code(revocations.contains(session, START)), "request.revocations_unknown");
    revocations.load([], START);
    assert!(!revocations.contains(session, START.plus(Duration::from_secs(1))).unwrap());
    let late = START.plus(Duration::from_millis(1_001));
    assert_eq!(code(revocations.contains(session, late)), "request.revocations_unknown");
    revocations.confirm(late);
    revocations.add(session, START.plus(Duration::from_secs(600)), late);
    assert!(revocations.contains(session, late).unwrap());
    let own = Revocations::in_process();
    assert_eq!(code(own.contains(session, START)), "request.revocations_unknown");
    own.load([(session, START.plus(Duration::from_secs(600)))], START);
    assert!(own.contains(session, START.plus(Duration::from_secs(500))).unwrap(), "never too old");
}
