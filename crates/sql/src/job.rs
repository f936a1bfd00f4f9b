//! Closures on their way to a database thread and back.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use merx_kernel::{Error, Result};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    db::Shared,
    error,
    options::FaultPoint,
    tx::{Counts, Reader, Tx},
};

/// A write closure with its caller, its type hidden.
pub(crate) trait Job: Send {
    fn label(&self) -> &'static str;
    fn queued(&self) -> Duration;
    /// Runs the closure; the outcome is kept inside. Answers whether its changes may be committed.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Answers the caller: what the closure said, or `overruled` when the engine decided otherwise.
    fn settle(self: Box<Self>, overruled: Option<Error>);
}

pub(crate) struct Write<T, F> {
    pub label: &'static str,
    pub since: Instant,
    pub closure: F,
    pub outcome: Option<Result<T>>,
    /// The closure goes back to its caller, who may send it again.
    pub reply: oneshot::Sender<(Result<T>, F)>,
}

impl<T, F> Job for Write<T, F>
where
    T: Send,
    F: Fn(&mut Tx<'_>) -> Result<T> + Send,
{
    fn label(&self) -> &'static str {
        self.label
    }

    fn queued(&self) -> Duration {
        self.since.elapsed()
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let mut outcome = caught(self.label, || (self.closure)(tx));
        // A closure that swallowed the error which ended its transaction has nothing to commit.
        if outcome.is_ok()
            && let Some(broken) = tx.broken()
        {
            outcome = Err(broken);
        }
        let ok = outcome.is_ok();
        self.outcome = Some(outcome);
        ok
    }

    fn settle(self: Box<Self>, overruled: Option<Error>) {
        let result = match (overruled, self.outcome) {
            (Some(error), _) => Err(error),
            (None, Some(outcome)) => outcome,
            (None, None) => Err(error::closed()),
        };
        // A caller that went away does not want the answer.
        let _ = self.reply.send((result, self.closure));
    }
}

/// A read closure: given a reader, or the reason why there is none.
pub(crate) type ReadJob = Box<dyn FnOnce(Result<&mut Reader<'_>>) + Send>;

/// Runs `f`, turning a panic into an error of this caller alone.
pub(crate) fn caught<T>(label: &'static str, f: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let message = panic_message(panic.as_ref());
        tracing::error!(label, panic = message, "a transaction closure panicked and was rolled back");
        Err(Error::internal(format!("the transaction `{label}` panicked: {message}")))
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("?")
}

/// A job that was run, with what it did.
pub(crate) struct Done {
    pub job: Box<dyn Job>,
    pub ok: bool,
    pub counts: Counts,
    pub queued: Duration,
}

impl Done {
    /// Tells the books and the observer of a commit. Called before the callers are answered, in commit order.
    pub(crate) fn record(&self, shared: &Shared) {
        if !self.ok {
            shared.book.failed(self.job.label());
            return;
        }
        shared.book.written(self.job.label(), self.counts, self.queued);
        if let Some(observer) = &shared.observer {
            observer.committed(self.job.label(), self.counts.statements, self.counts.rows_written);
        }
    }
}

/// Whether a test wants a fault here.
pub(crate) fn fault_strikes(shared: &Shared, point: FaultPoint, done: &[Done]) -> bool {
    shared.faults.as_ref().is_some_and(|faults| {
        let labels: Vec<_> = done.iter().filter(|d| d.ok).map(|d| d.job.label()).collect();
        faults.strikes(point, &labels)
    })
}
