//! Work that takes a processor for a while: off the async threads, few at a time, and not many waiting.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinError,
};

/// Where it is done.
#[derive(Clone, Debug)]
pub struct WorkPool {
    /// Working or waiting.
    queue: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

/// A place in the queue.
#[derive(Debug)]
pub struct Place {
    workers: Arc<Semaphore>,
    queued: Option<OwnedSemaphorePermit>,
}

/// A worker's turn; over when it is dropped.
#[derive(Debug)]
pub struct Turn {
    _queued: Option<OwnedSemaphorePermit>,
    _working: Option<OwnedSemaphorePermit>,
}

impl WorkPool {
    /// With so many workers, and so many waiting for one.
    pub fn new(workers: usize, waiting_max: usize) -> Self {
        let queue = Arc::new(Semaphore::new(workers + waiting_max));
        Self { queue, workers: Arc::new(Semaphore::new(workers)) }
    }

    /// A place, when one is free.
    pub fn try_enter(&self) -> Option<Place> {
        let queued = self.queue.clone().try_acquire_owned().ok()?;
        Some(Place { workers: self.workers.clone(), queued: Some(queued) })
    }

    /// A place as soon as one is free: for work of our own.
    pub async fn enter(&self) -> Place {
        // Neither of the two is ever closed.
        let queued = self.queue.clone().acquire_owned().await.ok();
        Place { workers: self.workers.clone(), queued }
    }
}

impl Place {
    /// Waits for a worker.
    pub async fn turn(self) -> Turn {
        let working = self.workers.acquire_owned().await.ok();
        Turn { _queued: self.queued, _working: working }
    }
}

impl Turn {
    /// Does the work. The turn goes with it: when the client leaves, the work still takes its place until it is done.
    ///
    /// # Errors
    /// The work panicked.
    pub async fn run<T: Send + 'static>(
        self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        tokio::task::spawn_blocking(move || {
            let done = job();
            drop(self);
            done
        })
        .await
    }
}
