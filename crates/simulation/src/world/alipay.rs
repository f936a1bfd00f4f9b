//! The Alipay beside a world: a sandbox that is reached, and that reaches the shop, without a network.

use std::sync::{Arc, LazyLock, Mutex};

use axum::{
    Router,
    body::Body,
    http::{Request, header},
};
use merx_alipay::PrivateKey;
use merx_alipay_sandbox::{Config, Outbound, Reply, Sandbox};
use merx_kernel::{Clock, Secret, clock::BoxFuture};
use merx_payment::{AlipayConfig, Instructions, OfflineConfig, PaymentConfig, domain::Method};
use merx_platform::{Deps, Tasks, time::SeededEntropy};
use merx_sql::Db;
use merx_testkit::{Answer, request};

use super::Told as _;

/// The seller at Alipay.
pub const SELLER: &str = "2088000000000001";
/// The application at Alipay.
pub const APP: &str = "2021000000000001";

const GATEWAY: &str = "http://alipay.test";
const NOTIFY: &str = "http://shop.test/v1/payments/alipay/notifications";

static SHOP_KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::parse(include_str!("../keys/shop.pem")).unwrap());
static ALIPAY_KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::parse(include_str!("../keys/alipay.pem")).unwrap());

/// A notification as it reached the shop, and what the shop said.
#[derive(Clone, Debug)]
pub struct Notified {
    /// What was sent.
    pub form: String,
    /// What the shop said.
    pub reply: Reply,
}

/// The way from Alipay to the shop.
#[derive(Default)]
pub struct Line {
    /// A line that is left open keeps the shop, and the shop its Alipay, and that the line.
    shop: Mutex<Option<Router>>,
    notified: Mutex<Vec<Notified>>,
}

impl Line {
    /// From now on this shop is at the other end, or none.
    pub fn to(&self, shop: Option<Router>) {
        *self.shop.lock().unwrap() = shop;
    }
    /// Posts a form to the shop's door for notifications.
    pub async fn post(&self, form: String) -> Reply {
        let Some(router) = self.shop.lock().unwrap().clone() else {
            return Reply { status: 503, body: "the shop is closed".to_owned() };
        };
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
            if reply.status == Answer::LOST.as_u16() { Err(reply.body) } else { Ok(reply) }
        })
    }
}

/// What the shop knows of it.
pub fn payment_config() -> PaymentConfig {
    let alipay = AlipayConfig::new(
        APP,
        SELLER,
        format!("{GATEWAY}/gateway.do"),
        Secret::new(SHOP_KEY.to_pem().told()),
        ALIPAY_KEY.public_key().told().to_pem().told(),
        NOTIFY,
    );
    let told = |text: &str| Instructions::new(text).ok();
    let offline = OfflineConfig {
        bank_transfer: told("Bank of the world, account 1"),
        cash_on_delivery: told("Pay whoever brings it."),
    };
    PaymentConfig {
        methods: Some(Method::ALL.to_vec()),
        alipay: Some(alipay),
        offline: Some(offline),
        ..PaymentConfig::default()
    }
}

/// Alipay beside a world.
pub(super) struct Beside {
    /// What it serves.
    pub pages: Router,
    /// Its handle.
    pub sandbox: Sandbox,
    /// What it does.
    pub tasks: Tasks,
}

/// Alipay, with a clock and tasks of its own.
pub(super) async fn sandbox(deps: &Deps, clock: Arc<dyn Clock>, db: Db, line: Arc<Line>) -> Beside {
    let config = Config::new(APP, SELLER, SHOP_KEY.public_key().told(), ALIPAY_KEY.clone(), GATEWAY);
    // Its own randomness, sown by the shop's: nothing it does changes what the shop draws.
    let mut seed = [0u8; 8];
    deps.entropy.fill(&mut seed);
    let entropy = Arc::new(SeededEntropy::new(u64::from_le_bytes(seed)));
    let tasks = Tasks::new(clock.clone(), entropy.clone());
    let sender = Arc::new(Sender(line));
    let (pages, sandbox) = Sandbox::start(config, db, clock, entropy, &tasks, sender).await.told();
    Beside { pages, sandbox, tasks }
}
