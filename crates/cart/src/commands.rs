//! One use case a file.

mod change_lines;
mod sweep;

pub use change_lines::{LINES_MAX, acknowledge, clear, remove_line, set_line};
pub use sweep::sweep;
