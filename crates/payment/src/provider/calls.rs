//! The calls made to a provider in one piece of work, kept together with what came of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use merx_contracts::ids::{AttemptId, RefundId};
use merx_kernel::{Clock, Id, IdGen, IdKind, Timestamp};
use merx_platform::trace;

/// Marks the ids of calls.
pub enum CallKind {}
impl IdKind for CallKind {
    const PREFIX: &'static str = "pcl";
}
/// A call to a provider.
pub type CallId = Id<CallKind>;

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// The attempt.
    pub attempt_id: AttemptId,
    /// The refund, where it is about one.
    pub refund_id: Option<RefundId>,
}

/// One call as it is kept. Nothing of what was sent or answered but the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRow {
    /// The call.
    pub call_id: CallId,
    /// What about.
    pub about: About,
    /// The provider's method, `alipay.trade.query`.
    pub method: String,
    /// `done`, `in_progress`, `refused`, `misused`, `unknown` or `no_answer`.
    pub outcome: String,
    /// The provider's business code of a refusal.
    pub code: Option<String>,
    /// When it was made.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: i64,
    /// The trace it belongs to.
    pub trace_id: Option<String>,
}

/// The calls of one piece of work, until a transaction takes them.
pub struct CallBook {
    clock: Arc<dyn Clock>,
    ids: IdGen,
    calls: Mutex<Vec<CallRow>>,
}

impl CallBook {
    /// No call yet.
    pub fn new(clock: Arc<dyn Clock>, ids: IdGen) -> Self {
        Self { clock, ids, calls: Mutex::default() }
    }

    fn calls(&self) -> MutexGuard<'_, Vec<CallRow>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Notes a call that began at `started_at` and is over now.
    pub fn note(
        &self,
        method: &'static str,
        about: About,
        started_at: Timestamp,
        outcome: &'static str,
        code: Option<String>,
    ) {
        let took = self.now().since(started_at).as_millis();
        let row = CallRow {
            call_id: self.ids.next(),
            about,
            method: method.to_owned(),
            outcome: outcome.to_owned(),
            code,
            started_at,
            duration_ms: i64::try_from(took).unwrap_or(i64::MAX),
            trace_id: trace::current().map(|trace| trace.trace_id()),
        };
        self.calls().push(row);
    }

    /// The latest call that is still in the book.
    pub fn latest(&self) -> Option<CallId> {
        self.calls().last().map(|call| call.call_id)
    }

    /// The calls so far, to be written by one transaction.
    pub fn take(&self) -> Vec<CallRow> {
        std::mem::take(&mut *self.calls())
    }
}
