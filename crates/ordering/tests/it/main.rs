//! The tests of ordering.

mod decide;
mod event_fixtures;
mod given;
mod order_states;
mod properties;
mod quote;
