//! A whole shop and an Alipay beside it in one process, without a network: people with carts in front of the public
//! API, a cashier, a warehouse. What is signed is signed with the keys beside this file, so that on a virtual clock
//! everything is a function of the seed.

mod alipay;
mod buyer;
mod people;
mod staff;

use std::{path::Path, sync::Arc, thread, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use merx_accounts::audit::Found;
use merx_alipay_sandbox::{Armed, Entry, EntryKind, Fault, Sandbox};
use merx_catalogue::domain::{Content, LocalText, SkuSpec};
use merx_contracts::ids::Sku;
use merx_http::outbound::{OutboundAnswer, OutboundFailure, OutboundRequest};
use merx_inventory::commands::{StockReceipt, receive_stock};
use merx_kernel::{BoundedText, Clock, Currency, Entropy as _, Error, Money, Role, Secret};
use merx_notification::{
    NotificationConfig, Ways,
    transport::{Letter, MemoryMailbox},
};
use merx_payment::provider::InProcess;
use merx_platform::{
    Deps,
    objects::MemoryStore,
    time::{OsEntropy, SeededEntropy, SystemClock},
};
use merx_server::shop::{self, Running, Settings, Shop, Topology, provider_entries};
use merx_sql::{Db, DbOptions, FaultPoint, Faults, Query as _, params};
use merx_testkit::{TOKEN_SEED, TestApi, Trace, generous_limits, request, seeded_deps, signer};

pub use alipay::Line;
pub use buyer::{Attempt, Buyer, Order, story};
pub use people::{PASSWORD, email};

/// Costs 168.00 yuan; ten are in stock.
pub const TEA: &str = "TEA-100";
/// Costs 39.00 yuan; three are in stock.
pub const CUP: &str = "CUP-1";

/// The value, or what went wrong in full.
pub trait Told<T> {
    /// The value.
    fn told(self) -> T;
}
impl<T> Told<T> for Result<T, Error> {
    #[track_caller]
    fn told(self) -> T {
        self.unwrap_or_else(|e| panic!("{}", e.chain()))
    }
}

/// There are no partners in these worlds: a webhook would be a surprise.
struct Nowhere;

#[async_trait::async_trait]
impl merx_http::outbound::Outbound for Nowhere {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundAnswer, OutboundFailure> {
        panic!("nobody was to be told: {request:?}")
    }
}

/// What a world stands on.
pub struct Ground {
    /// What the contexts are given.
    pub deps: Deps,
    /// The database of Alipay.
    pub sandbox_db: Db,
    /// Hears of every commit.
    pub trace: Arc<Trace>,
    /// Whether waiting costs nothing.
    pub is_virtual: bool,
}

impl Ground {
    /// Databases in memory and a virtual clock: for `#[tokio::test(start_paused = true)]`. Between two transactions of
    /// a task nobody else comes in.
    pub fn virtual_time(seed: u64) -> Self {
        Self::virtual_with(seed, None)
    }
    /// As [`Self::virtual_time`]; between any two transactions of a task others come in, as the seed has it.
    pub fn interleaved(seed: u64) -> Self {
        Self::virtual_with(seed, Some(Arc::new(Turns(SeededEntropy::new(!seed)))))
    }
    fn virtual_with(seed: u64, faults: Option<Arc<dyn Faults>>) -> Self {
        let (deps, trace) = seeded_deps(shop::CONTEXTS, seed, faults);
        let mut options = DbOptions::new(deps.clock.clone());
        options.observer = Some(trace.clone());
        Self { sandbox_db: Db::inline(options, &[]).told(), deps, trace, is_virtual: true }
    }
    /// A database file in `dir`, as a shop has it, and the clock of the machine.
    pub fn on_disk(dir: &Path) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let open = |name: &str, tables: &[_]| {
            let url = format!("sqlite:{}", dir.join(name).display());
            Db::open(&url, DbOptions::new(clock.clone()), tables).told()
        };
        let (db, sandbox_db) = (open("merx.db", &shop::sequenced()), open("alipay-sandbox.db", &[]));
        let deps = Deps::new(db, clock.clone(), Arc::new(OsEntropy));
        Self { deps, sandbox_db, trace: Arc::default(), is_virtual: false }
    }
}

