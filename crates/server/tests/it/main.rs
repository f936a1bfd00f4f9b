//! The built binary under a harness.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]
#![allow(clippy::cast_possible_truncation, reason = "counts of a test are small")]

mod attacks;
#[cfg(merx_mutants)]
mod crashes;
mod disasters;
mod process;
mod process_faults;
