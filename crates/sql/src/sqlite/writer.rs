//! The one writer: takes what is queued, runs each closure in a savepoint, commits once, answers then.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use merx_kernel::{Error, Result};
use rusqlite::Connection;
use tokio::time::Instant;

use crate::{
    db::Shared,
    error,
    job::{Done, Job, fault_strikes},
    options::FaultPoint,
    sqlite::{
        file::BUSY_TIMEOUT,
        session::{SqliteSession, meaning},
    },
    tx::{Positions, Tx},
};

pub(crate) struct Writer {
    conn: Connection,
    shared: Arc<Shared>,
    /// The last position given out.
    position: i64,
    /// No position above this was ever promised by the file; raised in the batch that goes beyond it.
    position_ceiling: i64,
    /// Pages in the write-ahead log after the last commit.
    wal_pages: Arc<AtomicI32>,
    /// Pages in it at the last checkpoint; 0 once it has begun anew.
    checkpointed_at: i32,
    /// Set when a commit had an unknown outcome: the process is about to stop, and nothing is written any more.
    stopped: Option<Error>,
}

/// How a batch ended.
enum Ending {
    Committed,
    /// Certainly nothing was kept.
    RolledBack(Error),
    Unknown(Error),
}

impl Writer {
    /// The most closures of one commit.
    pub(crate) const BATCH_MAX: usize = 256;
    /// How long a batch takes in new closures.
    const BATCH_TIME: Duration = Duration::from_millis(2);
    /// Positions promised at a time.
    const POSITION_BLOCK: i64 = 10_000;
    /// The log is copied into the file when it has this many pages and nobody waits …
    const CHECKPOINT_IDLE_PAGES: i32 = 1_000;
    /// … or this many pages, whoever waits.
    const CHECKPOINT_BUSY_PAGES: i32 = 8_000;
    /// While a reader's snapshot keeps the log from beginning anew, it is tried again after so many more pages.
    const CHECKPOINT_AGAIN_PAGES: i32 = 1_000;

