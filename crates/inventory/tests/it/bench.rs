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
use merx_contracts::ids::AccountId;
use merx_contracts::ids::{ReservationId, Sku, WarehouseId};
use merx_http::IfMatch;
use merx_inventory::{
    State,
    commands::{
        self, Act, StockReceipt,
        keep_warehouses::open_warehouse,
        set_threshold::{SetThreshold, set_threshold},
    },
    domain::StockLevel,
    migrations, projection,
    store::{self, Warehouse},
};
use merx_kernel::{Clock, Id, Result, Timestamp, clock::BoxFuture};
use merx_platform::{Deps, Module, Store, time::SeededEntropy};
use merx_sql::{Db, DbOptions, Query, params};
use mysql::prelude::Queryable as _;
use serde_json::Value;

use crate::decide::{lines, sku};

pub const START: Timestamp = Timestamp::from_millis(1_795_132_800_000);
pub const MAIN: WarehouseId = WarehouseId::from_bits(1);
pub const SOUTH: WarehouseId = WarehouseId::from_bits(2);
pub const NORTH: WarehouseId = WarehouseId::from_bits(3);
pub const STAFF: AccountId = AccountId::from_bits(77);

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
    on_every_mode_at(name, usize::MAX, case)
}

/// The same on a database to which only the first `steps` migrations of the context were applied.
pub fn on_every_mode_at<F, R>(name: &str, steps: usize, case: F) -> Vec<Trial>
where
    F: Fn(Arc<Bench>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let trial = |name: &str, mode, server, case| trial(name, steps, mode, server, case);
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

fn trial<F, R>(name: &str, steps: usize, mode: Mode, server: Option<String>, case: F) -> Trial
where
    F: Fn(Arc<Bench>) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    Trial::test(format!("{name} [{mode:?}]"), move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let bench = Arc::new(Bench::at(steps, mode, server).await);
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
        Self::at(usize::MAX, mode, server).await
    }

    async fn at(steps: usize, mode: Mode, server: Option<String>) -> Self {
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
        let applied = migrations().into_iter().take(steps).collect();
        Module::new(store.clone(), applied).migrate(&db).await.unwrap();
        let deps = Deps::new(db, clock.clone(), Arc::new(SeededEntropy::new(7)));
        let state = State::new(&deps);
        Self { deps, clock, state, store, _folder: folder, _database: database }
    }

    pub fn db(&self) -> &Db {
        &self.deps.db
    }

    /// The database's name in reports.
    pub fn engine(&self) -> &'static str {
        match (&self._database, &self._folder) {
            (Some(_), _) => "MariaDB",
            (None, Some(_)) => "SQLite file",
            (None, None) => "SQLite in memory",
        }
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
        commands::sell(&self.state, rsv(id)).await.map(drop)
    }
    pub async fn take_back(&self, ret: u128, id: u128, wanted: &[(&str, i64)]) -> Result<()> {
        let wanted = if wanted.is_empty() { None } else { Some(lines(wanted)) };
        commands::take_back(&self.state, Id::from_bits(ret), rsv(id), wanted, "test".to_owned()).await
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
        let all = |q: &mut merx_sql::Reader<'_>| {
            store::stock_page(q, &store::StockFilter::default(), None, 1_000_000)
        };
        let rows = self.db().read("test", all).await.unwrap();
        rows.into_iter().map(|row| ((row.sku, row.warehouse), row.level)).collect()
    }

    /// A2, as the auditor makes sure of it: every row balances, and the ledger alone explains it. A3: the events
    /// alone make the same rows.
    pub async fn check(&self) {
        let audit = self.db().read("test", merx_auditor::check_stock).await.unwrap();
        assert!(audit.violations.is_empty(), "A2: {:#?}", audit.violations);
        for ((code, _), level) in &self.levels().await {
            assert!(level.balances(), "A2 {code}: {level:?}");
        }
        for compared in self.compare().await {
            assert!(compared.is_equal(), "A3: {compared:#?}");
        }
    }

    /// Opens another warehouse.
    pub async fn open_warehouse(&self, id: WarehouseId, code: &str, priority: i64) {
        let warehouse = Warehouse {
            id,
            code: code.to_owned(),
            name: code.to_uppercase(),
            priority,
            active: true,
            version: 1,
        };
        let act = self.staff();
        let open = move |tx: &mut merx_sql::Tx<'_>| open_warehouse(tx, &act, &warehouse).map(drop);
        self.db().write("test", open).await.unwrap();
        self.state.read_warehouses().await.unwrap();
    }

    /// Somebody of the staff, now.
    pub fn staff(&self) -> Act {
        Act::new(&self.state, Some(STAFF))
    }

    pub async fn receive_in(&self, warehouse: WarehouseId, code: &str, quantity: i64) -> Result<()> {
        let receipt = StockReceipt { entry: self.deps.ids.next(), sku: sku(code), quantity, reason: None };
        commands::enter_stock::receive_stock_in(&self.state, warehouse, receipt).await
    }

    pub async fn set_threshold(&self, warehouse: WarehouseId, code: &str, threshold: i64) {
        let code = sku(code);
        let asked = code.clone();
        let level = self.db().read("test", move |q| store::level(q, &asked, warehouse)).await.unwrap();
        let seen = IfMatch(level.unwrap_or_default().threshold_version);
        let set = SetThreshold { id: self.deps.ids.next(), sku: code, warehouse, threshold, seen };
        let act = self.staff();
        self.db().write("test", move |tx| set_threshold(tx, &act, &set).map(drop)).await.unwrap();
    }

    /// What was published of a type, in no order: the data of the facts.
    pub async fn facts(&self, kind: &'static str) -> Vec<Value> {
        let read = move |q: &mut merx_sql::Reader<'_>| {
            let sql = "SELECT envelope FROM inventory_outbox WHERE type = ?";
            q.query(sql, params![kind], |row| row.get::<String>(0))
        };
        let envelopes = self.db().read("test", read).await.unwrap();
        let data = |text: &String| serde_json::from_str::<Value>(text).unwrap()["data"].clone();
        envelopes.iter().map(data).collect()
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
