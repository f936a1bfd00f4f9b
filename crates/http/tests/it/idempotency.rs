//! One effect for a key, and the same answer to every repetition, over a real database.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, extract::State, response::Response};
use futures_util::future::join_all;
use http::StatusCode;
use merx_http::{
    Access, Answer, Begun, Idempotency, IdempotencyKey, Idempotent, Json, Limits, Owner, Route, answer,
    refusal, respond,
};
use merx_kernel::{Clock, Error, Id, IdGen, IdKind, Permission, Result, Role};
use merx_platform::{
    store::{IdempotencyKeys, Saved, Store},
    time::SeededEntropy,
};
use merx_sql::{Db, DbOptions, FaultPoint, Faults, Migration, Query, params};
use serde_json::{Value, json};

use crate::kit::{Kit, Reply, json_post};

enum ThingKind {}
impl IdKind for ThingKind {
    const PREFIX: &'static str = "thg";
}

#[derive(Clone)]
struct Shop {
    db: Db,
    keys: IdempotencyKeys,
    idempotent: Idempotent,
    clock: Arc<dyn Clock>,
    ids: IdGen,
    /// The process dies between the effect and its answer.
    dies: Arc<AtomicBool>,
    /// What the effect came to is not known yet.
    unknown: Arc<AtomicBool>,
}

/// The store of the keys, which is that of the effects, down or not.
#[derive(Default)]
struct Outage(AtomicBool);

impl Faults for Outage {
    fn strikes(&self, point: FaultPoint, _: &[&'static str]) -> bool {
        point == FaultPoint::BeforeCommit && self.0.load(Ordering::SeqCst)
    }
}

fn made(id: Id<ThingKind>) -> Result<Saved> {
    answer(StatusCode::CREATED, &json!({ "id": id }))
}

async fn make(State(shop): State<Shop>, key: IdempotencyKey, Json(wish): Json<Value>) -> Answer<Response> {
    let (id, now, keys) = (shop.ids.next::<ThingKind>(), shop.clock.now(), shop.keys);
    let begun = shop
        .db
        .write("shop.make", move |tx| {
            let begun = key.begin(keys, tx, id, now)?;
            if matches!(begun, Begun::Fresh) {
                tx.execute("INSERT INTO shop_things (id) VALUES (?)", params![id])?;
            }
            Ok(begun)
        })
        .await?;
    match begun {
        Begun::Repeated { effect, saved } => {
            let unknown = shop.unknown.load(Ordering::SeqCst);
            let rebuild = |effect| async move { if unknown { Ok(None) } else { made(effect).map(Some) } };
            shop.idempotent.repeat(&key, effect, saved, rebuild).await
        }
        Begun::Fresh if shop.dies.load(Ordering::SeqCst) => Err(Error::internal("died").into()),
        Begun::Fresh => {
            let given = match wish["refuse"].as_bool() {
                Some(true) => refusal(Error::rejected("shop.sold_out", "Sold out."))?,
                _ => made(id)?,
            };
            let kept = given.clone();
            shop.db.write("shop.answer", move |tx| key.complete(keys, tx, id, &kept)).await?;
            Ok(respond(given))
        }
    }
}

struct World {
    kit: Kit,
    shop: Shop,
    outage: Arc<Outage>,
}

impl World {
    async fn new() -> Self {
        let store = Store::new("shop");
        let kit = Kit::new();
        let clock: Arc<dyn Clock> = kit.clock.clone();
        let outage = Arc::new(Outage::default());
        let options = DbOptions { faults: Some(outage.clone()), ..DbOptions::new(clock.clone()) };
        let db = Db::inline(options, &store.sequenced_tables()).unwrap();
        let mut migrations = store.migrations();
        migrations.push(Migration::same(
            100,
            "things",
            "CREATE TABLE shop_things (id BINARY(16) NOT NULL PRIMARY KEY)",
        ));
        db.migrate("shop", &migrations).await.unwrap();
        let shop = Shop {
            idempotent: Idempotent::new(db.clone(), store.idempotency, clock.clone(), &Limits::default()),
            keys: store.idempotency,
            ids: IdGen::new(clock.clone(), Arc::new(SeededEntropy::new(1))),
            db,
            clock,
            dies: Arc::default(),
            unknown: Arc::default(),
        };
        let access =
            Access::Permission { permission: Permission::Shop, owner: Owner::Account("made for the caller") };
        let route = Route::post("/v1/things", access, make, &shop)
            .id("make")
            .summary("For tests")
            .body::<Value>()
            .response::<Value>(201)
            .idempotency(Idempotency::Required);
        let kit = kit.with_routes(vec![route]);
        Self { kit, shop, outage }
    }

    async fn ask(&self, key: &str, body: &'static str) -> Reply {
        let token = self.kit.token(5, &[Role::Customer]);
        let asked = json_post("/v1/things").header("authorization", format!("Bearer {token}"));
        self.kit.ask(asked.header("idempotency-key", key).body(Body::from(body)).unwrap()).await
    }

