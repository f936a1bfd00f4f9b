//! A whole shop and an Alipay beside it in one process, without a network: people with carts in front of the public
//! API, a cashier, a warehouse. What is signed is signed with the keys beside this file, so that on a virtual clock
//! everything is a function of the seed.

mod buyer;

use std::{
    path::Path,
    sync::{Arc, LazyLock, Mutex, OnceLock},
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use merx_alipay::PrivateKey;
use merx_alipay_sandbox::{Armed, Config, Entry, Fault, Outbound, Reply, Sandbox};
use merx_catalogue::domain::{Content, LocalText, SkuSpec};
use merx_contracts::ids::Sku;
use merx_http::outbound::{OutboundAnswer, OutboundFailure, OutboundRequest};
use merx_inventory::commands::{StockReceipt, receive_stock};
use merx_kernel::{
    BoundedText, Clock, Currency, Error, Money, Role, Secret, clock::BoxFuture, principal::AccountId,
};
use merx_notification::{NotificationConfig, Ways, transport::MemoryMailbox};
use merx_payment::{AlipayConfig, PaymentConfig, provider::InProcess};
use merx_platform::{
    Deps,
    objects::MemoryStore,
    time::{OsEntropy, SeededEntropy, SystemClock},
};
use merx_server::shop::{self, Running, Settings, Shop, Topology, provider_entries};
use merx_sql::{Db, DbOptions, Query as _, params};
use merx_testkit::{TOKEN_SEED, TestApi, Trace, generous_limits, request, seeded_deps, signer};
use serde_json::json;

pub use buyer::{Attempt, Buyer, Order};

/// Costs 168.00 yuan; ten are in stock.
pub const TEA: &str = "TEA-100";
/// Costs 39.00 yuan; three are in stock.
pub const CUP: &str = "CUP-1";

/// The seller at Alipay.
pub const SELLER: &str = "2088000000000001";
/// The application at Alipay.
pub const APP: &str = "2021000000000001";

const GATEWAY: &str = "http://alipay.test";
const NOTIFY: &str = "http://shop.test/v1/payments/alipay/notifications";

static SHOP_KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::parse(include_str!("keys/shop.pem")).unwrap());
static ALIPAY_KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::parse(include_str!("keys/alipay.pem")).unwrap());

/// The value, or what went wrong in full.
pub trait Told<T> {
    fn told(self) -> T;
}
impl<T> Told<T> for Result<T, Error> {
    #[track_caller]
    fn told(self) -> T {
        self.unwrap_or_else(|e| panic!("{}", e.chain()))
    }
}

/// A notification as it reached the shop, and what the shop said.
#[derive(Clone, Debug)]
pub struct Notified {
    pub form: String,
    pub reply: Reply,
}

/// The way from Alipay to the shop.
#[derive(Default)]
pub struct Line {
    shop: OnceLock<Router>,
    notified: Mutex<Vec<Notified>>,
}

impl Line {
    /// Posts a form to the shop's door for notifications.
    pub async fn post(&self, form: String) -> Reply {
        let router = self.shop.get().expect("the shop is open").clone();
        let to = Request::post(NOTIFY).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = request(&router, to.body(Body::from(form)).unwrap()).await;
        Reply { status: answer.status.as_u16(), body: answer.text }
    }
    /// What reached the shop so far.
    pub fn notified(&self) -> Vec<Notified> {
        self.notified.lock().unwrap().clone()
    }
}

/// Alipay's side of the [`Line`].
struct Sender(Arc<Line>);

