//! What is told of an order afterwards: everything that happened in one story, and how it stood at any moment.

use std::{collections::BTreeMap, time::Duration};

use merx_kernel::Role;
use serde_json::Value;

use merx_simulation::world::{Buyer, CUP, Order, TEA, World, story};

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().unwrap_or_default()
}

/// No entry twice, every cause before its effect, and time never back between a cause and what it caused.
fn assert_causal(items: &[Value]) {
    let mut seen: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for (place, entry) in items.iter().enumerate() {
        assert!(seen.insert(text(entry, "id"), (place, text(entry, "at"))).is_none(), "twice: {entry}");
    }
    for (place, entry) in items.iter().enumerate() {
        let cause = text(entry, "caused_by");
        if let Some((cause_place, cause_at)) = seen.get(cause) {
            assert!(*cause_place < place, "before its cause: {entry}");
            assert!(*cause_at <= text(entry, "at"), "earlier than its cause: {entry}");
        } else {
            assert_eq!(cause, "", "the cause is not told: {entry}");
        }
    }
}

fn place_of(items: &[Value], kind: &str, name: &str) -> usize {
    let found = items.iter().position(|entry| text(entry, "kind") == kind && text(entry, "name") == name);
    found.unwrap_or_else(|| panic!("no {kind} {name} in {items:#?}"))
}

/// The chain of causes of an entry, nearest first.
fn causes<'a>(items: &'a [Value], entry: &'a Value) -> Vec<String> {
    let mut chain = Vec::new();
    let mut cause = text(entry, "caused_by");
    while let Some(found) = items.iter().find(|other| !cause.is_empty() && text(other, "id") == cause) {
        chain.push(format!("{} {}", text(found, "kind"), text(found, "name")));
        cause = text(found, "caused_by");
    }
    chain
}

/// What a purchase comes to, causes first.
const IN_ORDER: &[(&str, &str)] = &[
    ("request", "placeOrder"),
    ("event", "OrderPlaced"),
    ("event", "StockReserved"),
    ("event", "PaymentOpened"),
    ("event", "OrderAwaitingPayment"),
    ("message", "ordering.order_awaiting_payment.v2"),
    ("mail", "order_placed"),
    ("event", "AttemptStarted"),
    ("provider_call", "alipay.trade.query"),
    ("event", "PaymentCaptured"),
    ("message", "payment.captured.v1"),
    ("event", "OrderPaid"),
    ("message", "ordering.order_paid.v2"),
    ("event", "StockSold"),
    ("event", "FulfilmentOpened"),
    ("event", "OrderShipped"),
    ("mail", "order_shipped"),
    ("event", "OrderDelivered"),
    ("request", "confirmReceipt"),
    ("event", "ReceiptConfirmed"),
    ("event", "OrderCompleted"),
    ("mail", "order_completed"),
];

#[tokio::test(start_paused = true)]
async fn one_story_of_requests_events_messages_calls_and_mails_causes_first() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 2), (CUP, 1)]).await;
    world.pass(Duration::from_secs(5)).await;
    let (_, code) = buyer.at_cashier(&world, &order).await;
    world.arm(merx_alipay_sandbox::Fault::LoseNotification, 10);
    world.pass(Duration::from_secs(5)).await;
    assert!(world.sandbox.pay(&code).await.unwrap().now);
    // Nobody told the shop: it asks, and finds the money.
    world.pass(Duration::from_secs(300)).await;
    world.settle().await;
    world.ship(&order).await;
    let shipment = world.shipments(&order).await[0]["id"].as_str().unwrap().to_owned();
    world.pass(Duration::from_secs(3_600)).await;
    world.deliver(&shipment).await;
    buyer.receive(&order).await.expect(200);
    world.settle().await;

    let staff = world.staff(Role::Support).await;
    let items = story(&staff, &order).await;
    assert_causal(&items);
    assert!(items.iter().all(|entry| text(entry, "kind") != "unanswered"), "{items:#?}");
    let places: Vec<usize> = IN_ORDER.iter().map(|(kind, name)| place_of(&items, kind, name)).collect();
    let told: Vec<String> = items
        .iter()
        .map(|e| format!("{} {} {}", text(e, "context"), text(e, "kind"), text(e, "name")))
        .collect();
    assert!(places.is_sorted(), "{told:#?}");
    // From the mail back to what the provider answered: the whole way is told.
    let mail = &items[place_of(&items, "mail", "order_paid")];
    let way = causes(&items, mail);
    let expected = [
        "message ordering.order_paid.v2",
        "event OrderPaid",
        "message payment.captured.v1",
        "event PaymentCaptured",
    ];
    assert_eq!(way[..4], expected, "{way:?}");
    assert!(way[4].starts_with("provider_call alipay.trade.query"), "{way:?}");
    assert!(!items.iter().any(|entry| entry.to_string().contains("王小明")), "no personal data");

    // The buyer sees the order's own part: no calls of providers, no machinery, nobody of the staff.
    let own = story(&buyer.api, &order).await;
    assert_causal(&own);
    for entry in &own {
        let kind = text(entry, "kind");
        assert!(["event", "request", "tracking", "mail"].contains(&kind), "{entry}");
        assert!(["", &*buyer.account.to_string()].contains(&text(entry, "actor")), "{entry}");
    }
    let mails = own.iter().filter(|entry| text(entry, "kind") == "mail");
    assert!(mails.count() >= 4);
    world.finish().await;
}

