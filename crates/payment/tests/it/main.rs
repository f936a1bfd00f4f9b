//! Tests of payment.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod asks;
mod attempts;
mod config;
mod domain;
mod gateway;
mod money_in;
mod notifications;
mod refunds;
mod routes;
mod sequences;
mod timers;
mod world;
