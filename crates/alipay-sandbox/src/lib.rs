//! A double of the Alipay gateway that speaks its protocol: a cashier, the gateway methods Merx uses, signed
//! notifications with the real schedule of repetition, a ledger for the auditor, and switches for the ways all of
//! that goes wrong.
//!
//! It keeps its own database and shares nothing with the shop but the protocol: what it knows is what it was told
//! over the wire. Its pages and control routes are for development; it must not face a network.

mod bill;
mod bills;
mod cashier;
mod control;
mod faults;
mod gateway;
mod home;
mod ledger;
mod notices;
mod outbound;
mod pages;
mod sandbox;
mod store;
mod trades;

pub use bill::BillChange;
pub use cashier::PageRefused;
pub use faults::{Armed, Fault, Field, Spoiled};
pub use ledger::{Entry, EntryKind, ledger};
pub use outbound::{Outbound, Reply, Web};
pub use sandbox::{Config, Sandbox};
pub use trades::Paid;
