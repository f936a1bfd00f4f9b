//! SQLite: one writer with group commit, readers beside it.

mod file;
mod session;
mod writer;

pub(crate) use file::{FileLock, fill, open_own, open_reader, open_writer};
pub(crate) use session::{meaning, read_snapshot};
pub(crate) use writer::Writer;
