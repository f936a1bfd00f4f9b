//! The rules of the cart. Pure, without clock, SQL or log.

pub mod changes;
pub mod limit;
pub mod merge;

pub use changes::{LOW_STOCK_MAX, LineChange, Present, changes, shown_available};
pub use limit::Limit;
pub use merge::{LineHad, Merged, Outcome, merge};
