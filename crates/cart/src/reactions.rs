//! One subscription a file.

pub mod order_awaiting_payment;