/// Who comes when: most often the next at once, now and then everybody else for a while.
struct Turns(SeededEntropy);

impl Faults for Turns {
    fn strikes(&self, _: FaultPoint, _: &[&'static str]) -> bool {
        false
    }
    fn turns(&self, _: &'static str) -> u32 {
        let mut bytes = [0; 2];
        self.0.fill(&mut bytes);
        match bytes[0] % 8 {
            0..4 => 0,
            4..7 => u32::from(bytes[1] % 4),
            _ => u32::from(bytes[1] % 40),
        }
    }
}

/// A shop at work, and Alipay.
pub struct World {
    /// The shop.
    pub shop: Shop,
    /// The shop at work.
    pub running: Running,
    /// Alipay.
    pub sandbox: Sandbox,
    /// What Alipay serves.
    pub pages: Router,
    /// The way from Alipay to the shop.
    pub line: Arc<Line>,
    /// What the shop mails.
    mails: MemoryMailbox,
    /// What happened, in order.
    pub trace: Arc<Trace>,
    /// The public API with nobody logged in.
    pub api: TestApi,
    /// What it had mailed before it was started again.
    mails_before: Vec<Letter>,
    sandbox_db: Db,
    is_virtual: bool,
    finished: bool,
}

impl World {
    /// A shop on a virtual clock.
    pub async fn new() -> Self {
        Self::seeded(1, Topology::Local).await
    }
    /// As [`Self::new`], where tasks come in between each other's transactions.
    pub async fn interleaved(seed: u64) -> Self {
        Self::on(Ground::interleaved(seed), Topology::Local, |_| {}).await
    }
    /// A shop on a virtual clock whose run is a function of `seed`.
    pub async fn seeded(seed: u64, topology: Topology) -> Self {
        Self::on(Ground::virtual_time(seed), topology, |_| {}).await
    }
    /// A shop on `ground`, with what `tune` makes of the settings.
    pub async fn on(ground: Ground, topology: Topology, tune: impl FnOnce(&mut Settings)) -> Self {
        let clock = ground.deps.clock.clone();
        let api = |router: Router| TestApi::new(router, signer(), clock);
        let world = Self::open(ground, topology, tune, api).await;
        world.sell(TEA, 16_800, 180, 10).await;
        world.sell(CUP, 3_900, 250, 3).await;
        world
    }

    async fn open(
        ground: Ground,
        topology: Topology,
        tune: impl FnOnce(&mut Settings),
        api: impl FnOnce(Router) -> TestApi,
    ) -> Self {
        let Ground { deps, sandbox_db, trace, is_virtual } = ground;
        let line = Arc::new(Line::default());
        let (pages, sandbox) = alipay::sandbox(&deps, sandbox_db.clone(), line.clone()).await;
        let mails = MemoryMailbox::default();
        let mut settings = Settings {
            limits: generous_limits(),
            trusted_proxies: Vec::new(),
            ordering: merx_ordering::Settings::default(),
            payment: alipay::payment_config(),
            accounts: many_from_one_network(),
            cart: merx_cart::Settings::default(),
            catalogue: merx_catalogue::Settings {
                currency: Currency::CNY,
                objects: Arc::new(MemoryStore::default()),
            },
            notification: NotificationConfig::default(),
            ways: Ways { mail: Some(Arc::new(mails.clone())), web: Arc::new(Nowhere) },
            signing_key: Secret::new(TOKEN_SEED.to_vec()),
            code_key: Secret::new(TOKEN_SEED.to_vec()),
            erasures: None,
            outbound: Arc::new(InProcess(pages.clone())),
            topology,
        };
        tune(&mut settings);
        let shop = Shop::wire(deps, settings).told();
        shop.migrate().await.told();
        let running = shop.start().await.told();
        line.to(Some(running.router.clone()));
        let api = api(running.router.clone()).traced(trace.clone());
        Self {
            shop,
            running,
            sandbox,
            pages,
            line,
            mails,
            trace,
            api,
            mails_before: Vec::new(),
            sandbox_db,
            is_virtual,
            finished: false,
        }
    }

