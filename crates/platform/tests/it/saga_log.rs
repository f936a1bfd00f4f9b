//! The saga log on every mode of the database, and a saga over the end of its process.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_contracts::ids::SagaId;
use merx_kernel::{Id, Result};
use merx_platform::{
    saga::{End, NewSaga, Progress, Refusal, Saga, SagaLog, SagaRow, SagaRun, SagaStatus, Step, StepOutcome},
    store::Parking,
};
use merx_sql::Db;

use crate::world::{START, World, on_every_mode};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("saga log: every record is kept as it was written", records),
        on_every_mode("saga log: what is due, forgotten and open is found, in pages", finds),
        on_every_mode("saga log: an end is written once", ends_once),
        on_every_mode("saga log: a saga whose process ended is carried on by the next", next_process),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn id(number: u128) -> SagaId {
    Id::from_bits(number)
}

fn new(number: u128) -> NewSaga {
    NewSaga {
        id: id(number),
        name: "note",
        version: 3,
        data: "\"茶\"".to_owned(),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        started_at: START.plus(Duration::from_secs(u64::try_from(number).unwrap_or(0))),
    }
}

async fn start(db: &Db, log: SagaLog, number: u128) {
    db.write("test.start", move |tx| log.start(tx, &new(number))).await.expect("started");
}

async fn find(db: &Db, log: SagaLog, number: u128) -> SagaRow {
    db.read("test.find", move |q| log.find(q, id(number))).await.expect("read").expect("is there")
}

fn records(mut world: World) {
    world.live(|life| async move {
        let (db, log) = (life.db(), life.publisher.sagas);
        start(db, log, 1).await;
        start(db, log, 1).await;
        let mut expected = SagaRow {
            id: id(1),
            name: "note".to_owned(),
            version: 3,
            status: SagaStatus::Running,
            data: "\"茶\"".to_owned(),
            pivot_passed: false,
            refusal: None,
            failures: 0,
            next_attempt_at: None,
            problem: None,
            traceparent: new(1).traceparent,
            created_at: new(1).started_at,
            updated_at: new(1).started_at,
        };
        assert_eq!(find(db, log, 1).await, expected);

        let now = START.plus(Duration::from_secs(10));
        db.write("test.pivot", move |tx| log.pivot(tx, id(1), now)).await.expect("written");
        (expected.pivot_passed, expected.updated_at) = (true, now);
        assert_eq!(find(db, log, 1).await, expected);

        let park = move |tx: &mut merx_sql::Tx<'_>| {
            let long = "x".repeat(2000);
            let parking = Parking {
                status: SagaStatus::Waiting,
                failures: 4,
                next_attempt_at: Some(now),
                problem: &long,
            };
            log.park(tx, id(1), &parking, now)
        };
        db.write("test.park", park).await.expect("written");
        let parked = find(db, log, 1).await;
        assert_eq!((parked.status, parked.failures), (SagaStatus::Waiting, 4));
        assert_eq!((parked.next_attempt_at, parked.problem.map(|p| p.len())), (Some(now), Some(500)));

        let refusal = Refusal { step: "write".into(), code: "x.no".into(), message: "没有。".into() };
        let written = refusal.clone();
        db.write("test.refused", move |tx| log.refused(tx, id(1), &written, now)).await.expect("written");
        (expected.status, expected.refusal) = (SagaStatus::Compensating, Some(refusal));
        assert_eq!(find(db, log, 1).await, expected, "a refusal begins anew: nothing failed yet");
        assert_eq!(db.read("test.none", move |q| log.find(q, id(2))).await.expect("read"), None);
    });
}

