//! The double, driven over its HTTP routes by our own client, on a virtual clock.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bills;
mod cashier;
mod control;
mod faults;
mod gateway;
mod modes;
mod notifications;
mod pages;
mod refunds;
mod restart;
mod sequences;
mod world;
