//! One use case a file.

pub mod deliver;
pub mod dispatch;
pub mod open;

pub use deliver::deliver;
pub use dispatch::dispatch;
pub use open::open;
