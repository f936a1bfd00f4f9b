//! [`Db`]: the door to all three modes.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use merx_kernel::{Clock, Error, Result};
use prometheus_client::registry::Registry;
use rusqlite::Connection;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    error,
    job::{Job, ReadJob, Write, caught},
    lanes::{Lane, Lanes, Worker},
    listen::{Channels, Listener},
    migrate::{self, Migration, PendingMigration},
    mysql,
    options::{DbOptions, Faults, Observer, OnFatal, SequencedTable},
    retry::Backoff,
    sqlite::{self, FileLock, Writer},
    stats::{self, Book, Stats},
    tx::{Reader, Tx},
};

/// What every thread of a database shares.
pub(crate) struct Shared {
    pub book: Arc<Book>,
    pub channels: Channels,
    pub clock: Arc<dyn Clock>,
    pub observer: Option<Arc<dyn Observer>>,
    pub faults: Option<Arc<dyn Faults>>,
    pub on_fatal: OnFatal,
    pub sequenced: Vec<SequencedTable>,
    pub snapshot_every: Option<i64>,
}

/// Which engine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Mysql,
}

enum Engine {
    Threads(Threads),
    /// Everything on the caller's task; `None` after `close`.
    Inline(Mutex<Option<Writer>>),
}

/// The queues of the database threads, and the threads.
pub(crate) struct Threads {
    /// `None` when opened for reading only.
    pub writes: Option<Arc<Lanes<Box<dyn Job>>>>,
    pub reads: Arc<Lanes<ReadJob>>,
    pub handles: Mutex<Vec<JoinHandle<()>>>,
}

/// A database. Clones share it; it is closed by [`Db::close`] or when the last clone goes.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    dialect: Dialect,
    engine: Engine,
}

impl Db {
    /// Opens `sqlite:PATH`, `mysql://user:password@host:port/database` (MySQL or MariaDB), or `sqlite::memory:`
    /// (the inline mode). Blocks until the file or the server answered. `sequenced` names every table whose
    /// rows carry positions.
    ///
    /// # Errors
    /// `sql.bad_url`, `sql.cannot_open`, `sql.locked`, `sql.foreign_file`, `sql.unreachable`: each says what to do.
    pub fn open(url: &str, options: DbOptions, sequenced: &[SequencedTable]) -> Result<Self> {
        if url == "sqlite::memory:" {
            return Self::inline(options, sequenced);
        }
        if let Some(path) = url.strip_prefix("sqlite:") {
            if path.is_empty() {
                return Err(error::bad_url(url));
            }
            return Self::open_file(Path::new(path), options, sequenced);
        }
        if url.starts_with("mysql:") {
            return Self::open_server(url, options, sequenced);
        }
        Err(error::bad_url(url))
    }

    /// A database in memory whose closures run on the caller's task: the same batches, savepoints and fault
    /// points, no threads, no waiting.
    ///
    /// # Errors
    /// SQLite could not be set up (out of memory).
    pub fn inline(options: DbOptions, sequenced: &[SequencedTable]) -> Result<Self> {
        Self::inline_on(sqlite::open_writer(None, options.pages_max)?, options, sequenced)
    }

    /// As [`Self::inline`]; it begins with what `from`, another one in memory, holds.
    ///
    /// # Errors
    /// As [`Self::inline`]; `Internal` when `from` is not in memory.
    pub fn inline_copy(from: &Self, options: DbOptions, sequenced: &[SequencedTable]) -> Result<Self> {
        let Engine::Inline(from) = &from.0.engine else {
            return Err(Error::internal("only a database in memory is copied into another"));
        };
        let mut conn = sqlite::open_writer(None, options.pages_max)?;
        match lock(from).as_ref() {
            Some(writer) => sqlite::fill(&mut conn, writer.connection())?,
            None => return Err(error::closed()),
        }
        Self::inline_on(conn, options, sequenced)
    }

    fn inline_on(conn: Connection, options: DbOptions, sequenced: &[SequencedTable]) -> Result<Self> {
        let shared = shared(options, sequenced);
        let writer = Writer::new(conn, Arc::clone(&shared))?;
        let engine = Engine::Inline(Mutex::new(Some(writer)));
        Ok(Self(Arc::new(Inner { shared, dialect: Dialect::Sqlite, engine })))
    }

