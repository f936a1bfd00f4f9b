use merx_alipay::{Expected, TradeStatus};
use merx_alipay_sandbox::Reply;
use merx_kernel::{Currency, Money};

use crate::world::{APP, NOTIFY, SELLER, World, no, secs, success};

fn reply(status: u16, body: &str) -> Result<Reply, String> {
    Ok(Reply { status, body: body.to_owned() })
}

#[tokio::test(start_paused = true)]
async fn a_payment_is_told_once_when_it_is_taken() {
    let world = World::new().await;
    world.paid("a1", 8_888).await;
    world.pass(secs(48 * 3600)).await;
    let told = world.notified();
    assert_eq!(told.len(), 1);
    let number = no("a1");
    let amount = Money::new(8_888, Currency::CNY);
    let expected = Expected { app_id: APP, seller_id: SELLER, out_trade_no: &number, amount };
    assert_eq!(told[0].mismatches(&expected), []);
    assert_eq!(told[0].trade_status, TradeStatus::TradeSuccess);
    assert_eq!(world.sent()[0].url, NOTIFY);
}

#[tokio::test(start_paused = true)]
async fn an_untaken_one_is_sent_eight_times_by_the_real_schedule() {
    let world = World::new().await;
    world.shop_answers(|_| reply(200, "fail"));
    world.paid("a1", 100).await;
    world.pass(secs(60 * 3600)).await;
    let at: Vec<u64> = world.sent().windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs()).collect();
    assert_eq!(at, [240, 600, 600, 3_600, 7_200, 21_600, 54_000]);
    let told = world.notified();
    assert!(told.iter().all(|n| n.notify_id == told[0].notify_id), "one notification, eight sendings");
    assert!(told[7].notify_time > told[0].notify_time);
}

#[tokio::test(start_paused = true)]
async fn only_the_seven_bytes_count() {
    for answer in [
        reply(200, "SUCCESS"),
        reply(200, "success\n"),
        reply(200, " success"),
        reply(200, "\"success\""),
        reply(500, "success"),
        reply(202, "success"),
        Err("connection refused".to_owned()),
    ] {
        let world = World::new().await;
        let first = answer.clone();
        world.shop_answers(move |_| first.clone());
        world.paid("a1", 100).await;
        world.shop_answers(|_| success());
        world.pass(secs(3600)).await;
        assert_eq!(world.sent().len(), 2, "{answer:?} must be sent again, once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_merchant_that_hangs_is_tried_again() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let world = World::new().await;
    let first = AtomicU32::new(0);
    world.shop_answers(move |_| match first.fetch_add(1, Ordering::SeqCst) {
        0 => Err("timed out".to_owned()),
        _ => success(),
    });
    world.paid("a1", 100).await;
    world.paid("a2", 100).await;
    world.pass(secs(300)).await;
    assert_eq!(world.sent().len(), 3);
}
