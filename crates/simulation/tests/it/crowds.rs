//! Many at once, as they would come: over connections of a loopback listener, against a database file, on the clock
//! of the machine. What is measured is printed and never judged.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use axum::http::StatusCode;
use futures_util::future::join_all;
use merx_alipay_sandbox::Fault;
use merx_contracts::ids::AccountId;
use merx_kernel::Role;
use merx_server::shop::Topology;
use merx_testkit::{TestApi, generous_limits};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{Barrier, Semaphore},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use merx_simulation::world::{Buyer, Ground, TEA, Told as _, World};

/// The one thing everybody wants.
const RARE: &str = "RARE-1";

/// A shop behind a listener.
struct Crowd {
    world: World,
    address: SocketAddr,
    http: reqwest::Client,
    stop: CancellationToken,
    served: merx_platform::tasks::Task<()>,
    _dir: TempDir,
}

impl Crowd {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = World::on(Ground::on_disk(dir.path()), Topology::Local, |settings| {
            // A slow machine must not turn answers into "ask again later".
            settings.ordering.answer_wait_ms_max = 300_000;
            settings.limits.handler_ms_max = 600_000;
            settings.limits.idempotency_wait_ms_max = 300_000;
        });
        let world = world.await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (router, tasks, until) =
            (world.running.router.clone(), world.shop.deps.tasks.clone(), stop.clone());
        let served = world.shop.deps.tasks.spawn("test.serve", async move {
            merx_http::serve(listener, router, &generous_limits(), &[], &tasks, until.cancelled()).await;
        });
        let http = reqwest::Client::builder().build().unwrap();
        Self { world, address, http, stop, served, _dir: dir }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request to place an order, ready to be sent.
    fn placing(&self, buyer: &Buyer, key: &str, accepted: &Value) -> reqwest::RequestBuilder {
        let url = self.url(&format!("{}/orders", buyer.checkout()));
        let request = self.http.post(url).bearer_auth(buyer.api.token().unwrap());
        request.header("idempotency-key", key).json(accepted)
    }

    fn notification(&self, form: String) -> reqwest::RequestBuilder {
        let url = self.url("/v1/payments/alipay/notifications");
        self.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(form)
    }

    /// Buyers with so many of `sku` in their carts, and the quotes they accept.
    async fn buyers(&self, count: usize, sku: &str, quantity: i64) -> Vec<(Buyer, Value)> {
        let mut accounts = self.world.accounts(Role::Customer, count).await.into_iter().peekable();
        let mut all = Vec::new();
        // Not all at once: here nobody races anybody yet.
        while accounts.peek().is_some() {
            let some: Vec<_> = accounts.by_ref().take(500).collect();
            all.extend(
                join_all(some.into_iter().map(|(account, api)| ready(account, api, sku, quantity))).await,
            );
        }
        all
    }

    async fn close(self, alerts: &[&str]) {
        let Self { world, stop, served, http, _dir, .. } = self;
        stop.cancel();
        drop(http);
        served.await.told();
        let (tasks, db) = (world.shop.deps.tasks.clone(), world.shop.deps.db.clone());
        world.finish_alarmed(alerts).await;
        tasks.shutdown(Duration::from_secs(60)).await.told();
        db.close().await;
    }
}

/// A buyer with so many of `sku` in the cart, and the quote to be accepted.
async fn ready(account: AccountId, api: TestApi, sku: &str, quantity: i64) -> (Buyer, Value) {
    let buyer = Buyer::new(account, api).await;
    buyer.fill(sku, quantity).await;
    let accepted = buyer.quote().await;
    (buyer, accepted)
}

/// An answer as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Heard {
    status: StatusCode,
    text: String,
    took: Duration,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// How many requests are on the wire at the same time, each on a connection of its own: both of its ends are in this
/// process.
const CONNECTIONS: usize = 1_000;

/// Sends all of them at the same moment, each on a task of its own, [`CONNECTIONS`] at a time; answers in the order given.
async fn at_once(requests: Vec<reqwest::RequestBuilder>) -> Vec<Heard> {
    let (gate, connections) = (Arc::new(Barrier::new(requests.len())), Arc::new(Semaphore::new(CONNECTIONS)));
    let mut sending = JoinSet::new();
    for (index, request) in requests.into_iter().enumerate() {
        let (gate, connections) = (gate.clone(), connections.clone());
        sending.spawn(async move {
            gate.wait().await;
            let _connection = connections.acquire().await.unwrap();
            let began = Instant::now();
            let response = request.send().await.unwrap();
            let status = response.status();
            let text = response.text().await.unwrap();
            (index, Heard { status, text, took: began.elapsed() })
        });
    }
    let mut all: BTreeMap<usize, Heard> = BTreeMap::new();
    while let Some(heard) = sending.join_next().await {
        let (index, heard) = heard.unwrap();
        all.insert(index, heard);
    }
    all.into_values().collect()
}

