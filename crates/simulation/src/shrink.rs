//! Makes the plan of a run that fails as small as it can be: whatever can be left out without the failure going away is.
//! The same is done to whatever else a run is made of.

use crate::faults::Plan;

/// The most runs that are made of one seed for this.
const TRIES_MAX: usize = 150;

/// The smallest plan found for which `fails` still says why, beginning at one for which it does; with the last reason.
/// When `is_over`, the smallest so far is good enough.
pub fn shrink<E>(
    plan: Plan,
    why: E,
    is_over: impl Fn() -> bool,
    fails: impl FnMut(&Plan) -> Option<E>,
) -> (Plan, E) {
    smallest(plan, why, simpler, is_over, fails)
}

/// As [`shrink`], of anything that `simpler` makes smaller, most first.
pub fn smallest<T, E>(
    whole: T,
    why: E,
    simpler: impl Fn(&T) -> Vec<T>,
    is_over: impl Fn() -> bool,
    mut fails: impl FnMut(&T) -> Option<E>,
) -> (T, E) {
    let (mut smallest, mut last) = (whole, why);
    let mut tries = 0;
    loop {
        let mut is_smaller = false;
        for candidate in simpler(&smallest) {
            if tries == TRIES_MAX || is_over() {
                return (smallest, last);
            }
            tries += 1;
            if let Some(why) = fails(&candidate) {
                (smallest, last, is_smaller) = (candidate, why, true);
                break;
            }
        }
        if !is_smaller {
            return (smallest, last);
        }
    }
}

/// Plans with something left out, those with the most left out first.
pub fn simpler(plan: &Plan) -> Vec<Plan> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Plan)| {
        let mut simpler = plan.clone();
        change(&mut simpler);
        if simpler != *plan {
            all.push(simpler);
        }
    };
    add(&|plan| *plan = Plan { people_max: plan.people_max, ..Plan::default() });
    let points: Vec<&'static str> = plan.active.iter().copied().collect();
    let (first, second) = points.split_at(points.len() / 2);
    for half in [first, second] {
        add(&|plan| plan.active.retain(|point| !half.contains(point)));
    }
    add(&|plan| plan.restarts.clear());
    add(&|plan| plan.jumps.clear());
    add(&|plan| plan.begins = Plan::default().begins);
    for point in &points {
        add(&|plan| {
            let _ = plan.active.remove(point);
        });
    }
    for index in 0..plan.restarts.len() {
        add(&|plan| {
            let _ = plan.restarts.remove(index);
        });
    }
    for index in 0..plan.jumps.len() {
        add(&|plan| {
            let _ = plan.jumps.remove(index);
        });
    }
    let people = plan.people_max.unwrap_or(16);
    for fewer in [1, people / 2, people.saturating_sub(1)] {
        if fewer > 0 && fewer < people {
            add(&|plan| plan.people_max = Some(fewer));
        }
    }
    all
}
