//! `POST /v1/checkouts/{cart}/orders`

use std::sync::{Arc, Mutex};

use http::StatusCode;
use merx_kernel::Error;
use merx_platform::{module::sequenced_tables, store::SagaStatus};
use merx_sql::{Db, DbOptions, FaultPoint, Faults};
use serde_json::json;

use crate::paused;
use crate::{
    given::BUYER,
    neighbours::{Neighbours, Paying, Reservation},
    shop::{CONTEXTS, Shop, parts_with},
};

/// What goes wrong with the database now: where, and in which transaction.
#[derive(Default)]
struct Trouble(Mutex<Option<(FaultPoint, &'static str)>>);

impl Faults for Trouble {
    fn strikes(&self, point: FaultPoint, labels: &[&'static str]) -> bool {
        self.0.lock().unwrap().is_some_and(|(at, of)| at == point && labels.iter().any(|l| l.starts_with(of)))
    }
}

/// A shop whose database has `trouble`.
async fn troubled(trouble: &Arc<Trouble>) -> Shop {
    let neighbours = Neighbours::new();
    let parts = parts_with(&neighbours, |deps| {
        let options = DbOptions { faults: Some(trouble.clone()), ..DbOptions::new(deps.clock.clone()) };
        deps.db = Db::inline(options, &sequenced_tables(&CONTEXTS)).unwrap();
    });
    let parts = parts.await;
    Shop::of(neighbours, parts).await
}

/// T20: what held, as a line of the report.
fn proof(case: &str, size: usize, figure: &str) {
    println!("PROOF | T20 | placing an order: {case} | size={size} | {figure} | seed=7");
}

async fn an_order_comes_to_await_payment() {
    let shop = Shop::new().await;
    let placed = shop.place("k").await;
    assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
    let order = placed.order();
    assert_eq!(placed.location.as_deref(), Some(format!("/v1/orders/{order}").as_str()));
    assert_eq!(placed.status_of_order(), "awaiting_payment");
    assert_eq!(placed.body["amounts"]["total"]["minor"], 14_390);
    assert_eq!(placed.body["payment_id"].as_str().unwrap()[4..], order.to_string()[4..]);
    assert_eq!(placed.body["lines"].as_array().unwrap().len(), 2);
    assert_eq!(shop.order(order).await.body, placed.body, "the answer is what the row says");

    let world = shop.neighbours.world().clone();
    assert_eq!(world.stock["TEA"], 8);
    assert_eq!(world.payments.values().collect::<Vec<_>>(), [&Paying::Open]);
    assert_eq!(shop.facts().await, ["ordering.order_awaiting_payment.v2"]);
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_timers").await, 1);
    shop.finish().await;
}

async fn placing_costs_two_transactions_within_the_budget() {
    let shop = Shop::new().await;
    let commits = shop.deps.db.stats().commits;
    shop.place("k").await;
    assert_eq!(shop.cost("ordering.place"), (1, 6));
    assert_eq!(shop.cost("ordering.await_payment"), (1, 7));
    assert_eq!(shop.deps.db.stats().commits - commits, 2);
    shop.finish().await;
}

/// T20. The guard is `Guard::IdempotencyKey`.
async fn one_key_sent_fifty_times_at_once_is_one_order() {
    let shop = Shop::new().await;
    let body = shop.acceptance().await;
    let path = Shop::checkout("orders");
    let requests = (0..50).map(|_| shop.post_as(BUYER, &path, "the-key", Some(body.clone())));
    let answers = futures_util::future::join_all(requests).await;
    let first = answers[0].clone();
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    for answer in &answers {
        assert_eq!(
            (answer.status, &answer.text, &answer.location),
            (first.status, &first.text, &first.location)
        );
    }
    assert_eq!(answers.iter().filter(|a| !a.replayed).count(), 1);
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_orders").await, 1);
    assert_eq!(shop.neighbours.world().stock["TEA"], 8);
    shop.finish().await;
    proof("one key 50 times at once", 50, "1 order, 1 reservation, 50 equal answers");
}

/// T20: the keys are in the database of the orders.
async fn while_the_database_is_down_nothing_is_ordered() {
    let trouble: Arc<Trouble> = Arc::default();
    let shop = troubled(&trouble).await;
    let body = shop.acceptance().await;
    let path = Shop::checkout("orders");
    *trouble.0.lock().unwrap() = Some((FaultPoint::BeforeCommit, "ordering.place"));
    let requests = (0..50).map(|_| shop.post_as(BUYER, &path, "k", Some(body.clone())));
    for refused in futures_util::future::join_all(requests).await {
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::SERVICE_UNAVAILABLE, "sql.io"),
            "{refused:?}"
        );
    }
    *trouble.0.lock().unwrap() = None;
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_orders").await, 0);
    assert_eq!(shop.neighbours.world().stock["TEA"], 10);
    let placed = shop.post_as(BUYER, &path, "k", Some(body)).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
    shop.finish().await;
    proof("the store of the keys is down", 50, "50 × 503, 0 orders, 0 reservations; 1 order once it is back");
}

/// T20: the first answer is lost, kept or not; the second says what the order says. The guard is `Guard::IdempotencyKey`.
async fn a_crash_after_any_write_is_answered_from_the_order() {
    for label in ["ordering.place", "ordering.await_payment"] {
        let trouble: Arc<Trouble> = Arc::default();
        let shop = troubled(&trouble).await;
        let body = shop.acceptance().await;
        let path = Shop::checkout("orders");
        *trouble.0.lock().unwrap() = Some((FaultPoint::AfterCommit, label));
        let lost = shop.post_as(BUYER, &path, "k", Some(body.clone())).await;
        assert_ne!(lost.status, StatusCode::CREATED, "{label}: {lost:?}");
        *trouble.0.lock().unwrap() = None;
        // The process lives on, as with a server that is gone: nobody carries the saga on until it is found forgotten.
        shop.pass(std::time::Duration::from_secs(900)).await;
        let again = shop.post_as(BUYER, &path, "k", Some(body)).await;
        assert_eq!((again.status, again.replayed), (StatusCode::CREATED, true), "{label}: {again:?}");
        assert_eq!(shop.order(again.order()).await.body, again.body, "the answer is what the row says");
        assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_orders").await, 1);
        assert_eq!(shop.neighbours.world().stock["TEA"], 8);
        shop.finish().await;
    }
    proof(
        "the answer is lost after each of its writes",
        2,
        "1 order, the answer rebuilt from it or as it was kept",
    );
}

async fn a_repetition_is_answered_from_the_first_even_when_the_cart_is_empty_by_then() {
    let shop = Shop::new().await;
    let body = shop.acceptance().await;
    let path = Shop::checkout("orders");
    let first = shop.post_as(BUYER, &path, "k", Some(body.clone())).await;
    shop.neighbours.world().cart.clear();
    let again = shop.post_as(BUYER, &path, "k", Some(body.clone())).await;
    assert!(again.replayed);
    assert_eq!((again.status, &again.text, &again.location), (first.status, &first.text, &first.location));

    let mut other = body;
    other["shipping_method"] = json!("express");
    let reused = shop.post_as(BUYER, &path, "k", Some(other)).await;
    assert_eq!(
        (reused.status, reused.code()),
        (StatusCode::UNPROCESSABLE_ENTITY, "request.idempotency_key_reused")
    );
    shop.finish().await;
}

async fn sold_out_is_a_409_and_its_order_is_hidden() {
    let shop = Shop::new().await;
    let body = shop.acceptance().await;
    shop.neighbours.world().stock.insert("CUP".to_owned(), 0);
    let path = Shop::checkout("orders");
    let refused = shop.post_as(BUYER, &path, "k", Some(body.clone())).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "inventory.sold_out"), "{refused:?}");
    let again = shop.post_as(BUYER, &path, "k", Some(body)).await;
    assert_eq!((again.status, &again.text), (refused.status, &refused.text));
    assert!(shop.get("/v1/orders").await.body["items"].as_array().unwrap().is_empty());
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_orders WHERE order_axis = 'rejected'").await, 1);
    assert!(shop.neighbours.world().payments.is_empty());
    shop.neighbours.world().stock.insert("CUP".to_owned(), 10);
    shop.finish().await;
}

