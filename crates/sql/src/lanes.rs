//! The bounded queue in front of the database threads, with a lane for work that can wait.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use merx_kernel::Result;
use tokio::time::Instant;

use crate::error;

/// Which lane a job waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Normal,
    /// Import, rebuild, backup: taken when nothing else waits, or after [`Lanes::LOW_WAIT_MAX`].
    Low,
}

struct State<T> {
    normal: VecDeque<T>,
    low: VecDeque<(Instant, T)>,
    closed: bool,
}

pub(crate) struct Lanes<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
    length_max: usize,
}

impl<T> Lanes<T> {
    /// How long a low job may be passed over.
    const LOW_WAIT_MAX: Duration = Duration::from_millis(250);

    pub(crate) fn new(length_max: usize) -> Self {
        let state = State { normal: VecDeque::new(), low: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), ready: Condvar::new(), length_max }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job into its lane.
    pub(crate) fn push(&self, lane: Lane, job: T) -> Result<()> {
        let mut state = self.lock();
        if state.closed {
            return Err(error::closed());
        }
        if state.normal.len() + state.low.len() >= self.length_max {
            return Err(error::overloaded());
        }
        match lane {
            Lane::Normal => state.normal.push_back(job),
            Lane::Low => state.low.push_back((Instant::now(), job)),
        }
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Waits for the next job; `None` when closed and drained.
    pub(crate) fn next(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            let low_is_due = state.low.front().is_some_and(|(since, _)| since.elapsed() > Self::LOW_WAIT_MAX);
            let job = if state.normal.is_empty() || low_is_due {
                state.low.pop_front().map(|(_, job)| job)
            } else {
                state.normal.pop_front()
            };
            if job.is_some() {
                return job;
            }
            if state.closed {
                return None;
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next job of the normal lane if one waits already.
    pub(crate) fn next_waiting(&self) -> Option<T> {
        self.lock().normal.pop_front()
    }

    /// Whether nothing waits.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.normal.is_empty() && state.low.is_empty()
    }

    /// Refuses new jobs and drops those inside: their callers are told that the database is closed.
    fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        let dropped = (std::mem::take(&mut state.normal), std::mem::take(&mut state.low));
        drop(state);
        drop(dropped);
        self.ready.notify_all();
    }

    /// Refuses new jobs; those inside are still done.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_all();
    }
}

/// Held by a thread that works a queue. Should the thread panic (closures are caught; this is a fault of ours), its
/// callers are answered instead of waiting for ever.
pub(crate) struct Worker<T>(pub(crate) Arc<Lanes<T>>);

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a database thread panicked; the database takes no more work");
            self.0.abandon();
        }
    }
}
