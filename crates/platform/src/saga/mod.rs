//! Sagas: many steps in several contexts that together reach one of two ends.
//!
//! A saga is linear. Its [`Step`]s are asks under identities derived from the saga and the step, so each may run
//! again at any time and end the same. When a step refuses, the steps before it are undone in reverse, and where it
//! was not its first try it is undone itself, for an earlier one may yet have its effect. Once the *pivot* is done
//! nothing is undone any more. [`Saga::finish`] writes the outcome in one transaction of the
//! domain, together with [`SagaLog::end`].
//!
//! The durable log has four records: the start (by the domain, in the transaction of the cause), the pivot and the
//! refusal (by the engine, only where there is something to lose or to undo), and the end (by the domain, in
//! `finish`). After a crash the steps simply run again from the last record.
//!
//! - [`machine`] is the pure function from state and last outcome to what comes next;
//! - [`SagaEngine`] carries it out, retries, parks, resumes after a start;
//! - [`harness`] proves a saga: failure at each step, everything twice, a crash after each record.

mod any;
mod drive;
mod engine;
pub mod fault;
pub mod harness;
pub mod machine;
mod operate;
mod room;

use std::future::Future;

use futures_util::future::BoxFuture;
use merx_contracts::ids::SagaId;
use merx_kernel::{Error, Id, IdKind, Result, Timestamp};
use serde::{Serialize, de::DeserializeOwned};

pub use any::AnySaga;
pub use engine::{EngineDeps, Limits, Progress, Running, SagaEngine, WeakSagaEngine};
pub use machine::End;
pub use operate::StepView;

pub use crate::store::{NewSaga, Refusal, SagaFilter, SagaLog, SagaRow, SagaStatus};

/// What a step or an undo came to. An `Err` whose kind is retryable counts as a failure and is tried again after a
/// back-off; any other `Err` is a refusal with its code and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// It is done (now, or by an earlier try under the same identity).
    Done,
    /// It did nothing: the saga turns back.
    Refused {
        /// The refusal's stable code.
        code: String,
        /// The refusal's sentence.
        message: String,
    },
    /// The answer is not known yet.
    RetryLater {
        /// When it will be known; such a wait is no failure. `None`: after a back-off, and counted as a failure.
        at: Option<Timestamp>,
        /// What is waited for.
        reason: String,
    },
}

/// What the steps of one running saga work on.
#[derive(Clone, Debug)]
pub struct SagaRun<D> {
    /// The saga's identity.
    pub id: SagaId,
    /// Ids and amounts, as they were at the start; they never change.
    pub data: D,
}

impl<D> SagaRun<D> {
    /// An identity for an effect of this saga that no record names yet: a function of the saga and `purpose`.
    pub fn effect_id<K: IdKind>(&self, purpose: &str) -> Id<K> {
        derived_id(self.id, purpose)
    }
}

/// The identity of the effect that `cause` has for `purpose`: equal causes and purposes give equal identities,
/// others different ones.
pub fn derived_id<C, K>(cause: Id<C>, purpose: &str) -> Id<K> {
    let mut text = cause.to_bytes().to_vec();
    text.extend_from_slice(purpose.as_bytes());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
    let bits = digest.as_ref().iter().take(16).fold(0u128, |bits, byte| (bits << 8) | u128::from(*byte));
    Id::from_bits(bits)
}

/// An action or an undo of a saga `S`: `|saga, run| Box::pin(saga.reserve(run))`.
pub type StepFn<S> = for<'a> fn(&'a S, &'a SagaRun<<S as Saga>::Data>) -> BoxFuture<'a, Result<StepOutcome>>;

/// One step of a saga: `Step::<Self>::new("reserve", |saga, run| Box::pin(saga.reserve(run)))`. The type is spelt out
/// where `.undo(…)` or `.pivot()` follows; a step that stands alone does not need it.
pub struct Step<S: Saga> {
    name: &'static str,
    action: StepFn<S>,
    undo: Option<StepFn<S>>,
    pivot: bool,
}

impl<S: Saga> Step<S> {
    /// A step that needs no undo. Names are kept in the log: never rename one without a new [`Saga::VERSION`].
    pub const fn new(name: &'static str, action: StepFn<S>) -> Self {
        Self { name, action, undo: None, pivot: false }
    }

    /// With what takes its effect back. It must be able to run twice, and also where the action never ran or has its
    /// effect only afterwards: then it keeps the action from having it.
    #[must_use]
    pub const fn undo(mut self, undo: StepFn<S>) -> Self {
        self.undo = Some(undo);
        self
    }

    /// Makes it the pivot: once it is done nothing is undone, and a refusal by a later step needs a person. At most
    /// one step is. It costs a small transaction of its own, unless it is the last step.
    #[must_use]
    pub const fn pivot(mut self) -> Self {
        self.pivot = true;
        self
    }
}

impl<S: Saga> Clone for Step<S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S: Saga> Copy for Step<S> {}

/// A kind of saga. The file of one has a fixed order: data, struct, steps, actions, finish.
pub trait Saga: Send + Sync + Sized + 'static {
    /// Its name in the log, `place-order`.
    const NAME: &'static str;
    /// Raised when the steps or the data change; the old version stays registered until its last saga has ended.
    const VERSION: i64;
    /// What the steps need to know: ids and amounts only, never personal data.
    type Data: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The steps, in order.
    const STEPS: &'static [Step<Self>];

    /// Writes the outcome in one transaction of the domain and calls [`SagaLog::end`] in it; where that answers
    /// `false` the outcome is there already. Tried again until it succeeds.
    fn finish(&self, run: &SagaRun<Self::Data>, end: &End) -> impl Future<Output = Result<()>> + Send;
}

impl NewSaga {
    /// A saga of kind `S` to be started now, in the trace of the running task.
    ///
    /// # Errors
    /// `Internal` when the data cannot be written as JSON.
    pub fn of<S: Saga>(id: SagaId, data: &S::Data, now: Timestamp) -> Result<Self> {
        let data = serde_json::to_string(data).map_err(|e| {
            Error::internal(format!("data of saga {} cannot be written", S::NAME)).with_source(e)
        })?;
        Ok(Self {
            id,
            name: S::NAME,
            version: S::VERSION,
            data,
            traceparent: crate::trace::current_traceparent(),
            started_at: now,
        })
    }
}
