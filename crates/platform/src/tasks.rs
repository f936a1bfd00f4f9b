//! Supervised tasks: the only way to start one. Each has a name, a panic is logged and counted, loops are
//! restarted with back-off, and a shutdown waits for what is in flight.

use std::{
    collections::BTreeMap,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt as _;
use merx_kernel::{Clock, Entropy, Error, Result};
use tokio::sync::oneshot;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{time::Backoff, trace};

/// How long a loop that fails waits before it is started again.
const RESTART: Backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_secs(30) };
/// A loop that ran at least this long before it failed starts again without the earlier failures' back-off.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// Starts and supervises tasks. Clones share one supervision.
#[derive(Clone)]
pub struct Tasks(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    tracker: TaskTracker,
    stop: CancellationToken,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    next: u64,
    tasks: BTreeMap<u64, (&'static str, Option<tokio::task::AbortHandle>)>,
}

impl Tasks {
    /// A supervision without tasks.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self(Arc::new(Inner {
            clock,
            entropy,
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            running: Mutex::default(),
        }))
    }

    /// Cancelled when the shutdown begins: loops end, work that can be taken up later stops at its next boundary.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Starts `work` in the present trace. It runs to its end unless a shutdown outlasts its deadline. A panic is
    /// logged and answered as `Internal` to whoever awaits the [`Task`]; dropping the [`Task`] changes nothing.
    pub fn spawn<T, F>(&self, name: &'static str, work: F) -> Task<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        let entry = Entry::new(self.0.clone(), name);
        let key = entry.key;
        let work = trace::scope(trace::current(), async move {
            let _entry = entry;
            match AssertUnwindSafe(work).catch_unwind().await {
                Ok(value) => drop(answer.send(value)),
                Err(panic) => tracing::error!(task = name, error = %panic_text(&*panic), "task panicked"),
            }
        });
        let handle = self.start(work);
        if let Some((_, slot)) = self.0.running().tasks.get_mut(&key) {
            *slot = Some(handle);
        }
        Task { name, receiver }
    }

    #[allow(clippy::disallowed_methods, reason = "this is the one place that starts tasks")]
    fn start(&self, work: impl Future<Output = ()> + Send + 'static) -> tokio::task::AbortHandle {
        self.0.tracker.spawn(work).abort_handle()
    }

    /// Runs a command that must not be cut in half: it goes on in a task of its own when the caller (a client that
    /// hung up) goes away.
    ///
    /// # Errors
    /// The command's own; `Unavailable` `server.shutting_down` once a shutdown began; `Internal` after a panic.
    pub async fn run_command<T, F>(&self, name: &'static str, command: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        if self.0.stop.is_cancelled() {
            return Err(Error::unavailable("server.shutting_down", "The server is shutting down.")
                .with_retry_after(Duration::from_secs(5)));
        }
        self.spawn(name, command).await?
    }

    /// Ends every task where it stands, as when the process dies: nothing is finished, nobody is told. For simulations.
    pub async fn cut_off(&self) {
        self.0.tracker.close();
        for (_, handle) in self.0.running().tasks.values() {
            handle.iter().for_each(tokio::task::AbortHandle::abort);
        }
        self.0.tracker.wait().await;
    }

    /// Keeps a loop running until the shutdown: `body` is called with the stop signal and runs until then. When it
    /// fails or panics it is started again after a back-off; `Ok` ends it for good.
    pub fn spawn_loop<B, F>(&self, name: &'static str, body: B) -> Task<()>
    where
        B: Fn(CancellationToken) -> F + Send + 'static,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let inner = self.0.clone();
        let supervised = async move {
            let mut failures = 0;
            while !inner.stop.is_cancelled() {
                let started = inner.clock.now();
                let error = match AssertUnwindSafe(body(inner.stop.clone())).catch_unwind().await {
                    Ok(Ok(())) => return,
                    Ok(Err(error)) => error.chain(),
                    Err(panic) => format!("panicked: {}", panic_text(&*panic)),
                };
                if inner.clock.now().since(started) >= HEALTHY_AFTER {
                    failures = 0;
                }
                failures += 1;
                let wait = RESTART.wait(failures, &*inner.entropy);
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                tracing::error!(task = name, %error, failures, wait_ms, "task failed and will be started again");
                tokio::select! {
                    biased;
                    () = inner.stop.cancelled() => return,
                    () = inner.clock.sleep(wait) => {}
                }
            }
        };
        // A loop belongs to no request, whoever starts it.
        self.spawn(name, trace::scope(None, supervised))
    }

    /// Calls `body` every `period` until the shutdown, the first time after one; a failure is logged and does not end
    /// it (see [`Self::spawn_loop`]).
    pub fn spawn_every<B, F>(&self, name: &'static str, period: Duration, body: B) -> Task<()>
    where
        B: Fn() -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let clock = self.0.clock.clone();
        self.spawn_loop(name, move |stop| {
            let (clock, body) = (clock.clone(), body.clone());
            async move {
                loop {
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return Ok(()),
                        () = clock.sleep(period) => {}
                    }
                    body().await?;
                }
            }
        })
    }

    /// Begins the shutdown and waits until every task has ended. What still runs after `deadline` is cut off.
    ///
    /// # Errors
    /// `Timeout` naming the tasks that were cut off.
    pub async fn shutdown(&self, deadline: Duration) -> Result<()> {
        self.0.stop.cancel();
        self.0.tracker.close();
        tokio::select! {
            biased;
            () = self.0.tracker.wait() => return Ok(()),
            () = self.0.clock.sleep(deadline) => {}
        }
        let mut names = Vec::new();
        for (name, handle) in self.0.running().tasks.values() {
            names.push(*name);
            if let Some(handle) = handle {
                handle.abort();
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        let message = format!("tasks still running after {deadline:?} were cut off: {}", names.join(", "));
        Err(Error::new(merx_kernel::ErrorKind::Timeout, "server.shutdown_incomplete", message))
    }

    /// The names of the running tasks, oldest first.
    pub fn running(&self) -> Vec<&'static str> {
        self.0.running().tasks.values().map(|(name, _)| *name).collect()
    }
}

impl Inner {
    fn running(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task's line in the list of running ones; gone when the task is, however it ends.
struct Entry {
    inner: Arc<Inner>,
    key: u64,
}

impl Entry {
    fn new(inner: Arc<Inner>, name: &'static str) -> Self {
        let key = {
            let mut running = inner.running();
            running.next += 1;
            let key = running.next;
            running.tasks.insert(key, (name, None));
            key
        };
        Self { inner, key }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.inner.running().tasks.remove(&self.key);
    }
}

/// The answer of a spawned task, to await or to drop.
#[derive(Debug)]
pub struct Task<T> {
    name: &'static str,
    receiver: oneshot::Receiver<T>,
}

impl<T> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let name = self.name;
        Pin::new(&mut self.receiver).poll(context).map_err(|_| {
            Error::internal(format!("task `{name}` ended without an answer (it panicked or was cut off)"))
        })
    }
}

/// What a panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(no text)".to_owned())
}
