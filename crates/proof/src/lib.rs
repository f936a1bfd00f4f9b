//! Proves the fault tests both ways and writes down what came out: every test passes with its guard, fails without it,
//! and prints its figure itself.
//!
//! `rows.toml` names the tests; a test prints `PROOF | id | sub-case | size=N | figure | seed=N` for each of its
//! sub-cases. What is proved is kept in `docs/proof.json`, each with the commit and the time of its run;
//! `docs/proof.md` is written from it.

pub mod plan;
pub mod report;
pub mod result;
pub mod runner;
