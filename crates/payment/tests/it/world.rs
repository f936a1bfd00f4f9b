//! A shop's payment with a gateway, a clock that only we move, and its timers in our hands.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use http::{HeaderMap, Request, StatusCode, header};
use merx_contracts::{
    Envelope, Fact,
    common::v1::{TimelineEntry, TimelineRequest},
    events::{
        payment::{PaymentCaptured, PaymentRefunded},
        staff::StaffActed,
    },
    ids::{AccountId, AttemptId, OrderId, PaymentId, RefundId},
    payment::v1::{
        CloseReply, CloseRequest, OpenReply, OpenRequest, RefundReply, RefundRequest,
        payments_client::PaymentsClient,
    },
};
use merx_http::{
    Edge, Health, Info, Limits, Revocations, router,
    token::{Realm, TokenSigner, TokenVerifier},
};
use merx_kernel::{Clock, Currency, Id, Money, Principal, Result, Role, Secret, Timestamp, clock::BoxFuture};
use merx_payment::{
    AlipayConfig, Instructions, OfflineConfig, PaymentConfig, Payments, domain::Method, provider::InProcess,
    queries::PaymentView,
};
use merx_platform::{
    Delivery, Deps, DueTimer, Module, Peer, Store, Subscription, projection::compare, rpc::ask,
    time::SeededEntropy,
};
use merx_sql::{Db, DbOptions, Query as _, Stats, Tx, params};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{
    gateway::{APP_ID, Gateway, SELLER_ID},
    modes::Mode,
};

pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub const BUYER: u128 = 11;
pub const AMOUNT: i64 = 1_999;
pub const FREIGHT: i64 = 500;
pub const PAGE_BODY: &str = r#"{"method":"alipay_page"}"#;
pub const QR_BODY: &str = r#"{"method":"alipay_qr"}"#;

/// Stands still until it is moved; sleeping (a database that backs off) is the runtime's.
pub struct StepClock(AtomicI64);

impl Clock for StepClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Where the data of a test lie; gone with it.
enum Place {
    Memory,
    Folder(tempfile::TempDir),
    Server { server: String, database: String },
}

impl Place {
    fn new(mode: Mode) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        match mode {
            Mode::Inline => Self::Memory,
            Mode::File => Self::Folder(tempfile::tempdir().unwrap()),
            Mode::Mysql => {
                let number = COUNT.fetch_add(1, Ordering::SeqCst);
                let database = format!("merx_payment_{}_{number}", std::process::id());
                let server = crate::modes::server().unwrap();
                run(&server, &format!("CREATE DATABASE {database}"));
                Self::Server { server, database }
            }
        }
    }
    fn url(&self) -> String {
        match self {
            Self::Memory => "sqlite::memory:".to_owned(),
            Self::Folder(folder) => format!("sqlite:{}", folder.path().join("merx.db").display()),
            Self::Server { server, database } => format!("{}/{database}", server.trim_end_matches('/')),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Server { server, database } = self {
            run(server, &format!("DROP DATABASE {database}"));
        }
    }
}

fn run(server: &str, sql: &str) {
    use mysql::prelude::Queryable as _;
    let options = mysql::OptsBuilder::from_opts(mysql::Opts::from_url(server).unwrap()).prefer_socket(false);
    mysql::Conn::new(options).unwrap().query_drop(sql).unwrap();
}

pub struct World {
    pub gateway: Gateway,
    pub deps: Deps,
    pub payments: Payments,
    clock: Arc<StepClock>,
    store: Store,
    module: Module,
    peer: Peer,
    router: Router,
    signer: TokenSigner,
    keys: Mutex<u64>,
    _place: Place,
}

#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.json()["code"], code);
    }
}

pub fn config(gateway: &Gateway) -> PaymentConfig {
    let alipay = AlipayConfig {
        return_url: Some("http://shop.test/thanks".to_owned()),
        ..AlipayConfig::new(
            APP_ID,
            SELLER_ID,
            "http://gateway.test/gateway.do",
            Secret::new(gateway.merchant.to_pem().unwrap()),
            gateway.alipay.public_key().unwrap().to_pem().unwrap(),
            "http://shop.test/v1/payments/alipay/notifications",
        )
    };
    let offline = OfflineConfig {
        bank_transfer: Some(Instructions::new("Bank of Hangzhou, 6222 0000").unwrap()),
        cash_on_delivery: Some(Instructions::new("Pay the carrier.").unwrap()),
    };
    PaymentConfig {
        methods: Some(Method::ALL.to_vec()),
        alipay: Some(alipay),
        offline: Some(offline),
        ..PaymentConfig::default()
    }
}

