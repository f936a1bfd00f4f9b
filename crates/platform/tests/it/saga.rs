//! The saga engine: retries, waits, stuck sagas, operators, restarts; and the harness, which must also fail.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use libtest_mimic::Trial;
use merx_contracts::ids::{RefundId, SagaId};
use merx_kernel::{Error, ErrorKind, Id};
use merx_platform::{
    saga::{
        self, End, NewSaga, Progress, SagaStatus, StepOutcome,
        fault::Point,
        harness::{self, Proof},
    },
    trace::{self, TraceContext},
};

use crate::{
    paused::{START, paused, plain},
    saga_world::{CrashAt, OrderData, PlaceOrder, Shop, Spoilt},
};

pub fn trials() -> Vec<Trial> {
    vec![
        paused("saga harness: a good saga holds in every case", harness_holds),
        paused("saga harness: a step that counts twice is found", || {
            found(Spoilt::ReserveTwiceCounts, "(\"reserve\", 2)")
        }),
        paused("saga harness: an undo that counts twice is found", || {
            found(Spoilt::ReleaseTwiceCounts, "AfterUndo")
        }),
        paused("saga harness: an effect that comes after its undo is found", || {
            found(Spoilt::ForgetsRelease, "has its effect late")
        }),
        paused("saga harness: an end that is not written is found", || {
            found(Spoilt::ForgetsEnd, "SagaLog::end")
        }),
        paused("saga harness: an outcome written twice is found", || {
            found(Spoilt::IgnoresEnd, "(\"placed\", 2)")
        }),
        paused("saga: failures are retried by themselves, later and later", retried),
        paused("saga: a wait that was asked for is no failure", planned_wait),
        paused("saga: what keeps failing is stuck within a minute, with an alert, and is still tried", stuck),
        paused("saga: an operator retries and abandons", operators),
        paused("saga: a compensation that fails is retried and never forgotten", compensation_fails),
        paused("saga: a refusal undoes in reverse and is written", refused),
        paused("saga: one saga runs once at a time, and everybody has its answer", once_at_a_time),
        paused("saga: a caller that goes away does not stop it", caller_leaves),
        paused("saga: a start takes up what a crash left, in its trace", taken_up),
        paused("saga: a version this program does not know is stuck until one does", unknown_version),
        paused("saga: a step that panics or hangs is a failure", panics_and_hangs),
        paused("saga: a shutdown stops between steps, and nothing is lost", shutdown),
        paused("saga: a step that refuses when it is tried again is undone too", refused_again),
        paused("saga: ended sagas are listed, counted and forgotten", housekeeping),
        plain("saga: identities of effects are functions of saga and purpose", effect_ids),
    ]
}

async fn prove(spoilt: Spoilt) -> Result<Proof, String> {
    harness::prove(
        async move || Shop::new(spoilt).await,
        async |shop: &Shop, end: &End| {
            let (units, outcome) = shop.state(1).await;
            let units: Vec<_> = units.iter().map(|(step, units)| (step.as_str(), *units)).collect();
            match end {
                End::Done => {
                    assert_eq!(units, [("charge", 1), ("redeem", 1), ("reserve", 1), ("ship", 1)]);
                    assert_eq!(outcome, Some(("placed".to_owned(), 1)));
                }
                End::Refused { step, code, .. } => {
                    assert_eq!(units, [], "{step} refused");
                    assert_eq!(outcome, Some((format!("{step}: {code}"), 1)));
                }
            }
        },
    )
    .await
}

async fn harness_holds() {
    let proof = prove(Spoilt::Nothing).await.expect("holds");
    assert!(proof.cases.len() > 70, "{} cases", proof.cases.len());
    for part in [
        "done, crash at AfterPivot",
        "charge refuses, crash at AfterRefusal",
        "ship refuses after the pivot",
        "BeforeStep(\"reserve\") refuses, its answer lost, and has its effect late",
    ] {
        assert!(proof.cases.iter().any(|case| case == part), "{part} in {:?}", proof.cases);
    }
}