    /// Takes over a connection that [`super::open_writer`] has prepared.
    pub(crate) fn new(mut conn: Connection, shared: Arc<Shared>) -> Result<Self> {
        let ceiling: i64 = conn
            .query_row("SELECT ceiling FROM merx_sequencer WHERE id = 1", [], |row| row.get(0))
            .map_err(|e| meaning(e, "read the sequencer"))?;
        let wal_pages = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&wal_pages);
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        }))
        .map_err(|e| meaning(e, "watch the log"))?;
        Ok(Self {
            conn,
            shared,
            position: ceiling,
            position_ceiling: ceiling,
            wal_pages,
            checkpointed_at: 0,
            stopped: None,
        })
    }

    /// The connection, for reads of the inline mode.
    pub(crate) fn connection(&self) -> &Connection {
        &self.conn
    }

    /// One batch: `first` and whatever `more` gives until the batch is full or its time is over.
    pub(crate) fn batch(&mut self, first: Box<dyn Job>, mut more: impl FnMut() -> Option<Box<dyn Job>>) {
        let begun = match &self.stopped {
            Some(error) => Err(error::same_again(error)),
            None => self.control("BEGIN IMMEDIATE"),
        };
        if let Err(error) = begun {
            first.settle(Some(error));
            return;
        }
        let started = Instant::now();
        let mut done: Vec<Done> = Vec::new();
        let mut wakes = BTreeSet::new();
        let mut next = Some(first);
        let mut ended = None;
        while let Some(job) = next.take() {
            let (one, failure) = self.run(job, &mut wakes);
            done.push(one);
            if failure.is_some() {
                ended = failure;
                break;
            }
            if done.len() < Self::BATCH_MAX && started.elapsed() < Self::BATCH_TIME {
                next = more();
            }
        }
        let ending = match ended {
            Some(error) => self.abandon(error),
            None => self.commit(&done),
        };
        self.settle(ending, done, &wakes);
    }

    /// Runs one closure in its savepoint. The error, if any, is one that ended the whole transaction.
    fn run(&mut self, mut job: Box<dyn Job>, wakes: &mut BTreeSet<String>) -> (Done, Option<Error>) {
        let queued = job.queued();
        if let Err(error) = self.control("SAVEPOINT one") {
            return (Done { job, ok: false, counts: Default::default(), queued }, Some(error));
        }
        let mut session = SqliteSession::new(&self.conn);
        let mut tx = Tx::new(&mut session, Positions::Writer(&mut self.position));
        tx.snapshot_every = self.shared.snapshot_every;
        let mut ok = job.run(&mut tx);
        let counts = tx.counts;
        let broken = tx.broken();
        if ok {
            wakes.append(&mut tx.wakes);
        }
        let mut failure = None;
        if self.conn.is_autocommit() {
            failure = Some(
                broken.unwrap_or_else(|| Error::internal("a closure ended the transaction of its batch")),
            );
        } else if ok {
            failure = self.control("RELEASE one").err();
        } else {
            failure =
                self.control("ROLLBACK TO one").and_then(|()| self.control("RELEASE one")).err().or(failure);
        }
        ok = ok && failure.is_none();
        (Done { job, ok, counts, queued }, failure)
    }

    /// Undoes whatever is left of the transaction.
    fn abandon(&mut self, error: Error) -> Ending {
        if !self.conn.is_autocommit()
            && let Err(e) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::error!(error = %e, "the transaction could not be rolled back");
        }
        if self.conn.is_autocommit() {
            Ending::RolledBack(error)
        } else {
            Ending::Unknown(error::outcome_unknown(error.chain()))
        }
    }

    fn commit(&mut self, done: &[Done]) -> Ending {
        if !done.iter().any(|one| one.ok) {
            // Nothing to keep: the errors of the closures stand.
            let ending = self.abandon(error::closed());
            return if matches!(ending, Ending::RolledBack(_)) { Ending::Committed } else { ending };
        }
        let promised = self.promise_positions();
        if let Err(error) = promised {
            return self.abandon(error);
        }
        if fault_strikes(&self.shared, FaultPoint::BeforeCommit, done) {
            return self.abandon(error::io("a fault was put in before the commit"));
        }
        let changed = self.conn.prepare_cached("COMMIT").and_then(|mut s| s.execute([]));
        match changed {
            Ok(_) if fault_strikes(&self.shared, FaultPoint::AfterCommit, done) => {
                self.position_ceiling = promised.unwrap_or(self.position_ceiling);
                self.shared.book.committed(done.len());
                Ending::Unknown(error::outcome_unknown("a fault was put in after the commit"))
            }
            Ok(_) => {
                self.position_ceiling = promised.unwrap_or(self.position_ceiling);
                self.shared.book.committed(done.len());
                Ending::Committed
            }
            Err(e) => self.commit_failed(e),
        }
    }

    /// A full disk or a busy file leaves the transaction undone, and so does a file system that has become read-only and
    /// refused a page of the log. After any other I/O error nobody knows: the commit record may be on the disk. Only the
    /// next start, reading the file, can tell.
    fn commit_failed(&mut self, cause: rusqlite::Error) -> Ending {
        use rusqlite::{
            ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull},
            ffi::SQLITE_IOERR_WRITE,
        };
        let known = matches!(cause.sqlite_error_code(), Some(DiskFull | DatabaseBusy | DatabaseLocked));
        let unwritten = cause.sqlite_error().is_some_and(|e| e.extended_code == SQLITE_IOERR_WRITE);
        let error = meaning(cause, "COMMIT");
        if known {
            return self.abandon(error);
        }
        let read_only = self.is_disk_read_only();
        if read_only && unwritten {
            return self.abandon(error::disk_read_only(error.chain()));
        }
        let fatal = error::outcome_unknown(error.chain());
        tracing::error!(error = %fatal.chain(), "a commit has an unknown outcome; the process must stop");
        if read_only {
            // No next start could open the file for writing. This process writes nothing more, and reading goes on.
            self.stopped = Some(error::disk_read_only(fatal.chain()));
        } else {
            (self.shared.on_fatal)(&fatal);
            self.stopped = Some(error::same_again(&fatal));
        }
        Ending::Unknown(fatal)
    }

    /// Whether the file system says of itself that it takes no writes.
    fn is_disk_read_only(&self) -> bool {
        let opened = self.conn.path().map(|path| OpenOptions::new().write(true).open(path));
        matches!(opened, Some(Err(e)) if e.kind() == ErrorKind::ReadOnlyFilesystem)
    }

    /// Positions given out in this batch must never be given out again after a restart, even when their rows
    /// are pruned: the ceiling is raised in the same transaction. Answers the new ceiling, once committed.
    fn promise_positions(&mut self) -> Result<i64> {
        if self.position <= self.position_ceiling {
            return Ok(self.position_ceiling);
        }
        let ceiling = self.position + Self::POSITION_BLOCK;
        let sql = "UPDATE merx_sequencer SET ceiling = ? WHERE id = 1";
        self.conn
            .prepare_cached(sql)
            .and_then(|mut s| s.execute([ceiling]))
            .map(|_| ceiling)
            .map_err(|e| meaning(e, sql))
    }

    fn settle(&mut self, ending: Ending, done: Vec<Done>, wakes: &BTreeSet<String>) {
        match ending {
            Ending::Committed => {
                for one in &done {
                    one.record(&self.shared);
                }
                self.shared.channels.wake(wakes);
                for one in done {
                    one.job.settle(None);
                }
            }
            Ending::RolledBack(error) | Ending::Unknown(error) => {
                tracing::warn!(error = %error.chain(), closures = done.len(), "a batch failed");
                if error.is("sql.disk_full") {
                    // What the log holds twice may be the space that is missing.
                    self.checkpoint("TRUNCATE");
                }
                // What an unknown commit may have kept, its listeners should look for.
                self.shared.channels.wake(wakes);
                for one in done {
                    self.shared.book.failed(one.job.label());
                    one.job.settle(Some(error::same_again(&error)));
                }
            }
        }
    }

    fn control(&self, sql: &'static str) -> Result<()> {
        self.conn.prepare_cached(sql).and_then(|mut s| s.execute([])).map(|_| ()).map_err(|e| meaning(e, sql))
    }

    /// Copies the log into the file when it has grown (see the limits above).
    pub(crate) fn checkpoint_if_due(&mut self, idle: bool) {
        let pages = self.wal_pages.load(Ordering::Relaxed);
        if pages < self.checkpointed_at {
            self.checkpointed_at = 0;
        }
        let anew = if self.checkpointed_at == 0 {
            Self::CHECKPOINT_IDLE_PAGES
        } else {
            Self::CHECKPOINT_AGAIN_PAGES
        };
        if pages - self.checkpointed_at < anew {
            return;
        }
        // RESTART leaves the log its length: writing over old blocks syncs several times faster than growing.
        if pages >= Self::CHECKPOINT_BUSY_PAGES {
            self.checkpoint("RESTART");
        } else if idle {
            self.checkpoint("PASSIVE");
        } else {
            return;
        }
        self.checkpointed_at = pages;
    }

    /// Copies as much of the log into the file as no reader's snapshot holds back, without waiting for any reader: a
    /// writer that waits stops everybody. RESTART and TRUNCATE that find a reader have done what PASSIVE does.
    fn checkpoint(&self, mode: &str) {
        let tried = self.conn.busy_timeout(Duration::ZERO).and_then(|()| self.log_into_file(mode));
        let reset = self.conn.busy_timeout(BUSY_TIMEOUT);
        match tried.and_then(|busy| reset.map(|()| busy)) {
            Ok(busy) => self.shared.book.checkpointed(busy),
            Err(e) => {
                tracing::warn!(error = %e, "the write-ahead log could not be copied into the file; it keeps growing");
            }
        }
    }

    /// Whether somebody kept it from being complete.
    fn log_into_file(&self, mode: &str) -> rusqlite::Result<bool> {
        self.conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(0))
    }

    /// The last act: all of the log goes into the file, and its space back. Nobody is kept waiting any more.
    pub(crate) fn close(self) {
        if let Err(e) = self.log_into_file("TRUNCATE") {
            tracing::warn!(error = %e, "the write-ahead log could not be emptied; the next start reads it");
        }
    }
}
