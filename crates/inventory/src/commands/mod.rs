//! One use case a file.

pub mod act;
pub mod count_stock;
pub mod enter_stock;
pub mod keep_warehouses;
pub mod move_units;
pub mod reserve;
pub mod set_threshold;
pub mod settle;
pub mod transfer_stock;
pub mod watch_orphans;

pub use act::Act;
pub use enter_stock::{StockReceipt, receive_stock, receive_stock_in};
pub use keep_warehouses::add_warehouse;
pub use reserve::reserve;
pub use settle::{release, sell, take_back};
pub use watch_orphans::watch_orphans;
