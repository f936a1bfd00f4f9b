//! Somebody who buys, as a client of the shop.

use std::cell::RefCell;

use merx_contracts::ids::CartKind;
use merx_kernel::{Role, principal::AccountId};
use merx_testkit::Answer;
use serde_json::{Value, json};

use super::{Ask, Client, Town, Who, promises::has};
use crate::world::email;

/// Where goods can go; the last lies where freight is dearer.
const PLACES: &[(&str, &str, &str)] = &[
    ("浙江省", "杭州市", "西湖区龙井路 1 号"),
    ("上海市", "上海市", "南京东路 20 号"),
    ("新疆维吾尔自治区", "乌鲁木齐市", "解放北路 3 号"),
];

/// Somebody who buys.
pub struct Shopper<'a> {
    /// In front of the shop.
    pub client: Client<'a>,
    /// The account.
    pub account: AccountId,
    /// Member or guest.
    pub role: Role,
    /// Where the goods go, one at least.
    pub addresses: RefCell<Vec<String>>,
}

impl<'a> Shopper<'a> {
    /// A member, with an address.
    pub async fn member(town: &'a Town<'a>, name: &str) -> Option<Self> {
        let (account, _) = town.world.account(Role::Customer).await;
        Self::with(town, name, account, Role::Customer).await
    }

    /// A guest who can be written to, with an address; and the token of the visit.
    pub async fn guest(town: &'a Town<'a>, name: &str) -> Option<(Self, String)> {
        let door = Client::new(town, Who::Nobody, &format!("{name} at the door"));
        let begun = door.post("/v1/guests", json!({"locale": "en"})).await?;
        let account: AccountId = begun.text_at("/account_id").parse().unwrap();
        let shopper = Self::with(town, name, account, Role::Guest).await?;
        let contact = json!({"email": shopper.mailbox(), "name": "Ann", "locale": "en"});
        shopper.client.ask(Ask::put("/v1/guests/me", contact)).await?;
        Some((shopper, begun.text_at("/access_token")))
    }

    async fn with(town: &'a Town<'a>, name: &str, account: AccountId, role: Role) -> Option<Self> {
        let client = Client::new(town, Who::Account(account, role), name);
        let shopper = Self { client, account, role, addresses: RefCell::default() };
        town.has_come(account, role);
        shopper.move_in().await?;
        Some(shopper)
    }

    /// Where the shop writes to.
    pub fn mailbox(&self) -> String {
        match self.role {
            Role::Guest => format!("{}@mail.test", self.account.bare()),
            _ => email(self.account),
        }
    }
    /// Whether the rare case of `count` happens.
    pub fn one_in(&self, count: u64) -> bool {
        self.client.dice.one_in(count)
    }
    /// Thinks for a while.
    pub async fn think(&self) {
        let most = self.client.town.mixture.patience.as_millis() as u64;
        self.client.town.pass(self.client.dice.span(most)).await;
    }

    /// One more address.
    pub async fn move_in(&self) -> Option<String> {
        let (region, city, line1) = self.client.dice.pick(PLACES)?;
        let address = json!({
            "country": "CN", "region": region, "city": city, "line1": line1,
            "postcode": "310013", "recipient": "王小明", "phone": "13800138000"
        });
        let made = self.client.post("/v1/addresses", address).await?;
        let id = made.text_at("/id");
        assert!(id.starts_with("adr_"), "{}", made.text);
        let (wanted, line1) = (id.clone(), (*line1).to_owned());
        self.client.was_promised("an address", format!("/v1/addresses/{id}"), move |seen| {
            seen.text_at("/id") == wanted && seen.text_at("/address/line1") == line1
        });
        self.addresses.borrow_mut().push(id.clone());
        Some(id)
    }
    /// One of the addresses.
    pub fn somewhere(&self) -> String {
        self.client.dice.pick(&self.addresses.borrow()).cloned().unwrap_or_default()
    }

    /// The path of the checkout. A cart has the bits of its account.
    pub fn checkout(&self) -> String {
        format!("/v1/checkouts/{}", self.account.cast::<CartKind>())
    }
    /// So many of it shall lie in the cart.
    pub async fn fill(&self, sku: &str, quantity: i64) -> Option<Answer> {
        self.client.ask(Ask::put(format!("/v1/cart/lines/{sku}"), json!({"quantity": quantity}))).await
    }
    /// The cart.
    pub async fn cart(&self) -> Option<Vec<(String, i64)>> {
        let cart = self.client.get("/v1/cart").await?;
        let line = |line: &Value| Some((line["sku"].as_str()?.to_owned(), line["quantity"].as_i64()?));
        cart.body["lines"].as_array()?.iter().map(line).collect()
    }
    /// Takes everything out.
    pub async fn empty(&self) -> Option<()> {
        self.client.ask(Ask::delete("/v1/cart").only(&["204"])).await.map(drop)
    }
    /// Has something to say about an order.
    pub async fn note(&self, order: &str, text: &str) -> Option<()> {
        let note = self.client.post(format!("/v1/orders/{order}/notes"), json!({"text": text})).await?;
        if note.status == 201 {
            let id = note.text_at("/id");
            self.client
                .was_promised("a note", format!("/v1/orders/{order}"), move |seen| has(seen, "id", &id));
        }
        Some(())
    }
    /// The order as it stands.
    pub async fn look(&self, order: &str) -> Option<Answer> {
        self.client.ask(Ask::get(format!("/v1/orders/{order}")).only(&["200"])).await
    }
    /// Has the goods, or says so.
    pub async fn receive(&self, order: &str) -> Option<Answer> {
        let path = format!("/v1/orders/{order}/receipt");
        let only = &["200", "ordering.not_shipped", "ordering.order_ended"];
        let received = self.client.ask(Ask::post(path, json!({})).only(only)).await?;
        if received.status == 200 {
            self.client.was_promised("a receipt", format!("/v1/orders/{order}"), |seen| {
                seen.text_at("/axes/fulfilment") == "received" && seen.text_at("/axes/order") == "completed"
            });
        }
        Some(received)
    }
    /// Wants the order ended.
    pub async fn cancel(&self, order: &str) -> Option<Answer> {
        cancel(&self.client, order, json!({"reason": "it is too much"})).await
    }
}

fn is_cancelled(seen: &Answer) -> bool {
    seen.text_at("/axes/order") == "cancelled"
}

/// Money came after the end, and the order goes on: it is paid, and what it holds is looked at in the evening.
fn was_revived(seen: &Answer) -> bool {
    let paid = ["confirmed", "completed"].contains(&seen.text_at("/axes/order").as_str());
    paid && !seen.text_at("/revived_at").is_empty()
}

/// Wants an order ended, and remembers what was said to it.
pub async fn cancel(client: &Client<'_>, order: &str, why: Value) -> Option<Answer> {
    let answer = client.post(format!("/v1/orders/{order}/cancellation"), why).await?;
    let path = format!("/v1/orders/{order}");
    match answer.status.as_u16() {
        200 => client.was_promised("a cancellation", path, |seen| is_cancelled(seen) || was_revived(seen)),
        // It is under way: in the end it was, or was refused with a reason.
        202 => client.was_promised("an end of a cancellation", path, |seen| {
            is_cancelled(seen) || was_revived(seen) || !seen.text_at("/cancellation/refusal").is_empty()
        }),
        _ => {}
    }
    Some(answer)
}
