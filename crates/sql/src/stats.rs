//! Counts of what the database was asked to do, by label: for the cost account and for `/metrics`.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, histogram::Histogram},
    registry::Registry,
};

use crate::tx::Counts;

/// What was done under one label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelStats {
    /// Write transactions committed.
    pub write_txs: u64,
    /// Read transactions finished.
    pub read_txs: u64,
    /// Transactions that answered an error or panicked, and were rolled back.
    pub failed: u64,
    /// Times a closure was run again after contention.
    pub retries: u64,
    /// Statements of committed write transactions.
    pub write_statements: u64,
    /// Statements of read transactions.
    pub read_statements: u64,
    /// Rows read by either.
    pub rows_read: u64,
    /// Rows matched by writing statements.
    pub rows_written: u64,
    /// Time spent in the queue.
    pub queued: Duration,
}

impl LabelStats {
    /// Statements of both kinds.
    pub const fn statements(&self) -> u64 {
        self.write_statements + self.read_statements
    }
}

/// A copy of the counts at one moment.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// By label of the transaction.
    pub labels: BTreeMap<&'static str, LabelStats>,
    /// Commits of batches that changed something: one fsync each.
    pub commits: u64,
    /// Times the write-ahead log of SQLite was copied into its file.
    pub checkpoints: u64,
    /// Those of them that a reader's snapshot kept from beginning the log anew.
    pub checkpoints_held_back: u64,
}

impl Stats {
    /// What was done since `earlier`; labels without work are left out.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut labels = BTreeMap::new();
        for (label, now) in &self.labels {
            let then = earlier.labels.get(label).copied().unwrap_or_default();
            let difference = LabelStats {
                write_txs: now.write_txs - then.write_txs,
                read_txs: now.read_txs - then.read_txs,
                failed: now.failed - then.failed,
                retries: now.retries - then.retries,
                write_statements: now.write_statements - then.write_statements,
                read_statements: now.read_statements - then.read_statements,
                rows_read: now.rows_read - then.rows_read,
                rows_written: now.rows_written - then.rows_written,
                queued: now.queued.saturating_sub(then.queued),
            };
            if difference != LabelStats::default() {
                labels.insert(*label, difference);
            }
        }
        Self {
            labels,
            commits: self.commits - earlier.commits,
            checkpoints: self.checkpoints - earlier.checkpoints,
            checkpoints_held_back: self.checkpoints_held_back - earlier.checkpoints_held_back,
        }
    }

    /// The sum over all labels.
    pub fn total(&self) -> LabelStats {
        self.labels.values().fold(LabelStats::default(), |sum, one| LabelStats {
            write_txs: sum.write_txs + one.write_txs,
            read_txs: sum.read_txs + one.read_txs,
            failed: sum.failed + one.failed,
            retries: sum.retries + one.retries,
            write_statements: sum.write_statements + one.write_statements,
            read_statements: sum.read_statements + one.read_statements,
            rows_read: sum.rows_read + one.rows_read,
            rows_written: sum.rows_written + one.rows_written,
            queued: sum.queued + one.queued,
        })
    }
}

/// Where the counts are kept.
pub(crate) struct Book {
    stats: Mutex<Stats>,
    batch_size: Histogram,
    queue_seconds: Histogram,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            stats: Mutex::default(),
            batch_size: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
            queue_seconds: Histogram::new([
                0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
            ]),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn written(&self, label: &'static str, counts: Counts, queued: Duration) {
        self.queue_seconds.observe(queued.as_secs_f64());
        let mut stats = self.lock();
        let line = stats.labels.entry(label).or_default();
        line.write_txs += 1;
        line.write_statements += counts.statements;
        line.rows_read += counts.rows_read;
        line.rows_written += counts.rows_written;
        line.queued += queued;
    }

    pub(crate) fn read(&self, label: &'static str, counts: Counts, queued: Duration, ok: bool) {
        let mut stats = self.lock();
        let line = stats.labels.entry(label).or_default();
        line.read_txs += u64::from(ok);
        line.failed += u64::from(!ok);
        line.read_statements += counts.statements;
        line.rows_read += counts.rows_read;
        line.queued += queued;
    }

    pub(crate) fn failed(&self, label: &'static str) {
        self.lock().labels.entry(label).or_default().failed += 1;
    }

    pub(crate) fn retried(&self, label: &'static str) {
        self.lock().labels.entry(label).or_default().retries += 1;
    }

    pub(crate) fn committed(&self, batch: usize) {
        self.lock().commits += 1;
        self.batch_size.observe(u32::try_from(batch).unwrap_or(u32::MAX).into());
    }

    pub(crate) fn checkpointed(&self, held_back: bool) {
        let mut stats = self.lock();
        stats.checkpoints += 1;
        stats.checkpoints_held_back += u64::from(held_back);
    }

    pub(crate) fn snapshot(&self) -> Stats {
        self.lock().clone()
    }
}

/// Shows the counts to Prometheus.
struct BookCollector(Arc<Book>);

impl fmt::Debug for BookCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BookCollector")
    }
}

impl Collector for BookCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = self.0.snapshot();
        type Column = (&'static str, &'static str, fn(&LabelStats) -> u64);
        let columns: [Column; 6] = [
            ("write_transactions", "Write transactions committed", |s| s.write_txs),
            ("read_transactions", "Read transactions finished", |s| s.read_txs),
            ("failed_transactions", "Transactions rolled back", |s| s.failed),
            ("retried_transactions", "Closures run again after contention", |s| s.retries),
            ("statements", "Statements run", LabelStats::statements),
            ("rows_written", "Rows matched by writing statements", |s| s.rows_written),
        ];
        for (name, help, value) in columns {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (label, line) in &stats.labels {
                let counter = ConstCounter::new(value(line));
                counter.encode(family.encode_family(&[("label", *label)])?)?;
            }
        }
        for (name, help, value) in [
            ("commits", "Durable commits", stats.commits),
            ("checkpoints", "Times the write-ahead log was copied into the file", stats.checkpoints),
            (
                "checkpoints_held_back",
                "Checkpoints that a long read kept from beginning the log anew",
                stats.checkpoints_held_back,
            ),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        Ok(())
    }
}

/// Registers the counts and histograms under the prefix `merx_sql`.
pub(crate) fn register(book: &Arc<Book>, registry: &mut Registry) {
    let registry = registry.sub_registry_with_prefix("merx_sql");
    registry.register("batch_size", "Closures per commit", book.batch_size.clone());
    registry.register("queue_seconds", "Time a write waited for its turn", book.queue_seconds.clone());
    registry.register_collector(Box::new(BookCollector(Arc::clone(book))));
}
