//! MySQL and MariaDB: a pool of connection threads, one transaction a closure.

mod connect;
mod sequencer;
mod session;

use std::{
    sync::{Arc, atomic::AtomicI64},
    thread::JoinHandle,
};

use merx_kernel::{Guard, Result};
use mysql::{Conn, prelude::Queryable};

pub(crate) use sequencer::ARRIVAL;

use crate::{
    db::{Shared, thread},
    error,
    job::{Done, Job, ReadJob, fault_strikes},
    lanes::{Lanes, Worker},
    mysql::{
        connect::{Connector, Isolation},
        sequencer::{Ringer, Sequencer},
        session::{MysqlSession, connection_lost, meaning},
    },
    options::{DbOptions, FaultPoint},
    tx::{Positions, Reader, Tx},
};

/// What opening gives to [`crate::Db`].
pub(crate) struct Opened {
    pub writes: Option<Arc<Lanes<Box<dyn Job>>>>,
    pub reads: Arc<Lanes<ReadJob>>,
    pub handles: Vec<JoinHandle<()>>,
}

/// Connects once, so that a wrong URL is told at once, and starts the threads.
pub(crate) fn open(url: &str, options: &DbOptions, shared: &Arc<Shared>) -> Result<Opened> {
    let connector = Arc::new(Connector::new(url)?);
    // Who only reads makes nothing.
    let mut first = if options.read_only {
        connector.connect(Isolation::RepeatableRead)?
    } else {
        connector.connect_or_create()?
    };
    let reads = Arc::new(Lanes::new(options.queue_max));
    let mut handles = Vec::new();
    let mut writes = None;
    if !options.read_only {
        let ceiling = sequencer::prepare(&mut first)?;
        let early = Arc::new(AtomicI64::new(ceiling));
        let lanes: Arc<Lanes<Box<dyn Job>>> = Arc::new(Lanes::new(options.queue_max));
        let ringer = Arc::new(Ringer::new(&shared.sequenced));
        let sequencer = Sequencer::new(Arc::clone(&connector), Arc::clone(shared), ringer.bell());
        handles.push(thread("merx-sql-sequencer", move || sequencer.run())?);
        let mut first = Some(first);
        for _ in 0..options.writers.max(1) {
            let writer = WriterThread {
                connector: Arc::clone(&connector),
                conn: first.take(),
                shared: Arc::clone(shared),
                ringer: Arc::clone(&ringer),
                early: Arc::clone(&early),
            };
            let worker = Worker(Arc::clone(&lanes));
            handles.push(thread("merx-sql-writer", move || writer.run(&worker.0))?);
        }
        writes = Some(lanes);
    }
    for _ in 0..options.readers.max(1) {
        let connector = Arc::clone(&connector);
        let worker = Worker(Arc::clone(&reads));
        handles.push(thread("merx-sql-reader", move || read_loop(&connector, &worker.0))?);
    }
    Ok(Opened { writes, reads, handles })
}

struct WriterThread {
    connector: Arc<Connector>,
    conn: Option<Conn>,
    shared: Arc<Shared>,
    ringer: Arc<Ringer>,
    early: Arc<AtomicI64>,
}

impl WriterThread {
    fn run(mut self, lanes: &Lanes<Box<dyn Job>>) {
        while let Some(job) = lanes.next() {
            match self.connector.begin(&mut self.conn, Isolation::ReadCommitted, "START TRANSACTION") {
                Ok(conn) => self.conn = self.one(conn, job),
                Err(error) => {
                    self.shared.book.failed(job.label());
                    job.settle(Some(error));
                }
            }
        }
    }

    /// One closure in the transaction that `conn` has begun. Gives the connection back unless it is lost.
    fn one(&self, mut conn: Conn, mut job: Box<dyn Job>) -> Option<Conn> {
        let queued = job.queued();
        let mut session = MysqlSession::new(&mut conn);
        let positions = if Guard::SequencerGap.on() {
            Positions::AfterCommit
        } else {
            Positions::BeforeCommit(&self.early)
        };
        let mut tx = Tx::new(&mut session, positions);
        tx.snapshot_every = self.shared.snapshot_every;
        let ok = job.run(&mut tx);
        let (counts, wakes) = (tx.counts, std::mem::take(&mut tx.wakes));
        let usable = !session.connection_lost();
        let done = [Done { job, ok, counts, queued }];
        let (overruled, usable) = if !ok {
            (None, usable && conn.query_drop("ROLLBACK").is_ok())
        } else if fault_strikes(&self.shared, FaultPoint::BeforeCommit, &done) {
            (Some(error::io("a fault was put in before the commit")), conn.query_drop("ROLLBACK").is_ok())
        } else {
            self.commit(&mut conn, &done)
        };
        let [done] = done;
        match overruled {
            None => {
                done.record(&self.shared);
                if ok {
                    self.shared.book.committed(1);
                    self.ringer.wake(&self.shared.channels, wakes);
                }
                done.job.settle(None);
            }
            Some(error) => {
                self.shared.book.failed(done.job.label());
                if error.is("sql.outcome_unknown") {
                    self.ringer.wake(&self.shared.channels, wakes);
                }
                done.job.settle(Some(error));
            }
        }
        usable.then_some(conn)
    }

    /// Commits; answers what overrules the closure, and whether the connection is still good.
    fn commit(&self, conn: &mut Conn, done: &[Done]) -> (Option<merx_kernel::Error>, bool) {
        match conn.query_drop("COMMIT") {
            Ok(()) if fault_strikes(&self.shared, FaultPoint::AfterCommit, done) => {
                (Some(error::outcome_unknown("a fault was put in after the commit")), true)
            }
            Ok(()) => (None, true),
            Err(cause) => {
                let lost = connection_lost(&cause);
                let error = meaning(cause, "COMMIT");
                if error.is("sql.contention") {
                    return (Some(error), conn.query_drop("ROLLBACK").is_ok());
                }
                // The connection broke between our COMMIT and its answer, or the server failed in it.
                tracing::error!(error = %error.chain(), "a commit has an unknown outcome");
                (Some(error::outcome_unknown(error.chain())), !lost)
            }
        }
    }
}

fn read_loop(connector: &Connector, lanes: &Lanes<ReadJob>) {
    let mut conn = None;
    while let Some(job) = lanes.next() {
        let begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
        match connector.begin(&mut conn, Isolation::RepeatableRead, begin) {
            Err(error) => job(Err(error)),
            Ok(mut taken) => {
                let mut session = MysqlSession::new(&mut taken);
                job(Ok(&mut Reader::new(&mut session)));
                let usable = !session.connection_lost();
                if usable && taken.query_drop("COMMIT").is_ok() {
                    conn = Some(taken);
                }
            }
        }
    }
}
