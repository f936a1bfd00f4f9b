//! Buyers who never rest, and who keep their own list of what the shop has promised them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use merx_contracts::ids::{OrderId, PaymentId};
use merx_kernel::{Clock as _, Role};
use merx_platform::time::SystemClock;
use merx_server::{
    client::{ApiClient, Reply, text},
    demo::DemoAccount,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::harness::{Site, random, until};

/// What they buy. `restock` sees to it that it does not run out.
const SKUS: [&str; 3] = ["TSH-BK-M", "CHG-65", "COF-YN-227"];
const AGAIN_AFTER: Duration = Duration::from_millis(20);
/// No shop is down, and no request under way, for so long.
const ANSWERED_WITHIN: Duration = Duration::from_secs(150);
/// A trade that may still be paid is closed when its attempt runs out.
const REST_WITHIN: Duration = Duration::from_secs(180);

/// What the shop last said of an order, in the order in which it may change its mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// 202: it is being arranged.
    Placing,
    /// It awaits payment.
    Awaiting,
    /// 202: it is being cancelled.
    Cancelling,
    /// It is paid, or further on.
    Paid,
    /// It is cancelled.
    Cancelled,
}

/// An order as its buyer knows it.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its id.
    pub id: OrderId,
    /// What the shop said.
    pub said: Said,
    /// What its buyer accepted.
    quote_id: String,
    /// The cashier took the money.
    pub money_given: bool,
}

impl Known {
    /// Checks what the shop shows against what it said before, and remembers it.
    ///
    /// # Panics
    /// The shop went back on its word.
    fn see(&mut self, order: &Value) {
        let (status, id) = (text(order, "/status"), &self.id);
        let now = match status.as_str() {
            "placing" | "rejected" => Said::Placing,
            "awaiting_payment" if order["cancellation"].is_object() => Said::Cancelling,
            "awaiting_payment" => Said::Awaiting,
            "paid" | "part_shipped" | "shipped" | "delivered" | "completed" => Said::Paid,
            "cancelled" => Said::Cancelled,
            _ => panic!("{id} is {status}"),
        };
        let kept = match self.said {
            Said::Paid | Said::Cancelled => now == self.said,
            before => now >= before,
        };
        assert!(kept, "{id} was {:?} and is {status} now: {order}", self.said);
        self.said = now;
    }

    /// Whether nothing more will happen by itself, or only when the buyer or the deadline moves it.
    fn is_settled(&self, order: &Value) -> bool {
        match text(order, "/status").as_str() {
            "placing" => false,
            // Money given after the end of an order comes back.
            "cancelled" if self.money_given => text(order, "/axes/payment") == "refunded",
            "awaiting_payment" => !self.money_given && !order["cancellation"].is_object(),
            _ => true,
        }
    }
}

/// One buyer.
pub struct Buyer {
    account: DemoAccount,
    visitor: ApiClient,
    /// The buyer, logged in.
    pub client: ApiClient,
    address: String,
    /// Every order the shop acknowledged.
    pub orders: Vec<Known>,
    /// Counts the orders acknowledged to all who share it.
    pub acknowledged: Arc<AtomicUsize>,
}

impl Buyer {
    /// Logs in and keeps an address.
    pub async fn arrive(site: &Site, account: DemoAccount) -> Self {
        let visitor = site.visitor();
        let client = log_in(&visitor, &account).await;
        let body = json!({
            "country": "CN", "region": "浙江省", "city": "杭州市", "line1": "西湖区龙井路 1 号",
            "postcode": "310013", "recipient": "王小明", "phone": "13800138000"
        });
        let address = client.post("/v1/addresses", &body).await.and_then(Reply::ok).expect("an address");
        let address = text(&address, "/id");
        Self { account, visitor, client, address, orders: Vec::new(), acknowledged: Arc::default() }
    }

    /// Places, pays, cancels and looks, until told to stop.
    pub async fn shop_until(mut self, stop: CancellationToken) -> Self {
        while !stop.is_cancelled() {
            match random(10) {
                0..5 => self.place().await,
                5..7 => self.pay().await,
                7..8 => self.cancel().await,
                _ => self.look().await,
            }
        }
        self
    }

    /// Fills the cart and answers the request that places the order; `None` when the cart was emptied meanwhile.
    pub async fn checkout(&mut self) -> Option<(String, Value)> {
        self.checkout_of(SKUS[random(3) as usize]).await
    }

    /// The same with this SKU.
    pub async fn checkout_of(&mut self, sku: &str) -> Option<(String, Value)> {
        let line = format!("/v1/cart/lines/{sku}");
        self.answered(Method::PUT, &line, Some(json!({"quantity": 1}))).await;
        let cart = self.answered(Method::GET, "/v1/cart", None).await;
        let checkout = format!("/v1/checkouts/{}", cart.text("/id"));
        let address = json!({"address_id": self.address});
        let quote = self.answered(Method::POST, &format!("{checkout}/quote"), Some(address)).await;
        if quote.text("/code") == "ordering.cart_empty" {
            // The fact of an earlier order took the line out.
            return None;
        }
        let quote = quote.ok().expect("a quote");
        let body = json!({
            "address_id": self.address,
            "shipping_method": text(&quote, "/shipping_method"),
            "quote_id": text(&quote, "/quote_id"),
        });
        Some((format!("{checkout}/orders"), body))
    }

