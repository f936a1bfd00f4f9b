//! The errors of storage, each with its code and what to do.

use std::time::Duration;

use merx_kernel::{Error, ErrorKind};

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Lost against another transaction: a deadlock, a lock wait, a busy file. The closure is run again a bounded
/// number of times before a caller sees this.
pub fn contention(detail: impl Into<String>) -> Error {
    Error::unavailable("sql.contention", "Too many changes at once touch the same record. Try again.")
        .with_retry_after(RETRY_AFTER)
        .with_source(detail.into())
}

/// The stream has moved on since the version the events were decided on.
pub(crate) fn stream_moved(expected_version: i64) -> Error {
    Error::conflict(
        "sql.stream_moved",
        "The record was changed by somebody else. Read it again, then decide.",
    )
    .with_source(format!("events were decided on version {expected_version}"))
}

/// A row with this key exists already.
pub(crate) fn duplicate() -> Error {
    Error::conflict("sql.duplicate", "A record with this key exists already.")
}

/// A DDL statement found its work done; only [`crate::Db::migrate`] sees it, when it resumes.
pub(crate) fn done_already(detail: impl Into<String>) -> Error {
    Error::new(
        ErrorKind::Internal,
        "sql.done_already",
        "A migration would make a table, column or index that is there already, or drop one that is gone.",
    )
    .with_source(detail.into())
}

/// Whether running the closure again may succeed: it was certainly rolled back, and what it met may be gone.
pub(crate) fn runs_again(error: &Error) -> bool {
    ["sql.contention", "sql.stream_moved", "sql.unreachable"].contains(&error.code())
}

pub(crate) fn disk_full() -> Error {
    Error::unavailable(
        "sql.disk_full",
        "The disk is full; nothing of this change was kept. Free some space, then try again.",
    )
    .with_retry_after(Duration::from_secs(5))
}

pub(crate) fn io(detail: impl Into<String>) -> Error {
    Error::unavailable(
        "sql.io",
        "The database file could not be read or written; nothing of this change was kept.",
    )
    .with_retry_after(RETRY_AFTER)
    .with_source(detail.into())
}

/// The file system takes no writes any more, as after an error of its disk.
pub(crate) fn disk_read_only(detail: impl Into<String>) -> Error {
    Error::unavailable(
        "sql.io",
        "The file system of the database is read-only; nothing of this change was kept. Reading goes on.",
    )
    .with_retry_after(Duration::from_secs(5))
    .with_source(detail.into())
}

pub(crate) fn outcome_unknown(detail: impl Into<String>) -> Error {
    Error::new(
        ErrorKind::Timeout,
        "sql.outcome_unknown",
        "The database did not say whether the change was kept. Look it up by its id before trying again.",
    )
    .with_source(detail.into())
}

pub(crate) fn unreachable(detail: impl Into<String>) -> Error {
    Error::unavailable(
        "sql.unreachable",
        "The database server does not answer; nothing of this change was kept. \
         Check that it runs and that the URL of the database is right.",
    )
    .with_retry_after(RETRY_AFTER)
    .with_source(detail.into())
}

pub(crate) fn overloaded() -> Error {
    Error::unavailable("sql.overloaded", "Too much work waits for the database. Try again in a moment.")
        .with_retry_after(RETRY_AFTER)
}

pub(crate) fn closed() -> Error {
    Error::unavailable("sql.closed", "The database is shut down.").with_retry_after(RETRY_AFTER)
}

pub(crate) fn read_only() -> Error {
    Error::rejected(
        "sql.read_only",
        "The database was opened for reading only; stop the shop to change it from here.",
    )
}

pub(crate) fn locked(path: &str, holder: &str) -> Error {
    Error::unavailable(
        "sql.locked",
        format!(
            "The database file {path} is in use by another Merx process{holder}. \
             Stop that process, or choose another data folder."
        ),
    )
}

pub(crate) fn foreign_file(path: &str, found: &str) -> Error {
    Error::rejected(
        "sql.foreign_file",
        format!("{path} is not a database of Merx ({found}). It was left as it is: choose another path."),
    )
}

pub(crate) fn newer_schema(context: &str, number: i64, name: &str) -> Error {
    Error::rejected(
        "sql.newer_schema",
        format!(
            "The database was made by a newer Merx: `{context}` has migration {number} ({name}), which this \
             program does not know. Start the newer program, or restore a backup made by this one."
        ),
    )
}

pub(crate) fn migration_changed(context: &str, number: i64, name: &str) -> Error {
    Error::rejected(
        "sql.migration_changed",
        format!(
            "Migration {number} ({name}) of `{context}` is not the text that was applied to this database. \
             An applied migration is never edited: put its text back and add a new one."
        ),
    )
}

pub(crate) fn cannot_open(path: &str, why: &str) -> Error {
    Error::unavailable(
        "sql.cannot_open",
        format!(
            "The database {path} cannot be opened: {why}. Check that the folder exists and may be written."
        ),
    )
}

pub(crate) fn no_database(name: &str) -> Error {
    Error::unavailable(
        "sql.cannot_open",
        format!(
            "The server has no database `{name}`, and none was made. \
             Start the shop once, which makes it, or correct the URL of the database."
        ),
    )
}

pub(crate) fn server_too_old(why: &str) -> Error {
    Error::rejected("sql.server_too_old", why)
}

pub(crate) fn bad_url(url: &str) -> Error {
    // A URL may hold a password: only its scheme is repeated.
    let scheme = url.split(':').next().unwrap_or_default();
    Error::rejected(
        "sql.bad_url",
        format!(
            "The database URL (scheme `{scheme}`) is not one of sqlite:PATH or mysql://user:password@host:port/database."
        ),
    )
}

/// The same error for another caller of a batch that failed as a whole.
pub(crate) fn same_again(error: &Error) -> Error {
    let mut copy = Error::new(error.kind(), error.code().to_owned(), error.message());
    if let Some(after) = error.retry_after() {
        copy = copy.with_retry_after(after);
    }
    match std::error::Error::source(error) {
        Some(source) => copy.with_source(source.to_string()),
        None => copy,
    }
}
