//! `POST /v1/orders/{order}/cancellation`, and orders that run out.

use std::time::Duration;

use http::StatusCode;
use merx_contracts::ids::OrderId;
use merx_ordering::domain::OrderNumber;
use merx_platform::store::SagaStatus;
use serde_json::json;

use crate::paused;
use crate::{
    given::{ATTEMPT, BUYER, total},
    neighbours::Paying,
    shop::{START, STRANGER, SUPPORT, Shop},
};

async fn an_unpaid_order_is_cancelled_and_its_stock_is_back() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    let cancelled = shop.cancel(order, "k").await;
    assert_eq!(
        (cancelled.status, cancelled.status_of_order()),
        (StatusCode::OK, "cancelled"),
        "{cancelled:?}"
    );
    assert_eq!(cancelled.body["cancellation"]["reason"], "buyer");
    assert!(cancelled.body["cancellation"]["cancelled_at"].is_string());
    let world = shop.neighbours.world().clone();
    assert_eq!(world.stock["TEA"], 10);
    assert_eq!(world.payments.values().collect::<Vec<_>>(), [&Paying::Closed]);
    let asked: Vec<&str> = world.calls.iter().map(String::as_str).collect();
    let at = |name| asked.iter().position(|call| *call == name).unwrap();
    assert!(at("payment.close") < at("inventory.release"), "stock goes only after the payment is closed");
    assert_eq!(shop.facts().await.last().unwrap(), "ordering.order_cancelled.v2");
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_timers").await, 0, "the deadline is taken back");

    let again = shop.cancel(order, "k").await;
    assert!(again.replayed);
    assert_eq!((again.status, again.text), (cancelled.status, cancelled.text));
    let anew = shop.cancel(order, "another-key").await;
    assert_eq!((anew.status, anew.status_of_order()), (StatusCode::OK, "cancelled"));
    assert_eq!(shop.neighbours.world().calls.iter().filter(|c| *c == "payment.close").count(), 1);
    shop.finish().await;
}

async fn a_trade_the_provider_cannot_close_yet_is_a_202() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    let later = START.plus(Duration::from_secs(600));
    shop.neighbours.world().close_pending_until.push_back(later.as_millis());
    let asked = shop.cancel(order, "k").await;
    assert_eq!(
        (asked.status, asked.status_of_order()),
        (StatusCode::ACCEPTED, "awaiting_payment"),
        "{asked:?}"
    );
    assert!(asked.body["cancellation"]["requested_at"].is_string());
    assert!(asked.body["cancellation"]["decided_by"].is_string());
    assert_eq!(shop.neighbours.world().stock["TEA"], 8, "nothing is let go before");
    shop.pass(Duration::from_secs(300)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "awaiting_payment");
    shop.pass(Duration::from_secs(301)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "cancelled");
    assert_eq!(shop.neighbours.world().stock["TEA"], 10);
    shop.finish().await;
}

async fn money_that_came_first_wins() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    let payment = order.cast::<merx_contracts::ids::PaymentKind>().to_string();
    // Payment has it, its fact is still on the way.
    shop.neighbours.world().payments.insert(payment, Paying::Captured);
    let refused = shop.cancel(order, "k").await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::CONFLICT, "ordering.already_paid"),
        "{refused:?}"
    );
    assert_eq!(shop.neighbours.world().stock["TEA"], 8);
    let meanwhile = shop.cancel(order, "meanwhile").await;
    assert_eq!((meanwhile.status, meanwhile.code()), (StatusCode::CONFLICT, "ordering.already_paid"));
    shop.capture(order, ATTEMPT, total(), false).await;
    let paid = shop.order(order).await;
    assert_eq!(paid.status_of_order(), "paid");
    assert!(paid.body["cancellation"]["cancelled_at"].is_null());
    assert!(paid.body["cancellation"]["decided_by"].is_null());
    assert_eq!(shop.cancel(order, "k").await.text, refused.text);
    assert_eq!(paid.body["cancellation"]["refusal"], "ordering.already_paid");
    let anew = shop.cancel(order, "k2").await;
    assert_eq!(
        (anew.status, anew.status_of_order()),
        (StatusCode::OK, "cancelled"),
        "paid orders can be too"
    );
    assert_eq!(shop.neighbours.world().refunds.len(), 1);
    shop.finish().await;
}

