//! Every saved input again, and seeded mutations of them: what the fuzzer found stays found, without the fuzzer.
//!
//! `MERX_T38_MUTATIONS` is the number of mutations of the cheapest target (4,000), `MERX_SEED` what they begin with (1).

#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]

use std::{fs, panic::catch_unwind};

use merx_fuzz::{TARGETS, Target, corpus_of, mutate, saved};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Runs the target; an input on which it fails is written beside the corpus, and named.
fn feed(target: Target, name: &str, input: &[u8]) {
    if catch_unwind(|| (target.run)(input)).is_err() {
        let file = std::env::temp_dir().join(format!("merx-fuzz-{}", target.name));
        fs::write(&file, input).expect("written");
        panic!("{}: {name} fails; the input is in {}", target.name, file.display());
    }
}

fn replay_and_mutate(target: Target) {
    let saved = saved(target.name);
    assert!(!saved.is_empty(), "{} has no saved inputs", target.name);
    for (name, input) in &saved {
        feed(target, name, input);
    }
    let (seed, cheapest) = (number("MERX_SEED", 1), number("MERX_T38_MUTATIONS", 4_000));
    let mutations = cheapest / u64::try_from(target.cost).expect("small");
    let mut dice = mutate::Dice::new(seed);
    for mutation in 0..mutations {
        let input = mutate::mutated(&mut dice, &saved);
        feed(target, &format!("mutation {mutation} from seed {seed}"), &input);
    }
    println!(
        "PROOF | T38 | {}: saved inputs and seeded mutations | size={} | {} saved inputs and {mutations} mutations, \
         0 panics, every promise kept | seed={seed}",
        target.name,
        saved.len() as u64 + mutations,
        saved.len(),
    );
}

macro_rules! targets {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            replay_and_mutate(merx_fuzz::target(stringify!($name)).expect("a target"));
        })+
        const TESTED: &[&str] = &[$(stringify!($name)),+];
    };
}

targets!(
    alipay_notification,
    alipay_answer,
    alipay_bill,
    json_body,
    config,
    events,
    facts,
    values,
    query,
    tokens,
    webhooks,
    pictures,
    shop,
);

#[test]
fn every_target_is_tested_and_small() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, TESTED);
    for target in TARGETS {
        let bytes: u64 = fs::read_dir(corpus_of(target.name))
            .expect("a corpus")
            .map(|file| file.expect("a file").metadata().expect("metadata").len())
            .sum();
        assert!(bytes < 512 * 1024, "the corpus of {} has {bytes} bytes: minimise it", target.name);
    }
}

/// A replay that cannot fail would be worth nothing.
#[test]
fn a_target_that_panics_is_seen() {
    let bad = Target { name: "bad", run: |input| assert!(!input.contains(&0), "a NUL"), cost: 1 };
    feed(bad, "harmless", b"text");
    let seen = catch_unwind(|| feed(bad, "harmful", b"te\0xt"));
    assert!(seen.is_err(), "a panic of a target was not seen");
    let mut dice = mutate::Dice::new(1);
    let saved = vec![("text".to_owned(), b"text".to_vec())];
    let found = (0..10_000).any(|_| mutate::mutated(&mut dice, &saved).contains(&0));
    assert!(found, "ten thousand mutations put in no NUL");
}
