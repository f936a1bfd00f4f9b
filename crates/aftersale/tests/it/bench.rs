//! What a test stands in: after-sale over a database in one of the three modes, with doubles for neighbours.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use libtest_mimic::Trial;
use merx_aftersale::{AfterSale, Policy, Settings, after_sale, migrations, module};
use merx_contracts::{
    Envelope, Fact,
    ids::{AccountId, OrderId},
};
use merx_kernel::{Clock, Id, Role, Timestamp, clock::BoxFuture};
use merx_platform::{
    Delivery, Deps, DueTimer, Module, Store, objects::MemoryStore, projection, saga::Progress,
    store::TimerRow, time::SeededEntropy,
};
use merx_sql::{Db, DbOptions, Query as _, params};
use merx_testkit::{Answer, START, TestApi};
use mysql::prelude::Queryable as _;
use serde_json::{Value, json};

use crate::neighbours::{BUYER, Neighbours};

pub const ORDER: OrderId = Id::from_bits(0x0e);
pub const STAFF: AccountId = Id::from_bits(5);

/// A clock that shows what it is told; sleeping is the runtime's.
pub struct HandClock(AtomicI64);

impl HandClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Inline,
    File,
    Mysql,
}

/// A case on every mode of the database; MariaDB is reported as NOT RUN when there is none.
pub fn on_every_mode<F, R>(name: &str, case: F) -> Vec<Trial>
where
    F: Fn(Arc<Bench>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let trial = |mode, server| trial(name, mode, server, case.clone());
    let mut trials = vec![trial(Mode::Inline, None), trial(Mode::File, None)];
    let required = std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
    trials.push(match std::env::var("MERX_TEST_MYSQL_URL").ok() {
        Some(url) => trial(Mode::Mysql, Some(url)),
        None if required => Trial::test(format!("{name} [Mysql]"), || {
            Err("MERX_TEST_MYSQL_URL is not set, and MERX_REQUIRE_SERVICES=1".into())
        }),
        None => Trial::test(format!("{name} [Mysql: NOT RUN, MERX_TEST_MYSQL_URL is not set]"), || Ok(()))
            .with_ignored_flag(true),
    });
    trials
}

fn trial<F, R>(name: &str, mode: Mode, server: Option<String>, case: F) -> Trial
where
    F: Fn(Arc<Bench>) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    Trial::test(format!("{name} [{mode:?}]"), move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let bench = Arc::new(Bench::new(mode, server).await);
            case(bench.clone()).await;
            bench.deps.db.close().await;
        });
        Ok(())
    })
}

/// A database on the test's server, gone with it.
struct OwnDatabase {
    server: String,
    name: String,
}

impl OwnDatabase {
    fn create(server: String) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("merx_aftersale_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let own = Self { server, name };
        own.run(&format!("DROP DATABASE IF EXISTS {}", own.name));
        own.run(&format!("CREATE DATABASE {}", own.name));
        own
    }
    fn run(&self, sql: &str) {
        let mut connection =
            mysql::Conn::new(self.server.as_str()).expect("the server of MERX_TEST_MYSQL_URL");
        connection.query_drop(sql).expect("a statement on the server");
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        self.run(&format!("DROP DATABASE IF EXISTS {}", self.name));
    }
}

pub struct Bench {
    pub deps: Deps,
    pub clock: Arc<HandClock>,
    pub own: AfterSale,
    pub neighbours: Neighbours,
    pub module: Module,
    api: TestApi,
    _folder: Option<tempfile::TempDir>,
    _database: Option<OwnDatabase>,
}

impl Bench {
    pub async fn new(mode: Mode, server: Option<String>) -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(START.as_millis())));
        let store = Store::new("aftersale");
        let (mut folder, mut database) = (None, None);
        let url = match (mode, server) {
            (Mode::Mysql, Some(server)) => {
                let own = OwnDatabase::create(server.trim_end_matches('/').to_owned());
                let url = format!("{}/{}", own.server, own.name);
                database = Some(own);
                url
            }
            (Mode::File, _) => {
                let made = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", made.path().join("merx.db").display());
                folder = Some(made);
                url
            }
            _ => "sqlite::memory:".to_owned(),
        };
        let db = Db::open(&url, DbOptions::new(clock.clone()), &store.sequenced_tables()).unwrap();
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
        Self {
            deps,
            clock,
            own,
            neighbours,
            module: context.module,
            api,
            _folder: folder,
            _database: database,
        }
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
