//! A database for a site: the file in its data folder, or one of its own on a MariaDB.

use merx_kernel::Entropy as _;
use merx_platform::time::OsEntropy;
use mysql::prelude::Queryable as _;

use super::harness::say;

/// Which engine a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The SQLite file of the data folder.
    Sqlite,
    /// The MariaDB of `MERX_TEST_MYSQL_URL`.
    MariaDb,
}

impl Engine {
    /// As a report calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::MariaDb => "MariaDB",
        }
    }

    /// Whether it is there; says so when it is not.
    ///
    /// # Panics
    /// It is absent and `MERX_REQUIRE_SERVICES=1` forbids that.
    pub fn is_there(self) -> bool {
        if self == Self::Sqlite || server().is_some() {
            return true;
        }
        let required = std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|told| told == "1");
        assert!(!required, "MERX_TEST_MYSQL_URL is not set, and MERX_REQUIRE_SERVICES=1");
        say("NOT RUN: MERX_TEST_MYSQL_URL is not set (scripts/services up mariadb prints it)");
        false
    }

    /// A database nobody used before.
    pub fn fresh(self) -> Database {
        let mut random = [0; 8];
        OsEntropy.fill(&mut random);
        let url = (self == Self::MariaDb).then(|| {
            let server = server().expect("asked before");
            format!("{}/merx_it_{:016x}", server.trim_end_matches('/'), u64::from_le_bytes(random))
        });
        Database { url }
    }
}

fn server() -> Option<String> {
    std::env::var("MERX_TEST_MYSQL_URL").ok().filter(|url| !url.is_empty())
}

/// A database of a site. Dropped with it.
pub struct Database {
    url: Option<String>,
}

impl Database {
    /// The flags that lead `merx up` to it.
    pub fn flags(&self) -> Vec<&str> {
        self.url.as_deref().map(|url| vec!["--database", url]).unwrap_or_default()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, name)) = self.url.as_deref().and_then(|url| url.rsplit_once('/')) else { return };
        // A server that has gone took it along.
        if let Ok(mut conn) = mysql::Conn::new(format!("{server}/").as_str()) {
            let _ = conn.query_drop(format!("DROP DATABASE IF EXISTS `{name}`"));
        }
    }
}
