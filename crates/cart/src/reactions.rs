//! One subscription a file.

pub mod guest_logged_in;
pub mod order_awaiting_payment;
pub mod person_erased;
