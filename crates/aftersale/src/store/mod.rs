//! Every SQL text of after-sale, and the one way a case is read and changed: load, decide, append, project, tell.

pub mod cases;
pub mod change;
pub mod evidence;
pub mod project;
pub mod words;

use merx_kernel::Error;
use merx_sql::Migration;

pub use change::{Act, Changed, Deed, change, load};

/// The context's name and the prefix of its tables.
pub const CONTEXT: &str = "aftersale";

/// The tables of after-sale itself; the platform's come before.
pub fn migrations() -> Vec<Migration> {
    vec![Migration::same(100, "cases", include_str!("../../migrations/0100_cases.sql"))]
}

fn inconsistent(what: &str) -> Error {
    Error::internal(format!("a row of after-sale has a {what} that is none"))
}
