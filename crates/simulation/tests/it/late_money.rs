//! Money that comes after its order has ended: the order goes on if the goods are still there, and whatever can happen to
//! any paid order can happen to it.

use std::time::Duration;

use merx_alipay_sandbox::{EntryKind, Fault};
use merx_kernel::Role;
use serde_json::{Value, json};

use merx_simulation::world::{Buyer, CUP, Order, TEA, World};

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

fn axes(order: &Value) -> [&str; 3] {
    ["order", "payment", "fulfilment"].map(|axis| order["axes"][axis].as_str().unwrap())
}

/// Two of an order's tries to pay are open when it runs out of time.
async fn expired(world: &World, buyer: &Buyer, lines: &[(&str, i64)]) -> (Order, String) {
    let order = buyer.order(lines).await;
    let (_, code) = buyer.at_cashier(world, &order).await;
    world.pass(minutes(31)).await;
    assert_eq!(buyer.status(&order).await, "cancelled");
    (order, code)
}

async fn pays_late(world: &World, code: &str) {
    world.arm(Fault::PayAfterExpiry, 1);
    assert!(world.sandbox.pay(code).await.unwrap().now);
    world.pass(minutes(10)).await;
    world.settle().await;
}

/// An order that late money brought back to life.
async fn revived(world: &World, buyer: &Buyer, lines: &[(&str, i64)]) -> Order {
    let (order, code) = expired(world, buyer, lines).await;
    pays_late(world, &code).await;
    let seen = buyer.look(&order).await;
    assert_eq!(axes(&seen), ["confirmed", "captured", "none"], "{seen}");
    assert!(seen["revived_at"].is_string() && seen["cancellation"].is_null(), "{seen}");
    assert_eq!(seen["amounts"]["paid"]["minor"], order.total_minor);
    assert_eq!(world.moved().await, [(EntryKind::Capture, order.total_minor)]);
    let waits = "SELECT COUNT(*) FROM payment_quarantine WHERE resolved_at IS NULL";
    assert_eq!(world.count(waits).await, 0, "it pays: nobody has to decide on it");
    order
}

