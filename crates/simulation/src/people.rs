//! The people of a run: many seeded shoppers, some of them honest, and the staff of the shop, all in front of the public
//! API at once.
//!
//! Each kind is one small file under `shoppers` or `staff`. What a person draws comes from dice of his own, so that it
//! does not depend on who else is in the shop. Every answer is held against what may be answered there (`rules`), what
//! was acknowledged is remembered (`promises`) and looked up when the day is over (`evening`), and what was seen at all
//! is counted (`tally`).

mod checkout;
mod client;
pub mod evening;
mod paying;
mod promises;
mod rules;
mod shopper;
mod shoppers;
mod staff;
mod tally;
pub mod town;

pub use self::{
    client::{Ask, Client, Who},
    paying::Till,
    shopper::Shopper,
    shoppers::Kind,
    staff::{Duty, furnish, tidy_up},
    tally::Tally,
    town::{Mixture, Town},
};
