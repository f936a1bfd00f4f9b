//! Refunds: once under one identity, whatever the gateway does (T5, T19).

use crate::{everywhere, inline, modes::Mode};
use libtest_mimic::Trial;
use std::time::Duration;

use axum::body::Body;
use http::{Request, header};
use merx_contracts::{ids::RefundId, payment::v1::refund_reply::State};
use merx_kernel::Role;

use crate::{
    gateway::Trouble,
    world::{AMOUNT, Reply, World, order, refund_id},
};

pub fn trials() -> Vec<Trial> {
    let mut trials = everywhere!["refunds":
        money_goes_back_once_under_one_identity,
        refunds_never_come_to_more_than_was_captured,
        a_refund_of_what_never_came_is_refused,
        an_answer_somebody_else_signed_is_no_refund,
        a_refusal_for_good_ends_the_refund_with_an_alert,
        staff_takes_a_refund_up_again_that_failed_for_good,
    ];
    trials.extend(inline!["refunds":
        a_doubt_is_asked_about_and_never_paid_twice,
        after_three_days_it_is_tried_daily_with_the_alert_standing,
        a_refund_under_way_is_tried_at_once,
        a_stuck_refund_keeps_no_other_of_its_trade_back,
        a_refund_that_does_not_go_through_alerts_within_a_minute_and_goes_on,
    ]);
    trials
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn money_goes_back_once_under_one_identity(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.paid(order(1)).await;
    let asked = world.refund(order(1), refund_id(1), attempt_id, 700).await.unwrap();
    assert_eq!(asked.state(), State::Requested);
    world.pass(SECOND).await;
    let again = world.refund(order(1), refund_id(1), attempt_id, 700).await.unwrap();
    assert_eq!(again.state(), State::Succeeded);
    let other = world.refund(order(1), refund_id(1), attempt_id, 701).await.unwrap_err();
    assert_eq!(other.code(), "payment.refund_id_reused");
    world.pass(Duration::from_secs(3600)).await;
    assert_eq!(world.gateway.refund_of(attempt_id, refund_id(1)), Some(700));
    let facts = world.refunded_facts().await;
    assert_eq!(
        facts.iter().map(|f| (f.refund_id, f.amount.minor)).collect::<Vec<_>>(),
        [(refund_id(1), 700)]
    );
    let view = serde_json::to_value(world.view(order(1)).await).unwrap();
    assert_eq!(
        (&view["refunded"]["minor"], &view["refunds"][0]["status"]),
        (&700.into(), &"succeeded".into())
    );
    world.finish_drained().await;
}

async fn refunds_never_come_to_more_than_was_captured(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.paid(order(1)).await;
    for (number, minor) in [(1, 1_000), (2, 999)] {
        world.refund(order(1), refund_id(number), attempt_id, minor).await.unwrap();
    }
    let refused = world.refund(order(1), refund_id(3), attempt_id, 1).await.unwrap_err();
    assert_eq!(refused.code(), "payment.refund_above_captured");
    // One trade is refunded at most every three seconds.
    world.pass(Duration::ZERO).await;
    assert_eq!(world.gateway.refunded(attempt_id), 1_000);
    world.pass(3 * SECOND).await;
    assert_eq!(world.gateway.refunded(attempt_id), AMOUNT);
    world.finish_drained().await;
}

async fn a_refund_of_what_never_came_is_refused(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    let refused = world.refund(order(1), refund_id(1), attempt_id, 1).await.unwrap_err();
    assert_eq!(refused.code(), "payment.refund_above_captured");
    let refused = world.refund(order(2), refund_id(1), attempt_id, 1).await.unwrap_err();
    assert_eq!(refused.code(), "payment.not_found");
    world.finish().await;
}

/// The guard `refund-once`: an answer that is lost must not make the money go back twice.
async fn a_doubt_is_asked_about_and_never_paid_twice(mode: Mode) {
    let doubts = [
        Trouble::LostCall,
        Trouble::LostAnswer,
        Trouble::UnknownBefore,
        Trouble::UnknownAfter,
        Trouble::HalfAnswer,
        Trouble::WrongSignature,
        Trouble::InProgress,
        Trouble::Refused("ACQ.SYSTEM_ERROR"),
        Trouble::Refused("ACQ.SELLER_BALANCE_NOT_ENOUGH"),
        Trouble::Refused("ACQ.TRADE_SETTLE_ERROR"),
    ];
    for first in doubts {
        for second in doubts {
            let world = World::new(mode).await;
            let attempt_id = world.paid(order(1)).await;
            // The refund is in doubt, and so is the question about it.
            world.gateway.trouble([first, second]);
            world.refund(order(1), refund_id(1), attempt_id, 700).await.unwrap();
            world.pass(60 * SECOND).await;
            assert_eq!(world.gateway.refunded(attempt_id), 700, "{first:?} {second:?}");
            assert_eq!(world.refunded_facts().await.len(), 1, "{first:?} {second:?}");
            assert!(world.alerts().await.is_empty(), "{first:?} {second:?}");
            world.finish_drained().await;
        }
    }
}

async fn an_answer_somebody_else_signed_is_no_refund(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.paid(order(1)).await;
    world.gateway.trouble([Trouble::LostCall, Trouble::WrongSignature].repeat(3));
    world.refund(order(1), refund_id(1), attempt_id, 700).await.unwrap();
    world.pass(Duration::ZERO).await;
    assert_eq!(world.gateway.refunded(attempt_id), 0);
    assert!(world.refunded_facts().await.is_empty());
    world.pass(60 * SECOND).await;
    assert_eq!(world.gateway.refunded(attempt_id), 700);
    world.finish_drained().await;
}

async fn a_refund_that_does_not_go_through_alerts_within_a_minute_and_goes_on(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.paid(order(1)).await;
    world.gateway.ledger().down = true;
    world.refund(order(1), refund_id(1), attempt_id, 700).await.unwrap();
    world.pass(60 * SECOND).await;
    assert_eq!(world.alerts().await, ["payment_refund_stuck"]);
    assert_eq!(world.deps.metrics.alerts("payment_refund_stuck"), 1);
    world.pass(Duration::from_secs(6 * 3600)).await;
    assert_eq!(world.alerts().await.len(), 1, "one alert for one refund");
    let calls = world.gateway.calls("alipay.trade.refund");
    assert!(calls < 60, "{calls} calls in six hours");
    world.gateway.ledger().down = false;
    world.pass(Duration::from_secs(600)).await;
    assert_eq!(world.gateway.refunded(attempt_id), 700);
    world.finish_drained().await;
}

async fn after_three_days_it_is_tried_daily_with_the_alert_standing(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.paid(order(1)).await;
    world.gateway.ledger().down = true;
    world.refund(order(1), refund_id(1), attempt_id, 700).await.unwrap();
    world.pass(4 * DAY).await;
    let calls = world.gateway.calls("alipay.trade.refund");
    world.pass(7 * DAY).await;
    assert_eq!(world.gateway.calls("alipay.trade.refund"), calls + 7);
    assert_eq!(world.alerts().await, ["payment_refund_stuck"]);
    world.gateway.ledger().down = false;
    world.pass(DAY).await;
    assert_eq!(world.gateway.refunded(attempt_id), 700);
    assert_eq!(world.next_timer().await, None);
    world.finish_drained().await;
}

/// A refusal for good and the alert that calls a person are one transaction: no crash comes between them.
async fn a_refusal_for_good_ends_the_refund_with_an_alert(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.paid(order(1)).await;
    world.gateway.trouble([Trouble::Refused("ACQ.TRADE_HAS_FINISHED")]);
    world.refund(order(1), refund_id(1), attempt_id, 700).await.unwrap();
    let before = world.stats();
    world.pass(SECOND).await;
    let cost = world.stats().since(&before);
    assert_eq!(cost.labels["payment.settle_refund"].write_txs, 1);
    assert!(!cost.labels.contains_key("payment.alert"), "the alert has no transaction of its own: {cost:?}");
    let state = world.refund(order(1), refund_id(1), attempt_id, 700).await.unwrap().state();
    assert_eq!(state, State::Failed);
    assert_eq!(world.alerts().await, ["payment_refund_failed"]);
    assert_eq!(world.deps.metrics.alerts("payment_refund_failed"), 1);
    assert_eq!(
        world.next_timer().await.map(|at| at > world.now()),
        Some(true),
        "only the attempt's timer is left"
    );
    world.finish_drained().await;
}

async fn retry(world: &World, refund: RefundId, role: Role, key: &str) -> Reply {
    let request = Request::post(format!("/v1/payment-refunds/{refund}/retry"))
        .header(header::AUTHORIZATION, world.token(1, &[role]))
        .header("idempotency-key", key);
    world.send(request.body(Body::empty()).unwrap()).await
}

async fn staff_takes_a_refund_up_again_that_failed_for_good(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.paid(order(1)).await;
    let refused = || world.gateway.trouble([Trouble::Refused("ACQ.TRADE_HAS_FINISHED")]);
    refused();
    world.refund(order(1), refund_id(1), attempt_id, 700).await.unwrap();
    world.pass(SECOND).await;
    for role in [Role::Customer, Role::Support, Role::Warehouse] {
        retry(&world, refund_id(1), role, "k").await.is_problem(403, "request.forbidden");
    }
    let unknown = retry(&world, refund_id(9), Role::Operator, "unknown").await;
    unknown.is_problem(404, "payment.refund_unknown");

    // It fails again: that is another alert, and it may be taken up another time.
    refused();
    let taken = retry(&world, refund_id(1), Role::Operator, "k").await;
    assert_eq!(taken.status, 202, "{}", taken.text);
    let told = taken.json();
    assert_eq!((&told["id"], &told["status"]), (&refund_id(1).to_string().into(), &"requested".into()));
    let again = retry(&world, refund_id(1), Role::Operator, "k").await;
    assert_eq!((again.status, &again.text), (taken.status, &taken.text));
    assert!(again.headers.contains_key("idempotency-replayed"));
    world.pass(SECOND).await;
    assert_eq!(world.alerts().await, ["payment_refund_failed"; 2]);
    assert_eq!(world.gateway.refunded(attempt_id), 0);

    let taken = retry(&world, refund_id(1), Role::Operator, "k2").await;
    assert_eq!(taken.status, 202, "{}", taken.text);
    world.pass(SECOND).await;
    assert_eq!(world.gateway.refund_of(attempt_id, refund_id(1)), Some(700), "under the same identity");
    assert_eq!(world.refunded_facts().await.len(), 1);
    let late = retry(&world, refund_id(1), Role::Operator, "k3").await;
    late.is_problem(409, "payment.refund_settled");
    // Each time it was taken up is told once.
    let acted = world.acted().await;
    assert_eq!(acted.iter().map(|a| a.action.as_str()).collect::<Vec<_>>(), ["payment.refund_retried"; 2]);
    assert!(acted.iter().all(|a| a.object == refund_id(1).to_string() && a.actor.bits() == 1));
    world.finish_drained().await;
}

async fn a_refund_under_way_is_tried_at_once(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.paid(order(1)).await;
    world.gateway.ledger().down = true;
    world.refund(order(1), refund_id(1), attempt_id, 700).await.unwrap();
    world.pass(5 * DAY).await;
    world.gateway.ledger().down = false;
    assert_eq!(retry(&world, refund_id(1), Role::Operator, "k").await.status, 202);
    world.pass(Duration::ZERO).await;
    assert_eq!(world.gateway.refunded(attempt_id), 700);
    world.finish_drained().await;
}

/// A surplus and, after a cancellation, the rest: two refunds of one trade.
async fn a_stuck_refund_keeps_no_other_of_its_trade_back(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.paid(order(1)).await;
    world.gateway.ledger().unfunded.insert(refund_id(1).bare());
    world.refund(order(1), refund_id(1), attempt_id, 1_000).await.unwrap();
    world.pass(4 * DAY).await;
    let calls = world.gateway.calls("alipay.trade.refund");
    world.refund(order(1), refund_id(2), attempt_id, 999).await.unwrap();
    world.pass(60 * SECOND).await;
    assert_eq!(world.gateway.refund_of(attempt_id, refund_id(2)), Some(999));
    world.pass(7 * DAY).await;
    let tried = world.gateway.calls("alipay.trade.refund") - calls;
    assert!(tried <= 10, "{tried} calls in a week: the stuck one is tried daily");
    world.gateway.ledger().unfunded.clear();
    world.pass(DAY).await;
    assert_eq!(world.gateway.refunded(attempt_id), AMOUNT);
    world.finish_drained().await;
}
