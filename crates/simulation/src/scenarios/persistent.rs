//! People who want one thing and do not give up: what nobody answered they ask again under the same key.

use std::time::Duration;

use axum::http::Method;
use futures_util::future::join_all;
use merx_kernel::{Role, principal::AccountId};
use merx_testkit::Answer;
use serde_json::{Value, json};

use crate::{
    dice::Dice,
    world::{CUP, TEA, World, email},
};

/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(1_800);
/// How often somebody asks before he takes the shop for closed.
const TRIES_MAX: usize = 400;

struct Person<'a> {
    world: &'a World,
    dice: Dice,
    account: AccountId,
    role: Role,
    keys: std::cell::Cell<u32>,
}

impl Person<'_> {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let key = format!("{}-{}", self.account.bare(), self.keys.replace(self.keys.get() + 1));
        let api = self.world.api.as_account(self.account, self.role);
        for _ in 0..TRIES_MAX {
            let key = (method == Method::POST).then_some(key.as_str());
            let answer = api.send(method.clone(), path, body.clone(), key).await;
            let nobody_knows =
                answer.is_lost() || answer.status.as_u16() >= 500 || answer.code().ends_with("in_flight");
            if !nobody_knows {
                return answer;
            }
            self.world.pass(Duration::from_secs(1) + self.dice.span(8_000)).await;
        }
        panic!("{method} {path} is never answered");
    }
    async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }
    async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None).await.expect(200).body
    }

    async fn place(&self) -> Option<Value> {
        let address = json!({
            "country": "CN", "region": "浙江省", "city": "杭州市", "line1": "西湖区龙井路 1 号",
            "postcode": "310013", "recipient": "王小明", "phone": "13800138000"
        });
        let address_id = self.post("/v1/addresses", address).await.expect(201).text_at("/id");
        let sku = if self.dice.one_in(2) { TEA } else { CUP };
        let line = format!("/v1/cart/lines/{sku}");
        let _ = self.ask(Method::PUT, &line, Some(json!({"quantity": self.dice.units(2)}))).await.expect(204);
        let checkout = format!("/v1/checkouts/{}", self.account.cast::<merx_contracts::ids::CartKind>());
        let quote = self.post(&format!("{checkout}/quote"), json!({"address_id": address_id})).await;
        if quote.code() == "inventory.sold_out" {
            return None;
        }
        let quote = quote.expect(200);
        let accepted = json!({
            "address_id": address_id, "shipping_method": quote.body["shipping_method"],
            "quote_id": quote.body["quote_id"],
        });
        let placed = self.post(&format!("{checkout}/orders"), accepted).await;
        (placed.status.is_success()).then_some(placed.body)
    }

    /// Buys, and pays or cancels or forgets.
    async fn shop(&self) {
        self.world.pass(self.dice.span(900_000)).await;
        let Some(placed) = self.place().await else { return };
        let path = format!("/v1/orders/{}", placed["id"].as_str().unwrap());
        let mut order = self.get(&path).await;
        while order["status"] == "placed" {
            self.world.pass(Duration::from_secs(5)).await;
            order = self.get(&path).await;
        }
        if order["status"] != "awaiting_payment" {
            return;
        }
        if self.dice.one_in(5) {
            let _ = self.post(&format!("{path}/cancellation"), json!({})).await;
            return;
        }
        let attempts = format!("/v1/payments/{}/attempts", order["payment_id"].as_str().unwrap());
        let begun = self.post(&attempts, json!({"method": "alipay_page"})).await;
        if begun.status != 201 {
            return;
        }
        if let Ok(code) = self.world.sandbox.open(&begun.text_at("/pay_url")).await {
            self.world.pass(self.dice.span(300_000)).await;
            let paid = self.world.sandbox.pay(&code).await;
            self.world.trace.see(format!("{} pays: {paid:?}", email(self.account)));
        }
    }
}

/// Up to a dozen of them.
pub async fn persistent(world: World) -> World {
    let count = world.faults.plan().people(12);
    let accounts = world.accounts(Role::Customer, count as usize).await;
    let person = |account| Person {
        world: &world,
        dice: Dice::of(&world),
        account,
        role: Role::Customer,
        keys: std::cell::Cell::default(),
    };
    let people: Vec<Person<'_>> = accounts.into_iter().map(|(account, _)| person(account)).collect();
    let _ = world.troubled(TROUBLE, join_all(people.iter().map(Person::shop))).await;
    world
}