async fn an_order_that_runs_out_is_closed() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.pass(Duration::from_secs(29 * 60)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "awaiting_payment");
    shop.pass(Duration::from_secs(61)).await;
    let ended = shop.order(order).await;
    assert_eq!(ended.status_of_order(), "cancelled");
    assert_eq!(ended.body["cancellation"]["reason"], "expired");
    assert_eq!(shop.neighbours.world().stock["TEA"], 10);
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_timers").await, 0);
    let sagas = shop.sagas().await;
    assert!(sagas.contains(&("close-order".to_owned(), SagaStatus::Done)), "{sagas:?}");
    shop.finish().await;
}

async fn the_deadline_of_a_paid_order_says_nothing() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    shop.pass(Duration::from_secs(31 * 60)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "paid");
    assert!(!shop.neighbours.world().calls.iter().any(|call| call == "payment.close"));
    shop.finish().await;
}

async fn a_deadline_while_the_buyer_cancels_starts_nothing_twice() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    let after_deadline = START.plus(Duration::from_secs(31 * 60));
    shop.neighbours.world().close_pending_until.push_back(after_deadline.as_millis());
    shop.cancel(order, "k").await;
    shop.pass(Duration::from_secs(32 * 60)).await;
    let ended = shop.order(order).await;
    assert_eq!(
        (ended.status_of_order(), &ended.body["cancellation"]["reason"]),
        ("cancelled", &"buyer".into())
    );
    assert_eq!(shop.sagas().await.iter().filter(|(name, _)| name == "close-order").count(), 1);
    shop.finish().await;
}

async fn a_foreign_order_is_the_same_as_none() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    let nobody = OrderId::from_bits(0xdead);
    for path in [format!("/v1/orders/{order}"), format!("/v1/orders/{order}/timeline")] {
        let foreign = shop.get_as(STRANGER, &path).await;
        let absent = shop.get_as(STRANGER, &path.replace(&order.to_string(), &nobody.to_string())).await;
        assert_eq!((foreign.status, foreign.code()), (StatusCode::NOT_FOUND, "ordering.order_not_found"));
        assert_eq!((foreign.status, &foreign.body["detail"]), (absent.status, &absent.body["detail"]));
        assert_eq!(shop.get_as(SUPPORT, &path).await.status, StatusCode::OK, "staff may read");
    }
    for (action, body) in [
        ("cancellation", Some(json!({}))),
        ("receipt", None),
        ("notes", Some(json!({"text": "leave it at the door"}))),
    ] {
        let path = |order: String| format!("/v1/orders/{order}/{action}");
        let number = OrderNumber::of(order).to_string();
        let foreign = shop.post_as(STRANGER, &path(order.to_string()), "k", body.clone()).await;
        let absent = shop.post_as(STRANGER, &path(nobody.to_string()), "k2", body.clone()).await;
        let by_number = shop.post_as(STRANGER, &path(number), "k3", body.clone()).await;
        assert_eq!((foreign.status, foreign.code()), (StatusCode::NOT_FOUND, "ordering.order_not_found"));
        assert_eq!((foreign.status, foreign.code()), (absent.status, absent.code()));
        assert_eq!((foreign.status, foreign.code()), (by_number.status, by_number.code()));
    }
    let receipt = format!("/v1/orders/{order}/receipt");
    assert_eq!(shop.post_as(SUPPORT, &receipt, "k", None).await.status, StatusCode::FORBIDDEN);
    let settle = json!({"decision": "refund", "reason": "x"});
    let settlement = format!("/v1/orders/{order}/settlement");
    for who in [STRANGER, BUYER, SUPPORT] {
        let refused = shop.post_as(who, &settlement, "k", Some(settle.clone())).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    }
    assert_eq!(shop.get_as(BUYER, "/v1/admin/orders").await.status, StatusCode::FORBIDDEN);
    assert!(shop.get_as(STRANGER, "/v1/orders").await.body["items"].as_array().unwrap().is_empty());
    assert_eq!(shop.order(order).await.status_of_order(), "awaiting_payment", "nothing was changed");
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    paused!["cancel_order": an_unpaid_order_is_cancelled_and_its_stock_is_back, a_trade_the_provider_cannot_close_yet_is_a_202, money_that_came_first_wins, an_order_that_runs_out_is_closed, the_deadline_of_a_paid_order_says_nothing, a_deadline_while_the_buyer_cancels_starts_nothing_twice, a_foreign_order_is_the_same_as_none]
}