#[tokio::test(start_paused = true)]
async fn it_pays_for_the_order_which_is_sent_and_arrives() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    world.arm(Fault::DuplicateNotification { copies: 4 }, 1);
    let order = revived(&world, &buyer, &[(TEA, 2), (CUP, 1)]).await;
    assert_eq!((world.stock(TEA).await, world.stock(CUP).await), ([8, 0, 2], [2, 0, 1]));
    world.ship(&order).await;
    for shipment in world.shipments(&order).await {
        world.deliver(shipment["id"].as_str().unwrap()).await;
    }
    buyer.receive(&order).await.expect(200);
    assert_eq!(
        buyer.timeline(&order).await,
        [
            "OrderPlaced",
            "OrderAwaitingPayment",
            "CancellationRequested",
            "OrderCancelled",
            "LatePaymentReceived",
            "RevivalBegun",
            "OrderRevived",
            "FulfilmentOpened",
            "OrderShipped",
            "OrderDelivered",
            "ReceiptConfirmed",
            "OrderCompleted"
        ]
    );
    // The money is nobody's deposit any more, and the order owes nothing.
    let books = "SELECT COUNT(*) FROM (SELECT account FROM payment_postings WHERE account IN ('deposits', 'receivable')
        GROUP BY account HAVING SUM(minor) <> 0) AS open";
    assert_eq!(world.count(books).await, 0);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_buyer_hears_of_every_turn() {
    let world = World::new().await;
    let (account, _) = (world.buyer().await, ());
    let order = revived(&world, &account, &[(TEA, 1)]).await;
    account.cancel(&order).await.expect(200);
    world.settle().await;
    world.pass(minutes(2)).await;
    let mails =
        "SELECT COUNT(*) FROM notification_mails WHERE template = 'order_cancelled' AND state = 'sent'";
    assert_eq!(world.count(mails).await, 2, "of both cancellations");
    let mails = "SELECT COUNT(*) FROM notification_mails WHERE template = 'order_paid' AND state = 'sent'";
    assert_eq!(world.count(mails).await, 1);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn where_the_goods_are_gone_it_goes_back_once() {
    let world = World::new().await;
    let (buyer, other) = (world.buyer().await, world.buyer().await);
    let (order, code) = expired(&world, &buyer, &[(CUP, 2)]).await;
    let had = other.order(&[(CUP, 2)]).await;
    other.pay(&world, &had).await;
    pays_late(&world, &code).await;
    let seen = buyer.look(&order).await;
    assert_eq!(axes(&seen), ["cancelled", "refunded", "none"]);
    assert_eq!(seen["amounts"]["paid"]["minor"], 0);
    let back = world.moved().await.iter().filter(|(kind, _)| *kind == EntryKind::Refund).count();
    assert_eq!(back, 1);
    assert_eq!(world.stock(CUP).await, [1, 0, 2]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_late_payments_one_pays_and_one_goes_back() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let (_, page) = buyer.at_cashier(&world, &order).await;
    let (_, phone) = buyer.code(&order).await;
    world.pass(minutes(31)).await;
    assert_eq!(buyer.status(&order).await, "cancelled");
    world.arm(Fault::PayAfterExpiry, 2);
    for code in [&page, &phone] {
        assert!(world.sandbox.pay(code).await.unwrap().now);
    }
    world.pass(minutes(10)).await;
    world.settle().await;
    let seen = buyer.look(&order).await;
    assert_eq!(axes(&seen), ["confirmed", "captured", "none"], "{seen}");
    assert_eq!(seen["amounts"]["paid"]["minor"], order.total_minor);
    let mut moved = world.moved().await;
    moved.sort();
    let total = order.total_minor;
    assert_eq!(moved, [(EntryKind::Capture, total), (EntryKind::Capture, total), (EntryKind::Refund, total)]);
    assert_eq!(world.stock(TEA).await, [9, 0, 1]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_revived_order_is_cancelled_as_any_other() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = revived(&world, &buyer, &[(TEA, 3)]).await;
    assert_eq!(world.stock(TEA).await, [7, 0, 3]);
    buyer.cancel(&order).await.expect(200);
    world.pass(minutes(1)).await;
    world.settle().await;
    let seen = buyer.look(&order).await;
    assert_eq!(axes(&seen), ["cancelled", "refunded", "none"]);
    assert_eq!(seen["cancellation"]["reason"], "buyer");
    assert_eq!(world.stock(TEA).await, [10, 0, 0]);
    let both = [(EntryKind::Capture, order.total_minor), (EntryKind::Refund, order.total_minor)];
    assert_eq!(world.moved().await, both);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_revived_order_is_taken_back_after_the_sale() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = revived(&world, &buyer, &[(TEA, 2)]).await;
    world.ship(&order).await;
    for shipment in world.shipments(&order).await {
        world.deliver(shipment["id"].as_str().unwrap()).await;
    }
    let lines = json!([{"sku": TEA, "quantity": 1}]);
    let body = json!({"kind": "return", "reason": "damaged", "text": "它碎了", "lines": lines});
    let asked = buyer.api.post(&format!("/v1/orders/{}/after-sales", order.id), body).await.expect(201);
    let case = asked.text_at("/id");
    let act = async |role, what: &str, body| {
        let staff = world.staff(role).await;
        staff.post(&format!("/v1/admin/after-sales/{case}/{what}"), body).await.expect(200);
        world.settle().await;
    };
    act(Role::Support, "approval", json!({})).await;
    let sent = json!({"carrier": "YTO", "tracking_number": "YT9"});
    buyer.api.post(&format!("/v1/after-sales/{case}/return-shipment"), sent).await.expect(200);
    act(Role::Warehouse, "receipt", json!({ "lines": lines })).await;
    let found = json!([{"sku": TEA, "restocked": 1, "written_off": 0}]);
    act(Role::Warehouse, "inspection", json!({"lines": found, "text": "opened"})).await;
    world.pass(minutes(1)).await;
    let seen = buyer.look(&order).await;
    assert_eq!(axes(&seen)[..2], ["confirmed", "part_refunded"], "{seen}");
    assert_eq!(seen["amounts"]["refunded"]["minor"], 16_800);
    assert_eq!(world.stock(TEA).await, [9, 0, 1], "what came back is in the warehouse");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn every_parcel_of_a_revived_order_comes_back() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = revived(&world, &buyer, &[(TEA, 2)]).await;
    world.ship(&order).await;
    for shipment in world.shipments(&order).await {
        world.track(shipment["id"].as_str().unwrap(), "returned").await.expect(200);
    }
    world.settle().await;
    let decision = json!({"decision": "refund", "reason": "it came back"});
    let path = format!("/v1/orders/{}/settlement", order.id);
    world.staff(Role::Administrator).await.post(&path, decision).await.expect(200);
    world.pass(minutes(1)).await;
    world.settle().await;
    let seen = buyer.look(&order).await;
    assert_eq!(axes(&seen)[..2], ["cancelled", "refunded"]);
    assert_eq!(world.stock(TEA).await, [10, 0, 0]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn who_was_erased_meanwhile_gets_the_money_back() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let (_, code) = expired(&world, &buyer, &[(TEA, 1)]).await;
    let path = format!("/v1/admin/accounts/{}/erasure", buyer.account);
    let why = json!({"reason": "asked for it"});
    let erased = world.staff(Role::Administrator).await.post(&path, why).await;
    assert!(erased.status.is_success(), "{}", erased.text);
    world.settle().await;
    pays_late(&world, &code).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM ordering_orders WHERE payment_axis = 'refunded'").await, 1);
    assert_eq!(world.stock(TEA).await, [10, 0, 0]);
    world.finish().await;
}
