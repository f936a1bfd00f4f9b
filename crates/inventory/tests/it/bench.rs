//! What a test stands in: a database in one of the three modes, a clock moved by hand, seeded randomness, and the
//! check that every case ends with.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use libtest_mimic::Trial;
use merx_contracts::ids::{ReservationId, Sku, WarehouseId};
use merx_inventory::{
    State,
    commands::{self, StockReceipt},
    domain::{MovementKind, StockLevel},
    migrations, projection, store,
};
use merx_kernel::{Clock, Id, Result, Timestamp, clock::BoxFuture};
use merx_platform::{Deps, Module, Store, time::SeededEntropy};
use merx_sql::{Db, DbOptions, Query, params};
use mysql::prelude::Queryable as _;

use crate::decide::{lines, sku};

pub const START: Timestamp = Timestamp::from_millis(1_795_132_800_000);
pub const MAIN: WarehouseId = WarehouseId::from_bits(1);

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
            bench.check().await;
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
        let name = format!("merx_inventory_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
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
    pub store: Store,
    _folder: Option<tempfile::TempDir>,
    _database: Option<OwnDatabase>,
}

impl Bench {
    pub async fn new(mode: Mode, server: Option<String>) -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(START.as_millis())));
        let store = Store::new("inventory");
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
        Module::new(store.clone(), migrations()).migrate(&db).await.unwrap();
        let deps = Deps::new(db, clock.clone(), Arc::new(SeededEntropy::new(7)));
        let state = State::new(&deps);
        Self { deps, clock, state, store, _folder: folder, _database: database }
    }

    pub fn db(&self) -> &Db {
        &self.deps.db
    }

    /// Puts units on the shelf of the first warehouse.
    pub async fn receive(&self, code: &str, quantity: i64) {
        let receipt = StockReceipt { entry: self.deps.ids.next(), sku: sku(code), quantity, reason: None };
        commands::receive_stock(&self.state, receipt).await.unwrap();
    }

    pub async fn reserve(&self, id: u128, wanted: &[(&str, i64)]) -> Result<()> {
        commands::reserve(&self.state, rsv(id), lines(wanted)).await
    }
    pub async fn release(&self, id: u128) -> Result<()> {
        commands::release(&self.state, rsv(id)).await
    }
    pub async fn sell(&self, id: u128) -> Result<()> {
        commands::sell(&self.state, rsv(id)).await
    }

    /// (available, reserved, sold) of a SKU in the first warehouse.
    pub async fn figures(&self, code: &str) -> (i64, i64, i64) {
        self.figures_in(code, MAIN).await
    }
    pub async fn figures_in(&self, code: &str, warehouse: WarehouseId) -> (i64, i64, i64) {
        let code = sku(code);
        let level = self.db().read("test", move |q| store::level(q, &code, warehouse)).await.unwrap();
        level.map_or((0, 0, 0), |l| (l.available, l.reserved, l.sold))
    }

    pub async fn levels(&self) -> BTreeMap<(Sku, WarehouseId), StockLevel> {
        let read = |q: &mut merx_sql::Reader<'_>| {
            let sql = "SELECT sku, warehouse, available, reserved, sold, received, adjusted, version
                       FROM inventory_stock";
            q.query(sql, params![], |row| {
                let level = StockLevel {
                    available: row.get(2)?,
                    reserved: row.get(3)?,
                    sold: row.get(4)?,
                    received: row.get(5)?,
                    adjusted: row.get(6)?,
                    version: row.get(7)?,
                };
                Ok(((sku(&row.get::<String>(0)?), row.get(1)?), level))
            })
        };
        self.db().read("test", read).await.unwrap().into_iter().collect()
    }

    /// A2: every row balances, and the ledger alone explains it. A3: the events alone make the same rows.
    pub async fn check(&self) {
        let levels = self.levels().await;
        let read = |q: &mut merx_sql::Reader<'_>| {
            q.query("SELECT sku, warehouse, kind, quantity FROM inventory_movements", params![], |row| {
                let kind = MovementKind::from_name(&row.get::<String>(2)?).unwrap();
                Ok(((sku(&row.get::<String>(0)?), row.get::<WarehouseId>(1)?, kind), row.get::<i64>(3)?))
            })
        };
        let mut moved: BTreeMap<(Sku, WarehouseId, MovementKind), i64> = BTreeMap::new();
        for (key, quantity) in self.db().read("test", read).await.unwrap() {
            *moved.entry(key).or_default() += quantity;
        }
        for ((code, warehouse), level) in &levels {
            assert!(level.balances(), "A2 {code}: {level:?}");
            let sum = |kind| moved.get(&(code.clone(), *warehouse, kind)).copied().unwrap_or(0);
            let [received, adjusted, reserved, released, sold] =
                [0, 1, 2, 3, 4].map(|n| sum(MovementKind::ALL[n]));
            let explained = (received + adjusted - reserved + released, reserved - released - sold, sold);
            assert_eq!((level.available, level.reserved, level.sold), explained, "ledger of {code}");
        }
        for compared in self.compare().await {
            assert!(compared.is_equal(), "A3: {compared:#?}");
        }
    }

    /// The read model beside what the events alone make.
    pub async fn compare(&self) -> Vec<merx_platform::projection::Comparison> {
        let (migrations, projections) = (migrations(), [projection()]);
        merx_platform::projection::compare(
            self.db(),
            self.clock.clone(),
            &self.store,
            &migrations,
            &projections,
        )
        .await
        .unwrap()
    }
}

pub fn rsv(id: u128) -> ReservationId {
    Id::from_bits(id)
}

/// The code of a refusal, or `ok`.
pub fn code<T>(result: Result<T>) -> String {
    result.map_or_else(|error| error.code().to_owned(), |_| "ok".to_owned())
}
