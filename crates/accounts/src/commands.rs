//! The use cases that change something.

pub mod add_address;
pub mod create_account;
pub mod end_session;
pub mod log_in;
pub mod prune;
pub mod refresh_session;
pub mod replace_address;
pub mod retire_address;
