//! Fuzz targets: every parser that faces the outside, each as a function from bytes that must not panic and must keep
//! what it promises (what is read can be written again, a signature that is not ours is never believed, a refusal is a
//! refusal and not a fault of ours).
//!
//! `scripts/fuzz` runs them under libFuzzer; `cargo test` replays the saved inputs in `corpus/` and mutates them.

#![allow(clippy::unwrap_used, reason = "a target fails by panicking")]

pub mod mutate;
mod targets;

use std::path::PathBuf;

pub use targets::shop::TABLE_OF_PEOPLE;

/// One parser, or several that read the same thing.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// Feeds it one input. Panics when something does not hold.
    pub run: fn(&[u8]),
    /// What one input costs, in inputs of the cheapest target: shares of a run are in proportion to its inverse.
    pub cost: usize,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "alipay_notification", run: targets::alipay::notification, cost: 4 },
    Target { name: "alipay_answer", run: targets::alipay::answer, cost: 4 },
    Target { name: "alipay_bill", run: targets::alipay::bill, cost: 2 },
    Target { name: "json_body", run: targets::json::body, cost: 1 },
    Target { name: "config", run: targets::config::file_and_environment, cost: 2 },
    Target { name: "events", run: targets::events::stored, cost: 1 },
    Target { name: "facts", run: targets::events::facts, cost: 1 },
    Target { name: "values", run: targets::values::all, cost: 1 },
    Target { name: "query", run: targets::values::request_line, cost: 1 },
    Target { name: "tokens", run: targets::tokens::bearer, cost: 2 },
    Target { name: "webhooks", run: targets::webhooks::signature, cost: 1 },
    Target { name: "pictures", run: targets::pictures::upload, cost: 10 },
    Target { name: "shop", run: targets::shop::request, cost: 20 },
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}

/// Where the saved inputs of a target are.
pub fn corpus_of(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The saved inputs of a target, by name.
///
/// # Panics
/// They cannot be read.
pub fn saved(target: &str) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(corpus_of(target)).unwrap_or_else(|e| panic!("no corpus of {target}: {e}"));
    let mut saved: Vec<_> = files
        .map(|file| {
            let file = file.unwrap();
            (file.file_name().to_string_lossy().into_owned(), std::fs::read(file.path()).unwrap())
        })
        .collect();
    saved.sort();
    saved
}
