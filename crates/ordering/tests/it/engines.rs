//! The databases a store test runs on. Without a MariaDB its trials are reported as NOT RUN.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use libtest_mimic::Trial;
use merx_platform::{Module, Store, time::VirtualClock};
use merx_sql::{Db, DbOptions};
use mysql::prelude::Queryable as _;

use crate::shop::START;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In memory, on the caller's task.
    Inline,
    /// On a file, with the threads of a real shop.
    File,
    /// On a MariaDB or MySQL.
    Mysql,
}

/// The tables of ordering on one database.
pub struct Engine {
    pub db: Db,
    _folder: Option<tempfile::TempDir>,
    _database: Option<OwnDatabase>,
}

impl Engine {
    pub async fn new(mode: Mode) -> Self {
        let store = Store::new("ordering");
        let (mut folder, mut database) = (None, None);
        let url = match mode {
            Mode::Inline => "sqlite::memory:".to_owned(),
            Mode::File => {
                let made = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", made.path().join("merx.db").display());
                folder = Some(made);
                url
            }
            Mode::Mysql => {
                let own = OwnDatabase::create(server().unwrap());
                let url = format!("{}/{}", own.server, own.name);
                database = Some(own);
                url
            }
        };
        let clock = Arc::new(VirtualClock::new(START));
        let db = Db::open(&url, DbOptions::new(clock), &store.sequenced_tables()).unwrap();
        Module::new(store, merx_ordering::store::migrations()).migrate(&db).await.unwrap();
        Self { db, _folder: folder, _database: database }
    }
}

fn server() -> Option<String> {
    std::env::var("MERX_TEST_MYSQL_URL").ok().filter(|url| !url.is_empty())
}

/// A database on the test's server, gone with it.
struct OwnDatabase {
    server: String,
    name: String,
}

impl OwnDatabase {
    fn create(server: String) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("merx_ordering_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let own = Self { server: server.trim_end_matches('/').to_owned(), name };
        own.run(&format!("DROP DATABASE IF EXISTS {}", own.name));
        own.run(&format!("CREATE DATABASE {}", own.name));
        own
    }
    fn run(&self, sql: &str) {
        let mut connection =
            mysql::Conn::new(self.server.as_str()).expect("the server of MERX_TEST_MYSQL_URL");
        connection.query_drop(sql).expect("a statement on the server");
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        self.run(&format!("DROP DATABASE IF EXISTS {}", self.name));
    }
}

/// A test on one database.
pub fn trial<F, R>(name: &str, mode: Mode, test: F) -> Trial
where
    F: Fn(Mode) -> R + Send + 'static,
    R: Future<Output = ()>,
{
    let missing = mode == Mode::Mysql && server().is_none();
    if missing && std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|v| v == "1") {
        let why = "MERX_TEST_MYSQL_URL is not set, and MERX_REQUIRE_SERVICES=1";
        return Trial::test(format!("{name} [Mysql]"), move || Err(why.into()));
    }
    if missing {
        return Trial::test(format!("{name} [Mysql: NOT RUN, MERX_TEST_MYSQL_URL is not set]"), || Ok(()))
            .with_ignored_flag(true);
    }
    Trial::test(format!("{name} [{mode:?}]"), move || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?
            .block_on(test(mode));
        Ok(())
    })
}

/// Tests on every database.
#[macro_export]
macro_rules! everywhere {
    ($module:literal: $($test:ident),+ $(,)?) => {{
        use $crate::engines::Mode::{File, Inline, Mysql};
        let mut trials = Vec::new();
        $(for mode in [Inline, File, Mysql] {
            trials.push($crate::engines::trial(concat!($module, "::", stringify!($test)), mode, $test));
        })+
        trials
    }};
}

/// Tests in memory on a clock that moves when everybody waits.
#[macro_export]
macro_rules! paused {
    ($module:literal: $($test:ident),+ $(,)?) => {
        vec![$(libtest_mimic::Trial::test(concat!($module, "::", stringify!($test)), || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().start_paused(true).build()?.block_on($test());
            Ok(())
        })),+]
    };
}

/// Tests without a database.
#[macro_export]
macro_rules! plain {
    ($module:literal: $($test:ident),+ $(,)?) => {
        vec![$(libtest_mimic::Trial::test(concat!($module, "::", stringify!($test)), || { $test(); Ok(()) })),+]
    };
}