async fn a_refusal_after_the_reservation_gives_the_stock_back() {
    let shop = Shop::new().await;
    shop.neighbours.fail("payment.open", || Error::rejected("payment.currency_unsupported", "No."));
    let refused = shop.place("k").await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "payment.currency_unsupported"));
    assert_eq!(shop.neighbours.world().stock["TEA"], 10);
    assert_eq!(shop.neighbours.world().reservations.values().collect::<Vec<_>>(), [&Reservation::Released]);
    shop.finish().await;
}

async fn a_failing_neighbour_is_asked_again_within_the_request() {
    let shop = Shop::new().await;
    shop.neighbours.fail("payment.open", || Error::unavailable("payment.down", "Down."));
    let placed = shop.place("k").await;
    // The engine parks the saga; a request that does not wait for the next try is told where to look.
    assert_eq!(placed.status, StatusCode::ACCEPTED, "{placed:?}");
    assert_eq!(placed.status_of_order(), "placing");
    let order = placed.order();
    assert_eq!(placed.location.as_deref(), Some(format!("/v1/orders/{order}").as_str()));
    shop.pass(std::time::Duration::from_secs(5)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "awaiting_payment");
    assert_eq!(shop.neighbours.world().stock["TEA"], 8, "reserved once");
    assert_eq!(shop.sagas().await, [("place-order".to_owned(), SagaStatus::Done)]);
    shop.finish().await;
}

