//! Schedule, signatures and types of webhooks.

use std::time::Duration;

use libtest_mimic::Trial;
use merx_kernel::{Secret, Timestamp};
use merx_notification::{
    domain::{
        schedule::{DELAYS, wait_after},
        signature::{Scheme, SigningKey, header},
        webhook::{TOLD, checked_types, covers},
    },
    reactions,
};
use proptest::prelude::{ProptestConfig, any, proptest};

use crate::{bench, trials};

pub fn trials() -> Vec<Trial> {
    trials!("webhook_rules":
        the_schedule_is_that_of_the_standard,
        signatures_are_those_of_the_standard,
        types_are_covered_at_points_only,
        every_type_that_is_told_is_subscribed_to,
    )
}

fn the_schedule_is_that_of_the_standard() {
    let hms = |h: u64, m: u64, s: u64| Duration::from_secs(h * 3600 + m * 60 + s);
    // "Time since start" in the standard's example schedule.
    let standard = [
        hms(0, 0, 5),
        hms(0, 5, 5),
        hms(0, 35, 5),
        hms(2, 35, 5),
        hms(7, 35, 5),
        hms(17, 35, 5),
        hms(31, 35, 5),
        hms(51, 35, 5),
        hms(75, 35, 5),
    ];
    let mut passed = Duration::ZERO;
    for (tries, expected) in (1..).zip(standard) {
        passed += wait_after(tries, 0, None).unwrap();
        assert_eq!(passed, expected, "after attempt {tries}");
    }
    assert_eq!(wait_after(10, 0, None), None, "the tenth attempt is the last");
    assert_eq!((wait_after(0, 0, None), wait_after(i64::MIN, 0, None)), (None, None));
    let hour = Duration::from_secs(3600);
    assert_eq!(wait_after(1, 0, Some(hour)), Some(hour), "the receiver asked for more");
    assert_eq!(wait_after(5, 0, Some(hour)), Some(5 * hour), "or for less");
    assert_eq!(wait_after(1, 0, Some(1_000 * hour)), Some(24 * hour), "but not for ever");
    proptest!(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }, |(tries in 1..=9_i64, random in any::<u64>())| {
        let delay = DELAYS[usize::try_from(tries).unwrap() - 1];
        let wait = wait_after(tries, random, None).unwrap();
        assert!(wait >= delay && wait <= delay + delay / 10, "{wait:?} for {delay:?}");
    });
}

fn signatures_are_those_of_the_standard() {
    let key = |scheme, bytes: &[u8]| SigningKey::new(scheme, Secret::new(bytes.to_vec()));
    let (id, at, body) = (
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        Timestamp::from_millis(1_614_265_330_999),
        r#"{"test": 2432232314}"#,
    );
    // The example of the libraries' own tests: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw.
    use base64::Engine as _;
    let secret = base64::prelude::BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let hmac = key(Scheme::Hmac, &secret);
    assert_eq!(hmac.for_receiver().unwrap(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    assert_eq!(hmac.sign(id, at, body).unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    // RFC 8032 §7.1, test 1: the public key of this seed.
    let seed: Vec<u8> = (0..32)
        .map(|i| {
            u8::from_str_radix(
                &"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"[2 * i..2 * i + 2],
                16,
            )
            .unwrap()
        })
        .collect();
    let pair = key(Scheme::Ed25519, &seed);
    assert_eq!(pair.for_receiver().unwrap(), "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    let both = header(&[pair.clone(), hmac.clone()], id, at, body).unwrap();
    let (first, second) = both.split_once(' ').unwrap();
    assert!(first.starts_with("v1a,") && second.starts_with("v1,"), "{both}");
    let signature = base64::prelude::BASE64_STANDARD.decode(&first[4..]).unwrap();
    let public =
        base64::prelude::BASE64_STANDARD.decode("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").unwrap();
    let verifier = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, public);
    let content = format!("{id}.1614265330.{body}");
    verifier.verify(content.as_bytes(), &signature).unwrap();
    assert!(verifier.verify(content.replace("1614265330", "1614265331").as_bytes(), &signature).is_err());
    assert!(!format!("{hmac:?} {pair:?}").contains("MfKQ"), "a secret is printed");
}

fn types_are_covered_at_points_only() {
    let kind = "ordering.order_paid.v2";
    for (wanted, covered) in [
        ("ordering", true),
        ("ordering.order_paid", true),
        (kind, true),
        ("order", false),
        ("ordering.order", false),
        ("ordering.", false),
        ("ordering.order_paid.v", false),
        ("ordering.order_paid.v2.x", false),
        ("", false),
        ("payment", false),
    ] {
        assert_eq!(covers(wanted, kind), covered, "{wanted:?}");
    }
    let types = |all: &[&str]| checked_types(&all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
    assert_eq!(types(&["payment", "ordering", "payment"]).unwrap(), ["ordering", "payment"]);
    assert!(types(&[]).is_err() && types(&["nothing"]).is_err());
    assert!(types(&["accounts.code_requested.v1"]).is_err(), "codes are nobody's business");
    assert!(types(&vec!["ordering"; 21]).is_err());
}

fn every_type_that_is_told_is_subscribed_to() {
    bench::on_a_runtime(async {
        let bench = bench::Bench::new(bench::Mode::Inline, None, |_| {}).await;
        let subscription = reactions::subscription(&bench.state);
        for kind in TOLD {
            assert!(subscription.types.contains(kind), "{kind} is told of and never heard");
        }
    });
}