fn finds(mut world: World) {
    world.live(|life| async move {
        let (db, log) = (life.db(), life.publisher.sagas);
        let at = |seconds: u64| START.plus(Duration::from_secs(seconds));
        for number in 1..=6 {
            start(db, log, number).await;
        }
        let park = |number: u128, status, next_attempt_at| {
            db.write("test.park", move |tx| {
                log.park(
                    tx,
                    id(number),
                    &Parking { status, failures: 1, next_attempt_at, problem: "x" },
                    at(50),
                )
            })
        };
        park(2, SagaStatus::Waiting, Some(at(80))).await.expect("parked");
        park(3, SagaStatus::Stuck, Some(at(70))).await.expect("parked");
        park(4, SagaStatus::Stuck, None).await.expect("parked");
        db.write("test.end", move |tx| log.end(tx, id(5), at(50))).await.expect("ended");

        let numbers = |rows: Vec<SagaRow>| rows.into_iter().map(|row| row.id.bits()).collect::<Vec<_>>();
        let due =
            async |now, limit| numbers(db.read("due", move |q| log.due(q, now, limit)).await.expect("read"));
        assert_eq!(due(at(69), 9).await, [] as [u128; 0]);
        assert_eq!(due(at(80), 9).await, [3, 2]);
        assert_eq!(due(at(80), 1).await, [3]);
        let next = async |now| db.read("next", move |q| log.next_due(q, now)).await.expect("read");
        assert_eq!(
            (next(at(0)).await, next(at(70)).await, next(at(80)).await),
            (Some(at(70)), Some(at(80)), None)
        );
        let forgotten = db.read("forgotten", move |q| log.forgotten(q, at(6), 9)).await.expect("read");
        assert_eq!(numbers(forgotten), [1]);
        let open = async |after: Option<u128>| {
            numbers(db.read("open", move |q| log.open(q, after.map(id), 3)).await.expect("read"))
        };
        assert_eq!((open(None).await, open(Some(3)).await), (vec![1, 2, 3], vec![4, 6]));
        let listed = db.read("list", move |q| log.list(q, None, Some(id(6)), 2)).await.expect("read");
        assert_eq!(numbers(listed), [5, 4]);
        let stuck =
            db.read("list", move |q| log.list(q, Some(SagaStatus::Stuck), None, 9)).await.expect("read");
        assert_eq!(numbers(stuck), [4, 3]);
        assert_eq!(db.read("count", move |q| log.count(q, SagaStatus::Running)).await.expect("read"), 2);

        assert!(db.write("retry", move |tx| log.retry(tx, id(4), at(90))).await.expect("written"));
        let row = find(db, log, 4).await;
        assert_eq!((row.status, row.failures, row.next_attempt_at), (SagaStatus::Waiting, 0, Some(at(90))));
    });
}

fn ends_once(mut world: World) {
    world.live(|life| async move {
        let (db, log) = (life.db(), life.publisher.sagas);
        start(db, log, 1).await;
        start(db, log, 2).await;
        let end =
            async |number| db.write("end", move |tx| log.end(tx, id(number), START)).await.expect("written");
        let abandon = async |number| {
            db.write("abandon", move |tx| log.abandon(tx, id(number), START)).await.expect("written")
        };
        assert_eq!((end(1).await, end(1).await, abandon(1).await), (true, false, false));
        assert_eq!((abandon(2).await, abandon(2).await, end(2).await), (true, false, false));
        assert!(!end(9).await, "what never began has no end");
        // What comes late changes nothing.
        let late = move |tx: &mut merx_sql::Tx<'_>| {
            let parking =
                Parking { status: SagaStatus::Stuck, failures: 1, next_attempt_at: None, problem: "late" };
            log.park(tx, id(1), &parking, START)?;
            log.retry(tx, id(2), START)
        };
        assert!(!db.write("late", late).await.expect("written"));
        assert_eq!(find(db, log, 1).await.status, SagaStatus::Done);
        assert_eq!(find(db, log, 2).await.status, SagaStatus::Abandoned);
    });
}

/// One step, which waits for what only the second process has.
struct Note {
    db: Db,
    log: SagaLog,
    open: bool,
}

impl Saga for Note {
    const NAME: &'static str = "note";
    const VERSION: i64 = 3;
    type Data = String;
    const STEPS: &'static [Step<Self>] = &[Step::new("write", |saga, run| Box::pin(saga.write(run)))];

    async fn finish(&self, run: &SagaRun<String>, _: &End) -> Result<()> {
        let (log, id) = (self.log, run.id);
        self.db.write("note.finish", move |tx| log.end(tx, id, START)).await.map(|_| ())
    }
}

impl Note {
    async fn write(&self, run: &SagaRun<String>) -> Result<StepOutcome> {
        assert_eq!(run.data, "茶");
        if self.open { Ok(StepOutcome::Done) } else { std::future::pending().await }
    }
}

fn next_process(mut world: World) {
    world.live(|life| async move {
        start(life.db(), life.publisher.sagas, 1).await;
        let note = Note { db: life.db().clone(), log: life.publisher.sagas, open: false };
        let engine = life.deps.saga_engine(&life.publisher, vec![Arc::new(note)]);
        drop(engine.run(&new(1)));
        assert!(engine.is_active(id(1)));
    });
    world.live(|life| async move {
        let log = life.publisher.sagas;
        assert_eq!(find(life.db(), log, 1).await.status, SagaStatus::Running);
        let note = Note { db: life.db().clone(), log, open: true };
        let engine = life.deps.saga_engine(&life.publisher, vec![Arc::new(note)]);
        assert_eq!(engine.resume(id(1)).await, Progress::Ended(End::Done));
        assert_eq!(engine.resume(id(1)).await, Progress::Closed(SagaStatus::Done));
    });
}
