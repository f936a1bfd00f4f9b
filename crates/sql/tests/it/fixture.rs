//! Databases for cases, a clock, and ways to line closures up.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use merx_kernel::{Clock, Result, Timestamp};
use merx_sql::{Db, DbOptions, Migration, SequencedTable};
use mysql::prelude::Queryable;

pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    File,
    Inline,
    Server,
    /// A file on a file system of two megabytes.
    SmallDisk,
}

pub const ALL: &[Mode] = &[Mode::File, Mode::Inline, Mode::Server];
pub const THREADED: &[Mode] = &[Mode::File, Mode::Server];
pub const SQLITE: &[Mode] = &[Mode::File, Mode::Inline];
pub const FILE: &[Mode] = &[Mode::File];
pub const SERVER: &[Mode] = &[Mode::Server];
pub const SMALL_DISK: &[Mode] = &[Mode::SmallDisk];

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "sqlite",
            Self::Inline => "inline",
            Self::Server => "mysql",
            Self::SmallDisk => "tmpfs",
        }
    }

    /// Why it cannot be had here.
    pub fn absent(self) -> Option<&'static str> {
        match self {
            Self::File | Self::Inline => None,
            Self::Server => server_url()
                .is_none()
                .then_some("MERX_TEST_MYSQL_URL is not set (scripts/services up mariadb prints it)"),
            Self::SmallDisk => {
                let probe = std::process::Command::new("unshare").args(["--mount", "true"]).output();
                (!probe.is_ok_and(|p| p.status.success())).then_some("no right to mount a small file system")
            }
        }
    }
}

/// Time stands still; pauses are real, since only back-off makes them.
pub struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }
    fn sleep(&self, duration: Duration) -> merx_kernel::clock::BoxFuture<()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

pub fn options() -> DbOptions {
    let mut options = DbOptions::new(Arc::new(StillClock));
    options.on_fatal = Arc::new(|error| panic!("fatal: {}", error.chain()));
    options
}

pub fn now() -> Timestamp {
    StillClock.now()
}

/// `MERX_TEST_MYSQL_URL`: a server where databases `merx_…` may be made.
pub fn server_url() -> Option<String> {
    std::env::var("MERX_TEST_MYSQL_URL").ok().filter(|url| !url.is_empty())
}

/// A place for one database, removed at the end.
pub struct Place {
    pub mode: Mode,
    folder: tempfile::TempDir,
    database: String,
}

impl Place {
    pub fn new(mode: Mode) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let database = format!("merx_sql_{}_{count}", std::process::id());
        Self { mode, folder: tempfile::tempdir().unwrap(), database }
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("merx.db")
    }

    pub fn url(&self) -> String {
        match self.mode {
            Mode::File | Mode::SmallDisk => format!("sqlite:{}", self.path().display()),
            Mode::Inline => "sqlite::memory:".to_owned(),
            Mode::Server => format!("{}/{}", server_url().unwrap().trim_end_matches('/'), self.database),
        }
    }

    pub fn open(&self, options: DbOptions, sequenced: &[SequencedTable]) -> Result<Db> {
        Db::open(&self.url(), options, sequenced)
    }

    /// A database with the table `notes (id, text)`.
    pub async fn with_notes(self, options: DbOptions) -> Bed {
        let db = self.open(options, &[]).unwrap();
        db.migrate("notes", &[notes()]).await.unwrap();
        Bed { db, place: self }
    }

    /// A connection to the server beside Merx, for mischief.
    pub fn mischief(&self) -> mysql::Conn {
        mischief(&self.url())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.mode == Mode::Server
            && let Ok(opts) = mysql::Opts::from_url(&server_url().unwrap())
            && let Ok(mut conn) = mysql::Conn::new(opts)
        {
            let _ = conn.query_drop(format!("DROP DATABASE IF EXISTS `{}`", self.database));
        }
    }
}

/// A database and its place, which goes last.
pub struct Bed {
    db: Db,
    pub place: Place,
}

impl std::ops::Deref for Bed {
    type Target = Db;
    fn deref(&self) -> &Db {
        &self.db
    }
}

/// A connection to the server beside Merx, by the same way in: the server lets one kill only one's own.
pub fn mischief(url: &str) -> mysql::Conn {
    let opts = mysql::OptsBuilder::from_opts(mysql::Opts::from_url(url).unwrap()).prefer_socket(false);
    mysql::Conn::new(opts).unwrap()
}

pub fn notes() -> Migration {
    Migration::same(1, "notes", "CREATE TABLE notes (id BIGINT PRIMARY KEY, text VARCHAR(2000) NOT NULL)")
}

/// All ids of `notes`.
pub async fn note_ids(db: &Db) -> Vec<i64> {
    use merx_sql::Query;
    db.read("note_ids", |q| q.query("SELECT id FROM notes ORDER BY id", vec![], |row| row.get(0)))
        .await
        .unwrap()
}

/// Inserts one note.
pub fn note(tx: &mut merx_sql::Tx<'_>, id: i64) -> Result<()> {
    tx.execute("INSERT INTO notes (id, text) VALUES (?, ?)", merx_sql::params![id, format!("note {id}")])
        .map(drop)
}

/// Runs a case on its own runtime.
pub fn block_on(future: BoxFuture) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}

/// Starts `future` without waiting: a write is in its queue afterwards.
pub fn start<F: Future + Send + 'static>(future: F) -> Pin<Box<dyn Future<Output = F::Output> + Send>>
where
    F::Output: Send,
{
    let mut future: Pin<Box<dyn Future<Output = F::Output> + Send>> = Box::pin(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => future,
        Poll::Ready(output) => Box::pin(std::future::ready(output)),
    }
}

/// A door that closures wait at until it is opened. On the inline mode, where a waiting closure would stop
/// everything, it is always open.
#[derive(Clone)]
pub struct Door(Arc<(std::sync::Mutex<bool>, std::sync::Condvar)>);

impl Door {
    pub fn new(mode: Mode) -> Self {
        Self(Arc::new((std::sync::Mutex::new(mode == Mode::Inline), std::sync::Condvar::new())))
    }
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
    pub fn pass(&self) {
        let limit = Duration::from_secs(60);
        let (open, _) = self.0.1.wait_timeout_while(self.0.0.lock().unwrap(), limit, |open| !*open).unwrap();
        assert!(*open, "nobody opened the door");
    }
}