/// How long the answers took, in words.
fn pace(heard: &[Heard]) -> String {
    let mut took: Vec<Duration> = heard.iter().map(|h| h.took).collect();
    took.sort_unstable();
    let at = |share: usize| took[(took.len() - 1) * share / 100].as_millis();
    format!("p50 {} ms, p99 {} ms, the slowest {} ms", at(50), at(99), at(100))
}

fn report(what: &str, heard: &[Heard]) {
    println!("{what}: {}", pace(heard));
}

/// How many were answered what: the status, and the code of a refusal or the state of the order.
fn told(heard: &[Heard]) -> BTreeMap<(u16, String), usize> {
    let mut told: BTreeMap<(u16, String), usize> = BTreeMap::new();
    for answer in heard {
        let body = answer.json();
        let said = body["code"].as_str().or(body["status"].as_str()).unwrap().to_owned();
        *told.entry((answer.status.as_u16(), said)).or_default() += 1;
    }
    told
}

/// The answers of so many buyers of whom so many are served.
fn served(units: usize, buyers: usize) -> BTreeMap<(u16, String), usize> {
    let expected = [
        ((201, "awaiting_payment".to_owned()), units),
        ((409, "inventory.sold_out".to_owned()), buyers - units),
    ];
    BTreeMap::from(expected)
}

