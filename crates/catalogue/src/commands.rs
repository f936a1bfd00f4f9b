//! One use case a file.

mod create_product;

pub use create_product::create_product;
