//! Random sequences of everything against a gateway that fails at random (T19): no double charge, no refund above the
//! payment, no signature of a stranger believed; and when the faults end, our ledger is the provider's.

use crate::{modes::Mode, plain};
use libtest_mimic::Trial;
use std::time::Duration;

use merx_contracts::ids::{AttemptId, PaymentId};
use proptest::prelude::*;

use crate::{
    gateway::{Status, Trouble},
    world::{BUYER, PAGE_BODY, QR_BODY, World, order, refund_id},
};

pub fn trials() -> Vec<Trial> {
    plain!["sequences":
        nothing_is_paid_or_given_back_twice,
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Open(u128),
    Start(u128),
    StartQr(u128),
    Scan(u128),
    Visit(u128),
    Pay(u128),
    PayClosed(u128),
    Notify(u128),
    Close(u128),
    Refund(u128, u128, i64),
    Pass(u64),
    Trouble(Trouble),
}

fn any_trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        Just(Trouble::LostCall),
        Just(Trouble::LostAnswer),
        Just(Trouble::UnknownBefore),
        Just(Trouble::UnknownAfter),
        Just(Trouble::HalfAnswer),
        Just(Trouble::WrongSignature),
        Just(Trouble::InProgress),
        Just(Trouble::Refused("ACQ.SYSTEM_ERROR")),
        Just(Trouble::Refused("ACQ.SELLER_BALANCE_NOT_ENOUGH")),
    ]
}

fn any_act() -> impl Strategy<Value = Act> {
    let one = 1..3u128;
    prop_oneof![
        2 => one.clone().prop_map(Act::Open),
        3 => one.clone().prop_map(Act::Start),
        2 => one.clone().prop_map(Act::StartQr),
        2 => one.clone().prop_map(Act::Scan),
        3 => one.clone().prop_map(Act::Visit),
        4 => one.clone().prop_map(Act::Pay),
        1 => one.clone().prop_map(Act::PayClosed),
        3 => one.clone().prop_map(Act::Notify),
        2 => one.clone().prop_map(Act::Close),
        4 => (one, 1..6u128, 1..2_200i64).prop_map(|(n, id, minor)| Act::Refund(n, id, minor)),
        3 => (0..400u64).prop_map(Act::Pass),
        4 => any_trouble().prop_map(Act::Trouble),
    ]
}

async fn attempts(world: &World, payment_id: PaymentId) -> Vec<AttemptId> {
    let view = world.get(&format!("/v1/payments/{payment_id}"), BUYER, merx_kernel::Role::Customer).await;
    if view.status != 200 {
        return Vec::new();
    }
    let view: merx_payment::queries::PaymentView = serde_json::from_str(&view.text).unwrap();
    view.attempts.iter().map(|a| a.id).collect()
}

async fn perform(world: &World, act: Act) {
    let known = |attempt: &AttemptId| world.gateway.ledger().trades.contains_key(&attempt.bare());
    match act {
        Act::Open(n) => drop(world.ask_open(world.open_request(order(n))).await),
        Act::Start(n) => {
            let key = world.fresh_key();
            world.post_attempt(order(n), BUYER, &key, PAGE_BODY).await;
        }
        Act::StartQr(n) => {
            let key = world.fresh_key();
            world.post_attempt(order(n), BUYER, &key, QR_BODY).await;
        }
        Act::Scan(n) => {
            let key = world.fresh_key();
            let reply = world.post_attempt(order(n), BUYER, &key, QR_BODY).await;
            if reply.status == 201 {
                world.gateway.scan(reply.json()["qr_code"].as_str().unwrap());
            }
        }
        Act::Visit(n) => {
            let key = world.fresh_key();
            let reply = world.post_attempt(order(n), BUYER, &key, PAGE_BODY).await;
            if reply.status == 201 {
                world.gateway.visit(reply.json()["pay_url"].as_str().unwrap());
            }
        }
        Act::Pay(n) => {
            for attempt in attempts(world, order(n)).await.into_iter().filter(known) {
                world.gateway.pay(attempt);
            }
        }
        Act::PayClosed(n) => {
            if let Some(attempt) = attempts(world, order(n)).await.into_iter().find(known) {
                world.gateway.pay_closed(attempt);
            }
        }
        Act::Notify(n) => {
            for attempt in attempts(world, order(n)).await.into_iter().filter(known) {
                world.notify(world.gateway.notification(attempt)).await;
            }
        }
        Act::Close(n) => drop(world.close(order(n)).await),
        Act::Refund(n, id, minor) => {
            for attempt in attempts(world, order(n)).await {
                // A refused refund is part of the game; what counts is what the gateway's ledger says.
                drop(world.refund(order(n), refund_id(n << 8 | id), attempt, minor).await);
            }
        }
        Act::Pass(seconds) => world.pass(Duration::from_secs(seconds)).await,
        Act::Trouble(trouble) => world.gateway.trouble([trouble]),
    }
}

async fn run(acts: Vec<Act>, seed: u64) {
    let world = World::seeded(Mode::Inline, seed).await;
    for act in acts {
        perform(&world, act).await;
        for trade in world.gateway.ledger().trades.values() {
            let back: i64 = trade.refunds.values().sum();
            assert!(back <= trade.fen, "more went back than was paid");
        }
    }
    // The faults end; everything that is under way comes to its end by itself.
    world.gateway.ledger().troubles.clear();
    world.pass(Duration::from_secs(3 * 3600)).await;
    let paid = world.gateway.ledger().trades.values().filter(|t| t.status == Status::Paid).count();
    assert_eq!(world.captures().await, i64::try_from(paid).unwrap(), "each paid trade is captured, once");
    let under_way = "SELECT COUNT(*) FROM payment_refunds WHERE status = 'requested'";
    assert_eq!(world.count(under_way).await, 0, "every refund came to its end");
    assert_eq!(world.next_timer().await, None, "nothing waits for ever");
    world.finish_drained().await;
}

/// How many sequences; `MERX_SEQUENCES=10000` is the figure of the fault list.
fn sequences() -> u32 {
    std::env::var("MERX_SEQUENCES").ok().and_then(|n| n.parse().ok()).unwrap_or(150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: sequences(), ..ProptestConfig::default() })]

        fn nothing_is_paid_or_given_back_twice(acts in prop::collection::vec(any_act(), 1..40), seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(run(acts, seed));
    }
}
