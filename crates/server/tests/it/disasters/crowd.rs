//! Buyers who are busy while something breaks, and one who looks closely.

use std::sync::Arc;

use merx_platform::{
    tasks::{Task, Tasks},
    time::{OsEntropy, SystemClock},
};
use merx_server::{
    client::{Reply, text},
    demo::DemoAccount,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::process::{
    buyers::{Buyer, Known},
    harness::{Site, random, text_of, until},
};

/// Buyers at work.
pub struct Crowd {
    stop: CancellationToken,
    working: Vec<Task<Buyer>>,
}

impl Crowd {
    /// Each arrives and shops until told to stop.
    pub async fn of(site: &Site, guests: Vec<DemoAccount>) -> Self {
        let tasks = Tasks::new(Arc::new(SystemClock), Arc::new(OsEntropy));
        let stop = CancellationToken::new();
        let mut working = Vec::new();
        for guest in guests {
            let buyer = Buyer::arrive(site, guest).await;
            working.push(tasks.spawn("buyer", buyer.shop_until(stop.clone())));
        }
        Self { stop, working }
    }

    async fn home(self) -> Vec<Buyer> {
        self.stop.cancel();
        let mut buyers = Vec::new();
        for buyer in self.working {
            buyers.push(buyer.await.expect("a buyer to the end"));
        }
        buyers
    }

    /// They stop; every order they were told of is there, and not behind what was said of it.
    pub async fn look_back(self) -> Vec<Known> {
        let mut orders = Vec::new();
        for buyer in self.home().await {
            orders.extend(buyer.look_back().await);
        }
        orders
    }

    /// They stop; every order they were told of is there and comes to rest by itself.
    pub async fn reckon(self) -> Vec<Known> {
        let mut orders = Vec::new();
        for buyer in self.home().await {
            orders.extend(buyer.reckon().await);
        }
        orders
    }
}

/// A buyer with an order that the shop acknowledged, and one that it has not seen yet.
pub struct Witness {
    /// Who it is.
    pub buyer: Buyer,
    kept: String,
    key: String,
    path: String,
    body: Value,
}

impl Witness {
    /// Places an order, and fills the cart for another.
    pub async fn arrive(site: &Site, guest: DemoAccount) -> Self {
        let mut buyer = Buyer::arrive(site, guest).await;
        let (path, body) = filled_cart(&mut buyer).await;
        let kept = buyer.client.post(&path, &body).await.and_then(Reply::ok).expect("an order");
        let (path, body) = filled_cart(&mut buyer).await;
        let key = buyer.client.new_key();
        Self { buyer, kept: text(&kept, "/id"), key, path, body }
    }

    /// The other order is refused for want of a disk that can be written.
    pub async fn is_refused(&self) {
        assert_refused(
            &self.buyer.client.post_as(&self.key, &self.path, &self.body).await.expect("answered"),
        );
    }

    /// Whatever is only read is served.
    pub async fn reads(&self, site: &Site) {
        let order = format!("/v1/orders/{}", self.kept);
        for path in ["/v1/products", "/v1/cart", "/v1/orders", &order, "/readyz", "/metrics"] {
            let reply = self.buyer.client.get(path).await.expect("answered");
            assert!(reply.status.is_success(), "{path}: {reply:?}");
        }
        let audit = site.run(&["audit"]);
        assert!(audit.status.success(), "{}", text_of(&audit));
    }

    /// The same request under the same key is one order, now that it can be kept.
    pub async fn is_served(&self) -> String {
        let order = self.buyer.client.post_as(&self.key, &self.path, &self.body).await.and_then(Reply::ok);
        text(&order.expect("an order"), "/id")
    }

    /// The acknowledged order, and `other`, are there.
    pub async fn finds(&self, other: &str) {
        for order in [self.kept.as_str(), other] {
            let found = self.buyer.client.get(&format!("/v1/orders/{order}")).await.and_then(Reply::ok);
            found.expect("an acknowledged order is there");
        }
    }
}

/// The fact of an earlier order may empty a cart once.
async fn filled_cart(buyer: &mut Buyer) -> (String, Value) {
    loop {
        if let Some(checkout) = buyer.checkout().await {
            return checkout;
        }
    }
}

/// Changes something small.
async fn change(buyer: &Buyer) -> Reply {
    attempt(buyer).await.expect("an answer, not a hang-up")
}
async fn attempt(buyer: &Buyer) -> merx_kernel::Result<Reply> {
    let line = json!({"quantity": 1 + random(50)});
    buyer.client.put("/v1/cart/lines/CHG-65", &line).await
}

/// Asks for a small change once; answers the status.
pub async fn ask_for_a_change(buyer: &Buyer) -> u16 {
    change(buyer).await.status.as_u16()
}

/// Until changes are refused; answers the refusal.
pub async fn until_refused(buyer: &Buyer) -> Reply {
    let refusal =
        until("a refusal", || async { Some(change(buyer).await).filter(|r| !r.status.is_success()) }).await;
    assert_refused(&refusal);
    refusal
}

/// Until changes are refused; nothing when the shop stops instead, which it does when a commit came back with an error.
pub async fn until_refused_or_stopped(buyer: &Buyer) -> Option<Reply> {
    let ends = until("a refusal or a stop", || async {
        match attempt(buyer).await {
            Ok(reply) if reply.status.is_success() => None,
            Ok(reply) if reply.text("/code") == "sql.outcome_unknown" => Some(None),
            Ok(reply) => Some(Some(reply)),
            Err(_) => Some(None),
        }
    });
    ends.await.inspect(assert_refused)
}

/// Until changes are taken.
pub async fn until_taken(buyer: &Buyer) {
    until("changes again", || async { change(buyer).await.status.is_success().then_some(()) }).await;
}

/// A refusal for want of a disk that can be written is a problem with a code, and nothing else.
fn assert_refused(reply: &Reply) {
    let code = reply.text("/code");
    assert!([503, 507].contains(&reply.status.as_u16()), "{reply:?}");
    assert!(["sql.disk_full", "sql.io"].contains(&code.as_str()), "{reply:?}");
    assert_eq!(reply.text("/type"), format!("/docs/errors/{code}"));
}