async fn found(spoilt: Spoilt, part: &str) {
    let problem = prove(spoilt).await.expect_err("the harness must find it");
    assert!(problem.contains(part), "{problem}");
}

fn failure() -> Result<StepOutcome, Error> {
    Err(Error::unavailable("shop.closed", "Closed."))
}

async fn status(shop: &Shop, id: SagaId) -> SagaStatus {
    shop.plain_engine().find(id).await.expect("is there").status
}

async fn retried() {
    let shop = Shop::new(Spoilt::Nothing).await;
    shop.will_answer("redeem", (0..5).map(|_| failure()).collect());
    let engine = shop.plain_engine();
    engine.start();
    let new = shop.place(1).await;
    let Progress::Waiting { until, reason } = engine.run(&new).await else { panic!("it waits") };
    assert!(until > START && reason.contains("shop.closed"), "{until} {reason}");
    assert_eq!(status(&shop, new.id).await, SagaStatus::Waiting);
    // 0.25 + 0.5 + 1 + 2 + 4 seconds at the most; nobody asks, the engine goes on by itself.
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(status(&shop, new.id).await, SagaStatus::Done);
    assert_eq!((shop.runs_of("redeem"), shop.runs_of("charge")), (6, 1));
    assert_eq!(shop.deps.metrics.alerts("saga_stuck"), 0);
}

async fn planned_wait() {
    let shop = Shop::new(Spoilt::Nothing).await;
    let at = shop.now().plus(Duration::from_secs(3600));
    let later = |at| Ok(StepOutcome::RetryLater { at, reason: "the trade is open".to_owned() });
    shop.will_answer("charge", vec![later(Some(at)), later(Some(START))]);
    let engine = shop.plain_engine();
    engine.start();
    let new = shop.place(1).await;
    let expected = Progress::Waiting { until: at, reason: "the trade is open".to_owned() };
    assert_eq!(engine.run(&new).await, expected);
    assert_eq!(engine.find(new.id).await.expect("is there").failures, 0);
    assert_eq!(engine.next_at().await.expect("is read"), Some(at));
    tokio::time::sleep(Duration::from_secs(3599)).await;
    assert_eq!(shop.runs_of("charge"), 1, "not before its time");
    // A moment in the past must not make it run in circles.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(shop.runs_of("charge"), 2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(status(&shop, new.id).await, SagaStatus::Done);
}

async fn stuck() {
    let shop = Shop::new(Spoilt::Nothing).await;
    shop.will_answer("reserve", (0..12).map(|_| failure()).collect());
    let engine = shop.plain_engine();
    engine.start();
    let new = shop.place(1).await;
    drop(engine.run(&new));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let row = engine.find(new.id).await.expect("is there");
    assert_eq!((row.status, row.failures), (SagaStatus::Stuck, 10));
    assert!(
        row.problem.as_deref().is_some_and(|p| p.contains("failed 10 times") && p.contains("shop.closed"))
    );
    assert_eq!(shop.deps.metrics.alerts("saga_stuck"), 1);
    // What it needs may come back: it is still tried, seldom.
    tokio::time::sleep(Duration::from_secs(3 * 600)).await;
    assert_eq!(status(&shop, new.id).await, SagaStatus::Done);
    assert_eq!(shop.runs_of("reserve"), 13);
}

