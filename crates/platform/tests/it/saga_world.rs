//! A small shop for sagas: effects under identities in a table, and switches that spoil one thing each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use merx_contracts::ids::SagaId;
use merx_kernel::{Clock, Error, Id, Result, Timestamp};
use merx_platform::{
    Deps, Store,
    saga::{
        AnySaga, End, EngineDeps, Limits, NewSaga, Saga, SagaEngine, SagaRun, Step, StepOutcome,
        fault::{Fault, Point, Verdict},
        harness::World,
    },
};
use merx_sql::{Db, DbOptions, Inserted, Migration, Query, Tx, params};
use serde::{Deserialize, Serialize};

use crate::paused;

/// One thing that is wrong with the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoilt {
    Nothing,
    /// Reserving again reserves more.
    ReserveTwiceCounts,
    /// Releasing again gives more back.
    ReleaseTwiceCounts,
    /// What is released before it was reserved leaves nothing that would refuse the reservation.
    ForgetsRelease,
    /// The outcome is written without the end of the log.
    ForgetsEnd,
    /// The outcome is written whether or not it was written before.
    IgnoresEnd,
}

type Answers = Vec<Result<StepOutcome>>;

#[derive(Clone)]
pub struct Shop {
    pub deps: Deps,
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub spoilt: Spoilt,
    /// What each step answers before it works, oldest first.
    pub answers: Arc<Mutex<BTreeMap<&'static str, Answers>>>,
    /// How often each step was run.
    pub runs: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    /// Orders of which a step is running.
    pub at_once: Arc<Mutex<BTreeSet<i64>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderData {
    pub order: i64,
}

/// Reserve, redeem, charge (the pivot), ship.
pub struct PlaceOrder(pub Shop);

impl Saga for PlaceOrder {
    const NAME: &'static str = "place-order";
    const VERSION: i64 = 1;
    type Data = OrderData;
    const STEPS: &'static [Step<Self>] = &[
        Step::<Self>::new("reserve", |saga, run| Box::pin(saga.0.effect("reserve", run)))
            .undo(|saga, run| Box::pin(saga.0.undo("reserve", run))),
        Step::<Self>::new("redeem", |saga, run| Box::pin(saga.0.effect("redeem", run)))
            .undo(|saga, run| Box::pin(saga.0.undo("redeem", run))),
        Step::<Self>::new("charge", |saga, run| Box::pin(saga.0.effect("charge", run))).pivot(),
        Step::<Self>::new("ship", |saga, run| Box::pin(saga.0.effect("ship", run))),
    ];

    async fn finish(&self, run: &SagaRun<OrderData>, end: &End) -> Result<()> {
        self.0.finish(run, end).await
    }
}

impl Shop {
    pub async fn new(spoilt: Spoilt) -> Self {
        let clock = paused::clock();
        let db = Db::inline(DbOptions::new(clock.clone()), &[]).expect("a database");
        Self::over(db, clock, spoilt).await
    }