pub fn order(n: u128) -> PaymentId {
    Id::from_bits(n << 64)
}
pub fn refund_id(n: u128) -> RefundId {
    Id::from_bits(n)
}
pub fn money(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

impl World {
    pub async fn new(mode: Mode) -> Self {
        Self::seeded(mode, 7).await
    }

    pub async fn seeded(mode: Mode, seed: u64) -> Self {
        Self::built(mode, seed, None).await
    }
    /// A shop that was begun with the first release, which wrote `old`.
    pub async fn upgraded(mode: Mode, old: fn(&mut Tx<'_>, &Store) -> Result<()>) -> Self {
        Self::built(mode, 7, Some(old)).await
    }

    async fn built(mode: Mode, seed: u64, old: Option<fn(&mut Tx<'_>, &Store) -> Result<()>>) -> Self {
        let clock = Arc::new(StepClock(AtomicI64::new(START.as_millis())));
        let (shared, entropy): (Arc<dyn Clock>, _) = (clock.clone(), Arc::new(SeededEntropy::new(seed)));
        let store = Store::new(merx_payment::NAME);
        let place = Place::new(mode);
        let db = Db::open(&place.url(), DbOptions::new(shared.clone()), &store.sequenced_tables()).unwrap();
        let deps = Deps::new(db, shared.clone(), entropy.clone());
        let gateway = Gateway::new();
        let outbound = Arc::new(InProcess(gateway.router()));
        let limits = Limits {
            client_requests_per_minute_max: 1_000_000,
            client_burst_max: 1_000_000,
            ..Limits::default()
        };
        let payments = merx_payment::payments(&deps, &config(&gateway), outbound).unwrap();
        let built = merx_payment::context(&deps, &limits, &payments);
        if let Some(old) = old {
            let first = built.module.migrations.iter().filter(|m| m.number == 100).cloned().collect();
            Module::new(store.clone(), first).migrate(&deps.db).await.unwrap();
            let of = store.clone();
            deps.db.write("test.old", move |tx| old(tx, &of)).await.unwrap();
        }
        built.module.migrate(&deps.db).await.unwrap();
        merx_payment::bring_up_to_date(&deps.db).await.unwrap();
        let revocations = Arc::new(Revocations::in_process());
        revocations.load([], START);
        let seed = Secret::new(vec![9; 32]);
        let signer = TokenSigner::new(&seed, Realm::default(), Duration::from_secs(600)).unwrap();
        let tokens = TokenVerifier::new([signer.public_key()], Realm::default(), shared.clone(), revocations);
        let edge = Edge {
            limits,
            clock: shared,
            entropy,
            ids: deps.ids.clone(),
            tasks: deps.tasks.clone(),
            tokens: Arc::new(tokens),
            health: Health::new([]),
            metrics: deps.metrics.clone(),
            trusted_proxies: Vec::new(),
            info: Info::default(),
        };
        Self {
            gateway,
            peer: Peer::local(built.module.rpc.clone().unwrap()),
            router: router(built.routes, edge),
            module: built.module,
            payments,
            deps,
            clock,
            store,
            signer,
            keys: Mutex::new(0),
            _place: place,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
    /// Half an hour from the start, as the orders of a shop have it.
    pub fn deadline(&self) -> Timestamp {
        START.plus(Duration::from_secs(1_800))
    }
    pub fn stats(&self) -> Stats {
        self.deps.db.stats()
    }

    // Asks.

    pub fn open_request(&self, payment_id: PaymentId) -> OpenRequest {
        OpenRequest {
            payment_id: payment_id.to_string(),
            order_id: payment_id.cast::<merx_contracts::ids::OrderKind>().to_string(),
            account_id: AccountId::from_bits(BUYER).to_string(),
            amount: Some(money(AMOUNT).into()),
            deadline: self.deadline().as_millis(),
            subject: "Merx order".to_owned(),
            freight: Some(money(FREIGHT).into()),
        }
    }
    pub async fn ask_open(&self, request: OpenRequest) -> Result<OpenReply> {
        ask(PaymentsClient::new(self.peer.clone()).open(request).await)
    }
    pub async fn open(&self, payment_id: PaymentId) {
        self.ask_open(self.open_request(payment_id)).await.unwrap();
    }
    pub async fn close(&self, payment_id: PaymentId) -> CloseReply {
        let request = CloseRequest { payment_id: payment_id.to_string() };
        ask(PaymentsClient::new(self.peer.clone()).close(request).await).unwrap()
    }
    pub async fn refund(
        &self,
        payment_id: PaymentId,
        refund_id: RefundId,
        attempt_id: AttemptId,
        minor: i64,
    ) -> Result<RefundReply> {
        let request = RefundRequest {
            payment_id: payment_id.to_string(),
            refund_id: refund_id.to_string(),
            amount: Some(money(minor).into()),
            reason: "late payment".to_owned(),
            attempt_id: attempt_id.to_string(),
        };
        ask(PaymentsClient::new(self.peer.clone()).refund(request).await)
    }

    // HTTP.

    pub fn token(&self, account: u128, roles: &[Role]) -> String {
        let account: AccountId = Id::from_bits(account);
        let principal = Principal::of_session(account, account.cast(), roles);
        format!("Bearer {}", self.signer.sign(&principal, self.now()).unwrap())
    }
    pub async fn send(&self, request: Request<Body>) -> Reply {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Reply { status: parts.status, headers: parts.headers, text }
    }
    pub async fn get(&self, path: &str, account: u128, role: Role) -> Reply {
        let request = Request::get(path).header(header::AUTHORIZATION, self.token(account, &[role]));
        self.send(request.body(Body::empty()).unwrap()).await
    }
    pub fn fresh_key(&self) -> String {
        let mut keys = self.keys.lock().unwrap();
        *keys += 1;
        format!("key-{keys}")
    }
    pub async fn post_attempt(&self, payment_id: PaymentId, account: u128, key: &str, body: &str) -> Reply {
        let request = Request::post(format!("/v1/payments/{payment_id}/attempts"))
            .header(header::AUTHORIZATION, self.token(account, &[Role::Customer]))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key);
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
    /// Starts an attempt that must succeed.
    pub async fn start(&self, payment_id: PaymentId) -> (AttemptId, String) {
        let reply =
            self.post_attempt(payment_id, BUYER, &self.fresh_key(), r#"{"method":"alipay_page"}"#).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
        let body = reply.json();
        (body["id"].as_str().unwrap().parse().unwrap(), body["pay_url"].as_str().unwrap().to_owned())
    }
    /// Starts an attempt by QR code that must succeed; answers it with the text of its code.
    pub async fn start_qr(&self, payment_id: PaymentId) -> (AttemptId, String) {
        let reply = self.post_attempt(payment_id, BUYER, &self.fresh_key(), QR_BODY).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
        let body = reply.json();
        (body["id"].as_str().unwrap().parse().unwrap(), body["qr_code"].as_str().unwrap().to_owned())
    }
    /// A request of the staff that changes something.
    pub async fn act(&self, path: &str, account: u128, role: Role, key: &str, body: &str) -> Reply {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, self.token(account, &[role]))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key);
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
    /// What staff did, as it was told.
    pub async fn acted(&self) -> Vec<StaffActed> {
        self.facts().await.iter().filter_map(|e| StaffActed::of(e).ok()).collect()
    }
    pub async fn timeline(&self, payment_id: PaymentId) -> Vec<TimelineEntry> {
        let request = TimelineRequest { order_id: order_of(payment_id).to_string() };
        ask(PaymentsClient::new(self.peer.clone()).timeline(request).await).unwrap().entries
    }
    /// Opens, starts and visits the cashier.
    pub async fn begin(&self, payment_id: PaymentId) -> AttemptId {
        self.open(payment_id).await;
        let (attempt_id, url) = self.start(payment_id).await;
        self.gateway.visit(&url);
        attempt_id
    }
    /// Opens, pays and is notified.
    pub async fn paid(&self, payment_id: PaymentId) -> AttemptId {
        let attempt_id = self.begin(payment_id).await;
        assert!(self.gateway.pay(attempt_id));
        self.notified(attempt_id).await;
        attempt_id
    }
    pub async fn notify(&self, form: String) -> Reply {
        let request = Request::post("/v1/payments/alipay/notifications")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8");
        self.send(request.body(Body::from(form)).unwrap()).await
    }
    /// Sends the notification the trade deserves, which must count.
    pub async fn notified(&self, attempt_id: AttemptId) {
        let reply = self.notify(self.gateway.notification(attempt_id)).await;
        assert_eq!((reply.status, reply.text.as_str()), (StatusCode::OK, "success"));
    }
    pub async fn view(&self, payment_id: PaymentId) -> PaymentView {
        let reply = self.get(&format!("/v1/payments/{payment_id}"), BUYER, Role::Customer).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        serde_json::from_str(&reply.text).unwrap()
    }

    // Time.

    pub fn step(&self, by: Duration) {
        self.clock.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
    /// When the next timer fires, if one is set.
    pub async fn next_timer(&self) -> Option<Timestamp> {
        self.timers(1).await.first().map(|row| row.next_at)
    }
    async fn timers(&self, limit: i64) -> Vec<merx_platform::store::TimerRow> {
        let timers = self.store.timers;
        let kinds: Vec<&'static str> = self.module.timers.iter().map(|t| t.kind).collect();
        self.deps.db.read("test.timers", move |q| timers.next(q, &kinds, limit)).await.unwrap()
    }
    /// Lets time pass, firing every timer when it is due.
    pub async fn pass(&self, by: Duration) {
        let until = self.now().plus(by);
        while let Some(row) = self.timers(1).await.into_iter().next().filter(|row| row.next_at <= until) {
            let wait = row.next_at.since(self.now());
            self.step(wait);
            let handler = self.module.timers.iter().find(|t| t.kind == row.kind).unwrap().handler.clone();
            handler.fire(DueTimer::new(self.store.clone(), row)).await.unwrap();
        }
        self.step(until.since(self.now()));
    }

    /// Hands a fact of another context to the subscriptions that want it, twice: what a redelivery does.
    pub async fn hand_over(&self, fact: &impl Fact) {
        let envelope = Envelope::new(self.deps.ids.next(), self.now(), None, fact).unwrap();
        let wants = |s: &&Subscription| s.types.contains(&envelope.kind.as_str());
        for subscription in self.module.subscriptions.iter().filter(wants) {
            for tries in 0..2 {
                let (store, at) = (self.store.clone(), self.now());
                let delivery = Delivery::new(envelope.clone(), subscription.name, store, tries, at);
                subscription.handler.handle(delivery).await.unwrap();
            }
        }
    }

    // What is stored.

    pub async fn facts(&self) -> Vec<Envelope> {
        let outbox = self.store.outbox;
        // On a server the facts get their positions after the commit.
        let mut numbered = self.deps.db.listen(&outbox.channel());
        while self.deps.db.read("test.unnumbered", move |q| outbox.unnumbered(q)).await.unwrap() > 0 {
            numbered.changed().await;
        }
        let rows = self.deps.db.read("test.outbox", move |q| outbox.read_after(q, 0, 100_000)).await.unwrap();
        rows.iter().map(|row| Envelope::from_json(&row.envelope).unwrap()).collect()
    }
    pub async fn captured_facts(&self) -> Vec<PaymentCaptured> {
        self.facts().await.iter().filter_map(|e| e.fact().ok()).collect()
    }
    pub async fn refunded_facts(&self) -> Vec<PaymentRefunded> {
        self.facts().await.iter().filter_map(|e| e.fact().ok()).collect()
    }
    pub async fn count(&self, sql: &'static str) -> i64 {
        self.deps.db.read("test.count", move |q| q.query_one(sql, params![], |row| row.get(0))).await.unwrap()
    }
    pub async fn captures(&self) -> i64 {
        self.count("SELECT COUNT(*) FROM payment_events WHERE name = 'PaymentCaptured'").await
    }
    /// The kinds of the alerts, oldest first.
    pub async fn alerts(&self) -> Vec<String> {
        let sql = "SELECT kind FROM payment_alerts ORDER BY alert_id";
        self.deps.db.read("test.alerts", move |q| q.query(sql, params![], |row| row.get(0))).await.unwrap()
    }
    /// What must hold after every test: the ledger balances, the projection is what the events make, and no event,
    /// fact or alert names the buyer.
    pub async fn finish(self) {
        let unbalanced = "SELECT COUNT(*) FROM (SELECT payment_id, version FROM payment_postings
                          GROUP BY payment_id, version, currency HAVING SUM(minor) <> 0) AS t";
        assert_eq!(self.count(unbalanced).await, 0, "the ledger does not balance");
        let all = compare(
            &self.deps.db,
            self.deps.clock.clone(),
            &self.store,
            &self.module.migrations,
            &self.module.projections,
        );
        for comparison in all.await.unwrap() {
            assert!(comparison.is_equal(), "the projection differs from its events: {comparison:?}");
        }
        for sql in [
            "SELECT COUNT(*) FROM payment_events WHERE body LIKE '%zhang%'",
            "SELECT COUNT(*) FROM payment_outbox WHERE envelope LIKE '%zhang%'",
            "SELECT COUNT(*) FROM payment_alerts WHERE detail LIKE '%zhang%' OR detail LIKE '%2088102%'",
            "SELECT COUNT(*) FROM payment_quarantine WHERE why LIKE '%zhang%' OR why LIKE '%2088102%'",
        ] {
            assert_eq!(self.count(sql).await, 0, "personal data is stored: {sql}");
        }
    }
    /// As [`Self::finish`], when everything the gateway knows must have reached us too.
    pub async fn finish_drained(self) {
        let ours =
            self.count("SELECT COALESCE(SUM(minor), 0) FROM payment_postings WHERE account = 'clearing:alipay' AND kind <> 'fee'").await;
        assert_eq!(ours, self.gateway.balance(), "our ledger and the provider's differ");
        self.finish().await;
    }
}

/// The order a payment pays for.
pub fn order_of(payment_id: PaymentId) -> OrderId {
    payment_id.cast()
}
