//! Histories of operations that ran beside each other on real threads, and whether they are linearizable: whether each
//! can be given one moment between its call and its answer so that, one after the other, they are what the
//! specification says.
//!
//! The search is todc-utils' (Wing and Gong's, with Lowe's memory of what was tried). Here is only what records a
//! history and counts how far the search went.

use std::{
    cell::Cell,
    collections::BTreeSet,
    future::Future,
    marker::PhantomData,
    sync::{Mutex, PoisonError},
};

pub use todc_utils::Specification;
use todc_utils::{Action, History, WGLChecker};

/// Records who called what and was answered when, in one order for all.
pub struct Recorder<O>(Mutex<Recorded<O>>);

struct Recorded<O> {
    /// (who, which operation, whether it is the answer), as it came.
    moments: Vec<(usize, usize, bool)>,
    /// What each operation did and was answered.
    operations: Vec<Option<O>>,
}

impl<O> Default for Recorder<O> {
    fn default() -> Self {
        Self(Mutex::new(Recorded { moments: Vec::new(), operations: Vec::new() }))
    }
}

impl<O> Recorder<O> {
    /// Runs one operation of `process`, which has no other under way. It answers what was done and answered, or nothing
    /// when it surely had no effect and told nothing: then it is left out of the history.
    pub async fn run(&self, process: usize, operation: impl Future<Output = Option<O>>) {
        let number = self.change(|recorded| {
            recorded.operations.push(None);
            let number = recorded.operations.len() - 1;
            recorded.moments.push((process, number, false));
            number
        });
        let done = operation.await;
        self.change(|recorded| {
            recorded.operations[number] = done;
            recorded.moments.push((process, number, true));
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Recorded<O>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What was found about a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is linearizable.
    pub linearizable: bool,
    /// Operations in it.
    pub operations: usize,
    /// Those that were under way while another began or ended.
    pub overlapping: usize,
    /// Operations that the search tried, again and again.
    pub tried: u64,
}

impl Verdict {
    /// Both together, for a report over many.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            linearizable: self.linearizable && other.linearizable,
            operations: self.operations + other.operations,
            overlapping: self.overlapping + other.overlapping,
            tried: self.tried + other.tried,
        }
    }
}

thread_local! {
    static TRIED: Cell<u64> = const { Cell::new(0) };
}

/// A specification whose applications are counted.
struct Counted<S>(PhantomData<S>);

impl<S: Specification> Specification for Counted<S> {
    type State = S::State;
    type Operation = S::Operation;
    fn init() -> S::State {
        S::init()
    }
    fn apply(operation: &S::Operation, state: &S::State) -> (bool, S::State) {
        TRIED.set(TRIED.get() + 1);
        S::apply(operation, state)
    }
}

impl<O: Clone + std::fmt::Debug> Recorder<O> {
    /// Looks for an order of the operations that `S` allows. Everything that was called must have been answered.
    pub fn verdict<S: Specification<Operation = O>>(&self) -> Verdict {
        self.verdict_with::<S>(|_| {})
    }

    /// The same of a history that was changed before: a falsified answer has to be found out.
    pub fn verdict_with<S: Specification<Operation = O>>(&self, change: impl FnOnce(&mut Vec<O>)) -> Verdict {
        let (moments, mut operations) = self.whole();
        change(&mut operations);
        let actions = moments.iter().map(|(process, number, answered)| {
            let operation = operations[*number].clone();
            (*process, if *answered { Action::Response(operation) } else { Action::Call(operation) })
        });
        let history = History::from_actions(actions.collect());
        TRIED.set(0);
        let linearizable = WGLChecker::<Counted<S>>::is_linearizable(history);
        let overlapping = overlapping(&moments);
        Verdict { linearizable, operations: operations.len(), overlapping, tried: TRIED.get() }
    }

    /// The history as text, for the message of a failed test.
    pub fn told(&self) -> String {
        let (moments, operations) = self.whole();
        let line = |(process, number, answered): &(usize, usize, bool)| {
            let what = if *answered { format!("{:?}", operations[*number]) } else { "…".to_owned() };
            format!("{process} #{number} {what}\n")
        };
        moments.iter().map(line).collect()
    }

    /// What had an effect or told something, numbered anew.
    fn whole(&self) -> (Vec<(usize, usize, bool)>, Vec<O>) {
        self.change(|recorded| {
            let mut numbers = vec![None; recorded.operations.len()];
            let mut operations = Vec::new();
            for (number, operation) in recorded.operations.iter().enumerate() {
                if let Some(operation) = operation {
                    numbers[number] = Some(operations.len());
                    operations.push(operation.clone());
                }
            }
            let moments = recorded.moments.iter();
            let moments = moments.filter_map(|(p, n, answered)| Some((*p, numbers[*n]?, *answered)));
            (moments.collect(), operations)
        })
    }
}

fn overlapping(moments: &[(usize, usize, bool)]) -> usize {
    let (mut open, mut found) = (BTreeSet::new(), BTreeSet::new());
    for (_, number, answered) in moments {
        if *answered {
            open.remove(number);
        } else {
            open.insert(*number);
        }
        if open.len() > 1 {
            found.extend(open.iter().copied());
        }
    }
    found.len()
}
