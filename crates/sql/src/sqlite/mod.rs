//! SQLite: one writer with group commit, readers beside it.

mod file;
mod session;
mod writer;

pub(crate) use file::{FileLock, open_reader, open_writer};
pub(crate) use session::read_snapshot;
pub(crate) use writer::Writer;