/// T22: `MERX_T22=10000` buyers for 100 units through the public API; without it 1,000. The guard is `Guard::StockUpdate`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_buyers_for_a_hundred_units() {
    let many: usize = std::env::var("MERX_T22").map_or(1_000, |text| text.parse().unwrap());
    let crowd = Crowd::open().await;
    crowd.world.sell(RARE, 9_900, 100, 100).await;
    let buyers = crowd.buyers(many, RARE, 1).await;
    let placing = |(buyer, accepted): &(Buyer, Value)| crowd.placing(buyer, "the-order", accepted);
    let began = Instant::now();
    let heard = at_once(buyers.iter().map(placing).collect()).await;
    let seconds = began.elapsed();
    assert_eq!(told(&heard), served(100, many));
    assert_eq!(crowd.world.stock(RARE).await, [0, 100, 0]);
    let axis = |axis: &'static str| crowd.world.count(axis);
    assert_eq!(axis("SELECT COUNT(*) FROM ordering_orders WHERE order_axis = 'awaiting_payment'").await, 100);
    let rejected = axis("SELECT COUNT(*) FROM ordering_orders WHERE order_axis = 'rejected'").await;
    assert_eq!(usize::try_from(rejected).unwrap(), many - 100);
    let mut winners = Vec::new();
    for ((buyer, _), answer) in buyers.iter().zip(&heard) {
        let listed = buyer.listed().await;
        assert_eq!(listed.len(), usize::from(answer.status == StatusCode::CREATED), "{}", answer.text);
        winners.extend(listed.into_iter().map(|order| (buyer, order)));
    }
    // Half of them do not pay after all: others get exactly what they had.
    let cancelling = |(buyer, order): &(&Buyer, String)| {
        let url = crowd.url(&format!("/v1/orders/{order}/cancellation"));
        let request = crowd.http.post(url).bearer_auth(buyer.api.token().unwrap());
        request.header("idempotency-key", "not-me").json(&serde_json::json!({}))
    };
    let cancelled = at_once(winners.iter().take(50).map(cancelling).collect()).await;
    assert!(cancelled.iter().all(|answer| answer.status == StatusCode::OK), "{cancelled:?}");
    assert_eq!(crowd.world.stock(RARE).await, [50, 50, 0]);
    let others = crowd.buyers(100, RARE, 1).await;
    let second = at_once(others.iter().map(placing).collect()).await;
    assert_eq!(told(&second), served(50, 100));
    assert_eq!(crowd.world.stock(RARE).await, [0, 100, 0]);
    println!(
        "PROOF | T22 | the shop's API over sockets, SQLite file: {many} tasks over {CONNECTIONS} connections for 100 units | \
         size={many} | 100 ordered, {} sold out, 0 other answers, 0 × 5xx, 0 oversold; the 50 whose orders ended unpaid were \
         ordered by others, 0 undersold; {}, {seconds:.1?} | seed=-",
        many - 100,
        pace(&heard),
    );
    crowd.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_sent_fifty_times_at_once_is_one_order() {
    let crowd = Crowd::open().await;
    let buyers = crowd.buyers(1, TEA, 2).await;
    let (buyer, accepted) = &buyers[0];
    let heard = at_once((0..50).map(|_| crowd.placing(buyer, "only-once", accepted)).collect()).await;
    report("one Idempotency-Key 50 times at once", &heard);
    for answer in &heard {
        assert_eq!((answer.status, &answer.text), (StatusCode::CREATED, &heard[0].text));
    }
    assert_eq!(crowd.world.count("SELECT COUNT(*) FROM ordering_orders").await, 1);
    assert_eq!(crowd.world.stock(TEA).await, [8, 2, 0]);
    let mut other = accepted.clone();
    other["shipping_method"] = "express".into();
    let refused = at_once(vec![crowd.placing(buyer, "only-once", &other)]).await;
    assert_eq!(refused[0].status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused[0].text);
    assert_eq!(refused[0].json()["code"], "request.idempotency_key_reused");
    println!(
        "PROOF | T20 | the shop's API over sockets | size=50 | 1 order, 50 equal answers, another body 422; {} | seed=-",
        pace(&heard)
    );
    crowd.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_notification_sent_a_hundred_times_at_once_is_one_payment() {
    let crowd = Crowd::open().await;
    let world = &crowd.world;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let (attempt, code) = buyer.at_cashier(world, &order).await;
    world.arm(Fault::LoseNotification, 100);
    world.sandbox.pay(&code).await.unwrap();
    let (_, form) = world.sandbox.forge(&attempt.number, &[]).await.told();
    let heard = at_once((0..100).map(|_| crowd.notification(form.clone())).collect()).await;
    report("one notification 100 times at once", &heard);
    for answer in &heard {
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "success"));
    }
    world.settle().await;
    assert_eq!(buyer.status(&order).await, "paid");
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_events WHERE name = 'PaymentCaptured'").await, 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_outbox").await, 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_notifications").await, 1);
    assert_eq!(world.stock(TEA).await, [9, 0, 1]);
    println!(
        "PROOF | T14 | the HTTP route on SQLite: the same notification 100 × at once, over connections | size=100 | 1 paid event, \
         100 replies `success` | seed=-"
    );
    crowd.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_or_does_not_agree_never_counts() {
    let crowd = Crowd::open().await;
    let world = &crowd.world;
    let (buyer, other) = (world.buyer().await, world.buyer().await);
    let orders = [buyer.order(&[(TEA, 1)]).await, other.order(&[(TEA, 2)]).await];
    let (attempt, code) = buyer.at_cashier(world, &orders[0]).await;
    let (others, _) = other.at_cashier(world, &orders[1]).await;
    // The trade is there, and nobody has paid.
    world.sandbox.log_in(&code).await.unwrap();
    let wrong = [
        ("total_amount", "0.01"),
        ("total_amount", "336.00"),
        ("app_id", "2021000000000099"),
        ("seller_id", "2088000000000099"),
        ("out_trade_no", "01m7v41f00fykr2r66m1g6rbjm"),
        ("out_trade_no", others.number.as_str()),
        ("trans_currency", "USD"),
    ];
    let mut requests = Vec::new();
    for (field, value) in wrong {
        let replace = [("trade_status", "TRADE_SUCCESS"), (field, value)];
        let replace = replace.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (_, form) = world.sandbox.forge(&attempt.number, &replace).await.told();
        requests.extend((0..15).map(|_| crowd.notification(form.clone())));
    }
    // And what agrees in every field, but Alipay did not sign: the first letter of the signature is another.
    let paid = [("trade_status".to_owned(), "TRADE_SUCCESS".to_owned())];
    let (_, form) = world.sandbox.forge(&attempt.number, &paid).await.told();
    let (before, sign) = form.split_once("&sign=").unwrap();
    let letter = if sign.starts_with('A') { "B" } else { "A" };
    let unsigned = format!("{before}&sign={letter}{}", &sign[1..]);
    requests.extend((0..15).map(|_| crowd.notification(unsigned.clone())));
    let heard = at_once(requests).await;
    report("120 notifications that do not agree or are not signed, at once", &heard);
    for answer in &heard {
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::BAD_REQUEST, "fail"));
    }
    world.settle().await;
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_events WHERE name = 'PaymentCaptured'").await, 0);
    for (buyer, order) in [(&buyer, &orders[0]), (&other, &orders[1])] {
        assert_eq!(buyer.status(order).await, "awaiting_payment");
    }
    // The right one still counts.
    world.arm(Fault::LoseNotification, 100);
    world.sandbox.pay(&code).await.unwrap();
    let (_, form) = world.sandbox.forge(&attempt.number, &[]).await.told();
    let heard = at_once(vec![crowd.notification(form)]).await;
    assert_eq!(heard[0].text, "success");
    world.settle().await;
    assert_eq!(buyer.status(&orders[0]).await, "paid");
    println!(
        "PROOF | T16 | the HTTP route on SQLite: 7 wrong fields and 1 wrong signature, 15 × each at once | size=120 | 0 orders paid, \
         7 alerts of 7, 0 answered `success` | seed=-"
    );
    // One alert for each that Alipay signed and that differs, however often it came.
    crowd.close(&["payment_notification_quarantined"; 7]).await;
}
