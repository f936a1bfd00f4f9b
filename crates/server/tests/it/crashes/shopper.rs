//! One checkout from cart to end, by a buyer who asks again under the same key until there is an answer.

use std::time::Duration;

use merx_kernel::{Clock as _, Role};
use merx_platform::time::SystemClock;
use merx_server::client::{ApiClient, Reply, text};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::process::{
    buyers::{Buyer, restock},
    databases::Engine,
    harness::{Site, within},
};

/// What is bought.
const SKU: &str = "TSH-BK-M";
/// What is sold out before it is ordered.
const RARE: &str = "TEA-LJ-100";
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// An attempt may be begun and paid for the first twenty seconds, and its order is given up a minute later.
const DEADLINE_S: u64 = 80;
/// Far beyond any deadline.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a checkout goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Ordered and paid.
    Paid,
    /// Ordered, sent to the cashier, never paid: cancelled at the deadline.
    NotPaid,
    /// The last one was lost between quote and order.
    NoStock,
    /// The provider carries a call out and does not answer; then its notification is lost, and a query finds the money.
    ProviderTimeout,
}

impl Scenario {
    /// As the report calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::NotPaid => "not paid until the deadline",
            Self::NoStock => "no stock",
            Self::ProviderTimeout => "provider time-out",
        }
    }

    /// The flags of its shop.
    pub fn flags(self) -> Vec<String> {
        let deadline = (self == Self::NotPaid).then(|| DEADLINE_S.to_string());
        deadline.map(|s| vec!["--payment-deadline-s".to_owned(), s]).unwrap_or_default()
    }

    /// How many shops are killed side by side: more of those that mostly wait.
    pub const fn lanes(self, engine: Engine) -> usize {
        match (self, engine) {
            (Self::Paid | Self::NoStock, _) => 3,
            (Self::ProviderTimeout, Engine::Sqlite) => 10,
            (Self::NotPaid, Engine::Sqlite) => 22,
            // Each shop holds a dozen connections, and makes its tables first.
            (Self::ProviderTimeout, Engine::MariaDb) => 5,
            (Self::NotPaid, Engine::MariaDb) => 8,
        }
    }
}

/// A buyer of one shop, and what else a scenario needs.
pub struct Shopper {
    scenario: Scenario,
    buyer: Buyer,
    warehouse: ApiClient,
    sandbox: String,
    /// The request that places the order, made beforehand.
    request: Option<(String, Value)>,
    /// Orders placed.
    pub orders: usize,
}

impl Shopper {
    /// Logs in; a shop that was just filled is put in order.
    pub async fn arrive(site: &Site, scenario: Scenario) -> Self {
        restock(site).await;
        let account = site.demo().account(Role::Customer).expect("a buyer").clone();
        let buyer = Buyer::arrive(site, account).await;
        let warehouse = site.logged_in(Role::Warehouse).await;
        if scenario == Scenario::NoStock {
            let stock = warehouse.get(&format!("/v1/inventory/{RARE}")).await.and_then(Reply::ok);
            let stock = stock.expect("the stock")["available"].as_i64().expect("a number");
            adjust(&warehouse, -stock).await;
        }
        Self { scenario, buyer, warehouse, sandbox: site.sandbox(), request: None, orders: 0 }
    }

    /// What happens before the points count.
    pub async fn prepare(&mut self) {
        match self.scenario {
            Scenario::Paid | Scenario::NotPaid => {}
            Scenario::NoStock => {
                adjust(&self.warehouse, 1).await;
                self.request = self.buyer.checkout_of(RARE).await;
                adjust(&self.warehouse, -1).await;
            }
            Scenario::ProviderTimeout => {
                let (http, url) = (reqwest::Client::new(), format!("{}/faults", self.sandbox));
                // What a killed shop has not used up is armed still.
                http.delete(&url)
                    .send()
                    .await
                    .and_then(reqwest::Response::error_for_status)
                    .expect("disarmed");
                let timeout = json!({"fault": "gateway_timeout", "method": "alipay.trade.precreate"});
                for fault in [timeout, json!({"fault": "lose_notification"})] {
                    let armed =
                        http.post(&url).body(fault.to_string()).header("content-type", "application/json");
                    armed.send().await.and_then(reqwest::Response::error_for_status).expect("armed");
                }
            }
        }
    }

