use merx_alipay::{
    Notified, Outcome, QueriedRefund, Refund, RefundQuery, RefundedTrade, SubCode, TradeStatus, Yuan,
};
use merx_alipay_sandbox::EntryKind;

use crate::world::{World, no, secs};

async fn refund(world: &World, request: &str, fen: i64) -> Outcome<RefundedTrade> {
    let asked = Refund {
        out_trade_no: no("a1"),
        refund_amount: Yuan::of_fen(fen),
        out_request_no: no(request),
        refund_reason: Some("迟到的付款".to_owned()),
    };
    world.call(&asked).await
}

fn done(outcome: Outcome<RefundedTrade>) -> (bool, i64) {
    match outcome {
        Outcome::Done(answer) => (answer.moved_money(), answer.refund_fee.money().minor),
        other => panic!("{other:?}"),
    }
}

async fn asked(world: &World, request: &str) -> QueriedRefund {
    let ask = RefundQuery { out_trade_no: no("a1"), out_request_no: no(request) };
    match world.call(&ask).await {
        Outcome::Done(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_refund_number_moves_money_once() {
    let world = World::new().await;
    world.paid("a1", 1_000).await;
    assert_eq!(done(refund(&world, "r1", 300).await), (true, 300));
    assert_eq!(done(refund(&world, "r1", 300).await), (false, 300), "the same number again moves nothing");
    assert_eq!(refund(&world, "r1", 301).await.refused_by(), Some(&SubCode::DiscordantRepeatRequest));
    assert_eq!(asked(&world, "r1").await.succeeded(), Some(Yuan::of_fen(300)));
    assert_eq!(asked(&world, "r2").await.succeeded(), None);
    assert_eq!(world.status("a1").await, TradeStatus::TradeSuccess, "part of the money remains");

    world.pass(secs(3)).await;
    assert_eq!(refund(&world, "r2", 701).await.refused_by(), Some(&SubCode::RefundAmountTooHigh));
    assert_eq!(done(refund(&world, "r2", 700).await), (true, 1_000), "refund_fee is the sum so far");
    assert_eq!(world.status("a1").await, TradeStatus::TradeClosed, "all money went back");
    assert_eq!(done(refund(&world, "r2", 700).await), (false, 1_000));
    assert_eq!(refund(&world, "r3", 1).await.refused_by(), Some(&SubCode::TradeHasClose));

    let ledger = world.sandbox.ledger().await.unwrap();
    let refunded: i64 = ledger.iter().filter(|e| e.kind == EntryKind::Refund).map(|e| e.amount.minor).sum();
    assert_eq!((ledger.len(), refunded), (3, 1_000));
}

#[tokio::test(start_paused = true)]
async fn refunds_are_notified_with_their_number_and_sum() {
    let world = World::new().await;
    world.paid("a1", 1_000).await;
    refund(&world, "r1", 300).await;
    world.pass(secs(3)).await;
    refund(&world, "r2", 700).await;
    world.pass(secs(1)).await;
    let told = world.notified();
    let about: Vec<_> =
        told.iter().map(|n| (n.trade_status, n.out_request_no.as_deref(), n.notified())).collect();
    let money = |fen| Notified::Refunded(Yuan::of_fen(fen).money());
    assert_eq!(
        about,
        [
            (TradeStatus::TradeSuccess, None, Notified::Paid),
            (TradeStatus::TradeSuccess, Some("r1"), money(300)),
            (TradeStatus::TradeClosed, Some("r2"), money(1_000)),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_refunded_is_refused() {
    let world = World::new().await;
    assert_eq!(refund(&world, "r1", 1).await.refused_by(), Some(&SubCode::TradeNotExist));
    let code = world.opened("a1", 1_000).await;
    world.sandbox.log_in(&code).await.unwrap();
    assert_eq!(refund(&world, "r1", 1).await.refused_by(), Some(&SubCode::TradeStatusError));
    world.sandbox.pay(&code).await.unwrap();
    assert_eq!(done(refund(&world, "r1", 1).await), (true, 1));
    assert!(refund(&world, "r2", 1).await.is_unknown(), "two within three seconds: try again later");
    assert_eq!(asked(&world, "r2").await.succeeded(), None);
    world.pass(secs(366 * 24 * 3600)).await;
    assert_eq!(world.status("a1").await, TradeStatus::TradeFinished);
    assert_eq!(refund(&world, "r2", 1).await.refused_by(), Some(&SubCode::TradeHasFinished));
}