    fn open_file(path: &Path, options: DbOptions, sequenced: &[SequencedTable]) -> Result<Self> {
        let reads = Arc::new(Lanes::new(options.queue_max));
        let mut handles = Vec::new();
        let (readers, queue_max, read_only) = (options.readers.max(1), options.queue_max, options.read_only);
        let mut writes = None;
        let shared = if read_only {
            shared(options, sequenced)
        } else {
            let lock = FileLock::take(path)?;
            let conn = sqlite::open_writer(Some(path), options.pages_max)?;
            let shared = shared(options, sequenced);
            let writer = Writer::new(conn, Arc::clone(&shared))?;
            let lanes = Arc::new(Lanes::new(queue_max));
            writes = Some(Arc::clone(&lanes));
            handles.push(thread("merx-sql-writer", move || write_loop(writer, &Worker(lanes), lock))?);
            shared
        };
        for _ in 0..readers {
            let conn = sqlite::open_reader(path)?;
            let worker: Worker<ReadJob> = Worker(Arc::clone(&reads));
            handles.push(thread("merx-sql-reader", move || {
                while let Some(job) = worker.0.next() {
                    sqlite::read_snapshot(&conn, job);
                }
            })?);
        }
        let engine = Engine::Threads(Threads { writes, reads, handles: Mutex::new(handles) });
        Ok(Self(Arc::new(Inner { shared, dialect: Dialect::Sqlite, engine })))
    }

    fn open_server(url: &str, options: DbOptions, sequenced: &[SequencedTable]) -> Result<Self> {
        let shared = shared(options.clone(), sequenced);
        let mysql::Opened { writes, reads, handles } = mysql::open(url, &options, &shared)?;
        let engine = Engine::Threads(Threads { writes, reads, handles: Mutex::new(handles) });
        Ok(Self(Arc::new(Inner { shared, dialect: Dialect::Mysql, engine })))
    }

    /// Runs `f` in a transaction. What it wrote is durable when this answers `Ok`; when it answers an error
    /// nothing was kept, except for `sql.outcome_unknown` (Timeout), where only a look can tell.
    ///
    /// `f` may run several times (contention) and must have no effect but through `tx`: ids and times are chosen
    /// outside. A panic in `f` is an `Internal` error of this caller alone.
    ///
    /// # Errors
    /// What `f` answered, or the `sql.*` codes of `docs/errors`.
    pub async fn write<T, F>(&self, label: &'static str, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.write_in(Lane::Normal, label, f).await
    }

