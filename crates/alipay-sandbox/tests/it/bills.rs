//! The bill of a day: what the double's ledger says, in Alipay's form, and what somebody made wrong with it.

use std::time::Duration;

use axum::http::StatusCode;
use merx_alipay::{Bill, BillDate, BillKind, BillQuery, Outcome, Refund, Yuan};
use merx_kernel::{Currency, Money};
use serde_json::json;

use crate::world::{World, no};

const DAY: Duration = Duration::from_secs(86_400);

async fn url(world: &World, date: BillDate) -> Option<String> {
    match world.call(&BillQuery::new(date)).await {
        Outcome::Done(place) => Some(place.bill_download_url),
        _ => None,
    }
}

async fn bill(world: &World, date: BillDate) -> Bill {
    let (status, zip) = world.fetch_bytes(&url(world, date).await.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    Bill::read(&zip).unwrap()
}

fn lines(bill: &Bill) -> Vec<(BillKind, String, i64, i64)> {
    let mut lines: Vec<_> =
        bill.lines.iter().map(|l| (l.kind, l.out_trade_no.clone(), l.received.minor, l.fee.minor)).collect();
    lines.sort();
    lines
}

#[tokio::test(start_paused = true)]
async fn a_day_is_billed_as_the_ledger_has_it() {
    let world = World::new().await;
    let today = BillDate::of(world.clock.now());
    world.paid("a1", 1_999).await;
    world.paid("a2", 100).await;
    let refund = Refund {
        out_trade_no: no("a1"),
        refund_amount: Yuan::payable(Money::new(500, Currency::CNY)).unwrap(),
        out_request_no: no("r1"),
        refund_reason: None,
    };
    assert!(matches!(world.call(&refund).await, Outcome::Done(_)));
    assert_eq!(url(&world, today).await, None, "a day that is not over has no bill");
    world.clock.sleep(DAY).await;
    world.paid("b1", 7).await;
    world.clock.sleep(DAY).await;
    let got = bill(&world, today).await;
    assert_eq!(got.date, today);
    use BillKind::{Refund as Back, Trade};
    let first = [(Trade, "a1".into(), 1_999, 12), (Trade, "a2".into(), 100, 1), (Back, "a1".into(), 500, -3)];
    assert_eq!(lines(&got), first);
    assert_eq!(got.lines.iter().find(|l| l.kind == Back).unwrap().out_request_no.as_deref(), Some("r1"));
    let next = BillDate::of(today.end());
    assert_eq!(lines(&bill(&world, next).await), [(Trade, "b1".into(), 7, 0)]);
    // An address works for half a minute, and for its own day.
    let place = url(&world, today).await.unwrap();
    assert_eq!(
        world.fetch_bytes(&place.replace(&today.to_string(), &next.to_string())).await.0,
        StatusCode::FORBIDDEN
    );
    world.clock.sleep(Duration::from_secs(31)).await;
    assert_eq!(world.fetch_bytes(&place).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test(start_paused = true)]
async fn a_bill_is_made_wrong_as_asked() {
    let world = World::new().await;
    let today = BillDate::of(world.clock.now());
    for (number, fen) in [("a1", 1_999), ("a2", 100), ("a3", 300), ("a4", 5_000)] {
        world.paid(number, fen).await;
    }
    world.clock.sleep(DAY).await;
    let changes = format!("/bills/{today}/changes");
    for change in [
        json!({"change": "add", "kind": "capture", "out_trade_no": "x1", "amount": "8.88"}),
        json!({"change": "drop", "out_trade_no": "a1"}),
        json!({"change": "amount", "out_trade_no": "a2", "amount": "1.01"}),
        json!({"change": "fee", "out_trade_no": "a3", "fee": "1.00"}),
        json!({"change": "trade_no", "out_trade_no": "a4", "trade_no": "666"}),
    ] {
        assert_eq!(world.post_json(&changes, &change).await.status, StatusCode::CREATED, "{change}");
    }
    let bad = json!({"change": "amount", "out_trade_no": "a2", "amount": "1.001"});
    assert_eq!(world.post_json(&changes, &bad).await.status, StatusCode::BAD_REQUEST);
    let got = bill(&world, today).await;
    use BillKind::Trade;
    let wrong = [
        (Trade, "a2".into(), 101, 1),
        (Trade, "a3".into(), 300, 100),
        (Trade, "a4".into(), 5_000, 30),
        (Trade, "x1".into(), 888, 0),
    ];
    assert_eq!(lines(&got), wrong);
    assert_eq!(got.lines.iter().find(|l| l.out_trade_no == "a4").unwrap().trade_no, "666");
    let fee =
        world.fetch("PUT", "/bills/fee", "application/json", json!({"basis_points": 38}).to_string()).await;
    assert_eq!(fee.status, StatusCode::OK, "{}", fee.body);
    assert_eq!(world.fetch("DELETE", &changes, "", String::new()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(bill(&world, today).await.lines[0].fee.minor, 8, "7.6 fen of 19.99 yuan");
}
