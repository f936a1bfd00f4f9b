//! The buyer's routes.

use crate::{everywhere, modes::Mode};
use libtest_mimic::Trial;
use std::time::Duration;

use futures_util::future::join_all;
use merx_kernel::Role;
use merx_payment::commands::AttemptView;

use crate::world::{AMOUNT, BUYER, World, money, order};

pub fn trials() -> Vec<Trial> {
    everywhere!["attempts":
        an_attempt_sends_the_buyer_to_a_cashier_that_closes_before_the_deadline,
        there_is_one_open_attempt_whoever_asks_however_often,
        a_payment_of_another_is_not_there,
        an_attempt_is_refused_when_it_could_not_end_well,
        after_an_attempt_has_ended_there_may_be_another,
    ]
}

const BODY: &str = r#"{"method":"alipay_page"}"#;

async fn an_attempt_sends_the_buyer_to_a_cashier_that_closes_before_the_deadline(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    let before = world.stats();
    let reply = world.post_attempt(order(1), BUYER, "k", BODY).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let cost = world.stats().since(&before);
    assert_eq!(cost.labels["payment.start_attempt"].write_statements, 5, "{cost:?}");
    assert_eq!(cost.total().statements(), 5, "nothing is read beside it");
    let view: AttemptView = serde_json::from_str(&reply.text).unwrap();
    assert_eq!((view.amount, view.payment_id), (money(AMOUNT), order(1)));
    assert_eq!(view.expires_at, world.deadline().minus(Duration::from_secs(60)));
    let pay_url = view.pay_url.unwrap();
    let told = world.gateway.visit(&pay_url);
    assert_eq!(told["out_trade_no"], view.id.bare());
    assert_eq!(told["total_amount"], "19.99");
    assert_eq!(told["subject"], "Merx order");
    assert_eq!(told["product_code"], "FAST_INSTANT_TRADE_PAY");
    assert_eq!(told["time_expire"], view.expires_at.to_beijing_string());
    assert!(pay_url.contains("notify_url=http%3A%2F%2Fshop.test%2Fv1%2Fpayments%2Falipay%2Fnotifications"));
    world.finish_drained().await;
}

async fn there_is_one_open_attempt_whoever_asks_however_often(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    let same = join_all((0..50).map(|_| world.post_attempt(order(1), BUYER, "same", BODY))).await;
    let first = same[0].text.clone();
    assert!(same.iter().all(|r| r.status == 201 && r.text == first), "the same key has the same answer");
    assert_eq!(same.iter().filter(|r| r.headers.contains_key("idempotency-replayed")).count(), 49);
    let keys: Vec<String> = (0..50).map(|n| format!("other-{n}")).collect();
    let others = join_all(keys.iter().map(|key| world.post_attempt(order(1), BUYER, key, BODY))).await;
    assert!(others.iter().all(|r| r.status == 201 && r.text == first), "while it is open it is the same one");
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_attempts").await, 1);
    let other = world.post_attempt(order(1), BUYER, "same", r#"{"method": "alipay_page"}"#).await;
    other.is_problem(422, "request.idempotency_key_reused");
    world.deps.db.close().await;
}

async fn a_payment_of_another_is_not_there(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    world.start(order(1)).await;
    world.post_attempt(order(1), 12, "k", BODY).await.is_problem(404, "payment.not_found");
    world.post_attempt(order(9), BUYER, "k", BODY).await.is_problem(404, "payment.not_found");
    let path = format!("/v1/payments/{}", order(1));
    let foreign = world.get(&path, 12, Role::Customer).await;
    foreign.is_problem(404, "payment.not_found");
    let absent = world.get(&format!("/v1/payments/{}", order(9)), 12, Role::Customer).await;
    assert_eq!(foreign.json()["detail"], absent.json()["detail"], "the same as absent");
    world.get(&path, 12, Role::Warehouse).await.is_problem(404, "payment.not_found");
    world.finish().await;
}

async fn an_attempt_is_refused_when_it_could_not_end_well(mode: Mode) {
    let world = World::new(mode).await;
    world.paid(order(1)).await;
    world.post_attempt(order(1), BUYER, "k1", BODY).await.is_problem(409, "payment.already_captured");
    world.open(order(2)).await;
    world
        .post_attempt(order(2), BUYER, "k2", r#"{"method":"cash"}"#)
        .await
        .is_problem(400, "request.invalid");
    let more = r#"{"method":"alipay_page","amount":1}"#;
    world.post_attempt(order(2), BUYER, "k3", more).await.is_problem(400, "request.invalid");
    world.step(Duration::from_secs(1_740));
    world.post_attempt(order(2), BUYER, "k4", BODY).await.is_problem(409, "payment.deadline_passed");
    world.finish_drained().await;
}

async fn after_an_attempt_has_ended_there_may_be_another(mode: Mode) {
    let world = World::new(mode).await;
    let first = world.begin(order(1)).await;
    world.gateway.ledger().trades.get_mut(&first.bare()).unwrap().status = crate::gateway::Status::Closed;
    world.pass(Duration::from_secs(60)).await;
    let (second, url) = world.start(order(1)).await;
    assert_ne!(first, second);
    world.gateway.visit(&url);
    assert!(world.gateway.pay(second));
    world.notified(second).await;
    let view = serde_json::to_value(world.view(order(1)).await).unwrap();
    assert_eq!(view["status"], "captured");
    assert_eq!(view["captured"]["minor"], AMOUNT);
    assert_eq!(view["attempts"][0]["state"], "closed");
    assert_eq!(view["attempts"][1]["state"], "captured");
    world.finish_drained().await;
}
