//! The built binary when the machine under it fails: a disk that is full, read-only or loses what was not synced, a
//! clock that is wrong or jumps, a database behind a bad line.

mod clocks;
mod crowd;
mod disk;
mod full_disk;
mod journal;
mod links;
mod power_cut;
mod proxy;
mod read_only;
mod shim;

use crate::process::harness::say;

/// One line of the report of proofs.
fn proof(id: &str, case: &str, size: usize, figure: &str, seed: Option<u64>) {
    let seed = seed.map_or_else(|| "-".to_owned(), |seed| seed.to_string());
    println!("PROOF | {id} | {case} | size={size} | {figure} | seed={seed}");
}

/// What this machine or user cannot do is told by name.
fn not_run(what: &str, why: &str) {
    say(&format!("NOT RUN: {what}: {why}"));
}

/// What needs a service or tool that is not there is told by name, and a failure where everything must run.
fn missing(what: &str, why: &str) {
    not_run(what, why);
    let demanded = std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|told| told == "1");
    assert!(!demanded, "{what} was not run, and nothing may be: {why}");
}

/// How large a run is: the number in the variable, or what fits into every run of the tests.
fn size(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |told| told.parse().expect("a size is a number"))
}
