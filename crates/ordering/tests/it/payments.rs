//! What ordering makes of payment's facts.

use std::time::Duration;

use merx_ordering::domain::identity;
use merx_platform::store::SagaStatus;

use crate::paused;
use crate::{
    given::{ATTEMPT, OTHER_ATTEMPT, cny, total},
    neighbours::Reservation,
    shop::Shop,
};

async fn a_capture_makes_the_order_paid_within_the_budget() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    let paid = shop.order(order).await;
    assert_eq!(paid.status_of_order(), "paid");
    assert_eq!(paid.body["amounts"]["paid"], paid.body["amounts"]["total"]);
    assert!(paid.body["shipment"]["shipment_id"].is_string());
    let (transactions, statements) = shop.cost("ordering.payment_captured");
    assert_eq!((transactions, statements), (1, 7));
    let world = shop.neighbours.world().clone();
    assert!(matches!(world.reservations.values().next(), Some(Reservation::Sold(_))));
    assert_eq!(world.shipments.len(), 1);
    assert_eq!(shop.facts().await, ["ordering.order_awaiting_payment.v2", "ordering.order_paid.v2"]);
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_timers").await, 0);
    shop.finish().await;
}

async fn the_same_message_twice_has_one_effect() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    let envelope = shop.capture(order, ATTEMPT, total(), false).await;
    // Redelivered as another row of the outbox: the inbox knows it by its id.
    let handled = shop.count("SELECT COUNT(*) FROM ordering_inbox").await;
    let delivery = merx_platform::Delivery::new(
        envelope,
        "ordering.payment",
        shop.module.store.clone(),
        1,
        shop.deps.now(),
    );
    let subscription = shop.module.subscriptions.iter().find(|s| s.name == "ordering.payment").unwrap();
    subscription.handler.handle(delivery).await.unwrap();
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_inbox").await, handled);
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_events WHERE name = 'OrderPaid'").await, 1);
    // And the same money under another message: the order knows it by its attempt.
    shop.capture(order, ATTEMPT, total(), false).await;
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_events WHERE name = 'OrderPaid'").await, 1);
    assert_eq!(shop.neighbours.world().shipments.len(), 1);
    shop.finish().await;
}

async fn late_money_goes_back_once() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.pass(Duration::from_secs(31 * 60)).await;
    let had = std::mem::take(&mut shop.neighbours.world().stock);
    shop.capture(order, ATTEMPT, total(), true).await;
    let late = shop.order(order).await;
    assert_eq!((late.status_of_order(), &late.body["axes"]["payment"]), ("cancelled", &"late".into()));
    assert_eq!(late.body["amounts"]["paid"]["minor"], 14_390);
    let refund = identity::refund_of(order, ATTEMPT).to_string();
    let asked = shop.neighbours.world().refunds.clone();
    assert_eq!(asked, [(refund, (ATTEMPT.to_string(), 14_390))].into());

    shop.capture(order, ATTEMPT, total(), true).await;
    assert_eq!(shop.neighbours.world().calls.iter().filter(|c| *c == "payment.refund").count(), 1);
    shop.refunded(order, ATTEMPT, total()).await;
    shop.refunded(order, ATTEMPT, total()).await;
    let settled = shop.order(order).await;
    assert_eq!(settled.body["axes"]["payment"], "refunded");
    assert_eq!(settled.body["amounts"]["paid"]["minor"], 0);
    shop.neighbours.world().stock = had;
    shop.finish().await;
}

/// The refund had failed for good by the time the saga asked (again): a person takes it up where it is, and the order is
/// settled by the fact all the same.
async fn a_refund_that_failed_for_good_parks_with_an_alert_and_may_still_go_through() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.pass(Duration::from_secs(31 * 60)).await;
    shop.neighbours.world().refunds_fail = true;
    let had = std::mem::take(&mut shop.neighbours.world().stock);
    shop.capture(order, ATTEMPT, total(), true).await;
    shop.pass(Duration::from_secs(3_600)).await;
    assert_eq!(shop.neighbours.world().calls.iter().filter(|c| *c == "payment.refund").count(), 1);
    assert_eq!(shop.deps.metrics.alerts("order_refund_failed"), 1);
    assert!(shop.sagas().await.iter().all(|(_, status)| *status == SagaStatus::Done), "nothing is driven on");
    assert_eq!(shop.order(order).await.body["axes"]["payment"], "late", "the money is still here");
    shop.refunded(order, ATTEMPT, total()).await;
    assert_eq!(shop.order(order).await.body["axes"]["payment"], "refunded");
    shop.neighbours.world().stock = had;
    shop.finish().await;
}

async fn money_between_close_and_cancellation_goes_back_too() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    // Inventory is slow to let go: the payment is closed already, the order not yet cancelled.
    shop.neighbours.fail("inventory.release", || merx_kernel::Error::unavailable("inventory.down", "Down."));
    shop.cancel(order, "k").await;
    assert_eq!(shop.order(order).await.status_of_order(), "awaiting_payment");
    let other = cny(total().minor + 1);
    shop.capture(order, ATTEMPT, other, true).await;
    shop.pass(Duration::from_secs(60)).await;
    let ended = shop.order(order).await;
    assert_eq!((ended.status_of_order(), &ended.body["axes"]["payment"]), ("cancelled", &"late".into()));
    assert_eq!(shop.neighbours.world().refunds.len(), 1);
    assert_eq!(shop.neighbours.world().stock["TEA"], 10);
    shop.finish().await;
}

async fn a_second_capture_of_a_paid_order_is_a_surplus() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    shop.capture(order, OTHER_ATTEMPT, total(), true).await;
    let overpaid = shop.order(order).await;
    assert_eq!((overpaid.status_of_order(), &overpaid.body["axes"]["payment"]), ("paid", &"overpaid".into()));
    assert_eq!(overpaid.body["amounts"]["paid"]["minor"], 2 * 14_390);
    shop.refunded(order, OTHER_ATTEMPT, total()).await;
    let settled = shop.order(order).await;
    assert_eq!(settled.body["axes"]["payment"], "captured");
    assert_eq!(settled.body["amounts"]["paid"]["minor"], 14_390);
    shop.finish().await;
}

async fn another_amount_is_held_for_a_person() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, cny(1), false).await;
    let held = shop.order(order).await;
    assert_eq!(held.status_of_order(), "payment_in_review");
    assert!(shop.deps.metrics.render().unwrap().contains("order_payment_quarantined"));
    let refused = shop.cancel(order, "k").await;
    assert_eq!(refused.code(), "ordering.payment_in_review");
    shop.pass(Duration::from_secs(31 * 60)).await;
    assert_eq!(
        shop.order(order).await.status_of_order(),
        "payment_in_review",
        "the deadline leaves it alone"
    );
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_timers").await, 0);
    shop.finish().await;
}

async fn a_refund_nobody_asked_for_is_a_dead_letter() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.refunded(order, ATTEMPT, total()).await;
    assert_eq!(shop.background.settled().await.unwrap().dead, 1);
    assert_eq!(shop.order(order).await.body["axes"]["payment"], "pending");
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    paused!["payments": a_capture_makes_the_order_paid_within_the_budget, the_same_message_twice_has_one_effect, late_money_goes_back_once, a_refund_that_failed_for_good_parks_with_an_alert_and_may_still_go_through, money_between_close_and_cancellation_goes_back_too, a_second_capture_of_a_paid_order_is_a_surplus, another_amount_is_held_for_a_person, a_refund_nobody_asked_for_is_a_dead_letter]
}
