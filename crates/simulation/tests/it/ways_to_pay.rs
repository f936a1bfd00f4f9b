//! Paying by a QR code, by two ways at once, on a phone, and by what staff confirms.

use axum::http::StatusCode;
use merx_alipay_sandbox::Fault;
use merx_kernel::Role;
use serde_json::{Value, json};

use merx_simulation::world::{Buyer, Order, TEA, World};

#[tokio::test(start_paused = true)]
async fn a_code_that_is_scanned_pays_the_order() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let (begun, scanned) = buyer.code(&order).await;
    let drawn = buyer.api.get(begun["qr_svg_url"].as_str().unwrap()).await;
    assert_eq!(drawn.status, StatusCode::OK, "{}", drawn.text);
    assert!(drawn.text.contains("<svg"));
    assert!(world.sandbox.pay(&scanned).await.unwrap().now);
    world.settle().await;
    assert_eq!(buyer.status(&order).await, "paid");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_code_whose_notification_is_lost_is_found_within_five_minutes() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let (_, scanned) = buyer.code(&order).await;
    world.arm(Fault::LoseNotification, 10);
    world.pass(std::time::Duration::from_secs(13 * 60)).await;
    assert!(world.sandbox.pay(&scanned).await.unwrap().now);
    world.settle().await;
    assert_eq!(buyer.status(&order).await, "awaiting_payment");
    world.pass(std::time::Duration::from_secs(5 * 60)).await;
    world.settle().await;
    assert_eq!(buyer.status(&order).await, "paid");
    assert!(world.line.notified().is_empty(), "it was the query that found it");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn money_by_the_page_and_by_the_code_goes_back_once() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let (_, page) = buyer.at_cashier(&world, &order).await;
    let (_, scanned) = buyer.code(&order).await;
    assert!(world.sandbox.pay(&scanned).await.unwrap().now);
    assert!(world.sandbox.pay(&page).await.unwrap().now, "the page was open in another window");
    world.settle().await;
    world.pass(std::time::Duration::from_secs(60)).await;
    assert_eq!(buyer.status(&order).await, "paid");
    let ledger = world.sandbox.ledger().await.unwrap();
    let sum = |kind| ledger.iter().filter(|e| e.kind == kind).map(|e| e.amount.minor).sum::<i64>();
    use merx_alipay_sandbox::EntryKind::{Capture, Refund};
    assert_eq!((sum(Capture), sum(Refund)), (2 * order.total_minor, order.total_minor));
    let payment = buyer.api.get(&format!("/v1/payments/{}", order.payment_id)).await.expect(200).body;
    let kinds: Vec<&str> =
        payment["captures"].as_array().unwrap().iter().map(|c| c["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["owed", "double"]);
    world.finish_alarmed(&["payment_duplicate"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_phone_and_an_app_pay_the_order() {
    let world = World::new().await;
    for (method, told) in [("alipay_wap", "pay_url"), ("alipay_app", "app_order")] {
        let buyer = world.buyer().await;
        let order = buyer.order(&[(TEA, 1)]).await;
        let begun = begin(&buyer, &order, method).await;
        let code = world.sandbox.open(begun[told].as_str().unwrap()).await.unwrap();
        assert!(world.sandbox.pay(&code).await.unwrap().now);
        world.settle().await;
        assert_eq!(buyer.status(&order).await, "paid", "{method}");
    }
    world.finish().await;
}

async fn begin(buyer: &Buyer, order: &Order, method: &str) -> Value {
    let path = format!("/v1/payments/{}/attempts", order.payment_id);
    buyer.api.post(&path, json!({ "method": method })).await.expect(201).body
}

/// Staff has seen the money of an attempt.
async fn seen(world: &World, order: &Order, attempt: &Value, minor: i64) {
    let attempt = attempt["id"].as_str().unwrap();
    let path = format!("/v1/admin/payments/{}/attempts/{attempt}/confirmation", order.payment_id);
    let said = json!({"amount": {"minor": minor, "currency": "CNY"}, "reference": "slip 1", "reason": "on the statement"});
    world.staff(Role::Operator).await.post(&path, said).await.expect(200);
    world.settle().await;
}

async fn paid_back(world: &World, buyer: &Buyer, order: &Order) {
    let payment = buyer.api.get(&format!("/v1/payments/{}", order.payment_id)).await.expect(200);
    let path = format!("/v1/payment-refunds/{}/confirmation", payment.text_at("/refunds/0/id"));
    let said = json!({"reference": "transfer 2", "reason": "by the bank"});
    world.staff(Role::Operator).await.post(&path, said).await.expect(200);
    world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_transfer_pays_the_order_once_staff_has_seen_it_and_goes_back_by_hand() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 2)]).await;
    let begun = begin(&buyer, &order, "bank_transfer").await;
    world.pass(std::time::Duration::from_secs(600)).await;
    assert_eq!(buyer.status(&order).await, "awaiting_payment");
    seen(&world, &order, &begun, order.total_minor).await;
    assert_eq!(buyer.status(&order).await, "paid");
    buyer.cancel(&order).await.expect(200);
    world.settle().await;
    assert_eq!(buyer.look(&order).await["axes"]["payment"], "captured", "nobody has paid it back yet");
    paid_back(&world, &buyer, &order).await;
    assert_eq!(buyer.look(&order).await["axes"]["payment"], "refunded");
    assert_eq!(world.ledger().await, [], "Alipay knows nothing of it");
    world.finish_alarmed(&["payment_refund_by_hand"]).await;
}

#[tokio::test(start_paused = true)]
async fn cash_that_nobody_confirms_in_time_ends_the_order_and_goes_back_when_it_comes() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let begun = begin(&buyer, &order, "cash_on_delivery").await;
    world.pass(std::time::Duration::from_secs(32 * 60)).await;
    world.settle().await;
    assert_eq!(buyer.status(&order).await, "cancelled");
    // Meanwhile somebody else has all of it.
    world.buyer().await.order(&[(TEA, 10)]).await;
    seen(&world, &order, &begun, order.total_minor).await;
    paid_back(&world, &buyer, &order).await;
    assert_eq!(buyer.look(&order).await["amounts"]["paid"]["minor"], 0);
    world.finish_alarmed(&["payment_refund_by_hand"]).await;
}
