//! Guests and members: who comes without an account, logs in half way, buys at the limit, and is forgotten on request.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use merx_kernel::Role;
use merx_testkit::TestApi;
use serde_json::{Value, json};

use merx_simulation::world::{Buyer, CUP, Order, PASSWORD, TEA, World, email};

/// One buyer may have three of it.
const LIMITED: &str = "FIRST-FLUSH";
const GUEST: &str = "guest@mail.test";
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The secret in the link of a mail, as a browser would send it.
fn secret_of(text: &str) -> String {
    let (_, after) = text.split_once("/order-links/").unwrap_or_else(|| panic!("no link in {text}"));
    let end = after.find('?').unwrap();
    after[..end].replace("%2E", ".").replace("%3D", "=")
}

#[tokio::test(start_paused = true)]
async fn a_guest_buys_and_comes_back_by_the_mailed_link() {
    let world = World::new().await;
    let (guest, _) = world.guest(GUEST, "en").await;
    let (other, _) = world.guest("other@mail.test", "en").await;
    let order = guest.order(&[(TEA, 1)]).await;
    assert_eq!(guest.look(&order).await["guest"], true);
    guest.pay(&world, &order).await;
    let letters = world.letters(GUEST);
    assert_eq!(world.mailed(GUEST), ["order_placed", "order_paid"]);
    assert!(!letters[1].text.contains("/order-links/"), "one link is enough: {}", letters[1].text);

    // Weeks later, on another machine. No token of before is known there.
    world.ship(&order).await;
    let world = world.rested(14 * DAY, &[]).await;
    let secret = secret_of(&letters[0].text);
    let entered = world.api.post("/v1/guests/sessions", json!({"token": secret})).await.expect(201);
    assert_eq!(entered.text_at("/account_id"), guest.account.to_string());
    let back = world.api.as_account(guest.account, Role::Guest);
    let seen = back.get(&format!("/v1/orders/{}", order.id)).await.expect(200);
    let number = seen.text_at("/number");
    back.get(&format!("/v1/orders/{number}")).await.expect(200);
    back.post(&format!("/v1/orders/{}/receipt", order.id), json!({})).await.expect(200);
    let other = other.back_in(&world);
    other.api.get(&format!("/v1/orders/{}", order.id)).await.expect(404);
    other.api.get(&format!("/v1/orders/{number}")).await.expect(404);

    let mut spoiled = secret.clone();
    let last = spoiled.pop().unwrap();
    spoiled.push(if last == 'A' { 'B' } else { 'A' });
    let refused = world.api.post("/v1/guests/sessions", json!({"token": spoiled})).await;
    refused.expect_problem(401, "accounts.guest_token_invalid");
    world.settle().await;
    assert_eq!(world.mailed(GUEST), ["order_placed", "order_paid", "order_shipped", "order_completed"]);
    world.finish().await;
}