impl Outbound for Sender {
    fn post_form(&self, url: String, form: String) -> BoxFuture<Result<Reply, String>> {
        assert_eq!(url, NOTIFY);
        let line = self.0.clone();
        Box::pin(async move {
            let reply = line.post(form.clone()).await;
            line.notified.lock().unwrap().push(Notified { form, reply: reply.clone() });
            Ok(reply)
        })
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
    pub deps: Deps,
    pub sandbox_db: Db,
    pub trace: Arc<Trace>,
    /// Whether waiting costs nothing.
    pub is_virtual: bool,
}

impl Ground {
    /// Databases in memory and a virtual clock: for `#[tokio::test(start_paused = true)]`.
    pub fn virtual_time(seed: u64) -> Self {
        let (deps, trace) = seeded_deps(shop::CONTEXTS, seed, None);
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

/// A shop at work, and Alipay.
pub struct World {
    pub shop: Shop,
    pub running: Running,
    pub sandbox: Sandbox,
    /// What Alipay serves.
    pub pages: Router,
    pub line: Arc<Line>,
    /// What the shop has mailed.
    pub mails: MemoryMailbox,
    pub trace: Arc<Trace>,
    /// The public API with nobody logged in.
    pub api: TestApi,
    sandbox_db: Db,
    is_virtual: bool,
    finished: bool,
}

impl World {
    /// A shop on a virtual clock.
    pub async fn new() -> Self {
        Self::seeded(1, Topology::Local).await
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
        let (pages, sandbox) = sandbox(&deps, sandbox_db.clone(), line.clone()).await;
        let mails = MemoryMailbox::default();
        let mut settings = Settings {
            limits: generous_limits(),
            trusted_proxies: Vec::new(),
            ordering: merx_ordering::Settings::default(),
            payment: payment_config(),
            accounts: merx_accounts::Settings::default(),
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
        assert!(line.shop.set(running.router.clone()).is_ok());
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
            sandbox_db,
            is_virtual,
            finished: false,
        }
    }

    /// Stops the shop and Alipay in order and starts them on what they have kept. Between the two, `meanwhile` is
    /// done to the database.
    pub async fn restarted(mut self, meanwhile: &'static [&'static str]) -> Self {
        self.finished = true;
        let old = &self.shop.deps;
        old.tasks.shutdown(Duration::from_secs(60)).await.told();
        let write = move |tx: &mut merx_sql::Tx<'_>| {
            meanwhile.iter().try_for_each(|sql| tx.execute(sql, params![]).map(drop))
        };
        old.db.write("test.meanwhile", write).await.told();
        let ground = Ground {
            deps: Deps::new(old.db.clone(), old.clock.clone(), old.entropy.clone()),
            sandbox_db: self.sandbox_db.clone(),
            trace: self.trace.clone(),
            is_virtual: self.is_virtual,
        };
        Self::open(ground, Topology::Local, |_| {}, |router| self.api.before(router)).await
    }

