use std::time::Duration;

use axum::http::StatusCode;
use merx_alipay::{Close, Expected, Outcome, Query, Refund, RefundQuery, SubCode, TradeStatus, Yuan};
use merx_alipay_sandbox::{Fault, Field, Spoiled};
use merx_kernel::{Currency, Money};

use crate::world::{APP, SELLER, World, no, secs};

#[tokio::test(start_paused = true)]
async fn lost_notifications_never_arrive_and_the_query_still_tells() {
    let world = World::new().await;
    world.arm(Fault::LoseNotification, 1_000);
    world.paid("a1", 100).await;
    world.pass(secs(60 * 3600)).await;
    assert!(world.sent().is_empty());
    assert_eq!(world.status("a1").await, TradeStatus::TradeSuccess);
    assert_eq!(world.sandbox.armed()[0].times, 1_000 - 8);
}

#[tokio::test(start_paused = true)]
async fn one_can_come_a_hundred_times_at_once() {
    let world = World::new().await;
    world.arm(Fault::DuplicateNotification { copies: 99 }, 1);
    world.paid("a1", 100).await;
    world.pass(secs(48 * 3600)).await;
    let sent = world.sent();
    assert_eq!(sent.len(), 100);
    assert!(sent.iter().all(|s| s.form == sent[0].form && s.at == sent[0].at));
}

#[tokio::test(start_paused = true)]
async fn notifications_can_be_late_and_out_of_order() {
    let world = World::new().await;
    world.arm(Fault::DelayNotification { delay_ms: 90_000 }, 1);
    world.paid("a1", 100).await;
    assert!(world.sent().is_empty());
    world.pass(secs(90)).await;
    assert_eq!(world.sent().len(), 1);

    world.arm(Fault::ReorderNotification, 1);
    world.paid("a2", 100).await;
    world.pass(secs(60)).await;
    world.paid("a3", 100).await;
    let numbers: Vec<String> = world.notified().iter().map(|n| n.out_trade_no.to_string()).collect();
    assert_eq!(numbers, ["a1", "a3", "a2"]);
    world.arm(Fault::ReorderNotification, 1);
    world.paid("a4", 100).await;
    world.pass(secs(601)).await;
    assert_eq!(world.sent().len(), 4, "it does not wait for another one forever");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_notification_is_validly_signed() {
    let fields = [
        (Field::TotalAmount, "total_amount"),
        (Field::AppId, "app_id"),
        (Field::SellerId, "seller_id"),
        (Field::OutTradeNo, "out_trade_no"),
        (Field::TransCurrency, "total_amount"),
    ];
    for (field, mismatch) in fields {
        let world = World::new().await;
        world.arm(Fault::WrongNotification { field, value: None }, 1);
        world.paid("a1", 8_888).await;
        let told = world.notified();
        let number = no("a1");
        let amount = Money::new(8_888, Currency::CNY);
        let expected = Expected { app_id: APP, seller_id: SELLER, out_trade_no: &number, amount };
        let found: Vec<_> = told[0].mismatches(&expected).iter().map(|m| m.field).collect();
        assert_eq!(found, [mismatch], "{field:?}");
    }
    let world = World::new().await;
    world
        .arm(Fault::WrongNotification { field: Field::TradeStatus, value: Some("WAIT_BUYER_PAY".into()) }, 1);
    world.paid("a1", 100).await;
    assert_eq!(world.notified_statuses(), [TradeStatus::WaitBuyerPay]);
}

#[tokio::test(start_paused = true)]
async fn a_spoilt_answer_is_unknown_whether_it_was_carried_out_or_not() {
    for executed in [true, false] {
        let spoiled = |method: &str| Spoiled { method: Some(method.to_owned()), executed };
        let faults = [
            Fault::GatewayUnknown(spoiled("alipay.trade.refund")),
            Fault::HalfAnswer(spoiled("alipay.trade.refund")),
            Fault::WrongSignature(spoiled("alipay.trade.refund")),
            Fault::GatewayTimeout(spoiled("alipay.trade.refund")),
        ];
        for fault in faults {
            let world = World::new().await;
            world.paid("a1", 1_000).await;
            world.arm(fault.clone(), 1);
            let refund = Refund {
                out_trade_no: no("a1"),
                refund_amount: Yuan::of_fen(400),
                out_request_no: no("r1"),
                refund_reason: None,
            };
            assert_eq!(world.status("a1").await, TradeStatus::TradeSuccess, "other methods are not spoilt");
            let before = world.clock.now();
            assert!(world.call(&refund).await.is_unknown(), "{fault:?}");
            let hung = world.clock.now().since(before) >= secs(30);
            assert_eq!(hung, matches!(fault, Fault::GatewayTimeout(_)));
            let ask = RefundQuery { out_trade_no: no("a1"), out_request_no: no("r1") };
            let Outcome::Done(answer) = world.call(&ask).await else { panic!() };
            assert_eq!(answer.succeeded().is_some(), executed, "{fault:?}");
            let Outcome::Done(again) = world.call(&refund).await else { panic!() };
            assert_eq!(again.moved_money(), !executed);
            assert_eq!(world.sandbox.ledger().await.unwrap().len(), 2, "one capture, one refund");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn money_can_land_after_a_close_that_was_answered_as_done() {
    let world = World::new().await;
    let close = Close { out_trade_no: no("a1") };
    world.arm(Fault::PayAfterClose { after_ms: 5_000 }, 1);
    assert_eq!(world.call(&close).await.refused_by(), Some(&SubCode::TradeNotExist));
    assert_eq!(world.sandbox.armed().len(), 1, "nothing was closed: the switch waits");
    let code = world.opened("a1", 100).await;
    world.sandbox.log_in(&code).await.unwrap();
    assert!(matches!(world.call(&close).await, Outcome::Done(_)));
    assert_eq!(world.status("a1").await, TradeStatus::TradeClosed);
    world.pass(Duration::from_millis(5_001)).await;
    assert_eq!(world.status("a1").await, TradeStatus::TradeSuccess);
    world.pass(secs(1)).await;
    assert_eq!(world.notified_statuses(), [TradeStatus::TradeClosed, TradeStatus::TradeSuccess]);
    assert_eq!(world.sandbox.ledger().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_cashier_can_take_money_after_the_expiry() {
    let world = World::new().await;
    let code = world.opened("a1", 100).await;
    world.pass(secs(3600)).await;
    assert_eq!(world.get(&format!("/cashier/{code}")).await.status, StatusCode::GONE);
    world.arm(Fault::PayAfterExpiry, 1);
    let page = world.get(&format!("/cashier/{code}")).await;
    assert_eq!((page.status, page.actions().is_empty()), (StatusCode::OK, false));
    assert!(world.sandbox.pay(&code).await.unwrap().now);
    assert_eq!(world.status("a1").await, TradeStatus::TradeSuccess);
    assert!(world.sandbox.armed().is_empty());
    let query = world.call(&Query { out_trade_no: no("a1") }).await;
    assert!(matches!(query, Outcome::Done(_)));
}
