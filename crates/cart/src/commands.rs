//! One use case a file.

mod change_lines;

pub use change_lines::{clear, remove_line, set_line};
