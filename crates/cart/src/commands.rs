//! One use case a file.

mod change_lines;

pub use change_lines::{LINES_MAX, clear, remove_line, set_line};