async fn a_quote_that_no_longer_holds_is_refused() {
    let shop = Shop::new().await;
    let body = shop.acceptance().await;
    shop.neighbours.world().prices.insert("TEA".to_owned(), 6_000);
    let refused = shop.post_as(BUYER, &Shop::checkout("orders"), "k", Some(body)).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "ordering.quote_changed"));
    assert!(refused.body["detail"].as_str().unwrap().contains("147.90 CNY"), "{refused:?}");
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_orders").await, 0);
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM ordering_idempotency").await,
        0,
        "the key is free for the next try"
    );
    shop.finish().await;
}

async fn bad_input_is_named() {
    let shop = Shop::new().await;
    let good = shop.acceptance().await;
    let path = Shop::checkout("orders");
    for (property, value, pointer) in [
        ("quote_id", json!("short"), "/quote_id"),
        ("address_id", json!("adr_1"), "/address_id"),
        ("shipping_method", json!(""), "/shipping_method"),
        ("total", json!({"minor": 1, "currency": "CNY"}), "/total"),
    ] {
        let mut body = good.clone();
        body[property] = value;
        let refused = shop.post_as(BUYER, &path, "k", Some(body)).await;
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::BAD_REQUEST, "request.invalid"),
            "{property}"
        );
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{refused:?}");
    }
    let bad_cart = shop.post_as(BUYER, "/v1/checkouts/crt_x/orders", "k", Some(good)).await;
    assert_eq!(bad_cart.status, StatusCode::BAD_REQUEST);
    assert_eq!(bad_cart.body["errors"][0]["pointer"], "cart");
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    paused!["place_order": an_order_comes_to_await_payment, placing_costs_two_transactions_within_the_budget, one_key_sent_fifty_times_at_once_is_one_order, while_the_database_is_down_nothing_is_ordered, a_crash_after_any_write_is_answered_from_the_order, a_repetition_is_answered_from_the_first_even_when_the_cart_is_empty_by_then, sold_out_is_a_409_and_its_order_is_hidden, a_refusal_after_the_reservation_gives_the_stock_back, a_failing_neighbour_is_asked_again_within_the_request, a_quote_that_no_longer_holds_is_refused, bad_input_is_named]
}
