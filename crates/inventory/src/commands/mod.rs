//! One use case a file.

pub mod enter_stock;
pub mod reserve;
pub mod settle;
pub mod watch_orphans;

pub use enter_stock::{StockReceipt, receive_stock};
pub use reserve::reserve;
pub use settle::{release, sell};
pub use watch_orphans::watch_orphans;