async fn as_of(buyer: &Buyer, order: &Order, moment: &str) -> Value {
    buyer.api.get(&format!("/v1/orders/{}?as_of={moment}", order.id)).await.expect(200).body
}

#[tokio::test(start_paused = true)]
async fn an_order_is_shown_as_it_was_at_any_moment() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let step = Duration::from_secs(60);
    let before = world.shop.deps.now();
    world.pass(step).await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let mut seen = Vec::new();
    let mut remember = async |what: &'static str| {
        world.settle().await;
        seen.push((what, world.shop.deps.now(), buyer.look(&order).await));
        world.pass(step).await;
    };
    remember("placed").await;
    buyer.note(&order, "as a present, please").await.expect(201);
    remember("noted").await;
    buyer.pay(&world, &order).await;
    remember("paid").await;
    world.ship(&order).await;
    remember("shipped").await;
    buyer.receive(&order).await.expect(200);
    remember("received").await;

    buyer.api.get(&format!("/v1/orders/{}?as_of={before}", order.id)).await.expect(404);
    for (what, moment, then) in &seen {
        assert_eq!(&as_of(&buyer, &order, &moment.to_string()).await, then, "{what}");
    }
    let statuses: Vec<&str> = seen.iter().map(|(_, _, then)| then["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["awaiting_payment", "awaiting_payment", "paid", "shipped", "completed"]);
    // The story, the money, the parcels and the goods of that moment agree with it.
    let paid_at = seen[2].1;
    let told = buyer.api.get(&format!("/v1/orders/{}/timeline?as_of={paid_at}", order.id)).await.expect(200);
    assert!(!told.text.contains("OrderShipped") && told.text.contains("OrderPaid"), "{}", told.text);
    let path = format!("/v1/orders/{}/shipments?as_of={paid_at}", order.id);
    let parcels = buyer.api.get(&path).await.expect(200);
    assert_eq!(parcels.text_at("/items/0/status"), "open", "{}", parcels.text);
    let placed_at = seen[0].1;
    let payment = format!("/v1/payments/{}?as_of={placed_at}", order.payment_id);
    assert_eq!(buyer.api.get(&payment).await.expect(200).body["status"], "open");
    let stock = format!("/v1/inventory/{TEA}?as_of={placed_at}");
    let stock = world.staff(Role::Warehouse).await.get(&stock).await.expect(200);
    assert_eq!((&stock.body["reserved"], &stock.body["sold"]), (&1.into(), &0.into()), "{}", stock.text);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_price_that_changes_between_quote_and_order_is_told_and_a_placed_order_keeps_its_own() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let placed = buyer.order(&[(TEA, 1)]).await;
    buyer.fill(TEA, 2).await;
    let accepted = buyer.quote().await;
    world.reprice(TEA, 19_900).await;
    buyer.place(&accepted).await.expect_problem(409, "ordering.quote_changed");
    let cart = buyer.api.get("/v1/cart").await.expect(200);
    let line = &cart.body["lines"][0];
    assert_eq!(line["unit_price"]["minor"], 19_900);
    assert_eq!(line["price_when_added"]["minor"], 16_800);
    assert!(line["changes"].to_string().contains("price"), "{}", cart.text);
    let dearer = Order::of(&buyer.place(&buyer.quote().await).await.expect(201));
    for (order, price) in [(&placed, 16_800), (&dearer, 19_900)] {
        assert_eq!(buyer.look(order).await["lines"][0]["unit_price"]["minor"], price);
        buyer.pay(&world, order).await;
    }
    // A price for later counts from its moment on, to the millisecond, with nobody to carry it out.
    let staff = world.staff(Role::ProductManager).await;
    let (now, hour) = (world.shop.deps.now(), Duration::from_secs(3_600));
    let price = serde_json::json!({
        "price": {"minor": 9_900, "currency": "CNY"}, "effective_from": now.plus(hour),
        "effective_until": now.plus(2 * hour), "reason": "an hour of sale"
    });
    staff.post(&format!("/v1/admin/skus/{TEA}/prices"), price).await.expect(201);
    let mut seen = Vec::new();
    buyer.fill(TEA, 1).await;
    for wait in [hour - Duration::from_millis(1), Duration::from_millis(1), hour] {
        world.pass(wait).await;
        let cart = buyer.api.get("/v1/cart").await.expect(200);
        seen.push(cart.body["lines"][0]["unit_price"]["minor"].as_i64().unwrap());
    }
    assert_eq!(seen, [19_900, 9_900, 19_900]);
    world.settle().await;
    world.finish().await;
}
