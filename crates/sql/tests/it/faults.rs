//! Faults around the commit, on every mode.

use std::sync::{
    Arc,
    atomic::{AtomicI32, Ordering},
};

use merx_kernel::ErrorKind;
use merx_sql::{FaultPoint, Faults};

use crate::{
    Case, cases,
    fixture::{ALL, Bed, Mode, Place, note, note_ids, options},
};

pub fn cases() -> Vec<Case> {
    cases![ALL => a_fault_before_the_commit_loses_all, a_fault_after_the_commit_leaves_doubt]
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
