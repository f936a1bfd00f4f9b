//! The read side.

pub mod after_sale_terms;
pub mod causal;
pub mod checkout_quote;
mod history;
pub mod orders;
pub mod timeline;