    /// As [`Self::write`], in the lane that yields to all others: chunks of import, rebuild, backup.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_low<T, F>(&self, label: &'static str, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.write_in(Lane::Low, label, f).await
    }

    async fn write_in<T, F>(&self, lane: Lane, label: &'static str, mut f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let mut backoff = Backoff::new();
        loop {
            let (reply, answer) = oneshot::channel();
            self.submit(
                lane,
                Box::new(Write { label, since: Instant::now(), closure: f, outcome: None, reply }),
            )?;
            let Ok((result, closure)) = answer.await else {
                return Err(error::closed());
            };
            f = closure;
            let Some(pause) = backoff.after(&result) else {
                self.turns(label).await;
                return result;
            };
            self.0.shared.book.retried(label);
            // One writer has nobody to wait for: the next batch sees what it lost against.
            if self.0.dialect == Dialect::Mysql {
                self.0.shared.clock.sleep(pause).await;
            }
        }
    }

    fn submit(&self, lane: Lane, job: Box<dyn Job>) -> Result<()> {
        match &self.0.engine {
            Engine::Threads(threads) => match &threads.writes {
                Some(lanes) => lanes.push(lane, job),
                None => Err(error::read_only()),
            },
            Engine::Inline(writer) => match lock(writer).as_mut() {
                Some(writer) => {
                    writer.batch(job, || None);
                    Ok(())
                }
                None => Err(error::closed()),
            },
        }
    }

    /// Runs `f` on one consistent snapshot that contains everything committed before the call.
    ///
    /// # Errors
    /// What `f` answered, or the `sql.*` codes of `docs/errors`.
    pub async fn read<T, F>(&self, label: &'static str, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let book = Arc::clone(&self.0.shared.book);
        let since = Instant::now();
        let snapshot_every = self.0.shared.snapshot_every;
        let job: ReadJob = Box::new(move |reader| {
            let queued = since.elapsed();
            let outcome = match reader {
                Ok(reader) => {
                    reader.snapshot_every = snapshot_every;
                    let outcome = caught(label, || f(reader));
                    book.read(label, reader.counts, queued, outcome.is_ok());
                    outcome
                }
                Err(error) => {
                    book.failed(label);
                    Err(error)
                }
            };
            // A caller that went away does not want the answer.
            let _ = reply.send(outcome);
        });
        match &self.0.engine {
            Engine::Threads(threads) => threads.reads.push(Lane::Normal, job)?,
            Engine::Inline(writer) => match lock(writer).as_ref() {
                Some(writer) => sqlite::read_snapshot(writer.connection(), job),
                None => return Err(error::closed()),
            },
        }
        let outcome = answer.await.unwrap_or_else(|_| Err(error::closed()));
        self.turns(label).await;
        outcome
    }

    /// Lets the others have the turns a simulation gives them.
    async fn turns(&self, label: &'static str) {
        if let (Engine::Inline(_), Some(faults)) = (&self.0.engine, &self.0.shared.faults) {
            for _ in 0..faults.turns(label) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Listens to the wakes of `channel` ([`Tx::wake`]).
    pub fn listen(&self, channel: &str) -> Listener {
        self.0.shared.channels.listen(channel)
    }

    /// Brings the tables of `context` up to `migrations`, each applied once and checked ever after.
    ///
    /// # Errors
    /// `sql.newer_schema`, `sql.migration_changed`; what a statement answered.
    pub async fn migrate(&self, context: &'static str, migrations: &[Migration]) -> Result<()> {
        let migrations = migrations.to_vec();
        let sequenced = self.0.shared.sequenced.clone();
        let dialect = self.0.dialect;
        self.write("sql.migrate", move |tx| migrate::apply(tx, dialect, context, &migrations, &sequenced))
            .await
    }

    /// What [`Self::migrate`] would do; only reads. An empty list says that the tables are those of this program.
    ///
    /// # Errors
    /// `sql.newer_schema`, `sql.migration_changed`; what the database answered.
    pub async fn pending_migrations(
        &self,
        context: &'static str,
        migrations: &[Migration],
    ) -> Result<Vec<PendingMigration>> {
        let migrations = migrations.to_vec();
        let dialect = self.0.dialect;
        self.read("sql.pending", move |q| migrate::pending(q, dialect, context, &migrations)).await
    }

    /// Whether closures run on the caller's task: then real work elsewhere would be the one thing in the process that a
    /// seed does not decide.
    pub fn is_inline(&self) -> bool {
        matches!(self.0.engine, Engine::Inline(_))
    }
    /// What was done so far, by label.
    pub fn stats(&self) -> Stats {
        self.0.shared.book.snapshot()
    }

    /// Shows [`Self::stats`] and the histograms of batch size and queue time to Prometheus.
    pub fn register_metrics(&self, registry: &mut Registry) {
        stats::register(&self.0.shared.book, registry);
    }

    /// Refuses new work, finishes what is queued, empties the write-ahead log into the file and frees the lock.
    pub async fn close(&self) {
        match &self.0.engine {
            Engine::Inline(writer) => drop(lock(writer).take()),
            Engine::Threads(threads) => {
                threads.refuse();
                let handles = std::mem::take(&mut *lock(&threads.handles));
                let (done, closed) = oneshot::channel();
                let joiner = thread("merx-sql-close", move || {
                    join(handles);
                    let _ = done.send(());
                });
                if joiner.is_ok() {
                    let _ = closed.await;
                }
            }
        }
    }
}

impl Threads {
    fn refuse(&self) {
        self.reads.close();
        if let Some(writes) = &self.writes {
            writes.close();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Engine::Threads(threads) = &self.engine {
            threads.refuse();
            join(std::mem::take(&mut *lock(&threads.handles)));
        }
    }
}

/// Waits for the threads, except for the one that asks.
fn join(handles: Vec<JoinHandle<()>>) {
    for handle in handles {
        if handle.thread().id() != std::thread::current().id() && handle.join().is_err() {
            tracing::error!("a database thread panicked");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|e| error::cannot_open("threads", &e.to_string()).with_source(e))
}

fn shared(options: DbOptions, sequenced: &[SequencedTable]) -> Arc<Shared> {
    Arc::new(Shared {
        book: Arc::new(Book::new()),
        channels: Channels::default(),
        clock: options.clock,
        observer: options.observer,
        faults: options.faults,
        on_fatal: options.on_fatal,
        sequenced: sequenced.to_vec(),
        // Less than one event cannot lie between two snapshots.
        snapshot_every: options.snapshot_every.map(|every| every.max(1)),
    })
}

fn write_loop(mut writer: Writer, worker: &Worker<Box<dyn Job>>, lock: FileLock) {
    let lanes = &worker.0;
    while let Some(first) = lanes.next() {
        writer.batch(first, || lanes.next_waiting());
        writer.checkpoint_if_due(lanes.is_idle());
    }
    writer.close();
    drop(lock);
}
