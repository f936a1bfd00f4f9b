//! The whole shop in one process on a virtual clock, with an Alipay beside it and people in front of it: the code that
//! runs in production, from a seed.

#![allow(clippy::unwrap_used, reason = "a run that cannot go on fails, and names its seed")]
#![allow(clippy::print_stdout, reason = "figures and seeds are the result")]
#![allow(clippy::cast_possible_truncation, reason = "counts and random picks of a run are small")]

pub mod dice;
pub mod faults;
pub mod people;
pub mod report;
pub mod run;
pub mod scenarios;
pub mod shrink;
pub mod world;
