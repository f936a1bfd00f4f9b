//! Where a test may come between the engine and a saga. In production nothing is there.

use merx_contracts::ids::SagaId;
use merx_kernel::Error;

/// A point in the course of a saga.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// The action of the step is about to run.
    BeforeStep(&'static str),
    /// The action of the step answered.
    AfterStep(&'static str),
    /// The undo of the step is about to run.
    BeforeUndo(&'static str),
    /// The undo of the step answered.
    AfterUndo(&'static str),
    /// The pivot is written.
    AfterPivot,
    /// The refusal is written.
    AfterRefusal,
    /// The outcome is about to be written.
    BeforeFinish,
    /// The outcome is written.
    AfterFinish,
}

/// What happens at a point.
#[derive(Debug)]
pub enum Verdict {
    /// Nothing.
    Go,
    /// The process is gone: the saga stops here and nothing is written.
    Crash,
    /// It fails: before, without having run; after, with its answer lost.
    Fail(Error),
    /// Only after a step or an undo: it runs once more, and that answer counts.
    Again,
}

/// Decides at each point.
pub trait Fault: Send + Sync {
    /// What happens to `saga` at `point`.
    fn at(&self, saga: SagaId, point: &Point) -> Verdict;
}
