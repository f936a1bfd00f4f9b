//! One use case a file. Those that staff call run inside the transaction of their request: key, effect, history, facts
//! and answer commit together.

pub mod act;
pub mod change_price;
mod create_product;
pub mod draft_product;
pub mod keep_attributes;
pub mod keep_brands;
pub mod keep_categories;
pub mod keep_pictures;
pub mod list_product;
pub mod publish_product;
pub mod seed;
mod sweep_objects;

pub use act::Act;
pub use create_product::create_product;
pub use sweep_objects::{ORPHAN_AFTER, sweep_objects, sweep_unknown};