async fn log_in(api: &TestApi, member: &Buyer, guest_token: &str) {
    let body = json!({"email": email(member.account), "password": PASSWORD, "guest_token": guest_token});
    let entered = api.post("/v1/sessions", body).await.expect(201);
    assert_eq!(entered.text_at("/account_id"), member.account.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_log_in_brings_the_guests_cart_along() {
    let world = World::new().await;
    let member = world.buyer().await;
    member.fill(TEA, 2).await;
    let (guest, token) = world.guest(GUEST, "zh-CN").await;
    guest.fill(TEA, 3).await;
    guest.fill(CUP, 1).await;
    log_in(&world.api, &member, &token).await;
    world.settle().await;
    let mut merged = member.cart().await;
    merged.sort();
    assert_eq!(merged, [(CUP.to_owned(), 1), (TEA.to_owned(), 5)]);
    assert_eq!(guest.cart().await, []);
    // A second log-in with the same token finds an empty cart.
    log_in(&world.api, &member, &token).await;
    world.settle().await;
    assert_eq!(member.cart().await.iter().map(|(_, units)| units).sum::<i64>(), 6);
    let cart = member.api.get("/v1/cart").await.expect(200);
    let notices = cart.body["notices"].as_array().unwrap();
    assert_eq!(notices.len(), 1, "{}", cart.text);
    let order = Order::of(&member.place(&member.quote().await).await.expect(201));
    member.pay(&world, &order).await;
    assert_eq!(member.cart().await, []);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_guest_ordered_before_the_log_in_is_not_ordered_again() {
    let world = World::new().await;
    let member = world.buyer().await;
    let (guest, token) = world.guest(GUEST, "zh-CN").await;
    guest.fill(TEA, 2).await;
    let quote = guest.quote().await;
    // Order and log-in at once: the cart's lines are ordered, and must not lie in the member's cart.
    let (placed, ()) = tokio::join!(guest.place(&quote), log_in(&world.api, &member, &token));
    world.settle().await;
    if placed.status == 201 {
        assert_eq!(member.cart().await, [], "{}", placed.text);
        guest.pay(&world, &Order::of(&placed)).await;
    } else {
        assert_eq!(member.cart().await, [(TEA.to_owned(), 2)], "{}", placed.text);
    }
    assert_eq!(guest.cart().await, []);
    world.pass(Duration::from_secs(1_900)).await;
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_buyer_has_no_more_than_the_limit_by_however_many_orders() {
    let world = World::interleaved(1).await;
    world.sell_limited(LIMITED, 88_000, 100, 100, Some(3)).await;
    let (buyer, other) = (world.buyer().await, world.buyer().await);
    let too_many = buyer.api.put(&format!("/v1/cart/lines/{LIMITED}"), json!({"quantity": 4})).await;
    too_many.expect_problem(409, "cart.limit_exceeded");

    // Two fillings of the cart at a time, each accepted twice at once.
    let mut orders: Vec<Order> = Vec::new();
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..5 {
        buyer.fill(LIMITED, 1).await;
        let one = buyer.quote().await;
        buyer.fill(LIMITED, 2).await;
        let two = buyer.quote().await;
        let answers = join_all([&one, &two, &one, &two].map(|quote| buyer.place(quote))).await;
        for answer in answers {
            match answer.status.as_u16() {
                201 => orders.push(Order::of(&answer)),
                _ => *refused.entry(answer.code().to_owned()).or_default() += 1,
            }
        }
        world.settle().await;
    }
    let bought =
        "SELECT SUM(l.quantity) FROM ordering_lines l JOIN ordering_orders o ON o.order_id = l.order_id
        WHERE o.order_axis NOT IN ('rejected', 'cancelled')";
    assert!(world.count(bought).await <= 3, "{refused:?}");
    assert_eq!(world.count(bought).await, world.count("SELECT SUM(bought) FROM ordering_purchases").await);
    assert!(refused.contains_key("ordering.limit_exceeded"), "{refused:?}");
    // Somebody else is not kept from it; and what is cancelled, unpaid or paid, is given back.
    other.order(&[(LIMITED, 3)]).await;
    buyer.pay(&world, &orders[0]).await;
    for order in &orders {
        buyer.cancel(order).await.expect(200);
    }
    world.settle().await;
    let again = buyer.order(&[(LIMITED, 3)]).await;
    buyer.pay(&world, &again).await;
    world.pass(Duration::from_secs(1_900)).await;
    assert_eq!(world.count(bought).await, 3, "the other ran out of time");
    assert_eq!(world.count("SELECT SUM(bought) FROM ordering_purchases").await, 3);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_person_who_is_erased_is_gone_and_the_order_goes_on() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let mailbox = email(buyer.account);
    let order = buyer.order(&[(TEA, 1)]).await;
    buyer.note(&order, "Ring at Wang Xiaoming's, third floor").await.expect(201);
    buyer.pay(&world, &order).await;
    let shipment = world.shipments(&order).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/shipments/{shipment}");
    let before = world.shop.deps.now();
    let packer = world.staff(Role::Warehouse).await;
    assert_eq!(packer.get(&path).await.expect(200).body["address"]["recipient"], "王小明");

    let support = world.staff(Role::Support).await;
    let erasure = format!("/v1/admin/accounts/{}/erasure", buyer.account);
    support.post(&erasure, json!({"reason": "asked in person"})).await.expect(200);
    world.settle().await;
    let label = packer.get(&path).await.expect(200);
    assert_eq!(label.body["address"], json!({"state": "erased"}), "{}", label.text);
    for moment in ["".to_owned(), format!("?as_of={before}")] {
        let seen = support.get(&format!("/v1/orders/{}{moment}", order.id)).await.expect(200);
        let note = &seen.body["notes"][0];
        assert_eq!((&note["erased"], &note["text"]), (&json!(true), &json!("")), "{}", seen.text);
        assert!(!seen.text.contains("Xiaoming"));
    }
    support.get(&format!("/v1/admin/accounts/{}", buyer.account)).await.expect(404);

    // The parcel was packed already: the order ends as any other, and nobody is written to.
    world.ship(&order).await;
    world.deliver(&shipment).await;
    let world = world.rested(16 * DAY, &[]).await;
    world.settle().await;
    let support = world.staff(Role::Support).await;
    let ended = support.get(&format!("/v1/orders/{}", order.id)).await.expect(200);
    assert_eq!(ended.body["status"], "completed");
    assert_eq!(world.mailed(&mailbox), ["order_placed", "order_paid"]);
    let sent = support.get(&format!("/v1/admin/mails?order_id={}", order.id)).await.expect(200);
    let states: Vec<(&str, &str)> = sent.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mail| (mail["template"].as_str().unwrap(), mail["state"].as_str().unwrap()))
        .collect();
    let expected = [
        ("order_completed", "skipped"),
        ("order_shipped", "skipped"),
        ("order_paid", "sent"),
        ("order_placed", "sent"),
    ];
    assert_eq!(states, expected, "{}", sent.text);
    assert_nowhere(&world, &["Xiaoming", "王小明", "13800138000", &mailbox]).await;
    world.finish().await;
}

/// None of the words is in any row of the database.
async fn assert_nowhere(world: &World, words: &[&str]) {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let found = world.rows_with(words).await;
    assert!(found.is_empty(), "personal data is left in {found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_whole_purchase_is_told_once_in_the_readers_language() {
    let world = World::new().await;
    for language in ["zh-CN", "en"] {
        let mailbox = format!("{}@mail.test", language.to_lowercase());
        let (buyer, _) = world.guest(&mailbox, language).await;
        let order = buyer.order(&[(TEA, 1), (CUP, 1)]).await;
        buyer.pay(&world, &order).await;
        world.ship(&order).await;
        buyer.receive(&order).await.expect(200);
        world.settle().await;
        let letters = world.letters(&mailbox);
        let templates: Vec<&str> = letters.iter().map(|letter| letter.template.as_str()).collect();
        assert_eq!(templates, ["order_placed", "order_paid", "order_shipped", "order_completed"]);
        let number = buyer.look(&order).await["number"].as_str().unwrap().to_owned();
        for letter in &letters {
            assert_eq!(letter.language, language, "{}", letter.subject);
            assert!(letter.text.contains(&number) && letter.html.contains(&number), "{}", letter.text);
            let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            // What a product is called stands in its own words; here they are the SKU.
            assert_eq!(is_chinese(&letter.subject), language == "zh-CN", "{}", letter.subject);
            assert_eq!(is_chinese(&letter.text), language == "zh-CN", "{}", letter.text);
        }
        let ids: std::collections::BTreeSet<&str> = letters.iter().map(|l| l.message_id.as_str()).collect();
        assert_eq!(ids.len(), letters.len(), "each letter has its own Message-ID");
    }
    assert_eq!(world.every_mail().len(), 8);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_guests_erasure_ends_the_link() {
    let world = World::new().await;
    let (guest, _) = world.guest(GUEST, "en").await;
    let order = guest.order(&[(TEA, 1)]).await;
    world.settle().await;
    let secret = secret_of(&world.letters(GUEST)[0].text);
    guest.api.post("/v1/account/erasure", json!({})).await.expect(204);
    let refused = world.api.post("/v1/guests/sessions", json!({"token": secret})).await;
    refused.expect_problem(401, "accounts.guest_token_invalid");
    world.pass(Duration::from_secs(1_900)).await;
    let seen: Value =
        world.staff(Role::Support).await.get(&format!("/v1/orders/{}", order.id)).await.expect(200).body;
    assert_eq!(seen["status"], "cancelled");
    assert_eq!(world.mailed(GUEST), ["order_placed"]);
    world.finish().await;
}
