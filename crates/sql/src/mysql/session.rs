//! Statements on one connection to MySQL or MariaDB, and what its errors mean.

use merx_kernel::{Error, Result};
use mysql::{
    Conn, Params,
    consts::ColumnType,
    prelude::{Protocol, Queryable},
};

use crate::{
    error,
    tx::Session,
    value::{Cells, Row, Value, ValueRef},
};

/// A transaction under way on a connection.
pub(crate) struct MysqlSession<'a> {
    conn: &'a mut Conn,
    broken: Option<Error>,
    lost: bool,
}

impl<'a> MysqlSession<'a> {
    pub(crate) fn new(conn: &'a mut Conn) -> Self {
        Self { conn, broken: None, lost: false }
    }

    /// Whether the connection is of no use any more.
    pub(crate) fn connection_lost(&self) -> bool {
        self.lost
    }

    fn check_unbroken(&self) -> Result<()> {
        self.broken.as_ref().map_or(Ok(()), |e| Err(error::same_again(e)))
    }

    /// A deadlock ends the whole transaction at the server; a lock wait or a full disk may or may not. In each
    /// case nothing more may run in it.
    fn note(&mut self, cause: mysql::Error, sql: &str) -> Error {
        let lost = connection_lost(&cause);
        let error = meaning(cause, sql);
        self.lost |= lost;
        if self.broken.is_none() && (lost || error.is("sql.contention") || error.is("sql.disk_full")) {
            self.broken = Some(error::same_again(&error));
        }
        error
    }
}

impl Session for MysqlSession<'_> {
    fn query(
        &mut self,
        sql: &str,
        params: &[Value],
        each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        self.check_unbroken()?;
        let mut failed = None;
        match self.conn.exec_iter(sql, bound(params)) {
            Err(e) => failed = Some(e),
            Ok(mut answer) => {
                if answer.columns().as_ref().is_empty() {
                    return Err(Error::internal(format!(
                        "a statement that writes was given to a query: {sql}"
                    )));
                }
                // Rows not taken are read and dropped with the answer, so the connection stays in step.
                for row in answer.by_ref() {
                    match row {
                        Ok(row) => each(&Row::new(&MysqlCells::new(row)?))?,
                        Err(e) => {
                            failed = Some(e);
                            break;
                        }
                    }
                }
            }
        }
        failed.map_or(Ok(()), |e| Err(self.note(e, sql)))
    }

    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64> {
        self.check_unbroken()?;
        // DDL takes no parameters, and much of it cannot be prepared.
        let outcome = if params.is_empty() {
            self.conn.query_iter(sql).and_then(affected)
        } else {
            self.conn.exec_iter(sql, bound(params)).and_then(affected)
        };
        outcome.map_err(|e| self.note(e, sql))
    }

    fn broken(&self) -> Option<&Error> {
        self.broken.as_ref()
    }
}

fn affected<P: Protocol>(mut answer: mysql::QueryResult<'_, '_, '_, P>) -> mysql::Result<u64> {
    let rows = answer.affected_rows();
    while let Some(set) = answer.iter() {
        for row in set {
            row?;
        }
    }
    Ok(rows)
}

fn bound(params: &[Value]) -> Params {
    if params.is_empty() {
        return Params::Empty;
    }
    Params::Positional(
        params
            .iter()
            .map(|value| match value {
                Value::Null => mysql::Value::NULL,
                Value::Int(n) => mysql::Value::Int(*n),
                Value::Text(text) => mysql::Value::Bytes(text.as_bytes().to_vec()),
                Value::Blob(bytes) => mysql::Value::Bytes(bytes.clone()),
            })
            .collect(),
    )
}

struct MysqlCells {
    values: Vec<Value>,
    names: std::sync::Arc<[mysql::Column]>,
}

impl MysqlCells {
    fn new(row: mysql::Row) -> Result<Self> {
        let names = row.columns();
        let values = row
            .unwrap()
            .into_iter()
            .zip(names.iter())
            .map(|(value, column)| cell(value, column))
            .collect::<Result<_>>()?;
        Ok(Self { values, names })
    }
}

/// The character set "binary": bytes, not text.
const BINARY: u16 = 63;

fn cell(value: mysql::Value, column: &mysql::Column) -> Result<Value> {
    let other = |what: &str| Error::internal(format!("column {} holds {what}", column.name_str()));
    match value {
        mysql::Value::NULL => Ok(Value::Null),
        mysql::Value::Int(n) => Ok(Value::Int(n)),
        mysql::Value::UInt(n) => i64::try_from(n).map(Value::Int).map_err(|_| other("too large a number")),
        // SUM of integers is a DECIMAL here and an integer on SQLite.
        mysql::Value::Bytes(bytes) if column.column_type() == ColumnType::MYSQL_TYPE_NEWDECIMAL => {
            std::str::from_utf8(&bytes)
                .ok()
                .and_then(|digits| digits.parse().ok())
                .map(Value::Int)
                .ok_or_else(|| other("a decimal that is not a whole number"))
        }
        mysql::Value::Bytes(bytes) if column.character_set() == BINARY => Ok(Value::Blob(bytes)),
        mysql::Value::Bytes(bytes) => {
            String::from_utf8(bytes).map(Value::Text).map_err(|_| other("text that is not UTF-8"))
        }
        mysql::Value::Float(_) | mysql::Value::Double(_) => Err(other("a floating-point number")),
        mysql::Value::Date(..) | mysql::Value::Time(..) => Err(other("a date or time")),
    }
}

impl Cells for MysqlCells {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn name(&self, index: usize) -> String {
        self.names.get(index).map_or_else(|| "?".to_owned(), |column| column.name_str().into_owned())
    }

    fn cell(&self, index: usize) -> Result<ValueRef<'_>> {
        Ok(match &self.values[index] {
            Value::Null => ValueRef::Null,
            Value::Int(n) => ValueRef::Int(*n),
            Value::Text(text) => ValueRef::Text(text),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        })
    }
}

/// Whether the connection is gone, whatever became of the statement.
pub(crate) fn connection_lost(cause: &mysql::Error) -> bool {
    match cause {
        mysql::Error::MySqlError(e) => {
            matches!(e.code, 1053 | 1077 | 1079 | 1152..=1161 | 1184 | 1927 | 2006 | 2013 | 3169)
        }
        mysql::Error::FromValueError(_) | mysql::Error::FromRowError(_) => false,
        _ => true,
    }
}

/// What an error of MySQL or MariaDB means to us.
pub(crate) fn meaning(cause: mysql::Error, sql: &str) -> Error {
    if connection_lost(&cause) {
        return error::unreachable(cause.to_string());
    }
    let mysql::Error::MySqlError(answer) = &cause else {
        return Error::internal(format!("the statement failed: {sql}")).with_source(cause);
    };
    match answer.code {
        1062 | 1586 => error::duplicate().with_source(cause),
        // Lock wait, deadlock, record changed since read.
        1205 | 1213 | 1020 => error::contention(cause.to_string()),
        1021 | 1041 | 1114 => error::disk_full().with_source(cause),
        1040 | 1203 => error::unreachable(cause.to_string()),
        1290 | 1836 | 1792 => error::read_only().with_source(cause),
        // Table, column or index is there already, or gone already.
        1050 | 1060 | 1061 | 1091 => error::done_already(cause.to_string()),
        _ => Error::internal(format!("the statement failed: {sql}")).with_source(cause),
    }
}
