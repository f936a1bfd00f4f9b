//! The rules of a saga as a pure function: what comes next is decided here and carried out by the engine.

use crate::store::Refusal;

/// How a saga ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every step is done.
    Done,
    /// A step refused, and what came before is undone.
    Refused {
        /// The step.
        step: String,
        /// The refusal's stable code.
        code: String,
        /// The refusal's sentence.
        message: String,
    },
}

impl From<Refusal> for End {
    fn from(Refusal { step, code, message }: Refusal) -> Self {
        Self::Refused { step, code, message }
    }
}

/// What the rules need to know of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// Its name.
    pub name: &'static str,
    /// Whether it has an undo.
    pub undoable: bool,
}

/// What the rules need to know of a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<PlannedStep>,
    /// The index of the pivot.
    pub pivot: Option<usize>,
}

/// Where a saga is, which says what is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Run the action of this step.
    Act(usize),
    /// Write that the pivot, this step, is done.
    RecordPivot(usize),
    /// Write that a step refused; the steps below this index are undone then.
    RecordRefusal(usize, Refusal),
    /// Undo this step.
    Undo(usize, Refusal),
    /// Write the outcome.
    Finish(End),
    /// Nothing more.
    Ended(End),
    /// Only a person can tell what to do; the text says why.
    Stuck(String),
}

/// What carrying out a [`State`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It was refused.
    Refused {
        /// The refusal's stable code.
        code: String,
        /// The refusal's sentence.
        message: String,
        /// Whether it was tried before: a try whose answer was lost may have had its effect, or have it still.
        tried_before: bool,
    },
}

/// Where a saga begins, or begins again after a crash, by what the log says.
pub fn begin(plan: &Plan, pivot_passed: bool, refusal: Option<Refusal>) -> State {
    if let Some(refusal) = refusal {
        return match plan.steps.iter().position(|s| s.name == refusal.step) {
            // The log does not say which try it was that refused.
            Some(refused) => undo_below(plan, refused + 1, refusal),
            None => {
                State::Stuck(format!("the log names a step `{}` that this saga does not have", refusal.step))
            }
        };
    }
    match plan.pivot {
        Some(pivot) if pivot_passed => act(plan, pivot + 1),
        _ => act(plan, 0),
    }
}

/// What comes after `state` when carrying it out came to `outcome`.
pub fn next(plan: &Plan, state: State, outcome: Outcome) -> State {
    match (state, outcome) {
        (State::Act(step), Outcome::Done) if plan.pivot == Some(step) && step + 1 < plan.steps.len() => {
            State::RecordPivot(step)
        }
        (State::Act(step) | State::RecordPivot(step), Outcome::Done) => act(plan, step + 1),
        (State::Act(step), Outcome::Refused { code, message, tried_before }) => {
            // What a lost try may still do is undone too; the undo keeps it from coming late.
            refuse(plan, step, step + usize::from(tried_before), code, message)
        }
        (State::RecordRefusal(below, refusal), Outcome::Done) => undo_below(plan, below, refusal),
        (State::Undo(step, refusal), Outcome::Done) => undo_below(plan, step, refusal),
        (State::Undo(step, _), Outcome::Refused { code, message, .. }) => {
            State::Stuck(format!("undoing step `{}` was refused: {message} ({code})", name(plan, step)))
        }
        (State::Finish(end), Outcome::Done) => State::Ended(end),
        (State::Finish(_), Outcome::Refused { code, message, .. }) => {
            State::Stuck(format!("writing the outcome was refused: {message} ({code})"))
        }
        (State::RecordPivot(_) | State::RecordRefusal(..), Outcome::Refused { code, message, .. }) => {
            State::Stuck(format!("writing the log was refused: {message} ({code})"))
        }
        (state @ (State::Ended(_) | State::Stuck(_)), _) => state,
    }
}

fn act(plan: &Plan, step: usize) -> State {
    if step < plan.steps.len() { State::Act(step) } else { State::Finish(End::Done) }
}

fn refuse(plan: &Plan, step: usize, below: usize, code: String, message: String) -> State {
    let step_name = name(plan, step);
    if plan.pivot.is_some_and(|pivot| step > pivot) {
        return State::Stuck(format!("step `{step_name}` refused after the pivot: {message} ({code})"));
    }
    let refusal = Refusal { step: step_name.to_owned(), code, message };
    if plan.steps.iter().take(below).any(|s| s.undoable) {
        State::RecordRefusal(below, refusal)
    } else {
        State::Finish(refusal.into())
    }
}

/// The next step to undo below the index `below`, or the end.
fn undo_below(plan: &Plan, below: usize, refusal: Refusal) -> State {
    match plan.steps.iter().take(below).rposition(|s| s.undoable) {
        Some(last) => State::Undo(last, refusal),
        None => State::Finish(refusal.into()),
    }
}

fn name(plan: &Plan, step: usize) -> &'static str {
    plan.steps.get(step).map_or("?", |s| s.name)
}