    async fn place(&mut self) {
        let Some((path, body)) = self.checkout().await else { return };
        let quote_id = text(&body, "/quote_id");
        let reply = self.answered(Method::POST, &path, Some(body)).await;
        let said = match (reply.status.as_u16(), reply.text("/code").as_str()) {
            (201, _) => Said::Awaiting,
            (202, _) => Said::Placing,
            (409, "ordering.cart_empty" | "ordering.quote_changed") => return,
            // The fact of an earlier order has not yet taken the line out: of an order this buyer was told of.
            (409, "ordering.quote_accepted") => {
                assert!(self.orders.iter().any(|order| order.quote_id == quote_id), "{reply:?}");
                return;
            }
            _ => panic!("{reply:?}"),
        };
        let id = reply.text("/id").parse().expect("an id");
        self.orders.push(Known { id, said, quote_id, money_given: false });
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    /// One of the orders that may be paid or cancelled: of the last few, for older ones run out of time.
    fn open_order(&self) -> Option<usize> {
        let recent = self.orders.len().saturating_sub(8)..self.orders.len();
        let open: Vec<usize> = recent
            .filter(|at| self.orders[*at].said == Said::Awaiting && !self.orders[*at].money_given)
            .collect();
        (!open.is_empty()).then(|| open[random(open.len() as u64) as usize])
    }

    async fn pay(&mut self) {
        let Some(at) = self.open_order() else { return };
        let payment: PaymentId = self.orders[at].id.cast();
        let path = format!("/v1/payments/{payment}/attempts");
        let reply = self.answered(Method::POST, &path, Some(json!({"method": "alipay_page"}))).await;
        if !reply.status.is_success() {
            let code = reply.text("/code");
            assert!(code.starts_with("payment."), "{reply:?}");
            return;
        }
        // A cashier that was killed over it may have taken the money: then nothing was promised.
        self.orders[at].money_given = self.client.pay(&reply.text("/pay_url")).await.is_ok();
    }

    async fn cancel(&mut self) {
        let Some(at) = self.open_order() else { return };
        let path = format!("/v1/orders/{}/cancellation", self.orders[at].id);
        // Asked once: the answer may take as long as an attempt can still be paid, longer than a shop lives here.
        let Ok(reply) = self.client.post(&path, &json!({})).await else { return };
        match (reply.status.as_u16(), reply.text("/code").as_str()) {
            (200 | 202, _) => self.orders[at].see(&reply.body),
            (409, "ordering.already_paid" | "ordering.order_ended") | (401 | 503 | 504, _) => {}
            _ => panic!("{reply:?}"),
        }
    }

    async fn look(&mut self) {
        if !self.orders.is_empty() {
            let at = random(self.orders.len() as u64) as usize;
            self.see(at).await;
        }
    }

    /// Looks at an order; answers whether it has come to rest.
    async fn see(&mut self, at: usize) -> bool {
        let path = format!("/v1/orders/{}", self.orders[at].id);
        let order = self.answered(Method::GET, &path, None).await;
        let order = order.ok().expect("an acknowledged order is there");
        self.orders[at].see(&order);
        self.orders[at].is_settled(&order)
    }

    /// Every acknowledged order is there, and not behind what was said of it.
    pub async fn look_back(mut self) -> Vec<Known> {
        for at in 0..self.orders.len() {
            self.see(at).await;
        }
        self.orders
    }

    /// Every acknowledged order is there, not behind what was said of it, and comes to rest by itself.
    pub async fn reckon(mut self) -> Vec<Known> {
        let began = Instant::now();
        for at in 0..self.orders.len() {
            while !self.see(at).await {
                let order = &self.orders[at];
                assert!(began.elapsed() < REST_WITHIN, "{order:?} does not come to rest");
                SystemClock.sleep(AGAIN_AFTER).await;
            }
        }
        self.orders
    }

    /// Sends one request (under one key) until it is answered, whatever happens to the shop meanwhile.
    pub async fn answered(&mut self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let key = self.client.new_key();
        let key = (method == Method::POST).then_some(key.as_str());
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < ANSWERED_WITHIN, "{method} {path} gets no answer");
            match self.client.send(method.clone(), path, body.as_ref(), key).await {
                Ok(reply) if reply.status == 401 => {
                    self.client = log_in(&self.visitor, &self.account).await;
                }
                Ok(reply) if reply.status == 503 || reply.status == 504 => self.rest().await,
                Ok(reply) if reply.text("/code") == "request.in_flight" => self.rest().await,
                Ok(reply) => return reply,
                // The shop is down.
                Err(_) => self.rest().await,
            }
        }
    }

    async fn rest(&self) {
        SystemClock.sleep(AGAIN_AFTER).await;
    }
}

async fn log_in(visitor: &ApiClient, account: &DemoAccount) -> ApiClient {
    until("a log-in", || async { visitor.log_in(&account.email, &account.password).await.ok() }).await
}

/// Enough of what they buy.
pub async fn restock(site: &Site) {
    let warehouse = site.logged_in(Role::Warehouse).await;
    for sku in SKUS {
        let path = format!("/v1/inventory/{sku}/receipts");
        warehouse.post(&path, &json!({"quantity": 1_000_000})).await.and_then(Reply::ok).expect("restocked");
    }
}
