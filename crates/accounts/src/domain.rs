//! The rules of accounts: pure, without time, SQL or randomness.

pub mod address;
pub mod country;
pub mod email;
pub mod newcomers;
pub mod throttle;
