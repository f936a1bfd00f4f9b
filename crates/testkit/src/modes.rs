//! A case over a database in each of its three modes.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use libtest_mimic::Trial;
use merx_kernel::{Clock, Timestamp, clock::BoxFuture};
use mysql::prelude::Queryable as _;

use crate::START;

/// A clock that shows what it is told; sleeping is the runtime's.
#[derive(Debug)]
pub struct HandClock(AtomicI64);

impl HandClock {
    /// One that shows [`START`].
    pub fn at_start() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(START.as_millis())))
    }
    /// So much later.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
    /// So much earlier: clocks are set.
    pub fn set_back(&self, by: Duration) {
        self.0.fetch_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
    /// Another moment.
    pub fn set(&self, to: Timestamp) {
        self.0.store(to.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A database of the test's own; gone with it.
#[derive(Debug)]
pub struct Place {
    url: String,
    /// Removed with it.
    folder: Option<tempfile::TempDir>,
    /// Likewise.
    database: Option<OwnDatabase>,
}

impl Place {
    /// In memory, for tests that make many.
    pub fn in_memory() -> Self {
        Self { url: "sqlite::memory:".to_owned(), folder: None, database: None }
    }
    fn in_a_file() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("a folder: {e}"));
        let url = format!("sqlite:{}", folder.path().join("merx.db").display());
        Self { url, folder: Some(folder), database: None }
    }
    fn on_a_server(context: &str, server: &str) -> Self {
        let own = OwnDatabase::create(context, server.trim_end_matches('/').to_owned());
        Self { url: format!("{}/{}", own.server, own.name), folder: None, database: Some(own) }
    }
    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }
    /// The database's name in reports.
    pub fn engine(&self) -> &'static str {
        match (&self.database, &self.folder) {
            (Some(_), _) => "MariaDB",
            (None, Some(_)) => "SQLite file",
            (None, None) => "SQLite in memory",
        }
    }
}

#[derive(Debug)]
struct OwnDatabase {
    server: String,
    name: String,
}

impl OwnDatabase {
    fn create(context: &str, server: String) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let own = Self { server, name: format!("merx_{context}_{}_{count}", std::process::id()) };
        own.run(&format!("DROP DATABASE IF EXISTS {}", own.name));
        own.run(&format!("CREATE DATABASE {}", own.name));
        own
    }
    fn run(&self, sql: &str) {
        let connection = mysql::Conn::new(self.server.as_str());
        let mut connection = connection.unwrap_or_else(|e| panic!("the server of MERX_TEST_MYSQL_URL: {e}"));
        connection.query_drop(sql).unwrap_or_else(|e| panic!("a statement on the server: {e}"));
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        self.run(&format!("DROP DATABASE IF EXISTS {}", self.name));
    }
}

/// A case on every mode of the database, on two threads in real time; MariaDB is reported as NOT RUN when there is none, and
/// its absence fails with `MERX_REQUIRE_SERVICES=1`.
pub fn on_every_mode<F, R>(name: &str, context: &'static str, case: F) -> Vec<Trial>
where
    F: Fn(Place) -> R + Clone + Send + 'static,
    R: Future<Output = ()>,
{
    let trial = |mode, place: Box<dyn Fn() -> Place + Send>| {
        let case = case.clone();
        Trial::test(format!("{name} [{mode}]"), move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(async { case(place()).await });
            Ok(())
        })
    };
    let required = std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
    let on_a_server = match std::env::var("MERX_TEST_MYSQL_URL").ok() {
        Some(server) => trial("Mysql", Box::new(move || Place::on_a_server(context, &server))),
        None if required => Trial::test(format!("{name} [Mysql]"), || {
            Err("MERX_TEST_MYSQL_URL is not set, and MERX_REQUIRE_SERVICES=1".into())
        }),
        None => Trial::test(format!("{name} [Mysql: NOT RUN, MERX_TEST_MYSQL_URL is not set]"), || Ok(()))
            .with_ignored_flag(true),
    };
    vec![trial("Inline", Box::new(Place::in_memory)), trial("File", Box::new(Place::in_a_file)), on_a_server]
}