    /// Puts a product with one SKU on sale and `units` of it into the warehouse.
    pub async fn sell(&self, sku: &str, price_minor: i64, weight_grams: u32, units: i64) {
        let sku = Sku::new(sku).unwrap();
        let price = Money::new(price_minor, Currency::CNY);
        let spec = SkuSpec {
            sku: sku.clone(),
            choices: Vec::new(),
            price: Some(price),
            weight_grams,
            limit_per_order: None,
            limit_per_buyer: None,
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

    /// Changes a price, from now on.
    pub async fn reprice(&self, sku: &str, price_minor: i64) {
        let staff = self.staff(Role::ProductManager).await;
        let price = json!({"price": {"minor": price_minor, "currency": "CNY"}, "reason": "a better harvest"});
        staff.post(&format!("/v1/admin/skus/{sku}/prices"), price).await.expect(201);
    }

    /// An account of this role, logged in. Its password is never asked for: the token is of our own making.
    pub async fn account(&self, role: Role) -> (AccountId, TestApi) {
        let accounts = self.accounts(role, 1).await;
        accounts.into_iter().next().unwrap()
    }
    /// Many accounts of one role, in one transaction.
    pub async fn accounts(&self, role: Role, count: usize) -> Vec<(AccountId, TestApi)> {
        let (deps, now) = (&self.shop.deps, self.shop.deps.now());
        let ids: Vec<AccountId> = (0..count).map(|_| deps.ids.next()).collect();
        let made = ids.clone();
        let insert = "INSERT INTO accounts_accounts (id, email, name, password_hash, roles, address_count, created_at) \
                      VALUES (?, ?, ?, ?, ?, ?, ?)";
        let write = move |tx: &mut merx_sql::Tx<'_>| {
            for id in &made {
                let email = format!("{}@shop.test", id.bare());
                let _ = tx.execute(insert, params![*id, email, "Somebody", "-", role.name(), 0, now])?;
            }
            Ok(())
        };
        deps.db.write("test.accounts", write).await.told();
        ids.into_iter().map(|id| (id, self.api.as_account(id, role))).collect()
    }
    /// Somebody who buys, with an address in Hangzhou.
    pub async fn buyer(&self) -> Buyer {
        let (account, api) = self.account(Role::Customer).await;
        Buyer::new(account, api).await
    }
    /// Somebody of the staff.
    pub async fn staff(&self, role: Role) -> TestApi {
        self.account(role).await.1
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
    /// The status of a trade, as Alipay shows it; `None` before the buyer has logged in.
    pub async fn trade(&self, attempt: &Attempt) -> Option<String> {
        let ask = Request::get(format!("/trades/{}", attempt.number)).body(Body::empty()).unwrap();
        let answer = request(&self.pages, ask).await;
        (answer.status != StatusCode::NOT_FOUND).then(|| answer.expect(200).text_at("/trade/trade_status"))
    }
    /// Units available, reserved, sold.
    pub async fn stock(&self, sku: &str) -> [i64; 3] {
        let view = self.staff(Role::Warehouse).await.get(&format!("/v1/inventory/{sku}")).await.expect(200);
        ["available", "reserved", "sold"].map(|figure| view.body[figure].as_i64().unwrap())
    }
    /// The kinds of the alerts that wait for a person, oldest first.
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

    /// The warehouse packs the order and hands it to the carrier.
    pub async fn ship(&self, order: &Order) {
        let staff = self.staff(Role::Warehouse).await;
        let open = staff.get("/v1/shipments?status=open&limit=100").await.expect(200);
        let shipments = open.body["items"].as_array().unwrap();
        let shipment = shipments.iter().find(|s| s["order_id"] == *order.id).expect("an open shipment");
        let path = format!("/v1/shipments/{}/dispatch", shipment["id"].as_str().unwrap());
        staff.post(&path, json!({"carrier": "SF Express", "tracking_number": "SF123"})).await.expect(200);
        self.settle().await;
    }

    /// Ends the test: nothing is left to do, the books agree with Alipay's, nobody was alarmed.
    pub async fn finish(self) {
        self.finish_alarmed(&[]).await;
    }
    /// As [`Self::finish`], but exactly these alerts wait for a person.
    pub async fn finish_alarmed(mut self, alerts: &[&str]) {
        self.finished = true;
        self.settle().await;
        let settled = self.running.background.settled().await.told();
        assert_eq!((settled.waiting, settled.dead), (0, 0), "messages are left over: {settled:?}");
        let ledger = provider_entries(self.ledger().await);
        let report = self.shop.audit(Some(ledger), true).run().await.told();
        assert!(report.is_clean(), "{}", report.to_text());
        assert_eq!(self.alerts().await, alerts);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        assert!(self.finished || thread::panicking(), "a test must end with `finish().await`");
    }
}

fn local<const MAX: usize>(text: &str) -> LocalText<MAX> {
    LocalText { zh: BoundedText::new(text).unwrap(), en: BoundedText::new(text).unwrap() }
}

fn payment_config() -> PaymentConfig {
    PaymentConfig {
        alipay: AlipayConfig {
            app_id: APP.to_owned(),
            seller_id: SELLER.to_owned(),
            gateway_url: format!("{GATEWAY}/gateway.do"),
            private_key: Secret::new(SHOP_KEY.to_pem().told()),
            alipay_public_key: ALIPAY_KEY.public_key().told().to_pem().told(),
            notify_url: NOTIFY.to_owned(),
            return_url: None,
        },
    }
}

async fn sandbox(deps: &Deps, db: Db, line: Arc<Line>) -> (Router, Sandbox) {
    let config = Config {
        app_id: APP.to_owned(),
        seller_id: SELLER.to_owned(),
        merchant_key: SHOP_KEY.public_key().told(),
        alipay_key: ALIPAY_KEY.clone(),
        public_url: GATEWAY.to_owned(),
    };
    // Its own randomness, sown by the shop's: nothing it does changes what the shop draws.
    let mut seed = [0u8; 8];
    deps.entropy.fill(&mut seed);
    let entropy = Arc::new(SeededEntropy::new(u64::from_le_bytes(seed)));
    let sender = Arc::new(Sender(line));
    Sandbox::start(config, db, deps.clock.clone(), entropy, &deps.tasks, sender).await.told()
}
