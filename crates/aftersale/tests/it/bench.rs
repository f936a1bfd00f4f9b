//! What a test stands in: after-sale over a database in one of the three modes, with doubles for neighbours.

use std::{future::Future, sync::Arc};

use libtest_mimic::Trial;
use merx_aftersale::{AfterSale, Policy, Settings, after_sale, migrations, module};
use merx_contracts::{
    Envelope, Fact,
    ids::{AccountId, OrderId},
};
use merx_kernel::{Id, Role};
use merx_platform::{
    Delivery, Deps, DueTimer, Module, Store, objects::MemoryStore, projection, saga::Progress,
    store::TimerRow, time::SeededEntropy,
};
use merx_sql::{Db, DbOptions, Query as _, params};
use merx_testkit::{
    Answer, TestApi,
    modes::{self, HandClock, Place},
};
use serde_json::{Value, json};

use crate::neighbours::{BUYER, Neighbours};

pub const ORDER: OrderId = Id::from_bits(0x0e);
pub const STAFF: AccountId = Id::from_bits(5);

/// A case on every mode of the database; MariaDB is reported as NOT RUN when there is none.
pub fn on_every_mode<F, R>(name: &str, case: F) -> Vec<Trial>
where
    F: Fn(Arc<Bench>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    modes::on_every_mode(name, "aftersale", move |place| {
        let case = case.clone();
        async move {
            let bench = Arc::new(Bench::new(place).await);
            case(bench.clone()).await;
            bench.deps.db.close().await;
        }
    })
}

pub struct Bench {
    pub deps: Deps,
    pub clock: Arc<HandClock>,
    pub own: AfterSale,
    pub neighbours: Neighbours,
    pub module: Module,
    api: TestApi,
    _place: Place,
}

impl Bench {
    pub async fn new(place: Place) -> Self {
        let clock = HandClock::at_start();
        let store = Store::new("aftersale");
        let options = DbOptions::new(clock.clone());
        let db = Db::open(place.url(), options, &store.sequenced_tables()).unwrap();
        Module::new(store, migrations()).migrate(&db).await.unwrap();
        let mut deps = Deps::new(db, clock.clone(), Arc::new(SeededEntropy::new(7)));
        let neighbours = Neighbours::new();
        neighbours.wire(&mut deps);
        let settings = Settings { policy: Policy::default(), objects: Arc::new(MemoryStore::default()) };
        let own = after_sale(&deps, settings).unwrap();
        let signer = merx_testkit::signer();
        let context = module(&own, &merx_testkit::generous_limits());
        assert_eq!(merx_http::Route::check(&context.routes), Vec::<String>::new());
        let router = merx_testkit::router(&deps, context.routes, &signer);
        let api = TestApi::new(router, signer, deps.clock.clone());
        Self { deps, clock, own, neighbours, module: context.module, api, _place: place }
    }

    pub fn buyer(&self) -> TestApi {
        self.api.as_account(BUYER, Role::Customer)
    }
    pub fn staff(&self, role: Role) -> TestApi {
        self.api.as_account(STAFF, role)
    }

    pub async fn ask(&self, kind: &str, lines: &[(&str, i64)]) -> Answer {
        let line = |(sku, quantity): &(&str, i64)| json!({"sku": sku, "quantity": quantity});
        let lines: Vec<Value> = lines.iter().map(line).collect();
        let body = json!({"kind": kind, "reason": "quality", "text": "蓋が合わない", "lines": lines});
        self.buyer().post(&format!("/v1/orders/{ORDER}/after-sales"), body).await
    }
    pub async fn decide(&self, role: Role, case: &str, what: &str, body: Value) -> Answer {
        self.staff(role).post(&format!("/v1/admin/after-sales/{case}/{what}"), body).await
    }
    pub async fn look(&self, case: &str) -> Value {
        self.buyer().get(&format!("/v1/after-sales/{case}")).await.expect(200).body
    }

    /// Hands a fact to the subscriptions that want it, twice: what a redelivery does.
    pub async fn hand_over(&self, fact: &impl Fact) {
        let envelope = Envelope::new(self.deps.ids.next(), self.deps.now(), None, fact).unwrap();
        for tries in 0..2 {
            let wants = |s: &&merx_platform::Subscription| s.types.contains(&envelope.kind.as_str());
            for subscription in self.module.subscriptions.iter().filter(wants) {
                let (store, at) = (store(), self.deps.now());
                let delivery = Delivery::new(envelope.clone(), subscription.name, store, tries, at);
                subscription.handler.handle(delivery).await.unwrap();
            }
        }
    }

    /// Fires every timer that is due, once.
    pub async fn fire_timers(&self) -> usize {
        let now = self.deps.now();
        let read = move |q: &mut merx_sql::Reader<'_>| {
            let sql = "SELECT kind, timer_key, due_at FROM aftersale_timers WHERE due_at <= ?";
            q.query(sql, params![now], |row| {
                let (kind, key, due_at) = (row.get(0)?, row.get::<Id<()>>(1)?.bits(), row.get(2)?);
                Ok(TimerRow { kind, key, due_at, next_at: due_at, tries: 0 })
            })
        };
        let due = self.deps.db.read("test.timers", read).await.unwrap();
        let count = due.len();
        for row in due {
            let handler = self.module.timers.iter().find(|handler| handler.kind == row.kind).unwrap();
            handler.handler.fire(DueTimer::new(store(), row)).await.unwrap();
        }
        count
    }

    /// The statuses cases were told to stand in, sorted; and what staff did.
    pub async fn told(&self) -> (Vec<String>, Vec<String>) {
        let sql = "SELECT type, envelope FROM aftersale_outbox";
        let read = move |q: &mut merx_sql::Reader<'_>| {
            q.query(sql, params![], |row| Ok((row.get::<String>(0)?, row.get::<String>(1)?)))
        };
        let rows = self.deps.db.read("test.facts", read).await.unwrap();
        let text = |row: &(String, String), field: &str| {
            let envelope: Value = serde_json::from_str(&row.1).unwrap();
            envelope["data"][field].as_str().unwrap().to_owned()
        };
        let of = |kind: &str, field: &str| {
            let mut found: Vec<String> =
                rows.iter().filter(|row| row.0 == kind).map(|row| text(row, field)).collect();
            found.sort();
            found
        };
        (of("aftersale.case_moved.v1", "status"), of("aftersale.staff_acted.v1", "action"))
    }

    /// What the rows are is what the events make of them.
    pub async fn rows_are_the_events(&self) {
        let (db, clock) = (&self.deps.db, self.deps.clock.clone());
        let projections = &self.module.projections;
        let compared = projection::compare(db, clock, &store(), &migrations(), projections).await.unwrap();
        assert!(compared.iter().all(projection::Comparison::is_equal), "{compared:#?}");
    }

    /// Waits until every saga has ended, and those that follow.
    pub async fn run_sagas(&self) {
        loop {
            let read = |q: &mut merx_sql::Reader<'_>| store().sagas.open(q, None, 100);
            let open = self.deps.db.read("test.sagas", read).await.unwrap();
            if open.is_empty() {
                return;
            }
            for row in open {
                let progress = self.own.engine.resume(row.id).await;
                assert!(matches!(progress, Progress::Ended(_)), "{} is {progress:?}", row.name);
            }
        }
    }
}

pub fn store() -> Store {
    Store::new("aftersale")
}