    /// Stops the shop and Alipay in order and starts them on what they have kept. Between the two, `meanwhile` is
    /// done to the database.
    pub async fn restarted(self, meanwhile: &'static [&'static str]) -> Self {
        self.rested(Duration::ZERO, meanwhile).await
    }
    /// As [`Self::restarted`]; between the two so much time passes. With nobody at work days cost nothing.
    pub async fn rested(mut self, span: Duration, meanwhile: &'static [&'static str]) -> Self {
        self.finished = true;
        let old = &self.shop.deps;
        old.tasks.shutdown(Duration::from_secs(60)).await.told();
        let write = move |tx: &mut merx_sql::Tx<'_>| {
            meanwhile.iter().try_for_each(|sql| tx.execute(sql, params![]).map(drop))
        };
        old.db.write("test.meanwhile", write).await.told();
        self.pass(span).await;
        let ground = Ground {
            deps: Deps::new(old.db.clone(), old.clock.clone(), old.entropy.clone()),
            sandbox_db: self.sandbox_db.clone(),
            trace: self.trace.clone(),
            is_virtual: self.is_virtual,
        };
        let mut world = Self::open(ground, Topology::Local, |_| {}, |router| self.api.before(router)).await;
        world.mails_before = self.every_mail();
        world
    }

    /// Puts a product with one SKU on sale and `units` of it into the warehouse.
    pub async fn sell(&self, sku: &str, price_minor: i64, weight_grams: u32, units: i64) {
        self.sell_limited(sku, price_minor, weight_grams, units, None).await;
    }
    /// As [`Self::sell`], but one buyer may ever have `limit` of it.
    pub async fn sell_limited(
        &self,
        sku: &str,
        price_minor: i64,
        weight_grams: u32,
        units: i64,
        limit: Option<u32>,
    ) {
        let sku = Sku::new(sku).unwrap();
        let price = Money::new(price_minor, Currency::CNY);
        let spec = SkuSpec {
            sku: sku.clone(),
            choices: Vec::new(),
            price: Some(price),
            weight_grams,
            limit_per_order: None,
            limit_per_buyer: limit,
        };
        let content = Content {
            title: local(sku.as_str()),
            description: Some(local("As it says.")),
            category_id: None,
            brand_id: None,
            attributes: Default::default(),
            options: Vec::new(),
            skus: vec![spec],
        };
        let id = self.shop.deps.ids.next();
        merx_catalogue::commands::create_product(&self.shop.catalogue, id, content).await.told();
        let entry = self.shop.deps.ids.next();
        let receipt = StockReceipt { entry, sku, quantity: units, reason: None };
        receive_stock(&self.shop.inventory, receipt).await.told();
    }

    /// Lets time pass; what falls due in it happens.
    pub async fn pass(&self, span: Duration) {
        assert!(self.is_virtual, "no test waits for the clock on the wall");
        self.shop.deps.clock.sleep(span).await;
    }
    /// Waits until nothing is left to do at this moment in the shop; on a virtual clock, at Alipay neither.
    pub async fn settle(&self) {
        for _ in 0..2 {
            if self.is_virtual {
                // It passes when everybody waits: Alipay has sent what it had to send.
                self.pass(Duration::from_millis(10)).await;
            }
            self.running.background.settled().await.told();
        }
    }

    /// Arms a switch of Alipay.
    pub fn arm(&self, fault: Fault, times: u32) {
        self.sandbox.arm(Armed { fault, times }).told();
    }
    /// Alipay's own account of money.
    pub async fn ledger(&self) -> Vec<Entry> {
        self.sandbox.ledger().await.told()
    }
    /// Captures and refunds at Alipay, in minor units, in order.
    pub async fn moved(&self) -> Vec<(EntryKind, i64)> {
        self.ledger().await.iter().map(|entry| (entry.kind, entry.amount.minor)).collect()
    }
    /// The status of a trade, as Alipay shows it; `None` before the buyer has logged in.
    pub async fn trade(&self, attempt: &Attempt) -> Option<String> {
        let ask = Request::get(format!("/trades/{}", attempt.number)).body(Body::empty()).unwrap();
        let answer = request(&self.pages, ask).await;
        (answer.status != StatusCode::NOT_FOUND).then(|| answer.expect(200).text_at("/trade/trade_status"))
    }
    /// Units available, reserved, sold and not come back.
    pub async fn stock(&self, sku: &str) -> [i64; 3] {
        let view = self.staff(Role::Warehouse).await.get(&format!("/v1/inventory/{sku}")).await.expect(200);
        let [available, reserved, sold, returned] =
            ["available", "reserved", "sold", "returned"].map(|figure| view.body[figure].as_i64().unwrap());
        [available, reserved, sold - returned]
    }
    /// The kinds of the alerts that were raised, oldest first.
    pub async fn alerts(&self) -> Vec<String> {
        let read = "SELECT kind FROM payment_alerts ORDER BY alert_id";
        let db = &self.shop.deps.db;
        db.read("test.alerts", move |q| q.query(read, params![], |row| row.get(0))).await.told()
    }
    /// The one figure a query answers.
    pub async fn count(&self, sql: &str) -> i64 {
        let (db, sql) = (&self.shop.deps.db, sql.to_owned());
        db.read("test.count", move |q| q.query_one(&sql, params![], |row| row.get(0))).await.told()
    }

    /// The tables and columns in which one of the words is written, wherever it is.
    pub async fn rows_with(&self, words: Vec<String>) -> Vec<String> {
        let columns = "SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table'";
        let read = move |q: &mut merx_sql::Reader<'_>| {
            let columns: Vec<(String, String)> =
                q.query(columns, params![], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mut found = Vec::new();
            for (table, column) in columns {
                for word in &words {
                    let sql =
                        format!("SELECT COUNT(*) FROM {table} WHERE instr(CAST({column} AS TEXT), ?) > 0");
                    if q.query_one(&sql, params![word.as_str()], |row| row.get::<i64>(0))? > 0 {
                        found.push(format!("{table}.{column}: {word}"));
                    }
                }
            }
            Ok(found)
        };
        self.shop.deps.db.read("test.rows", read).await.told()
    }

    /// Ends a test that went behind the shop's back: nobody looks at its books.
    pub async fn abandon(mut self) {
        self.finished = true;
        self.shop.deps.tasks.shutdown(Duration::from_secs(60)).await.told();
    }
    /// Ends the test: nothing is left to do, the books agree with Alipay's, nobody was alarmed.
    pub async fn finish(self) {
        self.finish_alarmed(&[]).await;
    }
    /// As [`Self::finish`], but exactly these alerts were raised.
    pub async fn finish_alarmed(self, alerts: &[&str]) {
        self.settle().await;
        assert_eq!(self.alerts().await, alerts);
        self.finish_whatever_alarmed().await;
    }
    /// As [`Self::finish`], but alerts may have been raised, and are settled.
    pub async fn finish_whatever_alarmed(mut self) {
        self.finished = true;
        self.settle().await;
        let settled = self.running.background.settled().await.told();
        assert_eq!((settled.waiting, settled.dead), (0, 0), "messages are left over: {settled:?}");
        // How far everybody has read is written down now and then; a finished test knows it at once.
        self.running.background.bus.checkpoint().await.told();
        let ledger = provider_entries(self.ledger().await);
        let report = self.shop.audit(Some(ledger), true).run().await.told();
        assert!(report.is_clean(), "{}", report.to_text());
        let found = merx_accounts::audit::verify(&self.shop.deps.db, None, |_, _| {}).await.told();
        assert!(matches!(found, Found::Whole(_)), "what staff did is not as it was written down: {found:?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.line.to(None);
        assert!(self.finished || thread::panicking(), "a test must end with `finish().await`");
    }
}

fn local<const MAX: usize>(text: &str) -> LocalText<MAX> {
    LocalText { zh: BoundedText::new(text).unwrap(), en: BoundedText::new(text).unwrap() }
}

/// Everybody in these worlds comes from the same network.
fn many_from_one_network() -> merx_accounts::Settings {
    merx_accounts::Settings {
        logins_per_minute_max: 1_000_000,
        login_burst_max: 1_000_000,
        guests_per_minute_max: 1_000_000,
        guest_burst_max: 1_000_000,
        ..merx_accounts::Settings::default()
    }
}