    /// One checkout to its end, whatever becomes of the shop meanwhile. Answers from when on it should have ended.
    pub async fn shop(&mut self) -> Instant {
        let request = match self.request.take() {
            Some(request) => request,
            None => self.buyer.checkout_of(SKU).await.expect("nothing else is under way"),
        };
        self.orders += 1;
        let began = Instant::now();
        let Some(order) = self.place(request).await else { return began };
        match self.scenario {
            Scenario::Paid => self.pay(&order, "alipay_page").await,
            Scenario::ProviderTimeout => self.pay(&order, "alipay_qr").await,
            Scenario::NoStock => self.see(&order, "rejected").await,
            Scenario::NotPaid => {
                self.attempt(&order, "alipay_page").await;
                self.see(&order, "cancelled").await;
                return began + Duration::from_secs(DEADLINE_S);
            }
        }
        began
    }

    /// The order; `None` when the answer was that there is no stock.
    async fn place(&mut self, (path, body): (String, Value)) -> Option<String> {
        let reply = self.buyer.answered(Method::POST, &path, Some(body)).await;
        match (reply.status.as_u16(), reply.text("/code").as_str()) {
            (201 | 202, _) => Some(reply.text("/id")),
            (409, "inventory.sold_out") if self.scenario == Scenario::NoStock => None,
            _ => panic!("{reply:?}"),
        }
    }

    /// An attempt to pay; answers where the cashier is.
    async fn attempt(&mut self, order: &str, method: &str) -> String {
        // A 202 was answered before there was a payment.
        self.see(order, "awaiting_payment").await;
        let path = format!("/v1/payments/{}/attempts", order.replacen("ord_", "pay_", 1));
        let reply = self.buyer.answered(Method::POST, &path, Some(json!({"method": method}))).await;
        if self.scenario == Scenario::NotPaid && reply.text("/code") == "payment.deadline_passed" {
            // The machine was slow; this order is not to be paid anyway.
            return String::new();
        }
        let attempt = reply.ok().expect("an attempt");
        [text(&attempt, "/pay_url"), text(&attempt, "/qr_code")].concat()
    }

    async fn pay(&mut self, order: &str, method: &str) {
        let cashier = self.attempt(order, method).await;
        // A cashier that was killed over it may have taken the money: then it takes no more.
        while self.buyer.client.pay(&cashier).await.is_err() && self.status(order).await != "paid" {
            SystemClock.sleep(LOOK_EVERY).await;
        }
        self.see(order, "paid").await;
    }

    async fn status(&mut self, order: &str) -> String {
        let reply = self.buyer.answered(Method::GET, &format!("/v1/orders/{order}"), None).await;
        text(&reply.ok().expect("an acknowledged order is there"), "/status")
    }

    async fn see(&mut self, order: &str, wanted: &str) {
        let began = Instant::now();
        loop {
            let status = self.status(order).await;
            if status == wanted {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{order} is {status} and not {wanted}");
            SystemClock.sleep(LOOK_EVERY).await;
        }
    }

    /// What the sandbox took, by its own ledger, and from how many trades.
    pub async fn charges(&self) -> (usize, usize) {
        let ledger = within(PATIENCE, "the ledger", || async {
            reqwest::get(format!("{}/ledger", self.sandbox)).await.ok()
        })
        .await;
        let ledger: Value = serde_json::from_slice(&ledger.bytes().await.expect("a body")).expect("JSON");
        let entries = ledger["entries"].as_array().expect("entries").iter();
        let trades: Vec<String> = entries
            .filter(|entry| text(entry, "/out_request_no").is_empty())
            .map(|entry| text(entry, "/out_trade_no"))
            .collect();
        (trades.len(), trades.iter().collect::<std::collections::BTreeSet<_>>().len())
    }
}

async fn adjust(warehouse: &ApiClient, delta: i64) {
    if delta != 0 {
        let path = format!("/v1/inventory/{RARE}/adjustments");
        let adjusted = warehouse.post(&path, &json!({"delta": delta, "reason": "counted"})).await;
        adjusted.and_then(Reply::ok).expect("adjusted");
    }
}
