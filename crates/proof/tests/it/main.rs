//! That the runner believes nothing it did not see.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeSet, path::Path};

use merx_kernel::Guard;
use merx_proof::{
    plan::{NotRun, Plan},
    report::{Kept, page},
    result::{Figure, Outcome, Proved, outcome},
};

#[test]
fn a_run_counts_by_what_it_said() {
    let said = |passed: u32, failed: u32, ignored: u32| {
        format!(
            "\ntest result: ok. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; 7 filtered out; finished"
        )
    };
    for (success, output, expected) in [
        (true, said(1, 0, 0), Outcome::Pass),
        (true, said(0, 0, 0), Outcome::Broken),
        (true, said(0, 0, 1), Outcome::NotRun),
        (false, said(0, 1, 0), Outcome::Fail),
        (false, "error[E0425]: cannot find value".to_owned(), Outcome::Broken),
        (false, said(1, 0, 0), Outcome::Broken),
        (true, String::new(), Outcome::Broken),
    ] {
        assert_eq!(outcome(success, &output), expected, "{output}");
    }
}

#[test]
fn figures_are_read_from_what_a_test_prints() {
    let line = "test x ... PROOF | T22 | SQLite: buyers | size=10000 | 100 sold, 0 × 5xx | seed=7";
    let figure = Figure::read(line).unwrap();
    assert_eq!((figure.id.as_str(), figure.size.as_str(), figure.seed.as_str()), ("T22", "10000", "7"));
    for wrong in
        ["PROOF | T22 | x | 5 | y | seed=1", "PROOF | T22 | x | size=5 | y", "T22 | x | size=5 | y | seed=1"]
    {
        assert_eq!(Figure::read(wrong), None, "{wrong}");
    }
}

fn proved(id: &str, on: Outcome, off: Option<Outcome>) -> Proved {
    Proved {
        id: id.to_owned(),
        name: format!("a::{id}"),
        figures: Vec::new(),
        guard: off.map(|_| "owner".to_owned()),
        on,
        off,
        full: true,
        commit: "abc".to_owned(),
        seconds: 1,
        command: "cargo test".to_owned(),
    }
}

#[test]
fn a_row_passes_only_whole_and_only_when_it_can_fail() {
    let rows = [
        proved("T1", Outcome::Pass, Some(Outcome::Fail)),
        proved("T2", Outcome::Pass, Some(Outcome::Pass)),
        proved("T3", Outcome::Fail, None),
        proved("T4", Outcome::Pass, Some(Outcome::Broken)),
        proved("T5", Outcome::Pass, None),
        proved("T10", Outcome::NotRun, None),
    ];
    let kept: Kept = rows.into_iter().map(|p| (p.name.clone(), p)).collect();
    let missing =
        NotRun { id: "T5".to_owned(), sub_case: "coupons".to_owned(), why: "there are none".to_owned() };
    let page = page(&kept, &Plan { rows: Vec::new(), not_run: vec![missing] });
    for line in [
        "| T1 | PASS |",
        "| T2 | FAIL (1) |",
        "| T3 | FAIL (1) |",
        "| T4 | FAIL (1) |",
        "| T5 | held as far as it ran; 1 sub-case(s) NOT RUN |",
        "| T10 | NOT RUN |",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}\n{page}");
    }
    assert!(page.find("| T4 |") < page.find("| T10 |"), "in the order of the list");
}

#[test]
fn every_guard_has_a_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let plan = Plan::read(&root.join("rows.toml")).unwrap();
    let proved: BTreeSet<&str> = plan.rows.iter().filter_map(|r| r.guard.as_deref()).collect();
    let names: BTreeSet<&str> = Guard::ALL.iter().map(|guard| guard.name()).collect();
    assert_eq!(names, proved, "each guard is named by a row, and each row names one");
}
