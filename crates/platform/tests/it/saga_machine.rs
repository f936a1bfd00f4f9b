//! The rules of a saga, walked through every course a plan can take.

use libtest_mimic::Trial;
use merx_platform::{
    saga::machine::{self, End, Outcome, Plan, PlannedStep, State},
    store::Refusal,
};
use proptest::prelude::*;

use crate::paused::plain;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

pub fn trials() -> Vec<Trial> {
    vec![
        plain("saga rules: any plan and any refusal end as promised", any_course),
        plain("saga rules: a course can begin again at any record", any_restart),
        plain("saga rules: what only a person can tell is stuck", stuck),
    ]
}

fn plan(undoable: &[bool], pivot: Option<usize>) -> Plan {
    let steps = undoable
        .iter()
        .zip(NAMES)
        .map(|(undoable, name)| PlannedStep { name, undoable: *undoable })
        .collect();
    Plan { steps, pivot }
}

fn plans() -> impl Strategy<Value = Plan> {
    (proptest::collection::vec(any::<bool>(), 0..5), proptest::option::of(0usize..5)).prop_map(
        |(undoable, pivot)| {
            let pivot = pivot.filter(|p| *p < undoable.len());
            plan(&undoable, pivot)
        },
    )
}

/// Which step refuses, and whether it was tried before.
type Refuses = Option<(usize, bool)>;

/// Walks from `state`, the step `refused` refusing; answers every state on the way.
fn walk(plan: &Plan, mut state: State, refused: Refuses) -> Vec<State> {
    let mut course = vec![state.clone()];
    while !matches!(state, State::Ended(_) | State::Stuck(_)) {
        let outcome = match (&state, refused) {
            (State::Act(step), Some((refused, tried_before))) if *step == refused => refusal(tried_before),
            _ => Outcome::Done,
        };
        state = machine::next(plan, state, outcome);
        course.push(state.clone());
        assert!(course.len() < 30, "{course:?}");
    }
    course
}

fn refusal(tried_before: bool) -> Outcome {
    Outcome::Refused { code: "x.no".to_owned(), message: "No.".to_owned(), tried_before }
}

fn check(plan: &Plan, refused: Refuses) -> Result<(), TestCaseError> {
    let course = walk(plan, machine::begin(plan, false, None), refused);
    let acted: Vec<usize> =
        course.iter().filter_map(|s| if let State::Act(i) = s { Some(*i) } else { None }).collect();
    let undone: Vec<usize> =
        course.iter().filter_map(|s| if let State::Undo(i, _) = s { Some(*i) } else { None }).collect();
    let refused = refused.filter(|(r, _)| *r < plan.steps.len());
    let tried_before = refused.is_some_and(|(_, tried_before)| tried_before);
    let refused = refused.map(|(r, _)| r);
    let last = refused.map_or(plan.steps.len(), |r| r + 1);
    prop_assert_eq!(acted, (0..last).collect::<Vec<_>>(), "in order, each once");
    let after_pivot = refused.is_some_and(|r| plan.pivot.is_some_and(|p| r > p));
    let expected: Vec<usize> = match refused {
        Some(r) if !after_pivot => {
            (0..r + usize::from(tried_before)).rev().filter(|i| plan.steps[*i].undoable).collect()
        }
        _ => Vec::new(),
    };
    let recorded = course.iter().any(|s| matches!(s, State::RecordRefusal(..)));
    prop_assert_eq!(recorded, !expected.is_empty(), "a refusal is written only where something is undone");
    prop_assert_eq!(undone, expected, "in reverse, and nothing after the pivot");
    match course.last() {
        Some(State::Ended(End::Done)) => prop_assert!(refused.is_none()),
        Some(State::Ended(End::Refused { step, .. })) => {
            prop_assert_eq!(Some(step.as_str()), refused.map(|r| NAMES[r]))
        }
        Some(State::Stuck(_)) => prop_assert!(after_pivot),
        other => prop_assert!(false, "{:?}", other),
    }
    Ok(())
}

fn any_course() {
    proptest!(|(plan in plans(), refused in refusals())| check(&plan, refused)?);
}

fn refusals() -> impl Strategy<Value = Refuses> {
    proptest::option::of((0usize..6, any::<bool>()))
}

/// Wherever the process dies, the log leads to the same end.
fn any_restart() {
    proptest!(|(plan in plans(), refused in refusals())| {
        let course = walk(&plan, machine::begin(&plan, false, None), refused);
        let end = course.last().cloned();
        let (mut pivot_passed, mut written) = (false, None::<Refusal>);
        for state in course {
            let again = walk(&plan, machine::begin(&plan, pivot_passed, written.clone()), refused);
            prop_assert_eq!(again.last(), end.as_ref());
            match state {
                State::RecordPivot(_) => pivot_passed = true,
                State::RecordRefusal(_, refusal) => written = Some(refusal),
                _ => {}
            }
        }
    });
}

fn stuck() {
    let plan = plan(&[true, true, false], Some(1));
    let refusal = |step: &str| Refusal { step: step.into(), code: "x.no".into(), message: "No.".into() };
    let course = [
        machine::next(&plan, State::Act(2), self::refusal(true)),
        machine::next(&plan, State::Undo(0, refusal("b")), self::refusal(true)),
        machine::next(&plan, State::Finish(End::Done), self::refusal(true)),
        machine::begin(&plan, false, Some(refusal("renamed"))),
    ];
    let texts: Vec<String> =
        course.into_iter().map(|s| if let State::Stuck(text) = s { text } else { panic!("{s:?}") }).collect();
    assert_eq!(
        texts,
        [
            "step `c` refused after the pivot: No. (x.no)",
            "undoing step `a` was refused: No. (x.no)",
            "writing the outcome was refused: No. (x.no)",
            "the log names a step `renamed` that this saga does not have",
        ]
    );
}
