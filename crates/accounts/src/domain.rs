//! The rules of accounts: pure, without time, SQL or randomness.

pub mod address;
pub mod api_key;
pub mod audit_chain;
pub mod code;
pub mod country;
pub mod email;
pub mod grants;
pub mod newcomers;
pub mod person;
pub mod throttle;
