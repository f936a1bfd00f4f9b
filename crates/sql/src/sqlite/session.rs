//! Statements on one SQLite connection, and what its errors mean.

use merx_kernel::{Error, Result};
use rusqlite::{Connection, ErrorCode, ffi, types};

use crate::{
    error,
    job::ReadJob,
    tx::{Reader, Session},
    value::{Cells, Row, Value, ValueRef},
};

/// A transaction under way on a connection.
pub(crate) struct SqliteSession<'a> {
    conn: &'a Connection,
    broken: Option<Error>,
}

impl<'a> SqliteSession<'a> {
    pub(crate) fn new(conn: &'a Connection) -> Self {
        Self { conn, broken: None }
    }

    fn check_unbroken(&self) -> Result<()> {
        self.broken.as_ref().map_or(Ok(()), |e| Err(error::same_again(e)))
    }

    /// Full disks, I/O errors and want of memory may end the whole transaction; whatever came after would
    /// commit by itself.
    fn note(&mut self, cause: rusqlite::Error, sql: &str) -> Error {
        let error = meaning(cause, sql);
        if self.conn.is_autocommit() && self.broken.is_none() {
            self.broken = Some(error::same_again(&error));
        }
        error
    }
}

impl Session for SqliteSession<'_> {
    fn query(
        &mut self,
        sql: &str,
        params: &[Value],
        each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        self.check_unbroken()?;
        let conn = self.conn;
        let mut statement = conn.prepare_cached(sql).map_err(|e| self.note(e, sql))?;
        if !statement.readonly() {
            return Err(Error::internal(format!("a statement that writes was given to a query: {sql}")));
        }
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(params)).map_err(|e| self.note(e, sql))?;
        loop {
            match rows.next() {
                Ok(Some(row)) => each(&Row::new(&SqliteCells { row, columns }))?,
                Ok(None) => return Ok(()),
                Err(e) => return Err(self.note(e, sql)),
            }
        }
    }

    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64> {
        self.check_unbroken()?;
        let conn = self.conn;
        let mut statement = conn.prepare_cached(sql).map_err(|e| self.note(e, sql))?;
        let before = conn.total_changes();
        let rows = statement.execute(rusqlite::params_from_iter(params)).map_err(|e| self.note(e, sql))?;
        // After DDL SQLite still reports the row count of the last INSERT, UPDATE or DELETE.
        Ok(if conn.total_changes() == before { 0 } else { rows as u64 })
    }

    fn broken(&self) -> Option<&Error> {
        self.broken.as_ref()
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<types::ToSqlOutput<'_>> {
        Ok(types::ToSqlOutput::Borrowed(match self {
            Self::Null => types::ValueRef::Null,
            Self::Int(n) => types::ValueRef::Integer(*n),
            Self::Text(text) => types::ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => types::ValueRef::Blob(bytes),
        }))
    }
}

struct SqliteCells<'a, 's> {
    row: &'a rusqlite::Row<'s>,
    columns: usize,
}

impl Cells for SqliteCells<'_, '_> {
    fn len(&self) -> usize {
        self.columns
    }

    fn name(&self, index: usize) -> String {
        self.row.as_ref().column_name(index).unwrap_or("?").to_owned()
    }

    fn cell(&self, index: usize) -> Result<ValueRef<'_>> {
        let value =
            self.row.get_ref(index).map_err(|e| Error::internal("cannot read a column").with_source(e))?;
        Ok(match value {
            types::ValueRef::Null => ValueRef::Null,
            types::ValueRef::Integer(n) => ValueRef::Int(n),
            types::ValueRef::Blob(bytes) => ValueRef::Blob(bytes),
            types::ValueRef::Text(bytes) => ValueRef::Text(
                std::str::from_utf8(bytes)
                    .map_err(|e| Error::internal(format!("column {index} is not UTF-8")).with_source(e))?,
            ),
            types::ValueRef::Real(_) => {
                return Err(Error::internal(format!("column {index} holds a floating-point number")));
            }
        })
    }
}

/// What an error of SQLite means to us.
pub(crate) fn meaning(cause: rusqlite::Error, sql: &str) -> Error {
    let rusqlite::Error::SqliteFailure(failure, detail) = &cause else {
        return Error::internal(format!("the statement failed: {sql}")).with_source(cause);
    };
    let detail = detail.clone().unwrap_or_else(|| failure.to_string());
    match failure.code {
        ErrorCode::ConstraintViolation
            if [
                ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
                ffi::SQLITE_CONSTRAINT_UNIQUE,
                ffi::SQLITE_CONSTRAINT_ROWID,
            ]
            .contains(&failure.extended_code) =>
        {
            error::duplicate().with_source(cause)
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => error::contention(detail),
        ErrorCode::DiskFull => error::disk_full().with_source(cause),
        ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory => error::io(detail),
        ErrorCode::ReadOnly => error::read_only().with_source(cause),
        _ => Error::internal(format!("the statement failed: {sql}")).with_source(cause),
    }
}

/// Runs one read closure in one snapshot.
pub(crate) fn read_snapshot(conn: &Connection, job: ReadJob) {
    let begun = conn.prepare_cached("BEGIN").and_then(|mut s| s.execute([]));
    match begun {
        Err(e) => job(Err(meaning(e, "BEGIN"))),
        Ok(_) => {
            let mut session = SqliteSession::new(conn);
            job(Ok(&mut Reader::new(&mut session)));
            if let Err(e) = conn.prepare_cached("COMMIT").and_then(|mut s| s.execute([])) {
                tracing::warn!(error = %e, "a read transaction did not end cleanly");
                let _ = conn.execute_batch("ROLLBACK");
            }
        }
    }
}
