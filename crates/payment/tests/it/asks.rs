//! Open and close, as ordering asks them.

use crate::{everywhere, inline, modes::Mode};
use libtest_mimic::Trial;
use std::time::Duration;

use merx_contracts::payment::v1::close_reply::Outcome;
use merx_kernel::{ErrorKind, Timestamp};

use crate::{
    gateway::{Status, Trouble},
    world::{BUYER, World, money, order, order_of},
};

pub fn trials() -> Vec<Trial> {
    let mut trials = everywhere!["asks":
        opening_is_three_statements_and_may_be_asked_again,
        an_open_that_does_not_fit_is_refused,
        a_close_before_the_open_refuses_the_open,
        without_an_attempt_a_close_is_one_transaction_and_asks_nobody,
        what_the_buyer_has_begun_is_closed_at_the_provider,
        what_the_buyer_may_yet_begin_is_waited_for,
        an_attempt_nobody_began_ends_with_its_expiry,
        a_close_that_comes_after_the_money_says_so,
    ];
    trials.extend(inline!["asks":
        doubt_is_never_taken_for_closed,
    ]);
    trials
}

async fn opening_is_three_statements_and_may_be_asked_again(mode: Mode) {
    let world = World::new(mode).await;
    let before = world.stats();
    world.open(order(1)).await;
    let cost = world.stats().since(&before).total();
    assert_eq!((cost.write_txs, cost.statements()), (1, 3));
    world.open(order(1)).await;
    let view = world.view(order(1)).await;
    assert_eq!(
        (view.status.as_str(), view.amount, view.order_id),
        ("open", money(1_999), order_of(order(1)))
    );
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_events").await, 1);
    world.finish().await;
}

async fn an_open_that_does_not_fit_is_refused(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    let mut other = world.open_request(order(1));
    (other.amount, other.freight) = (Some(money(5).into()), None);
    assert_eq!(world.ask_open(other).await.unwrap_err().code(), "payment.id_reused");
    for minor in [0, -1, 10_000_000_001] {
        let mut wanted = world.open_request(order(2));
        (wanted.amount, wanted.freight) = (Some(money(minor).into()), None);
        let refused = world.ask_open(wanted).await.unwrap_err();
        assert_eq!((refused.code(), refused.kind()), ("payment.amount_not_payable", ErrorKind::Rejected));
    }
    let mut wanted = world.open_request(order(2));
    wanted.subject = "x".repeat(257);
    assert_eq!(world.ask_open(wanted).await.unwrap_err().fields()[0].pointer, "/subject");
    for minor in [-1, crate::world::AMOUNT + 1] {
        let mut wanted = world.open_request(order(2));
        wanted.freight = Some(money(minor).into());
        assert_eq!(world.ask_open(wanted).await.unwrap_err().fields()[0].pointer, "/freight");
    }
    let mut wanted = world.open_request(order(2));
    wanted.payment_id = "ord_nonsense".to_owned();
    assert_eq!(world.ask_open(wanted).await.unwrap_err().fields()[0].pointer, "/payment_id");
    world.finish().await;
}

async fn a_close_before_the_open_refuses_the_open(mode: Mode) {
    let world = World::new(mode).await;
    assert_eq!(world.close(order(1)).await.outcome(), Outcome::Closed);
    assert_eq!(world.close(order(1)).await.outcome(), Outcome::Closed);
    let refused = world.ask_open(world.open_request(order(1))).await.unwrap_err();
    assert_eq!(refused.code(), "payment.closed");
    world.finish().await;
}

