//! What a test stands in: a database in one of the three modes, a clock moved by hand, seeded randomness, and the
//! check that every case ends with.

use std::{collections::BTreeMap, future::Future, sync::Arc};

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
use merx_kernel::{Id, Result};
use merx_platform::{Deps, Module, Store, time::SeededEntropy};
use merx_sql::{Db, DbOptions, Query, params};
pub use merx_testkit::START;
use merx_testkit::modes::{self, HandClock, Place};
use serde_json::Value;

use crate::decide::{lines, sku};

pub const MAIN: WarehouseId = WarehouseId::from_bits(1);
pub const SOUTH: WarehouseId = WarehouseId::from_bits(2);
pub const NORTH: WarehouseId = WarehouseId::from_bits(3);
pub const STAFF: AccountId = AccountId::from_bits(77);

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
    modes::on_every_mode(name, "inventory", move |place| {
        let case = case.clone();
        async move {
            let bench = Arc::new(Bench::at(steps, place).await);
            case(bench.clone()).await;
            bench.check().await;
            bench.deps.db.close().await;
        }
    })
}

pub struct Bench {
    pub deps: Deps,
    pub clock: Arc<HandClock>,
    pub state: State,
    pub store: Store,
    place: Place,
}

impl Bench {
    pub async fn new(place: Place) -> Self {
        Self::at(usize::MAX, place).await
    }

    async fn at(steps: usize, place: Place) -> Self {
        let clock = HandClock::at_start();
        let store = Store::new("inventory");
        let db = Db::open(place.url(), DbOptions::new(clock.clone()), &store.sequenced_tables()).unwrap();
        let applied = migrations().into_iter().take(steps).collect();
        Module::new(store.clone(), applied).migrate(&db).await.unwrap();
        let deps = Deps::new(db, clock.clone(), Arc::new(SeededEntropy::new(7)));
        let state = State::new(&deps);
        Self { deps, clock, state, store, place }
    }

    pub fn db(&self) -> &Db {
        &self.deps.db
    }

    /// The database's name in reports.
    pub fn engine(&self) -> &'static str {
        self.place.engine()
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
        commands::take_back(&self.state, Id::from_bits(ret), rsv(id), (wanted, false), "test".to_owned())
            .await
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