async fn operators() {
    let shop = Shop::new(Spoilt::Nothing).await;
    let refusal = |code: &str| Err(Error::rejected(code.to_owned(), "No."));
    shop.will_answer("ship", vec![refusal("shop.no_lorry"), refusal("shop.no_lorry")]);
    let engine = shop.plain_engine();
    let (first, second) = (shop.place(1).await, shop.place(2).await);
    for new in [&first, &second] {
        let Progress::Stuck { reason } = engine.run(new).await else { panic!("stuck") };
        assert!(reason.contains("`ship` refused after the pivot"), "{reason}");
    }
    assert_eq!(shop.deps.metrics.alerts("saga_stuck"), 2);
    let ids = |rows: Vec<saga::SagaRow>| rows.into_iter().map(|r| r.id).collect::<Vec<_>>();
    let listed = engine.list(Some(SagaStatus::Stuck), None, 10).await.expect("listed");
    assert_eq!(ids(listed), [second.id, first.id]);
    assert_eq!(ids(engine.list(None, Some(second.id), 10).await.expect("listed")), [first.id]);

    assert_eq!(engine.retry(first.id).await.expect("goes on").await, Progress::Ended(End::Done));
    assert_eq!(shop.runs_of("reserve"), 2, "the steps before the pivot were not run again");
    engine.abandon(second.id).await.expect("given up");
    assert_eq!(status(&shop, second.id).await, SagaStatus::Abandoned);
    for id in [first.id, second.id] {
        assert_eq!(engine.retry(id).await.map(|_| ()).expect_err("has ended").code(), "saga.closed");
        assert_eq!(engine.abandon(id).await.expect_err("has ended").code(), "saga.closed");
    }
    assert_eq!(engine.resume(second.id).await, Progress::Closed(SagaStatus::Abandoned));
    let unknown = engine.find(Id::from_bits(9)).await.expect_err("is not there");
    assert_eq!((unknown.kind(), unknown.code()), (ErrorKind::NotFound, "saga.not_found"));
}

async fn compensation_fails() {
    let shop = Shop::new(Spoilt::Nothing).await;
    shop.will_answer("charge", vec![Err(Error::rejected("shop.no_money", "No money."))]);
    shop.will_answer("undo reserve", (0..30).map(|_| failure()).collect());
    let engine = shop.plain_engine();
    engine.start();
    let new = shop.place(1).await;
    drop(engine.run(&new));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let row = engine.find(new.id).await.expect("is there");
    assert_eq!(row.status, SagaStatus::Stuck, "{row:?}");
    assert_eq!(row.refusal.clone().map(|r| r.code).as_deref(), Some("shop.no_money"), "{row:?}");
    let other = shop.place(2).await;
    assert_eq!(engine.run(&other).await, Progress::Ended(End::Done), "others go on");
    shop.will_answer("undo reserve", Vec::new());
    let end = engine.retry(new.id).await.expect("goes on").await;
    assert!(matches!(end, Progress::Ended(End::Refused { .. })), "{end:?}");
    assert_eq!(shop.state(1).await.1, Some(("charge: shop.no_money".to_owned(), 1)));
    assert_eq!(shop.runs_of("charge"), 2, "once for each order: undoing goes on from its record");
}

async fn refused() {
    let shop = Shop::new(Spoilt::Nothing).await;
    shop.will_answer(
        "reserve",
        vec![Ok(StepOutcome::Refused { code: "shop.sold_out".into(), message: "Gone.".into() })],
    );
    let engine = shop.plain_engine();
    let new = shop.place(1).await;
    let before = shop.deps.db.stats();
    let Progress::Ended(End::Refused { step, code, message }) = engine.run(&new).await else {
        panic!("refused")
    };
    assert_eq!((&*step, &*code, &*message), ("reserve", "shop.sold_out", "Gone."));
    assert_eq!((shop.runs_of("undo reserve"), shop.runs_of("undo redeem")), (0, 0), "nothing to undo");
    let written = |stats: merx_sql::Stats| stats.labels.values().map(|l| l.write_txs).sum::<u64>();
    let after = shop.deps.db.stats();
    assert_eq!(
        written(after) - written(before),
        1,
        "the end and its outcome are one transaction, and the only one"
    );
}

