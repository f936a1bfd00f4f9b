//! What is found without a notification (T18), and how attempts end.

use crate::{inline, modes::Mode};
use libtest_mimic::Trial;
use std::time::Duration;

use crate::{
    gateway::{Status, Trouble},
    world::{World, order},
};

pub fn trials() -> Vec<Trial> {
    inline!["timers":
        money_whose_notification_is_lost_is_found_within_five_minutes,
        an_unpaid_attempt_is_closed_at_its_expiry_and_looked_at_once_more,
        money_that_lands_after_the_close_is_found_without_a_notification,
        a_paid_payment_is_not_asked_about,
        a_provider_that_does_not_answer_is_asked_until_it_does,
        an_answer_somebody_else_signed_is_no_payment,
        money_for_a_code_whose_notification_is_lost_is_found_within_five_minutes,
        money_at_a_page_that_gave_way_is_found_too,
    ]
}

const MINUTE: Duration = Duration::from_secs(60);

async fn money_whose_notification_is_lost_is_found_within_five_minutes(mode: Mode) {
    // Paid early, in the middle and in the last second.
    for paid_after in [0, 1, 59, 61, 200, 600, 1_000, 1_500, 1_739] {
        let world = World::new(mode).await;
        let attempt_id = world.begin(order(1)).await;
        world.pass(Duration::from_secs(paid_after)).await;
        assert!(world.gateway.pay(attempt_id));
        world.pass(5 * MINUTE).await;
        assert_eq!(world.captures().await, 1, "paid after {paid_after} s");
        assert_eq!(world.captured_facts().await.len(), 1);
        world.finish_drained().await;
    }
}

async fn an_unpaid_attempt_is_closed_at_its_expiry_and_looked_at_once_more(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    world.pass(29 * MINUTE + Duration::from_secs(11)).await;
    assert_eq!(world.gateway.trade(attempt_id).status, Status::Closed);
    let view = serde_json::to_value(world.view(order(1)).await).unwrap();
    assert_eq!((&view["status"], &view["attempts"][0]["state"]), (&"open".into(), &"closed".into()));
    let queries = world.gateway.calls("alipay.trade.query");
    assert!(queries <= 13, "{queries} queries in half an hour");
    world.pass(60 * MINUTE).await;
    assert_eq!(world.gateway.calls("alipay.trade.query"), queries + 1);
    assert_eq!(world.next_timer().await, None, "nothing is left to ask");
    world.finish_drained().await;
}

async fn money_that_lands_after_the_close_is_found_without_a_notification(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    world.close(order(1)).await;
    world.gateway.pay_closed(attempt_id);
    world.pass(60 * MINUTE).await;
    let facts = world.captured_facts().await;
    assert!(matches!(facts.as_slice(), [fact] if fact.late));
    world.finish_drained().await;
}

async fn a_paid_payment_is_not_asked_about(mode: Mode) {
    let world = World::new(mode).await;
    world.paid(order(1)).await;
    world.pass(60 * MINUTE).await;
    assert!(world.gateway.ledger().calls.is_empty());
    assert_eq!(world.next_timer().await, None);
    world.finish_drained().await;
}

async fn a_provider_that_does_not_answer_is_asked_until_it_does(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    assert!(world.gateway.pay(attempt_id));
    world.gateway.ledger().down = true;
    world.pass(44 * MINUTE).await;
    assert!(world.alerts().await.is_empty());
    world.pass(60 * MINUTE).await;
    assert_eq!(world.alerts().await, ["payment_attempt_unsettled"]);
    world.gateway.ledger().down = false;
    world.pass(10 * MINUTE).await;
    assert_eq!(world.captures().await, 1);
    assert_eq!(world.next_timer().await, None);
    world.finish_drained().await;
}

async fn an_answer_somebody_else_signed_is_no_payment(mode: Mode) {
    let world = World::new(mode).await;
    world.begin(order(1)).await;
    world.gateway.trouble([Trouble::WrongSignature; 5]);
    world.pass(10 * MINUTE).await;
    assert_eq!(world.captures().await, 0);
    world.finish_drained().await;
}

/// T18 with a code: the buyer stands before a page that waits.
async fn money_for_a_code_whose_notification_is_lost_is_found_within_five_minutes(mode: Mode) {
    for paid_after in [0, 1, 5, 7, 59, 200, 600, 1_000, 1_739] {
        let world = World::new(mode).await;
        world.open(order(1)).await;
        let (attempt_id, code) = world.start_qr(order(1)).await;
        world.pass(Duration::from_secs(paid_after)).await;
        world.gateway.scan(&code);
        assert!(world.gateway.pay(attempt_id));
        world.pass(5 * MINUTE).await;
        assert_eq!(world.captures().await, 1, "paid after {paid_after} s");
        assert_eq!(world.captured_facts().await.len(), 1);
        world.finish_drained().await;
    }
    // Most are paid within the first minute, and are found within seconds.
    let world = World::new(mode).await;
    world.open(order(1)).await;
    let (attempt_id, code) = world.start_qr(order(1)).await;
    world.pass(Duration::from_secs(10)).await;
    world.gateway.scan(&code);
    assert!(world.gateway.pay(attempt_id));
    world.pass(Duration::from_secs(10)).await;
    assert_eq!(world.captures().await, 1);
    world.finish_drained().await;
}

async fn money_at_a_page_that_gave_way_is_found_too(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    let (page, url) = world.start(order(1)).await;
    world.start_qr(order(1)).await;
    world.gateway.visit(&url);
    assert!(world.gateway.pay(page));
    world.pass(5 * MINUTE).await;
    let facts = world.captured_facts().await;
    assert!(matches!(facts.as_slice(), [fact] if !fact.late && fact.attempt_id == page));
    world.pass(60 * MINUTE).await;
    assert_eq!(world.next_timer().await, None);
    world.finish_drained().await;
}
