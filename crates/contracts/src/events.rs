//! The facts, by the context that publishes them. A fact is never changed, only followed by a new version;
//! `golden/` holds one JSON file of every version ever published.

pub mod ordering;
pub mod payment;
pub mod shipping;