async fn refused_again() {
    let shop = Shop::new(Spoilt::Nothing).await;
    let refusal = Err(Error::rejected("shop.sold_out", "Gone."));
    shop.will_answer("reserve", vec![failure(), refusal]);
    let engine = shop.plain_engine();
    let new = shop.place(1).await;
    let Progress::Waiting { .. } = engine.run(&new).await else { panic!("it waits") };
    assert!(matches!(engine.resume(new.id).await, Progress::Ended(End::Refused { .. })));
    assert_eq!((shop.runs_of("undo reserve"), shop.runs_of("undo redeem")), (1, 0));
    assert_eq!(shop.state(1).await, (Default::default(), Some(("reserve: shop.sold_out".to_owned(), 1))));
}

async fn once_at_a_time() {
    let shop = Shop::new(Spoilt::Nothing).await;
    let engine = shop.plain_engine();
    let new = shop.place(1).await;
    let runs: Vec<_> =
        (0..20).map(|i| if i % 2 == 0 { engine.run(&new) } else { engine.resume(new.id) }).collect();
    assert!(engine.is_active(new.id));
    let abandoned = engine.abandon(new.id).await.expect_err("is under way");
    assert_eq!(abandoned.code(), "saga.active");
    for run in runs {
        assert_eq!(run.await, Progress::Ended(End::Done));
    }
    assert!(!engine.is_active(new.id));
    assert_eq!((shop.runs_of("reserve"), shop.runs_of("finish")), (1, 1));
    assert!(shop.deps.activity.is_idle());
}

async fn caller_leaves() {
    let shop = Shop::new(Spoilt::Nothing).await;
    let engine = shop.plain_engine();
    let new = shop.place(1).await;
    drop(engine.run(&new));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(status(&shop, new.id).await, SagaStatus::Done);
}

async fn taken_up() {
    let shop = Shop::new(Spoilt::Nothing).await;
    let context: TraceContext =
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().expect("is good");
    let new = trace::scope(Some(context), shop.place(1)).await;
    let fault = Arc::new(CrashAt(Point::AfterStep("redeem"), AtomicUsize::new(0)));
    let dying = shop.engine_with(vec![Arc::new(PlaceOrder(shop.clone()))], Some(fault));
    assert_eq!(dying.run(&new).await, Progress::Halted);
    let never_run = shop.place(2).await;
    assert_eq!(status(&shop, new.id).await, SagaStatus::Running);

    let next = shop.restarted();
    let engine = next.plain_engine();
    engine.start();
    tokio::time::sleep(Duration::from_millis(10)).await;
    for (order, id) in [(1, new.id), (2, never_run.id)] {
        let row = engine.find(id).await.expect("is there");
        assert_eq!(row.status, SagaStatus::Done);
        assert_eq!(row.traceparent.is_some(), order == 1);
        assert_eq!(next.state(order).await.1, Some(("placed".to_owned(), 1)));
    }
}

async fn unknown_version() {
    let shop = Shop::new(Spoilt::Nothing).await;
    let id: SagaId = Id::from_bits(5);
    let mut new = NewSaga::of::<PlaceOrder>(id, &OrderData { order: 1 }, shop.now()).expect("is JSON");
    let (log, row) = (shop.store.sagas, new.clone());
    shop.deps.db.write("shop.place", move |tx| log.start(tx, &row)).await.expect("started");
    let old = shop.engine_with(Vec::new(), None);
    old.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let row = old.find(id).await.expect("is there");
    assert_eq!((row.status, row.next_attempt_at), (SagaStatus::Stuck, None));
    assert_eq!(row.problem.as_deref(), Some("this program does not know version 1 of saga place-order"));
    assert_eq!(shop.deps.metrics.alerts("saga_stuck"), 1);

    let knowing = shop.restarted();
    knowing.plain_engine().start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(status(&shop, id).await, SagaStatus::Done);

    // Data that cannot be read is as clear.
    new.id = Id::from_bits(6);
    new.data = "{}".to_owned();
    let (log, row) = (shop.store.sagas, new.clone());
    shop.deps.db.write("shop.place", move |tx| log.start(tx, &row)).await.expect("started");
    let Progress::Stuck { reason } = shop.plain_engine().run(&new).await else { panic!("stuck") };
    assert!(
        reason.contains("data of saga place-order cannot be read") && reason.contains("order"),
        "{reason}"
    );
}

