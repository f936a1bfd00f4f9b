//! A shop and an Alipay in one process, without a network.

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use merx_alipay::{
    BeijingTime, Call, Merchant, Notification, OutTradeNo, Outcome, PagePay, PrivateKey, QueriedTrade, Query,
    Subject, TradeStatus, Yuan,
};
use merx_alipay_sandbox::{Armed, Config, Fault, Outbound, Reply, Sandbox};
use merx_kernel::{Clock, Currency, Money, Timestamp, clock::BoxFuture};
use merx_platform::{
    tasks::Tasks,
    time::{SeededEntropy, VirtualClock},
};
use merx_sql::{Db, DbOptions};
use serde_json::Value;
use tower::ServiceExt as _;

pub const APP: &str = "2021000000000001";
pub const SELLER: &str = "2088000000000002";
pub const NOTIFY: &str = "http://shop.example/v1/payments/alipay/notifications";

static SHOP_KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate().unwrap());
static ALIPAY_KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate().unwrap());

/// A form that reached the shop.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: Timestamp,
    pub url: String,
    pub form: String,
}

type Answer = Arc<dyn Fn(&Sent) -> Result<Reply, String> + Send + Sync>;

/// The shop's end of the notifications: keeps them and answers what it was told to.
#[derive(Clone)]
struct Shop {
    clock: Arc<dyn Clock>,
    sent: Arc<Mutex<Vec<Sent>>>,
    answer: Arc<Mutex<Answer>>,
}

impl Outbound for Shop {
    fn post_form(&self, url: String, form: String) -> BoxFuture<Result<Reply, String>> {
        let sent = Sent { at: self.clock.now(), url, form };
        let answer = self.answer.lock().unwrap().clone();
        let reply = answer(&sent);
        self.sent.lock().unwrap().push(sent);
        Box::pin(async move { reply })
    }
}

pub fn success() -> Result<Reply, String> {
    Ok(Reply { status: 200, body: "success".to_owned() })
}

pub struct World {
    pub router: Router,
    pub sandbox: Sandbox,
    pub merchant: Merchant,
    pub clock: Arc<dyn Clock>,
    pub tasks: Tasks,
    shop: Shop,
}

pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Page {
    /// The form actions of the page.
    pub fn actions(&self) -> Vec<String> {
        self.body.split("action=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    }
    pub fn location(&self) -> &str {
        self.headers[header::LOCATION].to_str().unwrap()
    }
}

impl World {
    pub async fn new() -> Self {
        let clock: Arc<dyn Clock> =
            Arc::new(VirtualClock::new(Timestamp::parse_rfc3339("2026-11-20T08:30:00Z").unwrap()));
        Self::on(Db::inline(DbOptions::new(clock.clone()), &[]).unwrap(), clock).await
    }

    pub async fn on(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self::built(db, clock, |_| {}, |merchant| merchant).await
    }

    /// A double and a merchant set up otherwise than by bare keys and contents in the clear.
    pub async fn set_up(
        config: impl FnOnce(&mut Config),
        merchant: impl FnOnce(Merchant) -> Merchant,
    ) -> Self {
        let clock: Arc<dyn Clock> =
            Arc::new(VirtualClock::new(Timestamp::parse_rfc3339("2026-11-20T08:30:00Z").unwrap()));
        let db = Db::inline(DbOptions::new(clock.clone()), &[]).unwrap();
        Self::built(db, clock, config, merchant).await
    }

    async fn built(
        db: Db,
        clock: Arc<dyn Clock>,
        set_up: impl FnOnce(&mut Config),
        with: impl FnOnce(Merchant) -> Merchant,
    ) -> Self {
        let entropy = Arc::new(SeededEntropy::new(7));
        let tasks = Tasks::new(clock.clone(), entropy.clone());
        let shop = Shop {
            clock: clock.clone(),
            sent: Arc::default(),
            answer: Arc::new(Mutex::new(Arc::new(|_: &Sent| success()))),
        };
        let mut config = Config::new(
            APP,
            SELLER,
            SHOP_KEY.public_key().unwrap(),
            ALIPAY_KEY.clone(),
            "http://alipay.example/",
        );
        set_up(&mut config);
        let started = Sandbox::start(config, db, clock.clone(), entropy, &tasks, Arc::new(shop.clone()));
        let (router, sandbox) = started.await.unwrap();
        let public = ALIPAY_KEY.public_key().unwrap();
        let merchant =
            Merchant::new("http://alipay.example/gateway.do", APP, SELLER, SHOP_KEY.clone(), public);
        Self { router, sandbox, merchant: with(merchant), clock, tasks, shop }
    }

    pub async fn fetch(&self, method: &str, url: &str, kind: &str, body: String) -> Page {
        self.send(method, url, &[("content-type", kind)], body).await
    }
    pub async fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: String) -> Page {
        let path = url.strip_prefix("http://alipay.example").unwrap_or(url);
        let request = Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Page {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }
    /// What is no text.
    pub async fn fetch_bytes(&self, url: &str) -> (StatusCode, Vec<u8>) {
        let path = url.strip_prefix("http://alipay.example").unwrap_or(url);
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        (parts.status, body.collect().await.unwrap().to_bytes().to_vec())
    }
    pub async fn get(&self, url: &str) -> Page {
        self.fetch("GET", url, "", String::new()).await
    }
    pub async fn post(&self, url: &str, form: &str) -> Page {
        self.fetch("POST", url, "application/x-www-form-urlencoded", form.to_owned()).await
    }
    pub async fn post_json(&self, url: &str, json: &Value) -> Page {
        self.fetch("POST", url, "application/json", json.to_string()).await
    }

    /// The answer of the gateway, as our client sees it.
    pub async fn call<C: Call>(&self, call: &C) -> Outcome<C::Answer> {
        let (url, body) = self.merchant.sign(call, self.clock.now()).unwrap().post();
        let page = self.post(&url, &body).await;
        self.merchant.conclude(call, page.body.as_bytes())
    }

    pub fn page_pay(&self, number: &str, fen: i64) -> PagePay {
        PagePay::new(
            no(number),
            Yuan::payable(Money::new(fen, Currency::CNY)).unwrap(),
            Subject::nearest("两只茶杯 <two> \"cups\""),
            BeijingTime(self.clock.now().plus(Duration::from_secs(29 * 60))),
            NOTIFY,
        )
        .returning_to("http://shop.example/orders/1?from=alipay#paid")
    }
    pub fn pay_url(&self, number: &str, fen: i64) -> String {
        self.merchant.sign(&self.page_pay(number, fen), self.clock.now()).unwrap().url()
    }
    /// The code of an opened page.
    pub async fn opened(&self, number: &str, fen: i64) -> String {
        self.sandbox.open(&self.pay_url(number, fen)).await.unwrap()
    }
    /// A paid trade, its notification taken.
    pub async fn paid(&self, number: &str, fen: i64) {
        let code = self.opened(number, fen).await;
        assert!(self.sandbox.pay(&code).await.unwrap().now);
        self.pass(Duration::from_millis(10)).await;
    }
    pub async fn query(&self, number: &str) -> Outcome<QueriedTrade> {
        self.call(&Query { out_trade_no: no(number) }).await
    }
    pub async fn status(&self, number: &str) -> TradeStatus {
        match self.query(number).await {
            Outcome::Done(trade) => trade.trade_status,
            other => panic!("{other:?}"),
        }
    }

    pub fn arm(&self, fault: Fault, times: u32) {
        self.sandbox.arm(Armed { fault, times }).unwrap();
    }

    /// Lets virtual time pass; everything that falls due in it happens.
    pub async fn pass(&self, span: Duration) {
        self.clock.sleep(span).await;
    }

    pub fn shop_answers(&self, answer: impl Fn(&Sent) -> Result<Reply, String> + Send + Sync + 'static) {
        *self.shop.answer.lock().unwrap() = Arc::new(answer);
    }
    pub fn sent(&self) -> Vec<Sent> {
        self.shop.sent.lock().unwrap().clone()
    }
    /// The notifications that reached the shop; each must be signed by Alipay.
    pub fn notified(&self) -> Vec<Notification> {
        self.sent().iter().map(|sent| self.merchant.notification(sent.form.as_bytes()).unwrap()).collect()
    }
    pub fn notified_statuses(&self) -> Vec<TradeStatus> {
        self.notified().iter().map(|n| n.trade_status).collect()
    }
}

pub fn no(text: &str) -> OutTradeNo {
    OutTradeNo::new(text).unwrap()
}

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