    pub async fn over(db: Db, clock: Arc<dyn Clock>, spoilt: Spoilt) -> Self {
        let store = Store::new("shop");
        let mut migrations = store.migrations();
        migrations.push(Migration::same(
            100,
            "shop",
            "CREATE TABLE shop_effects (
                step VARCHAR(32) NOT NULL,
                owner BIGINT NOT NULL,
                units BIGINT NOT NULL,
                undone BIGINT NOT NULL,
                PRIMARY KEY (step, owner)
            );
            CREATE TABLE shop_orders (owner BIGINT NOT NULL PRIMARY KEY, outcome VARCHAR(64) NOT NULL, written BIGINT NOT NULL)",
        ));
        db.migrate("shop", &migrations).await.expect("tables");
        Self {
            deps: Deps::new(db, clock.clone(), paused::entropy()),
            store,
            clock,
            spoilt,
            answers: Arc::default(),
            runs: Arc::default(),
            at_once: Arc::default(),
        }
    }

    /// The same shop as a new process sees it.
    pub fn restarted(&self) -> Self {
        let deps = Deps::new(self.deps.db.clone(), self.clock.clone(), paused::entropy());
        Self { deps, runs: Arc::default(), at_once: Arc::default(), ..self.clone() }
    }

    pub fn engine_with(&self, kinds: Vec<Arc<dyn AnySaga>>, fault: Option<Arc<dyn Fault>>) -> SagaEngine {
        self.engine_within(kinds, fault, Limits::default())
    }

    pub fn engine_within(
        &self,
        kinds: Vec<Arc<dyn AnySaga>>,
        fault: Option<Arc<dyn Fault>>,
        limits: Limits,
    ) -> SagaEngine {
        let deps = EngineDeps {
            db: self.deps.db.clone(),
            log: self.store.sagas,
            clock: self.clock.clone(),
            entropy: self.deps.entropy.clone(),
            tasks: self.deps.tasks.clone(),
            metrics: self.deps.metrics.clone(),
            activity: self.deps.activity.clone(),
        };
        SagaEngine::with(deps, kinds, limits, fault)
    }

    pub fn plain_engine(&self) -> SagaEngine {
        self.engine_with(vec![Arc::new(PlaceOrder(self.clone()))], None)
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub async fn place(&self, order: i64) -> NewSaga {
        let id: SagaId = Id::from_bits(u128::from(order.unsigned_abs()) + 1);
        let saga = NewSaga::of::<PlaceOrder>(id, &OrderData { order }, self.now()).expect("is JSON");
        let (log, new) = (self.store.sagas, saga.clone());
        self.deps.db.write("shop.place", move |tx| log.start(tx, &new)).await.expect("started");
        saga
    }

    /// Queues what a step answers before it does its work.
    pub fn will_answer(&self, step: &'static str, answers: Vec<Result<StepOutcome>>) {
        self.answers.lock().expect("no panic").insert(step, answers);
    }

    pub fn runs_of(&self, step: &'static str) -> usize {
        self.runs.lock().expect("no panic").get(step).copied().unwrap_or(0)
    }

    fn next_answer(&self, step: &'static str) -> Option<Result<StepOutcome>> {
        *self.runs.lock().expect("no panic").entry(step).or_default() += 1;
        let mut answers = self.answers.lock().expect("no panic");
        answers.get_mut(step).filter(|queue| !queue.is_empty()).map(|queue| queue.remove(0))
    }

    async fn effect(&self, step: &'static str, run: &SagaRun<OrderData>) -> Result<StepOutcome> {
        let alone = self.at_once.lock().expect("no panic").insert(run.data.order);
        // Outside the lock, which a panic would poison.
        assert!(alone, "one step of a saga at a time");
        tokio::task::yield_now().await;
        let answer = self.next_answer(step);
        let done = match answer {
            Some(answer) => answer,
            None => self.apply(step, run.data.order).await,
        };
        self.at_once.lock().expect("no panic").remove(&run.data.order);
        done
    }

    async fn apply(&self, step: &'static str, order: i64) -> Result<StepOutcome> {
        let spoilt = self.spoilt;
        let undone = self
            .deps
            .db
            .write("shop.effect", move |tx| {
                let new = tx.insert_new(
                    "INSERT INTO shop_effects (step, owner, units, undone) VALUES (?, ?, 1, 0)",
                    params![step, order],
                )?;
                if new == Inserted::Exists && spoilt == Spoilt::ReserveTwiceCounts && step == "reserve" {
                    tx.execute(
                        "UPDATE shop_effects SET units = units + 1 WHERE owner = ? AND step = 'reserve'",
                        params![order],
                    )?;
                }
                tx.query_one(
                    "SELECT undone FROM shop_effects WHERE step = ? AND owner = ?",
                    params![step, order],
                    |row| row.get::<i64>(0),
                )
            })
            .await?;
        // The tombstone of an undo refuses what comes late.
        if undone > 0 { Err(Error::rejected("shop.undone", "It was undone.")) } else { Ok(StepOutcome::Done) }
    }

    async fn undo(&self, step: &'static str, run: &SagaRun<OrderData>) -> Result<StepOutcome> {
        let name = if step == "reserve" { "undo reserve" } else { "undo redeem" };
        if let Some(answer) = self.next_answer(name) {
            return answer;
        }
        let (order, spoilt) = (run.data.order, self.spoilt);
        self.deps
            .db
            .write("shop.undo", move |tx| {
                if spoilt == Spoilt::ForgetsRelease {
                    let sql = "DELETE FROM shop_effects WHERE step = ? AND owner = ?";
                    return tx.execute(sql, params![step, order]).map(drop);
                }
                let new = tx.insert_new(
                    "INSERT INTO shop_effects (step, owner, units, undone) VALUES (?, ?, 0, 1)",
                    params![step, order],
                )?;
                if new == Inserted::New {
                    return Ok(());
                }
                if spoilt == Spoilt::ReleaseTwiceCounts && step == "reserve" {
                    tx.execute(
                        "UPDATE shop_effects SET units = units - 1, undone = 1 WHERE step = ? AND owner = ?",
                        params![step, order],
                    )?;
                } else {
                    tx.execute(
                        "UPDATE shop_effects SET units = 0, undone = 1 WHERE step = ? AND owner = ?",
                        params![step, order],
                    )?;
                }
                Ok(())
            })
            .await?;
        Ok(StepOutcome::Done)
    }

    async fn finish(&self, run: &SagaRun<OrderData>, end: &End) -> Result<()> {
        if let Some(Err(error)) = self.next_answer("finish") {
            return Err(error);
        }
        let (log, now, id, order, spoilt) =
            (self.store.sagas, self.now(), run.id, run.data.order, self.spoilt);
        let outcome = match end {
            End::Done => "placed".to_owned(),
            End::Refused { step, code, .. } => format!("{step}: {code}"),
        };
        let write = move |tx: &mut Tx<'_>| {
            let open = spoilt == Spoilt::ForgetsEnd || log.end(tx, id, now)?;
            if open || spoilt == Spoilt::IgnoresEnd {
                let new = tx.insert_new(
                    "INSERT INTO shop_orders (owner, outcome, written) VALUES (?, ?, 1)",
                    params![order, outcome.as_str()],
                )?;
                if new == Inserted::Exists {
                    tx.execute(
                        "UPDATE shop_orders SET written = written + 1 WHERE owner = ?",
                        params![order],
                    )?;
                }
            }
            Ok(())
        };
        self.deps.db.write("shop.finish", write).await
    }

    /// Units by step, and the outcome with how often it was written.
    pub async fn state(&self, order: i64) -> (BTreeMap<String, i64>, Option<(String, i64)>) {
        self.deps
            .db
            .read("shop.state", move |q| {
                let units = q.query(
                    "SELECT step, units FROM shop_effects WHERE owner = ? ORDER BY step",
                    params![order],
                    |row| Ok((row.get::<String>(0)?, row.get::<i64>(1)?)),
                )?;
                let outcome = q.query_opt(
                    "SELECT outcome, written FROM shop_orders WHERE owner = ?",
                    params![order],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?;
                Ok((units.into_iter().filter(|(_, units)| *units != 0).collect(), outcome))
            })
            .await
            .expect("is read")
    }
}

#[async_trait]
impl World for Shop {
    fn engine(&self, fault: Arc<dyn Fault>) -> SagaEngine {
        let shop = self.restarted();
        shop.engine_with(vec![Arc::new(PlaceOrder(shop.clone()))], Some(fault))
    }

    async fn start(&self) -> Result<NewSaga> {
        Ok(self.place(1).await)
    }
}

/// Crashes once, at one point.
pub struct CrashAt(pub Point, pub AtomicUsize);

impl Fault for CrashAt {
    fn at(&self, _: SagaId, point: &Point) -> Verdict {
        if *point == self.0 && self.1.fetch_add(1, Ordering::SeqCst) == 0 {
            Verdict::Crash
        } else {
            Verdict::Go
        }
    }
}
