//! Buys without an account, comes back by the link in the mail, or becomes a member with a cart that comes along.

use merx_contracts::ids::SessionId;
use merx_kernel::{Role, Timestamp};
use serde_json::json;

use crate::{
    people::{
        Ask, Client, Shopper, Town, Who,
        town::{GOODS, PLENTY},
    },
    world::{PASSWORD, email},
};

/// An access token is good for so long at the least.
const TOKEN_MS: i64 = 9 * 60_000;

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let begun = town.shops_time();
    let (guest, token) = Shopper::guest(town, name).await?;
    if guest.one_in(2) {
        return merge(&guest, &token, begun).await;
    }
    let sku = *guest.client.dice.pick(GOODS)?;
    let bought = guest.buy(&[(sku, 1)]).await?;
    if guest.one_in(3) {
        guest.cancel(&bought.id).await?;
    } else {
        let till = guest.at_a_till(&bought).await?;
        guest.pays(&till).await;
    }
    town.pass(guest.client.dice.span(120_000)).await;
    come_back(&guest, &bought.id).await
}

/// The link in the mail leads to the order, and to nothing else.
async fn come_back(guest: &Shopper<'_>, order: &str) -> Option<()> {
    let town = guest.client.town;
    let letters = town.world.letters(&guest.mailbox());
    let letter = letters.iter().find(|letter| letter.text.contains("/order-links/"))?;
    let (_, after) = letter.text.split_once("/order-links/")?;
    let secret = after[..after.find('?')?].replace("%2E", ".").replace("%3D", "=");
    let door = Client::new(town, Who::Nobody, &format!("{} again", guest.client.name));
    let entered = door.post("/v1/guests/sessions", json!({"token": secret})).await?;
    assert_eq!(entered.text_at("/account_id"), guest.account.to_string(), "{}", entered.text);
    let back = guest.client.elsewhere(Who::Bearer(entered.text_at("/access_token")), "by the link");
    back.ask(Ask::get(format!("/v1/orders/{order}")).only(&["200"])).await?;
    let others = town.bought().into_iter().find(|bought| bought.by != guest.account)?;
    let foreign = format!("/v1/orders/{}", others.id);
    back.ask(Ask::get(foreign).only(&["ordering.order_not_found"])).await.map(drop)
}

/// Logs in as a member: what the guest had in the cart is the member's, as far as one may have it.
async fn merge(guest: &Shopper<'_>, token: &str, begun: Timestamp) -> Option<()> {
    let town = guest.client.town;
    let member = Shopper::member(town, &format!("{} as a member", guest.client.name)).await?;
    let units = guest.client.dice.units(5);
    let put = guest.fill(PLENTY, units).await?;
    let mut expected = if put.status == 204 { units } else { 0 };
    if member.one_in(2) && member.fill(PLENTY, 1).await?.status == 204 {
        expected += 1;
    }
    let body = json!({"email": email(member.account), "password": PASSWORD, "guest_token": token});
    let door = guest.client.elsewhere(Who::Nobody, "logs in");
    let entered = door.post("/v1/sessions", body).await?;
    let passed_ms = town.shops_time().as_millis() - begun.as_millis();
    if entered.status != 201 || !(0..TOKEN_MS).contains(&passed_ms) {
        // The shop's clock has jumped, and nobody knows the guest of a token that is too old.
        return Some(());
    }
    assert!(entered.text_at("/session_id").parse::<SessionId>().is_ok(), "{}", entered.text);
    let held = member.client.elsewhere(Who::Account(member.account, Role::Customer), "looks");
    // The carts come together a moment later.
    held.was_promised("a merged cart", "/v1/cart", move |seen| {
        let lines = seen.body["lines"].as_array().cloned().unwrap_or_default();
        lines.iter().filter_map(|line| line["quantity"].as_i64()).sum::<i64>() == expected
    });
    guest.client.was_promised("an empty cart", "/v1/cart", |seen| seen.body["lines"] == json!([]));
    Some(())
}
