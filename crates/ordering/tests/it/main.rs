//! The tests of ordering.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cancel_order;
mod confirm_receipt;
mod decide;
mod event_fixtures;
mod given;
mod neighbours;
mod order_states;
mod orders;
mod payments;
mod place_order;
mod properties;
mod quote;
mod quote_checkout;
mod sagas;
mod shop;
