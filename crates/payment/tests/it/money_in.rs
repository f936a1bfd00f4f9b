//! Money that comes late, twice, or out of order (T17).

use crate::{everywhere, modes::Mode};
use libtest_mimic::Trial;
use std::time::Duration;

use merx_contracts::payment::v1::close_reply::Outcome;

use crate::world::{AMOUNT, World, order, refund_id};

pub fn trials() -> Vec<Trial> {
    everywhere!["money_in":
        late_money_is_recorded_flagged_and_can_go_back,
        a_second_payment_of_one_order_is_its_own_capture_with_an_alert,
        an_attempt_left_open_beside_a_paid_one_is_closed_at_the_provider,
        a_refund_notification_before_the_payment_s_own_finds_the_payment,
        a_closed_notification_after_our_own_refund_is_expected,
    ]
}

async fn late_money_is_recorded_flagged_and_can_go_back(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    assert_eq!(world.close(order(1)).await.outcome(), Outcome::Closed);
    world.gateway.pay_closed(attempt_id);
    world.notified(attempt_id).await;
    world.notified(attempt_id).await;
    let facts = world.captured_facts().await;
    assert!(matches!(facts.as_slice(), [fact] if fact.late && fact.attempt_id == attempt_id));
    let view = world.view(order(1)).await;
    assert_eq!((view.status.as_str(), view.captured.minor), ("closed", AMOUNT));
    assert_eq!(
        world.close(order(1)).await.outcome(),
        Outcome::Closed,
        "late money does not revive a payment"
    );
    // Ordering asks for it to go back, more than once, as sagas do.
    for _ in 0..3 {
        world.refund(order(1), refund_id(5), attempt_id, AMOUNT).await.unwrap();
        world.pass(Duration::from_secs(10)).await;
    }
    assert_eq!(world.gateway.refunded(attempt_id), AMOUNT);
    assert_eq!(world.refunded_facts().await.len(), 1);
    world.finish_drained().await;
}

async fn a_second_payment_of_one_order_is_its_own_capture_with_an_alert(mode: Mode) {
    let world = World::new(mode).await;
    let first = world.begin(order(1)).await;
    // The first attempt ends unpaid as far as anybody knows, the second is paid, then the first one's money lands.
    world.gateway.ledger().trades.get_mut(&first.bare()).unwrap().status = crate::gateway::Status::Closed;
    world.pass(Duration::from_secs(60)).await;
    let (second, url) = world.start(order(1)).await;
    world.gateway.visit(&url);
    world.gateway.pay(second);
    world.notified(second).await;
    world.gateway.pay_closed(first);
    world.notified(first).await;
    let facts = world.captured_facts().await;
    assert_eq!(
        facts.iter().map(|f| (f.attempt_id, f.late)).collect::<Vec<_>>(),
        [(second, false), (first, true)]
    );
    assert_eq!(world.alerts().await, ["payment_duplicate"]);
    assert_eq!(world.view(order(1)).await.captured.minor, 2 * AMOUNT);
    // Each capture can go back by itself, and no further.
    let above = world.refund(order(1), refund_id(6), first, AMOUNT + 1).await.unwrap_err();
    assert_eq!(above.code(), "payment.refund_above_captured");
    world.refund(order(1), refund_id(7), first, AMOUNT).await.unwrap();
    world.pass(Duration::from_secs(10)).await;
    assert_eq!((world.gateway.refunded(first), world.gateway.refunded(second)), (AMOUNT, 0));
    world.finish_drained().await;
}

async fn an_attempt_left_open_beside_a_paid_one_is_closed_at_the_provider(mode: Mode) {
    let world = World::new(mode).await;
    let first = world.begin(order(1)).await;
    world.gateway.ledger().trades.get_mut(&first.bare()).unwrap().status = crate::gateway::Status::Closed;
    world.pass(Duration::from_secs(60)).await;
    let (second, url) = world.start(order(1)).await;
    world.gateway.visit(&url);
    world.gateway.pay_closed(first);
    world.notified(first).await;
    assert_eq!(world.view(order(1)).await.status, "captured");
    world.pass(Duration::from_secs(120)).await;
    assert_eq!(world.gateway.trade(second).status, crate::gateway::Status::Closed);
    assert!(!world.gateway.pay(second), "the buyer cannot pay twice");
    world.finish_drained().await;
}

async fn a_refund_notification_before_the_payment_s_own_finds_the_payment(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    world.gateway.pay(attempt_id);
    let paid = world.gateway.notification(attempt_id);
    // Somebody gave part of it back in Alipay's console; that notification overtakes the first one.
    world
        .gateway
        .ledger()
        .trades
        .get_mut(&attempt_id.bare())
        .unwrap()
        .refunds
        .insert("console".to_owned(), 500);
    let reply = world.notify(world.gateway.notification(attempt_id)).await;
    assert_eq!(reply.text, "fail", "a refund that is not ours needs a person");
    assert_eq!(world.alerts().await, ["payment_notification_quarantined"]);
    assert_eq!(world.captures().await, 1, "but the payment was found");
    assert_eq!(world.notify(paid).await.text, "success");
    assert_eq!(world.captures().await, 1);
    world.finish().await;
}

async fn a_closed_notification_after_our_own_refund_is_expected(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.paid(order(1)).await;
    world.refund(order(1), refund_id(1), attempt_id, AMOUNT).await.unwrap();
    world.pass(Duration::from_secs(1)).await;
    world.notified(attempt_id).await;
    assert!(world.alerts().await.is_empty());
    assert_eq!(world.close(order(1)).await.outcome(), Outcome::Captured);
    world.finish_drained().await;
}
