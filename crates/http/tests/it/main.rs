//! Tests of the HTTP surface.

#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod edge;
mod idempotency;
mod json;
mod keys;
mod kit;
mod openapi;
mod outbound;
mod rate;
mod reader;
mod routes;
mod socket;
mod tokens;
mod versions;
