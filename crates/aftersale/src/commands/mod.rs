//! One use case a file.

pub mod add_picture;
pub mod request;
pub mod sweep;
