//! People who buy, and what they have in hand.

use std::time::Duration;

use merx_kernel::principal::AccountId;
use merx_testkit::{Answer, TestApi};
use serde_json::{Value, json};

use super::World;

/// Somebody who buys.
#[derive(Clone)]
pub struct Buyer {
    /// The account.
    pub account: AccountId,
    /// The public API, logged in.
    pub api: TestApi,
    /// Where goods go.
    pub address_id: String,
}

impl Buyer {
    /// With an address in Hangzhou.
    pub async fn new(account: AccountId, api: TestApi) -> Self {
        let address = json!({
            "country": "CN", "region": "浙江省", "city": "杭州市", "line1": "西湖区龙井路 1 号",
            "postcode": "310013", "recipient": "王小明", "phone": "13800138000"
        });
        let address_id = api.post("/v1/addresses", address).await.expect(201).text_at("/id");
        Self { account, api, address_id }
    }

    /// The same buyer in a shop that was started again.
    pub fn back_in(&self, world: &World) -> Self {
        Self { api: self.api.before(world.running.router.clone()), ..self.clone() }
    }

    /// So many of it lie in the cart.
    pub async fn fill(&self, sku: &str, quantity: i64) {
        self.api.put(&format!("/v1/cart/lines/{sku}"), json!({"quantity": quantity})).await.expect(204);
    }
    /// The path of the checkout. A cart has the bits of its account.
    pub fn checkout(&self) -> String {
        format!("/v1/checkouts/{}", self.account.cast::<merx_contracts::ids::CartKind>())
    }
    /// What the cart would cost; the body that accepts it.
    pub async fn quote(&self) -> Value {
        let ask = json!({"address_id": self.address_id});
        let quote = self.api.post(&format!("{}/quote", self.checkout()), ask).await.expect(200);
        self.accept(&quote)
    }
    /// The body that accepts a quote.
    pub fn accept(&self, quote: &Answer) -> Value {
        json!({
            "address_id": self.address_id,
            "shipping_method": quote.body["shipping_method"],
            "quote_id": quote.body["quote_id"],
        })
    }
    /// Accepts a quote.
    pub async fn place(&self, accepted: &Value) -> Answer {
        self.api.post(&format!("{}/orders", self.checkout()), accepted.clone()).await
    }
    /// Orders this, and finds the order awaiting payment.
    pub async fn order(&self, lines: &[(&str, i64)]) -> Order {
        for (sku, quantity) in lines {
            self.fill(sku, *quantity).await;
        }
        let placed = self.place(&self.quote().await).await.expect(201);
        assert_eq!(placed.body["status"], "awaiting_payment", "{}", placed.text);
        Order::of(&placed)
    }
    /// The order as it stands.
    pub async fn look(&self, order: &Order) -> Value {
        self.api.get(&format!("/v1/orders/{}", order.id)).await.expect(200).body
    }
    /// The order in one word.
    pub async fn status(&self, order: &Order) -> String {
        self.look(order).await["status"].as_str().unwrap().to_owned()
    }
    /// What happened to the order, by the names of its events.
    pub async fn timeline(&self, order: &Order) -> Vec<String> {
        let items = story(&self.api, order).await;
        let events = items.iter().filter(|item| item["kind"] == "event");
        events.map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    }
    /// The orders in the buyer's list.
    pub async fn listed(&self) -> Vec<String> {
        let seen = self.api.get("/v1/orders").await.expect(200);
        let items = seen.body["items"].as_array().unwrap();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }
    /// Begins to pay.
    pub async fn attempt(&self, order: &Order) -> Attempt {
        let path = format!("/v1/payments/{}/attempts", order.payment_id);
        let begun = self.api.post(&path, json!({"method": "alipay_page"})).await.expect(201);
        let number = begun.text_at("/id").split_once('_').unwrap().1.to_owned();
        Attempt { number, pay_url: begun.text_at("/pay_url") }
    }
    /// Begins to pay, and opens the cashier: answers the attempt and the code of the page.
    pub async fn at_cashier(&self, world: &World, order: &Order) -> (Attempt, String) {
        let attempt = self.attempt(order).await;
        let code = world.sandbox.open(&attempt.pay_url).await.unwrap();
        (attempt, code)
    }
    /// Pays at the cashier; the shop has heard of it.
    pub async fn pay(&self, world: &World, order: &Order) -> Attempt {
        let (attempt, code) = self.at_cashier(world, order).await;
        assert!(world.sandbox.pay(&code).await.unwrap().now);
        world.settle().await;
        attempt
    }
    /// Begins to pay by a code; answers the attempt, and what the phone that scans it opens.
    pub async fn code(&self, order: &Order) -> (Value, String) {
        let begun = self.try_code("the-code", order).await.expect(201).body;
        let scanned = scanned(&begun);
        (begun, scanned)
    }
    /// As [`Self::code`], where Alipay may not answer; again under the same key while it does not.
    pub async fn code_in_the_end(&self, world: &World, order: &Order) -> Option<String> {
        for _ in 0..10 {
            let begun = self.try_code("the-code", order).await;
            match begun.status.as_u16() {
                201 => return Some(scanned(&begun.body)),
                503 | 504 => world.pass(Duration::from_secs(20)).await,
                _ => break,
            }
        }
        None
    }
    async fn try_code(&self, key: &str, order: &Order) -> Answer {
        let path = format!("/v1/payments/{}/attempts", order.payment_id);
        self.api.post_as(key, &path, json!({"method": "alipay_qr"})).await
    }
    /// Wants the order ended.
    pub async fn cancel(&self, order: &Order) -> Answer {
        self.api.post(&format!("/v1/orders/{}/cancellation", order.id), json!({})).await
    }
    /// Has something to say about the order.
    pub async fn note(&self, order: &Order, text: &str) -> Answer {
        self.api.post(&format!("/v1/orders/{}/notes", order.id), json!({"text": text})).await
    }
    /// The cart: SKUs and how many.
    pub async fn cart(&self) -> Vec<(String, i64)> {
        let cart = self.api.get("/v1/cart").await.expect(200);
        let line =
            |line: &Value| (line["sku"].as_str().unwrap().to_owned(), line["quantity"].as_i64().unwrap());
        cart.body["lines"].as_array().unwrap().iter().map(line).collect()
    }
    /// Has the goods.
    pub async fn receive(&self, order: &Order) -> Answer {
        self.api.post(&format!("/v1/orders/{}/receipt", order.id), json!({})).await
    }
}

fn scanned(attempt: &Value) -> String {
    attempt["qr_code"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// Everything in the order's timeline that `api` is shown.
pub async fn story(api: &TestApi, order: &Order) -> Vec<Value> {
    let seen = api.get(&format!("/v1/orders/{}/timeline", order.id)).await.expect(200);
    seen.body["items"].as_array().unwrap().clone()
}

/// An order that was placed.
#[derive(Clone, Debug)]
pub struct Order {
    /// The order.
    pub id: String,
    /// Its payment.
    pub payment_id: String,
    /// What it costs.
    pub total_minor: i64,
}

impl Order {
    /// From the answer to its placing.
    pub fn of(placed: &Answer) -> Self {
        Self {
            id: placed.text_at("/id"),
            payment_id: placed.text_at("/payment_id"),
            total_minor: placed.body["amounts"]["total"]["minor"].as_i64().unwrap(),
        }
    }
}

/// A way to pay that was begun.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Our number at Alipay.
    pub number: String,
    /// Where it is paid.
    pub pay_url: String,
}
