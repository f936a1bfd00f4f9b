//! Tests of accounts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod addresses;
mod asks;
mod domain;
mod kit;
mod log_in;
mod routes;
mod sessions;
mod signing_key;
mod throttle;
