//! From a cart to an order: what is quoted is what is ordered.

use std::time::Duration;

use merx_testkit::Answer;
use serde_json::{Value, json};

use super::{Ask, Shopper, promises::has, town::Bought};

/// How often somebody looks at a changed quote before he goes.
const LOOKS: usize = 3;

/// How often, and how many times, somebody looks whether his order was arranged.
const PLACING_LOOK: Duration = Duration::from_secs(10);
const PLACING_LOOKS: usize = 60;

/// A quote and the body that accepts it.
pub struct Quoted {
    /// The body that accepts it.
    pub accepted: Value,
    lines: Vec<(String, i64, i64)>,
    total_minor: i64,
}

fn lines_of(body: &Value) -> Vec<(String, i64, i64)> {
    let line = |line: &Value| {
        let number = |pointer: &str| line.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
        (
            line["sku"].as_str().unwrap_or_default().to_owned(),
            number("/quantity"),
            number("/unit_price/minor"),
        )
    };
    let mut lines: Vec<_> = body["lines"].as_array().into_iter().flatten().map(line).collect();
    lines.sort();
    lines
}

fn minor(body: &Value, pointer: &str) -> i64 {
    body.pointer(pointer).and_then(Value::as_i64).unwrap_or_else(|| panic!("no {pointer} in {body}"))
}

impl Shopper<'_> {
    /// What the cart would cost at an address; `Err` with the refusal.
    pub async fn quote_to(&self, address: &str) -> Option<Result<Quoted, Answer>> {
        let ask = json!({"address_id": address});
        let quote = self.client.post(format!("{}/quote", self.checkout()), ask).await?;
        if quote.status != 200 {
            return Some(Err(quote));
        }
        let lines = lines_of(&quote.body);
        let goods: i64 = lines.iter().map(|(_, units, price)| units * price).sum();
        let total_minor = minor(&quote.body, "/total/minor");
        assert_eq!(goods + minor(&quote.body, "/freight/minor"), total_minor, "{}", quote.text);
        let accepted = json!({
            "address_id": address,
            "shipping_method": quote.body["shipping_method"],
            "quote_id": quote.body["quote_id"],
        });
        Some(Ok(Quoted { accepted, lines, total_minor }))
    }
    /// What it would cost at one of the addresses.
    pub async fn quote(&self) -> Option<Result<Quoted, Answer>> {
        self.quote_to(&self.somewhere()).await
    }

    /// A request that accepts the quote.
    pub fn placing(&self, quoted: &Quoted) -> Ask {
        Ask::post(format!("{}/orders", self.checkout()), quoted.accepted.clone())
    }

    /// What became of an accepted quote: an order is what was quoted, and is not forgotten. `None` when there is none, or
    /// none that can be paid.
    pub async fn placed(&self, quoted: &Quoted, answer: &Answer) -> Option<Bought> {
        if !answer.status.is_success() {
            return None;
        }
        assert_eq!(lines_of(&answer.body), quoted.lines, "what was quoted was not ordered: {}", answer.text);
        assert_eq!(minor(&answer.body, "/amounts/total/minor"), quoted.total_minor, "{}", answer.text);
        let id = answer.text_at("/id");
        if quoted.accepted["note"].is_string() {
            let path = format!("/v1/orders/{id}");
            self.client.was_promised("a note at the checkout", path, |seen| has(seen, "author", "buyer"));
        }
        let bought = Bought {
            by: self.account,
            role: self.role,
            payment_id: self.payment_of(&id, answer).await.unwrap_or_default(),
            id,
            total_minor: quoted.total_minor,
            lines: quoted.lines.clone(),
            paid: Vec::new(),
        };
        self.client.town.has_bought(bought.clone());
        Some(bought).filter(|bought| !bought.payment_id.is_empty())
    }

    /// What the order is paid by. Who was told to wait for it looks again and again.
    async fn payment_of(&self, id: &str, answer: &Answer) -> Option<String> {
        let mut seen = answer.clone();
        for _ in 0..PLACING_LOOKS {
            let payment = seen.text_at("/payment_id");
            if !payment.is_empty() {
                return Some(payment);
            }
            if seen.text_at("/axes/order") != "placed" {
                return None;
            }
            self.client.town.pass(PLACING_LOOK).await;
            seen = self.look(id).await?;
        }
        None
    }

    /// Fills the cart and orders it, thinking between the quote and the order. `None` when nothing came of it; the cart
    /// is empty then.
    pub async fn buy(&self, lines: &[(&str, i64)]) -> Option<Bought> {
        for (sku, units) in lines {
            self.fill(sku, *units).await?;
        }
        for _ in 0..LOOKS {
            let Ok(mut quoted) = self.quote().await? else { break };
            if self.one_in(3) {
                quoted.accepted["note"] = "leave it with the neighbours".into();
            }
            if self.one_in(2) {
                self.think().await;
            }
            let answer = self.client.ask(self.placing(&quoted)).await?;
            if let Some(bought) = self.placed(&quoted, &answer).await {
                return Some(bought);
            }
            if answer.code() != "ordering.quote_changed" {
                break;
            }
        }
        self.empty().await?;
        None
    }
}
