//! Sagas that nobody awaits: how many go at once, and what a shutdown makes of those that are due.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use libtest_mimic::Trial;
use merx_kernel::{Error, Id};
use merx_platform::{
    saga::{self, End, Limits, NewSaga, Progress, SagaStatus, StepOutcome},
    store::Parking,
};
use tokio::sync::Semaphore;

use crate::{
    paused::{START, paused},
    saga_world::{Shop, Spoilt},
};

pub fn trials() -> Vec<Trial> {
    vec![
        paused("saga: a shutdown does not wait for sagas that are due", due_at_shutdown),
        paused("saga: what nobody awaits is bounded, and does not hold up what is awaited", bounded),
        paused("saga: what finds no place in the queue stays in the log until there is room", queue_full),
    ]
}

/// A saga of one step that waits at a gate, unless it has a free pass.
struct Gated {
    inside: AtomicUsize,
    done: AtomicUsize,
    gate: Semaphore,
    /// Where its log is, for those that are in one.
    shop: Option<Shop>,
}

impl Gated {
    fn new() -> Arc<Self> {
        Self::of(None)
    }

    fn of(shop: Option<Shop>) -> Arc<Self> {
        let (inside, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { inside, done, gate: Semaphore::new(0), shop })
    }

    fn saga(number: u128, free: bool) -> NewSaga {
        NewSaga::of::<Self>(Id::from_bits(1_000 + number), &free, START).expect("is JSON")
    }

    async fn pass(&self, run: &saga::SagaRun<bool>) -> Result<StepOutcome, Error> {
        if !run.data {
            self.inside.fetch_add(1, SeqCst);
            let passed = self.gate.acquire().await;
            self.inside.fetch_sub(1, SeqCst);
            drop(passed);
        }
        Ok(StepOutcome::Done)
    }

    fn inside(&self) -> usize {
        self.inside.load(SeqCst)
    }
}

impl saga::Saga for Gated {
    const NAME: &'static str = "gated";
    const VERSION: i64 = 1;
    type Data = bool;
    const STEPS: &'static [saga::Step<Self>] =
        &[saga::Step::new("pass", |saga, run| Box::pin(saga.pass(run)))];

    async fn finish(&self, run: &saga::SagaRun<bool>, _: &End) -> Result<(), Error> {
        self.done.fetch_add(1, SeqCst);
        let Some(shop) = &self.shop else { return Ok(()) };
        let (log, id) = (shop.store.sagas, run.id);
        shop.deps.db.write("gated.end", move |tx| log.end(tx, id, START).map(drop)).await
    }
}

async fn bounded() {
    let shop = Shop::new(Spoilt::Nothing).await;
    let gated = Gated::new();
    let engine = shop.engine_with(vec![gated.clone()], None);
    let sagas: Vec<_> = (0..100).map(|number| Gated::saga(number, false)).collect();
    for saga in &sagas {
        drop(engine.run(saga));
    }
    let moment = Duration::from_millis(1);
    tokio::time::sleep(moment).await;
    assert_eq!(gated.inside(), 32);
    assert_eq!(
        engine.run(&Gated::saga(200, true)).await,
        Progress::Ended(End::Done),
        "a request goes at once"
    );
    // One that waits in the background goes too once a request waits for it …
    let waited = tokio::time::timeout(moment, engine.run(&sagas[99])).await;
    assert!(waited.is_err() && gated.inside() == 33, "{}", gated.inside());
    // … and one that goes in the background leaves its room to another.
    let waited = tokio::time::timeout(moment, engine.run(&sagas[0])).await;
    assert!(waited.is_err());
    tokio::time::sleep(moment).await;
    assert_eq!(gated.inside(), 34);
    gated.gate.add_permits(1);
    tokio::time::sleep(moment).await;
    assert_eq!((gated.inside(), gated.done.load(SeqCst)), (0, 101));
    assert!(shop.deps.activity.is_idle());
}

async fn queue_full() {
    let shop = Shop::new(Spoilt::Nothing).await;
    let gated = Gated::of(Some(shop.clone()));
    let limits = Limits { background_max: 4, background_queue_max: 10, ..Limits::default() };
    let engine = shop.engine_within(vec![gated.clone()], None, limits);
    engine.start();
    let log = shop.store.sagas;
    let sagas: Vec<_> = (0..60).map(|number| Gated::saga(number, false)).collect();
    for saga in &sagas {
        let starting = saga.clone();
        shop.deps.db.write("shop.start", move |tx| log.start(tx, &starting)).await.expect("started");
    }
    let moment = Duration::from_millis(1);
    for saga in &sagas {
        drop(engine.run(saga));
    }
    tokio::time::sleep(moment).await;
    let in_memory = sagas.iter().filter(|saga| engine.is_active(saga.id)).count();
    assert_eq!((gated.inside(), in_memory), (4, 14), "the rest stays in the log");
    assert!(!shop.deps.activity.is_idle(), "which is work under way");
    // One that was left is carried on at once when a request waits for it.
    let left = engine.run(&sagas[59]);
    assert!(!engine.is_active(sagas[59].id));
    assert!(tokio::time::timeout(moment, left).await.is_err() && gated.inside() == 5);
    gated.gate.add_permits(1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((gated.inside(), gated.done.load(SeqCst)), (0, 60), "all of them, each once");
    assert!(shop.deps.activity.is_idle());
    let open = shop.deps.db.read("shop.open", move |q| log.open(q, None, 100)).await.expect("read");
    assert_eq!(open, []);
    shop.deps.tasks.shutdown(Duration::from_secs(10)).await.expect("ended");
}

async fn due_at_shutdown() {
    let shop = Shop::new(Spoilt::Nothing).await;
    let gated = Gated::new();
    let log = shop.store.sagas;
    for number in 0..150 {
        let saga = Gated::saga(number, false);
        let parked = move |tx: &mut merx_sql::Tx<'_>| {
            log.start(tx, &saga)?;
            let (status, next_attempt_at) = (SagaStatus::Waiting, Some(START));
            let parking = Parking { status, failures: 1, next_attempt_at, problem: "Closed." };
            log.park(tx, saga.id, &parking, START)
        };
        shop.deps.db.write("shop.park", parked).await.expect("parked");
    }
    let engine = shop.engine_with(vec![gated.clone()], None);
    engine.start();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(gated.inside(), 32, "more are due than there is room for");
    shop.deps.tasks.stopping().cancel();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(!shop.deps.tasks.running().contains(&"sagas"), "the loop goes round and round");
}
