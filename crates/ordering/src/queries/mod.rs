//! The read side.

pub mod checkout_quote;
pub mod orders;
pub mod timeline;
