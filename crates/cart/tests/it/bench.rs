//! What a test stands in: a whole platform on a virtual clock, or a database in one of the three modes.

use std::{
    future::Future,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use http::Method;
use libtest_mimic::Trial;
use merx_cart::{Settings, State, migrations};
use merx_contracts::{Envelope, Fact, ids::AccountId};
use merx_kernel::{Result, Role};
use merx_platform::{Delivery, Deps, Module, Store, time::SeededEntropy};
use merx_sql::{Db, DbOptions, Query as _, Tx, params};
use merx_testkit::{
    Answer, TestApi,
    modes::{self, HandClock, Place},
};
use serde_json::{Value, json};

use crate::neighbours::Neighbours;

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
    modes::on_every_mode(name, "cart", move |place| {
        let case = case.clone();
        async move {
            let bench = Arc::new(Bench::new(place, tables).await);
            case(bench.clone()).await;
            bench.deps.db.close().await;
        }
    })
}

pub struct Bench {
    pub deps: Deps,
    pub clock: Arc<HandClock>,
    pub state: State,
    pub neighbours: Neighbours,
    store: Store,
    api: TestApi,
    _place: Place,
}

impl Bench {
    async fn new(place: Place, tables: usize) -> Self {
        let clock = HandClock::at_start();
        let store = Store::new("cart");
        let db = Db::open(place.url(), DbOptions::new(clock.clone()), &store.sequenced_tables()).unwrap();
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
        Self { deps, clock, state, neighbours, store, api, _place: place }
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
