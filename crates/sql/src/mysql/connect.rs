//! How a connection to the server is made, and made again.

use std::time::Duration;

use merx_kernel::{Error, Result};
use mysql::{Conn, Opts, OptsBuilder, consts::CapabilityFlags, prelude::Queryable};

use crate::{
    error,
    mysql::session::{connection_lost, meaning},
};

#[derive(Clone, Copy)]
pub(crate) enum Isolation {
    /// For writes: guarded updates see the last committed state.
    ReadCommitted,
    /// For reads: one snapshot.
    RepeatableRead,
}

pub(crate) struct Connector {
    opts: Opts,
    database: String,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than any lock wait; a server silent for so long is taken for dead.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const STATEMENTS_CACHED: usize = 256;
/// The oldest MySQL with invisible columns, which the sequencer needs.
const MYSQL_MIN: [u16; 3] = [8, 0, 23];
const MARIADB_MIN: [u16; 3] = [10, 6, 0];

impl Connector {
    pub(crate) fn new(url: &str) -> Result<Self> {
        let opts = Opts::from_url(url).map_err(|e| error::bad_url(url).with_source(e.to_string()))?;
        let database =
            opts.get_db_name().filter(|name| !name.is_empty()).ok_or_else(|| error::bad_url(url))?;
        let database = database.to_owned();
        if !database.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(error::bad_url(url));
        }
        let opts = OptsBuilder::from_opts(opts)
            .prefer_socket(false)
            .tcp_nodelay(true)
            .tcp_connect_timeout(Some(CONNECT_TIMEOUT))
            .read_timeout(Some(ANSWER_TIMEOUT))
            .write_timeout(Some(ANSWER_TIMEOUT))
            .stmt_cache_size(STATEMENTS_CACHED)
            // An update that finds its row but changes nothing counts it, as on SQLite.
            .additional_capabilities(CapabilityFlags::CLIENT_FOUND_ROWS)
            .into();
        Ok(Self { opts, database })
    }

    /// Connects, and makes the database first if the server has none of this name.
    pub(crate) fn connect_or_create(&self) -> Result<Conn> {
        match Conn::new(self.opts.clone()) {
            Ok(conn) => self.set_up(conn, Isolation::ReadCommitted),
            Err(e) if is_unknown_database(&e) => {
                let bare = OptsBuilder::from_opts(self.opts.clone()).db_name(None::<String>);
                let mut conn = Conn::new(Opts::from(bare)).map_err(unreachable)?;
                conn.query_drop(format!(
                    "CREATE DATABASE IF NOT EXISTS `{}` CHARACTER SET utf8mb4",
                    self.database
                ))
                .map_err(unreachable)?;
                self.connect(Isolation::ReadCommitted)
            }
            Err(e) => Err(unreachable(e)),
        }
    }

    pub(crate) fn connect(&self, isolation: Isolation) -> Result<Conn> {
        let conn = Conn::new(self.opts.clone()).map_err(|e| match is_unknown_database(&e) {
            true => error::no_database(&self.database).with_source(e.to_string()),
            false => unreachable(e),
        })?;
        self.set_up(conn, isolation)
    }

    fn set_up(&self, mut conn: Conn, isolation: Isolation) -> Result<Conn> {
        let version: Option<String> = conn.query_first("SELECT VERSION()").map_err(unreachable)?;
        let version = version.unwrap_or_default();
        let mariadb = version.contains("MariaDB");
        if version_number(&version) < if mariadb { MARIADB_MIN } else { MYSQL_MIN } {
            let why = format!("The server is {version}; Merx needs MariaDB 10.6 or MySQL 8.0.23, or newer.");
            return Err(error::server_too_old(&why));
        }
        // Binary, without padding: 'a' is neither 'A' nor 'a ', as on SQLite.
        let collation = if mariadb { "utf8mb4_nopad_bin" } else { "utf8mb4_0900_bin" };
        let isolation = match isolation {
            Isolation::ReadCommitted => "READ COMMITTED",
            Isolation::RepeatableRead => "REPEATABLE READ",
        };
        for statement in [
            format!("SET NAMES utf8mb4 COLLATE {collation}"),
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,ANSI_QUOTES,PIPES_AS_CONCAT,\
             NO_BACKSLASH_ESCAPES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', \
             SESSION time_zone = '+00:00', SESSION innodb_lock_wait_timeout = 5, SESSION autocommit = 1"
                .to_owned(),
            format!("SET SESSION TRANSACTION ISOLATION LEVEL {isolation}"),
        ] {
            conn.query_drop(statement).map_err(unreachable)?;
        }
        Ok(conn)
    }

    /// A connection with a transaction begun on it: the one in `slot`, or a new one when there is none or the
    /// server has dropped it meanwhile (a restart). Nothing has run yet, so trying twice is safe.
    pub(crate) fn begin(&self, slot: &mut Option<Conn>, isolation: Isolation, sql: &str) -> Result<Conn> {
        if let Some(mut conn) = slot.take() {
            match conn.query_drop(sql) {
                Ok(()) => return Ok(conn),
                Err(e) if connection_lost(&e) => {
                    tracing::info!(error = %e, "the database server closed a connection; connecting again");
                }
                Err(e) => return Err(meaning(e, sql)),
            }
        }
        let mut conn = self.connect(isolation)?;
        conn.query_drop(sql).map_err(|e| meaning(e, sql))?;
        Ok(conn)
    }
}

fn is_unknown_database(cause: &mysql::Error) -> bool {
    const UNKNOWN_DATABASE: u16 = 1049;
    matches!(cause, mysql::Error::MySqlError(e) if e.code == UNKNOWN_DATABASE)
}

fn unreachable(cause: mysql::Error) -> Error {
    error::unreachable(cause.to_string())
}

/// The numbers of `10.11.19-MariaDB-0+deb12u1`.
fn version_number(version: &str) -> [u16; 3] {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}
