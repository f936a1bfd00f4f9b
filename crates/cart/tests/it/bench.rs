//! What a test stands in: a whole platform on a virtual clock, or a database in one of the three modes.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use http::Method;
use libtest_mimic::Trial;
use merx_cart::{Settings, State, migrations};
use merx_contracts::{Envelope, Fact, ids::AccountId};
use merx_kernel::{Clock, Result, Role, Timestamp, clock::BoxFuture};
use merx_platform::{Delivery, Deps, Module, Store, time::SeededEntropy};
use merx_sql::{Db, DbOptions, Query as _, Tx, params};
use merx_testkit::{Answer, START, TestApi};
use mysql::prelude::Queryable as _;
use serde_json::{Value, json};

use crate::neighbours::Neighbours;

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

/// A case that makes its own platform, under paused time.
pub fn on_platform<F, R>(name: &str, case: F) -> Trial
where
    F: Fn() -> R + Send + 'static,
    R: Future<Output = ()> + 'static,
{
    Trial::test(name, move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        runtime.block_on(case());
        Ok(())
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
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
    on_tables(name, usize::MAX, case)
}

/// As [`on_every_mode`], over the tables as they were before carts remembered prices; [`Bench::migrate`] makes the rest.
pub fn on_old_tables<F, R>(name: &str, case: F) -> Vec<Trial>
where
    F: Fn(Arc<Bench>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    on_tables(name, 1, case)
}

fn on_tables<F, R>(name: &str, tables: usize, case: F) -> Vec<Trial>
where
    F: Fn(Arc<Bench>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let trial = |mode, server| trial(name, mode, server, tables, case.clone());
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

fn trial<F, R>(name: &str, mode: Mode, server: Option<String>, tables: usize, case: F) -> Trial
where
    F: Fn(Arc<Bench>) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    Trial::test(format!("{name} [{mode:?}]"), move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let bench = Arc::new(Bench::new(mode, server, tables).await);
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
        let name = format!("merx_cart_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
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
    pub neighbours: Neighbours,
    store: Store,
    api: TestApi,
    _folder: Option<tempfile::TempDir>,
    _database: Option<OwnDatabase>,
}

impl Bench {
    async fn new(mode: Mode, server: Option<String>, tables: usize) -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(START.as_millis())));
        let store = Store::new("cart");
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
        let first = migrations().into_iter().take(tables).collect();
        Module::new(store.clone(), first).migrate(&db).await.unwrap();
        let mut deps = Deps::new(db, clock.clone(), Arc::new(SeededEntropy::new(7)));
        let neighbours = Neighbours::default();
        neighbours.wire(&mut deps);
        let state = State::new(&deps, Settings::default()).unwrap();
        let signer = merx_testkit::signer();
        let routes = merx_cart::module(&state).routes;
        assert_eq!(merx_http::Route::check(&routes), Vec::<String>::new());
        let router = merx_testkit::router(&deps, routes, &signer);
        let api = TestApi::new(router, signer, deps.clock.clone());
        Self { deps, clock, state, neighbours, store, api, _folder: folder, _database: database }
    }

    /// Brings the tables up to date.
    pub async fn migrate(&self) {
        Module::new(self.store.clone(), migrations()).migrate(&self.deps.db).await.unwrap();
    }

    /// Somebody who buys; a guest or a member.
    pub fn buyer(&self, account: AccountId, role: Role) -> Buyer {
        Buyer(self.api.as_account(account, role))
    }

    /// Hands a fact to the subscriptions that want it, twice: what a redelivery does.
    pub async fn hand_over(&self, fact: &impl Fact) {
        let envelope = Envelope::new(self.deps.ids.next(), self.deps.now(), None, fact).unwrap();
        for tries in 0..2 {
            self.deliver(&envelope, tries).await.unwrap();
        }
    }

    /// Hands one message over once.
    pub async fn deliver(&self, envelope: &Envelope, tries: i64) -> Result<()> {
        let module = merx_cart::module(&self.state).module;
        for subscription in module.subscriptions.iter().filter(|s| s.types.contains(&envelope.kind.as_str()))
        {
            let (store, at) = (self.store.clone(), self.deps.now());
            let delivery = Delivery::new(envelope.clone(), subscription.name, store, tries, at);
            subscription.handler.handle(delivery).await?;
        }
        Ok(())
    }

    /// How many rows each table of carts has: lines, carts, notices.
    pub async fn rows(&self) -> [i64; 3] {
        let read = |q: &mut merx_sql::Reader<'_>| {
            let mut count = |sql: &str| q.query_one(sql, params![], |row| row.get(0));
            Ok([
                count("SELECT COUNT(*) FROM cart_lines")?,
                count("SELECT COUNT(*) FROM cart_carts")?,
                count("SELECT COUNT(*) FROM cart_notices")?,
            ])
        };
        self.deps.db.read("test", read).await.unwrap()
    }

    /// The guard counts agree with the lines.
    pub async fn check_counts(&self) {
        let sql = "SELECT COUNT(*) FROM cart_carts c WHERE c.line_count <>
                   (SELECT COUNT(*) FROM cart_lines l WHERE l.cart = c.cart)";
        let read = move |q: &mut merx_sql::Reader<'_>| q.query_one(sql, params![], |row| row.get::<i64>(0));
        assert_eq!(self.deps.db.read("test", read).await.unwrap(), 0, "a count is wrong");
    }
}

/// Somebody's view of a cart.
#[derive(Clone)]
pub struct Buyer(TestApi);

impl Buyer {
    pub async fn put(&self, sku: &str, quantity: i64) -> Answer {
        self.0.put(&format!("/v1/cart/lines/{sku}"), json!({"quantity": quantity})).await
    }
    pub async fn fill(&self, lines: &[(&str, i64)]) {
        for (sku, quantity) in lines {
            drop(self.put(sku, *quantity).await.expect(204));
        }
    }
    pub async fn delete(&self, path: &str) {
        drop(self.0.send(Method::DELETE, path, None, None).await.expect(204));
    }
    pub async fn cart(&self) -> Value {
        self.0.get("/v1/cart").await.expect(200).body
    }
    /// SKU and quantity of each line.
    pub async fn lines(&self) -> Vec<(String, i64)> {
        let cart = self.cart().await;
        let line = |l: &Value| (l["sku"].as_str().unwrap().to_owned(), l["quantity"].as_i64().unwrap());
        cart["lines"].as_array().unwrap().iter().map(line).collect()
    }
}

/// How long a transaction is held open, at most: until the other has ended, or waits for it.
const HELD_OPEN: Duration = Duration::from_millis(250);

/// Runs `first` and, while its transaction is still open on another connection, `second`.
pub async fn while_open<T>(
    bench: &Bench,
    first: impl Fn(&mut Tx<'_>) -> Result<()> + Send + 'static,
    second: impl Future<Output = T>,
) -> (Result<()>, T) {
    let (inside, entered) = mpsc::channel();
    let (ended, end) = mpsc::channel::<()>();
    let (inside, end) = (Mutex::new(inside), Mutex::new(end));
    let db = bench.deps.db.clone();
    let one = bench.deps.tasks.spawn("first", async move {
        let held_open = move |tx: &mut Tx<'_>| {
            first(tx)?;
            inside.lock().unwrap().send(()).ok();
            end.lock().unwrap().recv_timeout(HELD_OPEN).ok();
            Ok(())
        };
        db.write("first", held_open).await
    });
    tokio::task::spawn_blocking(move || entered.recv()).await.unwrap().ok();
    let other = second.await;
    ended.send(()).ok();
    (one.await.unwrap(), other)
}