async fn without_an_attempt_a_close_is_one_transaction_and_asks_nobody(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    let before = world.stats();
    assert_eq!(world.close(order(1)).await.outcome(), Outcome::Closed);
    let cost = world.stats().since(&before).total();
    assert_eq!((cost.write_txs, cost.statements()), (1, 5));
    assert!(world.gateway.ledger().calls.is_empty());
    let refused = world.post_attempt(order(1), BUYER, "k", r#"{"method":"alipay_page"}"#).await;
    refused.is_problem(409, "payment.closed");
    world.finish().await;
}

async fn what_the_buyer_has_begun_is_closed_at_the_provider(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    assert_eq!(world.close(order(1)).await.outcome(), Outcome::Closed);
    assert_eq!(world.gateway.trade(attempt_id).status, Status::Closed);
    assert!(!world.gateway.pay(attempt_id));
    assert_eq!(world.view(order(1)).await.status, "closed");
    world.finish_drained().await;
}

async fn what_the_buyer_may_yet_begin_is_waited_for(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    let (_, url) = world.start(order(1)).await;
    let pending = world.close(order(1)).await;
    let expiry = world.deadline().minus(Duration::from_secs(60));
    assert_eq!(pending.outcome(), Outcome::Pending);
    assert!(Timestamp::from_millis(pending.retry_at).since(expiry) <= Duration::from_secs(10));
    assert_eq!(world.view(order(1)).await.status, "closing");
    // Nobody is sent to the cashier any more, but who is there may pay, and is in time.
    let refused = world.post_attempt(order(1), BUYER, "k", r#"{"method":"alipay_page"}"#).await;
    refused.is_problem(409, "payment.closed");
    world.gateway.visit(&url);
    world.step(Duration::from_secs(30));
    let attempt_id = world.view(order(1)).await.attempts[0].id;
    assert!(world.gateway.pay(attempt_id));
    assert_eq!(world.close(order(1)).await.outcome(), Outcome::Captured);
    let facts = world.captured_facts().await;
    assert!(matches!(facts.as_slice(), [fact] if !fact.late));
    world.finish_drained().await;
}

async fn an_attempt_nobody_began_ends_with_its_expiry(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    world.start(order(1)).await;
    let retry_at = Timestamp::from_millis(world.close(order(1)).await.retry_at);
    world.step(retry_at.since(world.now()));
    assert_eq!(world.close(order(1)).await.outcome(), Outcome::Closed);
    assert_eq!(world.gateway.calls("alipay.trade.close"), 0, "there is nothing to close");
    world.finish_drained().await;
}

async fn a_close_that_comes_after_the_money_says_so(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    assert!(world.gateway.pay(attempt_id));
    // The notification is still on its way; the query finds the money.
    assert_eq!(world.close(order(1)).await.outcome(), Outcome::Captured);
    assert_eq!(world.close(order(1)).await.outcome(), Outcome::Captured);
    world.notified(attempt_id).await;
    assert_eq!(world.captures().await, 1);
    world.finish_drained().await;
}

async fn doubt_is_never_taken_for_closed(mode: Mode) {
    let doubts = [
        Trouble::LostCall,
        Trouble::LostAnswer,
        Trouble::UnknownBefore,
        Trouble::HalfAnswer,
        Trouble::WrongSignature,
    ];
    for (number, trouble) in doubts.into_iter().enumerate() {
        // Once the query is lost, once the close, once the query after a refused close.
        for healthy in 0..2 {
            let world = World::new(mode).await;
            let attempt_id = world.begin(order(1)).await;
            if healthy == 1 {
                world.gateway.trouble([Trouble::InProgress]);
            }
            world.gateway.trouble([trouble]);
            let answer = world.close(order(1)).await;
            assert_eq!(answer.outcome(), Outcome::Pending, "{number} {healthy} {trouble:?}");
            assert_eq!(world.captures().await, 0);
            // With the doubt gone the truth is found, whichever it is.
            world.step(Duration::from_secs(15));
            let paid = world.gateway.pay(attempt_id);
            let expected = if paid { Outcome::Captured } else { Outcome::Closed };
            assert_eq!(world.close(order(1)).await.outcome(), expected, "{number} {healthy} {trouble:?}");
            world.finish_drained().await;
        }
    }
}
