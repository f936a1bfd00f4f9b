//! Faults around the commit, on every mode.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI32, Ordering},
};

use merx_kernel::ErrorKind;
use merx_sql::{FaultPoint, Faults};

use crate::{
    Case, cases,
    fixture::{ALL, Bed, Mode, Place, note, note_ids, options},
};

pub fn cases() -> Vec<Case> {
    cases![ALL => a_fault_before_the_commit_loses_all, a_fault_after_the_commit_leaves_doubt,
        turns_let_others_come_in_between]
}

/// Strikes once at its point, for the label `struck`.
struct Once(FaultPoint, AtomicI32);

impl Faults for Once {
    fn strikes(&self, point: FaultPoint, labels: &[&'static str]) -> bool {
        point == self.0 && labels.contains(&"struck") && self.1.fetch_sub(1, Ordering::SeqCst) == 1
    }
}

async fn with_fault(mode: Mode, point: FaultPoint) -> Bed {
    let mut options = options();
    options.faults = Some(Arc::new(Once(point, AtomicI32::new(1))));
    Place::new(mode).with_notes(options).await
}

async fn a_fault_before_the_commit_loses_all(mode: Mode) {
    let db = with_fault(mode, FaultPoint::BeforeCommit).await;
    let error = db.write("struck", |tx| note(tx, 1)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "sql.io"));
    assert!(note_ids(&db).await.is_empty());
    db.write("struck", |tx| note(tx, 2)).await.unwrap();
    assert_eq!(note_ids(&db).await, [2]);
}

async fn a_fault_after_the_commit_leaves_doubt(mode: Mode) {
    let db = with_fault(mode, FaultPoint::AfterCommit).await;
    let mut listener = db.listen("bell");
    let error = db
        .write("struck", |tx| {
            tx.wake("bell");
            note(tx, 1)
        })
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Timeout, "sql.outcome_unknown"));
    assert_eq!(note_ids(&db).await, [1], "it was kept; only a look can tell");
    listener.changed().await;
    db.write("struck", |tx| note(tx, 2)).await.unwrap();
}

/// Gives the others three turns after each transaction of `slow`.
struct Turns;

impl Faults for Turns {
    fn strikes(&self, _: FaultPoint, _: &[&'static str]) -> bool {
        false
    }
    fn turns(&self, label: &'static str) -> u32 {
        if label == "slow" { 3 } else { 0 }
    }
}

async fn turns_let_others_come_in_between(mode: Mode) {
    let mut options = options();
    options.faults = Some(Arc::new(Turns));
    let db = Place::new(mode).with_notes(options).await;
    let seen = Mutex::new(Vec::new());
    let two = async |label, ids: [i64; 2]| {
        for id in ids {
            db.write(label, move |tx| note(tx, id)).await.unwrap();
            seen.lock().unwrap().push(id);
        }
    };
    tokio::join!(two("slow", [1, 2]), two("quick", [3, 4]));
    let seen = seen.into_inner().unwrap();
    // With threads the order is theirs; inline it is what the turns say.
    if mode == Mode::Inline {
        assert_eq!(seen, [3, 4, 1, 2], "the first was committed, and answered after the others");
    }
    let mut ids = note_ids(&db).await;
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4]);
}
