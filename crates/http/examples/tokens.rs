//! For `scripts/check-tokens`: prints what other libraries need to make and verify our tokens, or judges tokens they
//! made. Development only.
//!
//! `tokens facts` prints one JSON object: the seed, the key's name, the claims of a good token, and a good token.
//! `tokens judge` reads lines of JSON `{by, name, good, token}` and fails when one that is not good passes, or one that
//! is does not.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for developers")]

use std::{
    io::{BufRead as _, stdin},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use merx_http::{
    Revocations,
    token::{Realm, TokenSigner, TokenVerifier},
};
use merx_kernel::{Clock, Id, Principal, Role, Secret, Timestamp};
use merx_platform::time::SystemClock;
use serde_json::{Value, json};

const SEED: [u8; 32] = [9; 32];

fn signer() -> TokenSigner {
    TokenSigner::new(&Secret::new(SEED.to_vec()), Realm::default(), Duration::from_secs(3600)).unwrap()
}

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&BASE64.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

fn facts() -> ExitCode {
    let principal = Principal::of_session(Id::from_bits(5), Id::from_bits(6), &[Role::Customer]);
    let token = signer().sign(&principal, SystemClock.now()).unwrap();
    let public = BASE64.encode(signer().public_key());
    let facts = json!({
        "seed": BASE64.encode(SEED), "public": public, "header": part(&token, 0), "claims": part(&token, 1),
        "token": token,
    });
    println!("{facts}");
    ExitCode::SUCCESS
}

fn judge() -> ExitCode {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let revocations = Arc::new(Revocations::in_process());
    revocations.load([], Timestamp::from_millis(0));
    let verifier = TokenVerifier::new([signer().public_key()], Realm::default(), clock, revocations);
    let (mut good, mut bad, mut wrong) = (0, 0, 0);
    for line in stdin().lock().lines() {
        let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let verdict = verifier.verify(case["token"].as_str().unwrap());
        let expected = case["good"].as_bool().unwrap();
        *(if expected { &mut good } else { &mut bad }) += 1;
        if verdict.is_ok() != expected {
            wrong += 1;
            println!("WRONG: {} {}: {verdict:?}", case["by"], case["name"]);
        }
    }
    println!("{good} good tokens and {bad} bad ones judged, {wrong} wrongly");
    if wrong == 0 && good > 0 && bad > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("facts") => facts(),
        Some("judge") => judge(),
        _ => {
            println!("tokens facts | tokens judge");
            ExitCode::FAILURE
        }
    }
}
