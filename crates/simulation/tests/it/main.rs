//! Stories of the whole shop in process, and the simulation.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "figures and seeds are shown with --nocapture")]
#![allow(clippy::cast_possible_truncation, reason = "counts and random picks of a test are small")]

mod after_sales;
mod asks;
mod auditor;
mod cancellations;
mod crowds;
mod engine;
mod exchanges;
mod faults;
mod late_money;
mod lives;
mod parcels;
mod reconciliations;
mod regressions;
mod routes;
mod shop_rules;
mod simulation;
mod stories;
mod visitors;
mod ways_to_pay;
mod wrong_ways;