async fn panics_and_hangs() {
    let shop = Shop::new(Spoilt::Nothing).await;
    let new = shop.place(1).await;
    // Held by somebody else: the step's own assertion panics.
    shop.at_once.lock().expect("no panic").insert(1);
    let engine = shop.plain_engine();
    let Progress::Waiting { reason, .. } = engine.run(&new).await else { panic!("it waits") };
    assert!(reason.contains("panicked"), "{reason}");
    shop.at_once.lock().expect("no panic").remove(&1);
    assert_eq!(engine.resume(new.id).await, Progress::Ended(End::Done));

    let hanging = shop.engine_with(vec![Arc::new(Hanging)], None);
    let new = NewSaga::of::<Hanging>(Id::from_bits(77), &(), shop.now()).expect("is JSON");
    let started = tokio::time::Instant::now();
    let Progress::Waiting { reason, .. } = hanging.run(&new).await else { panic!("it waits") };
    assert!(reason.contains("took longer than 30s"), "{reason}");
    assert_eq!(started.elapsed().as_secs(), 30);
}

struct Hanging;

impl saga::Saga for Hanging {
    const NAME: &'static str = "hanging";
    const VERSION: i64 = 1;
    type Data = ();
    const STEPS: &'static [saga::Step<Self>] =
        &[saga::Step::new("hang", |_, _| Box::pin(std::future::pending()))];

    async fn finish(&self, _: &saga::SagaRun<()>, _: &End) -> Result<(), Error> {
        Ok(())
    }
}

async fn shutdown() {
    let shop = Shop::new(Spoilt::Nothing).await;
    let engine = shop.plain_engine();
    engine.start();
    let new = shop.place(1).await;
    let running = engine.run(&new);
    tokio::task::yield_now().await;
    shop.deps.tasks.shutdown(Duration::from_secs(1)).await.expect("all ended");
    assert_eq!(running.await, Progress::Halted);
    assert_eq!(status(&shop, new.id).await, SagaStatus::Running);
    let next = shop.restarted();
    next.plain_engine().start();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(next.state(1).await.1, Some(("placed".to_owned(), 1)));
}

async fn housekeeping() {
    let shop = Shop::new(Spoilt::Nothing).await;
    let engine = shop.plain_engine();
    for order in 1..=3 {
        assert_eq!(engine.run(&shop.place(order).await).await, Progress::Ended(End::Done));
    }
    let log = shop.store.sagas;
    let count =
        async || shop.deps.db.read("count", move |q| log.count(q, SagaStatus::Done)).await.expect("counted");
    assert_eq!(count().await, 3);
    let before = shop.now().plus(Duration::from_secs(1));
    let pruned = shop.deps.db.write("prune", move |tx| log.prune(tx, before, 2)).await.expect("pruned");
    assert_eq!((pruned, count().await), (2, 1));
    let pruned = shop.deps.db.write("prune", move |tx| log.prune(tx, START, 2)).await.expect("pruned");
    assert_eq!((pruned, count().await), (0, 1), "not yet old enough");
    tokio::time::sleep(Duration::from_secs(6 * 24 * 3600)).await;
    engine.prune().await.expect("pruned");
    assert_eq!(count().await, 1, "kept for a week");
    tokio::time::sleep(Duration::from_secs(2 * 24 * 3600)).await;
    engine.prune().await.expect("pruned");
    assert_eq!(count().await, 0);
}

fn effect_ids() {
    let saga: SagaId = Id::from_bits(42);
    let refund: RefundId = saga::derived_id(saga, "refund");
    assert_eq!(refund, saga::derived_id(saga, "refund"));
    assert_ne!(refund, saga::derived_id::<_, _>(saga, "refund 2"));
    assert_ne!(refund, saga::derived_id(SagaId::from_bits(43), "refund"));
}
