//! From the warehouse to the buyer.

use std::time::Duration;

use http::StatusCode;

use crate::{
    given::{ATTEMPT, total},
    shop::Shop,
};
use crate::{paused, plain};

async fn shipped_delivered_received_completed() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    let receipt = format!("/v1/orders/{order}/receipt");
    shop.capture(order, ATTEMPT, total(), false).await;
    let early = shop.post(&receipt, "early").await;
    assert_eq!((early.status, early.code()), (StatusCode::CONFLICT, "ordering.not_shipped"));
    shop.ship(order).await;
    let shipped = shop.order(order).await;
    assert_eq!(shipped.status_of_order(), "shipped");
    assert_eq!(shipped.body["shipment"]["tracking_number"], "SF1234567890");
    shop.deliver(order).await;
    assert_eq!(shop.order(order).await.status_of_order(), "delivered");

    let received = shop.post(&receipt, "k").await;
    assert_eq!((received.status, received.status_of_order()), (StatusCode::OK, "completed"), "{received:?}");
    assert_eq!(received.body["axes"]["fulfilment"], "received");
    assert_eq!(shop.order(order).await.body, received.body);
    let again = shop.post(&receipt, "k").await;
    assert!(again.replayed);
    assert_eq!(again.text, received.text);
    let anew = shop.post(&receipt, "k2").await;
    assert_eq!((anew.status, anew.status_of_order()), (StatusCode::OK, "completed"));
    let completed = shop.facts().await.iter().filter(|kind| *kind == "ordering.order_completed.v2").count();
    assert_eq!(completed, 1);
    shop.finish().await;
}

async fn a_shipped_order_may_be_received_before_the_carrier_says_so() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    shop.ship(order).await;
    let received = shop.post(&format!("/v1/orders/{order}/receipt"), "k").await;
    assert_eq!(received.status_of_order(), "completed");
    shop.deliver(order).await;
    assert_eq!(shop.order(order).await.status_of_order(), "completed");
    shop.finish().await;
}

async fn a_parcel_of_an_order_that_is_not_paid_yet_waits() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.ship(order).await;
    assert_eq!(shop.order(order).await.status_of_order(), "awaiting_payment");
    assert_eq!(shop.background.settled().await.unwrap().waiting, 1);
    shop.capture(order, ATTEMPT, total(), false).await;
    shop.pass(Duration::from_secs(10)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "shipped");
    shop.finish().await;
}

/// What takes a day in a shop takes a minute here.
const DAY: Duration = Duration::from_secs(60);

fn days_are_days_unless_told() {
    let settings = merx_ordering::Settings::default();
    let day = Duration::from_secs(24 * 3600);
    assert_eq!((settings.receipt_window(), settings.undelivered_window()), (15 * day, 30 * day));
}

async fn nobody_says_so_and_fifteen_days_after_its_delivery_it_counts_as_received() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_timers").await, 0, "not before it is shipped");
    shop.ship(order).await;
    shop.pass(3 * DAY).await;
    shop.deliver(order).await;
    shop.pass(15 * DAY - Duration::from_secs(1)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "delivered");
    shop.pass(Duration::from_secs(1)).await;
    let ended = shop.order(order).await;
    assert_eq!(
        (ended.status_of_order(), &ended.body["axes"]["fulfilment"]),
        ("completed", &"received".into())
    );
    let by_timer =
        "SELECT COUNT(*) FROM ordering_events WHERE name = 'ReceiptConfirmed' AND body LIKE '%timer%'";
    assert_eq!(shop.count(by_timer).await, 1);
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_timers").await, 0);
    let told = shop.facts().await.iter().filter(|kind| *kind == "ordering.order_completed.v2").count();
    assert_eq!(told, 1);
    let after = shop.post(&format!("/v1/orders/{order}/receipt"), "k").await;
    assert_eq!((after.status, after.status_of_order()), (StatusCode::OK, "completed"));
    shop.finish().await;
}

async fn the_buyer_says_so_and_the_timer_is_gone() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    shop.ship(order).await;
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_timers WHERE kind = 'receipt_due'").await, 1);
    shop.post(&format!("/v1/orders/{order}/receipt"), "k").await;
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_timers").await, 0);
    let by_timer =
        "SELECT COUNT(*) FROM ordering_events WHERE name = 'ReceiptConfirmed' AND body LIKE '%timer%'";
    assert_eq!(shop.count(by_timer).await, 0);
    shop.finish().await;
}

async fn a_delivery_never_overtakes_its_shipment() {
    let shop = Shop::new().await;
    let names: Vec<&str> = shop.module.subscriptions.iter().map(|s| s.name).collect();
    assert_eq!(
        names,
        ["ordering.payment", "ordering.shipping", "ordering.accounts", "ordering.aftersale"],
        "one queue to each publisher"
    );
    let order = shop.placed().await;
    // Shipping is ahead of payment: the shipment waits, and the delivery behind it is not even tried.
    shop.ship(order).await;
    shop.deliver(order).await;
    let settled = shop.background.settled().await.unwrap();
    assert_eq!((settled.waiting, settled.dead), (1, 0));
    assert_eq!(shop.cost("ordering.shipment_delivered").0, 0);
    shop.capture(order, ATTEMPT, total(), false).await;
    shop.pass(Duration::from_secs(10)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "delivered");
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    [paused!["confirm_receipt": shipped_delivered_received_completed, a_shipped_order_may_be_received_before_the_carrier_says_so, a_parcel_of_an_order_that_is_not_paid_yet_waits, nobody_says_so_and_fifteen_days_after_its_delivery_it_counts_as_received, the_buyer_says_so_and_the_timer_is_gone, a_delivery_never_overtakes_its_shipment], plain!["confirm_receipt": days_are_days_unless_told]].into_iter().flatten().collect()
}
