//! What a test stands in: a database in one of the three modes, a clock moved by hand, seeded randomness, staff and
//! buyers before the real edge, and an object store in memory.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use http::{Method, Request};
use libtest_mimic::Trial;
use merx_catalogue::{Settings, State};
use merx_contracts::{
    catalogue::v1::{QuoteRequest, QuotedLine, catalogue_client::CatalogueClient},
    common::v1::SkuQuantity,
    ids::AccountId,
};
use merx_http::Route;
use merx_kernel::{Clock, Currency, Id, Role, Timestamp, clock::BoxFuture};
use merx_platform::{
    Deps, DueTimer, Module, Store,
    objects::MemoryStore,
    rpc::{self, Peer},
    time::SeededEntropy,
};
use merx_sql::{Db, DbOptions};
use merx_testkit::{Answer, TestApi};
use mysql::prelude::Queryable as _;
use serde_json::{Value, json};

pub const START: Timestamp = Timestamp::from_millis(1_795_132_800_000);
pub const KEEPER: AccountId = AccountId::from_bits(5);

/// A clock that shows what it is told; sleeping is the runtime's.
pub struct HandClock(AtomicI64);

impl HandClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
    pub fn set(&self, to: Timestamp) {
        self.0.store(to.as_millis(), Ordering::SeqCst);
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
    let mut trials =
        vec![trial(name, Mode::Inline, None, case.clone()), trial(name, Mode::File, None, case.clone())];
    let required = std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
    trials.push(match std::env::var("MERX_TEST_MYSQL_URL").ok() {
        Some(url) => trial(name, Mode::Mysql, Some(url), case),
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
        let name = format!("merx_catalogue_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
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
    pub state: State,
    pub objects: Arc<MemoryStore>,
    /// Anybody.
    pub buyer: TestApi,
    /// Who keeps the catalogue.
    pub staff: TestApi,
    pub module: Module,
    _folder: Option<tempfile::TempDir>,
    _database: Option<OwnDatabase>,
}

impl Bench {
    pub async fn new(mode: Mode, server: Option<String>) -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(START.as_millis())));
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
        let store = Store::new("catalogue");
        let db = Db::open(&url, DbOptions::new(clock.clone()), &store.sequenced_tables()).unwrap();
        let deps = Deps::new(db, clock.clone(), Arc::new(SeededEntropy::new(7)));
        let objects = Arc::new(MemoryStore::default());
        let settings = Settings { currency: Currency::CNY, objects: objects.clone() };
        let state = State::new(&deps, settings);
        let context = merx_catalogue::module(&state, &merx_testkit::generous_limits());
        context.module.migrate(&deps.db).await.unwrap();
        assert_eq!(Route::check(&context.routes), Vec::<String>::new());
        let signer = merx_testkit::signer();
        let router = merx_testkit::router(&deps, context.routes, &signer);
        let buyer = TestApi::new(router, signer, clock.clone());
        let staff = buyer.as_account(KEEPER, Role::ProductManager);
        Self {
            deps,
            clock,
            state,
            objects,
            buyer,
            staff,
            module: context.module,
            _folder: folder,
            _database: database,
        }
    }

    /// PUT, POST or DELETE with the version that was seen.
    pub async fn with_version(&self, method: Method, path: &str, version: i64, body: Value) -> Answer {
        let builder = self.request(method, path).header("if-match", format!("\"{version}\""));
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        merx_testkit::request(self.staff.router(), builder.body(body).unwrap()).await
    }

    /// A request of staff, with a key of its own.
    pub fn request(&self, method: Method, path: &str) -> http::request::Builder {
        static KEY: AtomicU64 = AtomicU64::new(0);
        let key = format!("own-{}", KEY.fetch_add(1, Ordering::Relaxed));
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.staff.token().unwrap()))
            .header("content-type", "application/json")
            .header("idempotency-key", key)
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.staff.post(path, body).await.expect(201).body
    }

    /// A product with two SKUs at 19.90 and 45.00, on sale.
    pub async fn listed(&self, name: &str) -> String {
        self.listed_as(content(name)).await
    }
    pub async fn listed_as(&self, content: Value) -> String {
        let id = self.drafted(content).await;
        self.post(&format!("/v1/admin/products/{id}/listing"), json!({})).await;
        id
    }
    pub async fn drafted(&self, content: Value) -> String {
        let made = self.post("/v1/admin/products", json!({ "content": content })).await;
        made["id"].as_str().unwrap().to_owned()
    }

    pub async fn admin(&self, id: &str) -> Value {
        self.staff.get(&format!("/v1/admin/products/{id}")).await.expect(200).body
    }

    /// What other contexts are told of a SKU.
    pub async fn quote(&self, sku: &str) -> QuotedLine {
        let peer = self.module.rpc.clone().map(Peer::local).unwrap();
        let lines = vec![SkuQuantity { sku: sku.to_owned(), quantity: 1 }];
        let mut reply =
            rpc::ask(CatalogueClient::new(peer).quote(QuoteRequest { lines }).await).expect("quotes");
        reply.lines.pop().unwrap()
    }
    pub async fn price(&self, sku: &str) -> i64 {
        self.quote(sku).await.unit_price.unwrap().minor
    }

    /// Fires every timer that is due, as the runner does; answers how many.
    pub async fn fire_due(&self) -> usize {
        let store = self.module.store.clone();
        let kinds: Vec<&'static str> = self.module.timers.iter().map(|t| t.kind).collect();
        let timers = store.timers;
        let rows = self.deps.db.read("test.timers", move |q| timers.next(q, &kinds, 100)).await.unwrap();
        let due: Vec<_> = rows.into_iter().filter(|row| row.next_at <= self.clock.now()).collect();
        let count = due.len();
        for row in due {
            let handler = self.module.timers.iter().find(|t| t.kind == row.kind).unwrap();
            handler.handler.fire(DueTimer::new(store.clone(), row)).await.unwrap();
        }
        count
    }

    /// The facts published since the last call, in order: type without the context, and data.
    pub async fn facts(&self) -> Vec<(String, Value)> {
        let read = move |tx: &mut merx_sql::Tx<'_>| {
            use merx_sql::Query as _;
            let rows = tx.query(
                "SELECT type, envelope FROM catalogue_outbox ORDER BY id",
                merx_sql::params![],
                |row| Ok((row.get::<String>(0)?, row.get::<String>(1)?)),
            )?;
            tx.execute("DELETE FROM catalogue_outbox", merx_sql::params![])?;
            Ok(rows)
        };
        let rows = self.deps.db.write("test.facts", read).await.unwrap();
        rows.into_iter()
            .map(|(kind, envelope)| {
                let envelope: Value = serde_json::from_str(&envelope).unwrap();
                (kind.trim_start_matches("catalogue.").to_owned(), envelope["data"].clone())
            })
            .collect()
    }
    /// Their types only.
    pub async fn fact_types(&self) -> Vec<String> {
        self.facts().await.into_iter().map(|(kind, _)| kind).collect()
    }

    pub async fn category(&self, slug: &str, parent: Option<&str>, attributes: Value) -> String {
        let body = json!({
            "slug": slug, "name": {"zh": format!("类 {slug}"), "en": format!("Category {slug}")},
            "parent_id": parent, "attributes": attributes,
        });
        self.post("/v1/admin/categories", body).await["id"].as_str().unwrap().to_owned()
    }
    pub async fn brand(&self, slug: &str) -> String {
        let body = json!({ "slug": slug, "name": {"zh": "牌", "en": format!("Brand {slug}")} });
        self.post("/v1/admin/brands", body).await["id"].as_str().unwrap().to_owned()
    }
    pub async fn attribute(&self, attribute: Value) -> Value {
        self.post("/v1/admin/attributes", json!({ "attribute": attribute })).await
    }
}

pub fn later(ms: i64) -> Timestamp {
    Timestamp::from_millis(START.as_millis() + ms)
}
pub fn id<K>(bits: u128) -> Id<K> {
    Id::from_bits(bits)
}

/// A product ready to be published, with SKUs NAME-100 and NAME-250.
pub fn content(name: &str) -> Value {
    json!({
        "title": {"zh": format!("茶 {name}"), "en": format!("Tea {name}")},
        "description": {"zh": "绿茶", "en": "Green tea"},
        "options": [{"name": {"zh": "净含量", "en": "Weight"},
            "values": [{"zh": "100 克", "en": "100 g"}, {"zh": "250 克", "en": "250 g"}]}],
        "skus": [
            {"sku": format!("{name}-100"), "choices": [0], "price": {"minor": 1990, "currency": "CNY"}, "weight_grams": 120},
            {"sku": format!("{name}-250"), "choices": [1], "price": {"minor": 4500, "currency": "CNY"}, "weight_grams": 280}
        ]
    })
}