    async fn at_once(&self, count: usize) -> Vec<Reply> {
        join_all((0..count).map(|_| self.ask("k", "{}"))).await
    }

    async fn things(&self) -> i64 {
        let count = |q: &mut merx_sql::Reader<'_>| {
            q.query_one("SELECT COUNT(*) FROM shop_things", params![], |r| r.get(0))
        };
        self.shop.db.read("shop.count", count).await.unwrap()
    }
}

/// T20: what held, as a line of the report.
fn proof(case: &str, size: usize, figure: &str) {
    println!("PROOF | T20 | over HTTP: {case} | size={size} | {figure} | seed=1");
}

/// The guard is `Guard::IdempotencyKey`.
#[tokio::test(start_paused = true)]
async fn fifty_at_once_have_one_effect_and_one_answer() {
    let world = World::new().await;
    let replies = world.at_once(50).await;
    assert_eq!(world.things().await, 1);
    assert!(replies.iter().all(|r| r.status == 201 && r.text == replies[0].text));
    assert_eq!(replies.iter().filter(|r| r.header("idempotency-replayed") == "true").count(), 49);
    proof("one key 50 times at once", 50, "1 execution, 50 equal answers, 49 of them marked as replayed");
}

/// The guard is `Guard::IdempotencyKey`.
#[tokio::test(start_paused = true)]
async fn another_body_is_refused() {
    let world = World::new().await;
    world.ask("k", "{}").await;
    world.ask("k", r#"{"a":1}"#).await.is_problem(422, "request.idempotency_key_reused");
    assert_eq!(world.things().await, 1);
    proof("one key, another body", 1, "422, 1 execution");
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_nothing_is_executed() {
    let world = World::new().await;
    world.outage.0.store(true, Ordering::SeqCst);
    for refused in world.at_once(50).await {
        refused.is_problem(503, "sql.io");
        assert_eq!(refused.header("retry-after"), "1");
    }
    assert_eq!(world.things().await, 0);
    world.outage.0.store(false, Ordering::SeqCst);
    let replies = world.at_once(50).await;
    assert!(replies.iter().all(|r| r.status == 201 && r.text == replies[0].text));
    assert_eq!(world.things().await, 1);
    proof("the store of the keys is down", 50, "50 × 503 with Retry-After, 0 executions; 1 once it is back");
}

#[tokio::test(start_paused = true)]
async fn what_is_still_worked_on_is_waited_for_and_then_a_409() {
    let world = World::new().await;
    world.shop.dies.store(true, Ordering::SeqCst);
    world.ask("k", "{}").await.is_problem(500, "internal");
    world.shop.unknown.store(true, Ordering::SeqCst);
    let began = world.kit.clock.now();
    for waited in world.at_once(50).await {
        waited.is_problem(409, "request.in_flight");
    }
    assert!(
        world.kit.clock.now().since(began)
            >= Duration::from_millis(Limits::default().idempotency_wait_ms_max)
    );
    assert_eq!(world.things().await, 1);
    proof("still worked on", 50, "each waits its time, then 50 × 409, 1 execution");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_answer_too() {
    let world = World::new().await;
    let first = world.ask("k", r#"{"refuse":true}"#).await;
    assert_eq!((first.status.as_u16(), first.header("content-type")), (409, "application/problem+json"));
    assert_eq!(first.json()["code"], "shop.sold_out");
    assert_eq!(world.ask("k", r#"{"refuse":true}"#).await.text, first.text);
}

/// The guard is `Guard::IdempotencyKey`.
#[tokio::test(start_paused = true)]
async fn after_a_crash_the_answer_is_rebuilt_from_the_effect() {
    let world = World::new().await;
    world.shop.dies.store(true, Ordering::SeqCst);
    world.ask("k", "{}").await.is_problem(500, "internal");
    world.shop.dies.store(false, Ordering::SeqCst);
    let again = world.ask("k", "{}").await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(world.things().await, 1);
    assert_eq!(world.ask("k", "{}").await.text, again.text);
    proof("crash between the effect and its answer", 1, "the answer rebuilt from the effect, 1 execution");
}

/// The guard is `Guard::IdempotencyKey`.
#[tokio::test(start_paused = true)]
async fn a_key_is_kept_for_a_day() {
    let world = World::new().await;
    let first = world.ask("k", "{}").await;
    let minute = Duration::from_secs(60);
    world.kit.clock.sleep(24 * 60 * minute - minute).await;
    assert_eq!(world.ask("k", "{}").await.text, first.text, "after 23 h 59");
    world.kit.clock.sleep(minute).await;
    assert_ne!(world.ask("k", "{}").await.text, first.text, "after 24 h it is a new request");
    assert_eq!(world.things().await, 2);
    proof("again after 23 h 59 min and after 24 h", 2, "the first answer; then a new request");
}
