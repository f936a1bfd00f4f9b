//! Paying by a QR code, and by two ways at once.

use axum::http::StatusCode;
use merx_alipay_sandbox::Fault;

use merx_simulation::world::{TEA, World};

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
