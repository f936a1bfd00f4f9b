//! A whole shop and an Alipay beside it in one process, without a network: people with carts in front of the public
//! API, a cashier, a warehouse. What is signed is signed with the keys beside this file, so that on a virtual clock
//! everything is a function of the seed.

mod alipay;
mod buyer;
mod door;
mod ground;
mod latest;
mod outside;
mod people;
mod staff;
mod tables;
mod touched;
mod trouble;
mod up;

use std::{sync::Arc, thread, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use merx_accounts::{PasswordWork, audit::Found};
use merx_alipay_sandbox::{Armed, Entry, EntryKind, Fault, Sandbox};
use merx_catalogue::domain::{Content, LocalText, SkuSpec};
use merx_contracts::ids::Sku;
use merx_inventory::commands::{StockReceipt, receive_stock};
use merx_kernel::{BoundedText, Clock, Currency, Error, Money, Role, Secret, Timestamp};
use merx_notification::{
    NotificationConfig, Ways,
    transport::{Letter, MemoryMailbox},
};
use merx_payment::provider::InProcess;
use merx_platform::{Deps, Tasks, objects::MemoryStore};
use merx_server::shop::{Running, Settings, Shop, Topology, provider_entries};
use merx_sql::{Db, Query as _, params};
use merx_testkit::{Answer, TOKEN_SEED, TestApi, Trace, generous_limits, request, signer};

use crate::faults::Injector;

pub use alipay::Line;
pub use buyer::{Attempt, Buyer, Order, story};
pub use door::Door;
pub use ground::{Ground, ShopClock};
pub use latest::Latest;
pub use outside::{Partners, Told as Heard};
pub use people::{PASSWORD, email};
pub use touched::Touched;

use up::Up;

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

/// A shop at work, and Alipay.
pub struct World {
    /// The shop; after a restart the new one.
    pub shop: Latest<Shop>,
    /// The shop at work.
    pub running: Latest<Running>,
    /// Where everybody comes in, whatever process is behind it.
    pub door: Door,
    /// Alipay.
    pub sandbox: Sandbox,
    /// What Alipay serves.
    pub pages: Router,
    /// The way from Alipay to the shop.
    pub line: Arc<Line>,
    /// Whoever is told by webhooks.
    pub partners: Partners,
    /// What happened, in order.
    pub trace: Arc<Trace>,
    /// The public API with nobody logged in. It survives restarts.
    pub api: TestApi,
    /// What goes wrong.
    pub faults: Arc<Injector>,
    /// What the shop mails.
    mails: MemoryMailbox,
    /// What it had mailed before it was started again.
    mails_before: Vec<Letter>,
    settings: Settings,
    sandbox_db: Db,
    /// What Alipay does goes on when the shop dies.
    sandbox_tasks: Tasks,
    steady: Arc<dyn Clock>,
    shop_clock: Arc<ShopClock>,
    /// Whether a process is behind the door.
    up: Up,
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
        let Ground { deps, sandbox_db, trace, is_virtual, steady, shop_clock, faults } = ground;
        let (line, door, partners) = (Arc::new(Line::default()), Door::default(), Partners::default());
        let beside = alipay::sandbox(&deps, steady.clone(), sandbox_db.clone(), line.clone()).await;
        let mails = MemoryMailbox::default();
        let post = outside::Post { mails: mails.clone(), clock: steady.clone(), faults: faults.clone() };
        let web = outside::ToPartners { partners: partners.clone(), faults: faults.clone() };
        let pages = InProcess(beside.pages.clone());
        let mut settings = settings(
            Ways { mail: Some(Arc::new(post)), web: Arc::new(web) },
            Arc::new(outside::ToAlipay { pages, tasks: beside.tasks.clone() }),
            topology,
        );
        tune(&mut settings);
        let shop = Shop::wire(deps, settings.clone()).told();
        shop.migrate().await.told();
        let running = shop.start().await.told();
        door.open(running.router.clone());
        line.to(Some(door.router()));
        let api = api(door.router()).traced(trace.clone());
        Self {
            shop: Latest::new(shop),
            running: Latest::new(running),
            door,
            sandbox: beside.sandbox,
            pages: beside.pages,
            line,
            partners,
            trace,
            api,
            faults,
            mails,
            mails_before: Vec::new(),
            settings,
            sandbox_db,
            sandbox_tasks: beside.tasks,
            steady,
            shop_clock,
            up: Up::new(true),
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
        self.sandbox_tasks.shutdown(Duration::from_secs(60)).await.told();
        let write = move |tx: &mut merx_sql::Tx<'_>| {
            meanwhile.iter().try_for_each(|sql| tx.execute(sql, params![]).map(drop))
        };
        old.db.write("test.meanwhile", write).await.told();
        self.pass(span).await;
        let ground = Ground {
            deps: self.fresh_deps(),
            sandbox_db: self.sandbox_db.clone(),
            trace: self.trace.clone(),
            is_virtual: self.is_virtual,
            steady: self.steady.clone(),
            shop_clock: self.shop_clock.clone(),
            faults: self.faults.clone(),
        };
        let mut world = Self::open(ground, Topology::Local, |_| {}, |router| self.api.before(router)).await;
        world.mails_before = self.every_mail();
        world.door.inherit(&self.door);
        world
    }

    /// What the contexts of a new process are given, on what the old one has kept.
    fn fresh_deps(&self) -> Deps {
        let old = &self.shop.deps;
        let deps = Deps::new(old.db.clone(), old.clock.clone(), old.entropy.clone());
        Deps { faults: old.faults.clone(), ..deps }
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

    /// Sends any request through the door; `None` when the connection was lost, because the process died meanwhile or
    /// nobody was there.
    pub async fn knock(&self, asked: Request<Body>) -> Option<Answer> {
        Some(request(self.api.router(), asked).await).filter(|answer| !answer.is_lost())
    }
    /// What time it is for everybody but the shop, whose clock may be wrong.
    pub fn time(&self) -> Timestamp {
        self.steady.now()
    }
    /// Lets time pass; what falls due in it happens.
    pub async fn pass(&self, span: Duration) {
        assert!(self.is_virtual, "no test waits for the clock on the wall");
        self.steady.sleep(span).await;
    }
    /// Waits until nothing is left to do at this moment in the shop; on a virtual clock, at Alipay neither. While the
    /// shop is down, until it is there again.
    pub async fn settle(&self) {
        for _ in 0..2 {
            if self.is_virtual {
                // It passes when everybody waits: Alipay has sent what it had to send.
                self.pass(Duration::from_millis(10)).await;
            }
            self.settled().await;
        }
    }

    /// Arms a switch of Alipay.
    pub fn arm(&self, fault: Fault, times: u32) {
        self.try_arm(fault, times).told();
    }
    /// As [`Self::arm`]; Alipay has only so many switches.
    ///
    /// # Errors
    /// All of them are armed.
    pub fn try_arm(&self, fault: Fault, times: u32) -> Result<(), Error> {
        let point = trouble::provider_point(fault.name());
        // Money that is taken after the end, and of which only a wrong notification ever tells, is found by the
        // reconciliation of the next day. No run waits for that.
        let is_late = matches!(fault, Fault::PayAfterClose { .. } | Fault::PayAfterExpiry);
        if is_late && self.faults.plan().active.contains("provider.wrong_notification") {
            return Ok(());
        }
        self.sandbox.arm(Armed { fault, times })?;
        if let Some(point) = point {
            // What is not used up in the end is taken back.
            self.faults.note(point, u64::from(times));
        }
        Ok(())
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
        self.sandbox_tasks.shutdown(Duration::from_secs(60)).await.told();
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
        let mut audit = self.shop.audit(Some(ledger), true);
        audit.acknowledged = self.door.acknowledged();
        let report = audit.run().await.told();
        assert!(report.is_clean(), "{}", report.to_text());
        let found = merx_accounts::audit::verify(&self.shop.deps.db, None, |_, _| {}).await.told();
        assert!(matches!(found, Found::Whole(_)), "what staff did is not as it was written down: {found:?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.line.to(None);
        self.door.slam();
        assert!(self.finished || thread::panicking(), "a test must end with `finish().await`");
    }
}

fn local<const MAX: usize>(text: &str) -> LocalText<MAX> {
    LocalText { zh: BoundedText::new(text).unwrap(), en: BoundedText::new(text).unwrap() }
}

/// The settings of every world.
fn settings(ways: Ways, outbound: Arc<dyn merx_payment::provider::Outbound>, topology: Topology) -> Settings {
    Settings {
        limits: generous_limits(),
        trusted_proxies: Vec::new(),
        ordering: merx_ordering::Settings::default(),
        aftersale: merx_aftersale::Policy::default(),
        payment: alipay::payment_config(),
        accounts: many_from_one_network(),
        cart: merx_cart::Settings::default(),
        catalogue: merx_catalogue::Settings {
            currency: Currency::CNY,
            objects: Arc::new(MemoryStore::default()),
        },
        notification: NotificationConfig::default(),
        ways,
        signing_key: Secret::new(TOKEN_SEED.to_vec()),
        code_key: Secret::new(TOKEN_SEED.to_vec()),
        erasures: None,
        outbound,
        topology,
    }
}

/// Everybody in these worlds comes from the same network.
fn many_from_one_network() -> merx_accounts::Settings {
    merx_accounts::Settings {
        logins_per_minute_max: 1_000_000,
        login_burst_max: 1_000_000,
        guests_per_minute_max: 1_000_000,
        guest_burst_max: 1_000_000,
        password_work: PasswordWork::LEAST,
        ..merx_accounts::Settings::default()
    }
}
