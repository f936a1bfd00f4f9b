//! Cancelling what is paid: shipping's hold decides, and money, stock and shipments follow.

use std::time::Duration;

use http::StatusCode;
use merx_contracts::ids::{OrderId, ShipmentKind};
use merx_kernel::Error;
use serde_json::json;

use crate::paused;
use crate::{
    given::{ATTEMPT, BUYER, OTHER_ATTEMPT, total},
    neighbours::{Hold, Reservation},
    shop::{SUPPORT, Shop},
};

async fn paid(shop: &Shop) -> OrderId {
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    assert_eq!(shop.order(order).await.status_of_order(), "paid");
    order
}

fn down() -> Error {
    Error::unavailable("rpc.unavailable", "Down.")
}

async fn a_paid_order_is_cancelled_with_its_money_stock_and_shipment() {
    let shop = Shop::new().await;
    let order = paid(&shop).await;
    let cancelled = shop.cancel(order, "k").await;
    assert_eq!(
        (cancelled.status, cancelled.status_of_order()),
        (StatusCode::OK, "cancelled"),
        "{cancelled:?}"
    );
    assert_eq!(cancelled.body["axes"]["payment"], "captured", "the money is still here");
    let world = shop.neighbours.world().clone();
    assert_eq!(world.stock["TEA"], 10);
    assert!(world.shipments.values().all(|shipment| shipment.cancelled));
    assert_eq!(world.refunds.values().collect::<Vec<_>>(), [&(ATTEMPT.to_string(), 14_390)]);
    let at = |name: &str| world.calls.iter().position(|call| call == name).unwrap();
    assert!(at("shipping.hold") < at("payment.refund"), "{:?}", world.calls);
    let told = shop.data_of("ordering.order_cancelled.v2").await;
    assert_eq!((&told[0]["paid"], &told[0]["reason"]), (&json!(true), &json!("buyer")));

    let again = shop.cancel(order, "k").await;
    assert!(again.replayed);
    assert_eq!(again.text, cancelled.text);
    assert_eq!(shop.cancel(order, "k2").await.status, StatusCode::OK);
    assert_eq!(shop.neighbours.world().calls.iter().filter(|call| *call == "shipping.hold").count(), 1);

    shop.refunded(order, ATTEMPT, total()).await;
    let done = shop.order(order).await;
    assert_eq!(
        (&done.body["axes"]["payment"], &done.body["amounts"]["paid"]["minor"]),
        (&"refunded".into(), &0.into())
    );
    assert_eq!(done.body["amounts"]["refunded"]["minor"], 14_390);
    assert_eq!(done.body["shipments"][0]["cancelled"], true, "it never leaves");
    let refunded = shop.data_of("ordering.order_refunded.v1").await;
    assert_eq!((refunded.len(), &refunded[0]["amount"]["minor"]), (1, &14_390.into()));
    shop.finish().await;
}

async fn what_has_left_is_not_cancelled() {
    let shop = Shop::new().await;
    let order = paid(&shop).await;
    // The warehouse was faster, and its fact is still on the way.
    assert!(shop.neighbours.world().dispatch(&order.to_string()));
    let refused = shop.cancel(order, "k").await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::CONFLICT, "ordering.already_shipped"),
        "{refused:?}"
    );
    let still = shop.order(order).await;
    assert_eq!(still.status_of_order(), "paid");
    assert_eq!(still.body["cancellation"]["refusal"], "ordering.already_shipped");
    shop.ship(order).await;
    assert_eq!(shop.order(order).await.status_of_order(), "shipped");
    let later = shop.cancel(order, "k2").await;
    assert_eq!((later.status, later.code()), (StatusCode::CONFLICT, "ordering.already_shipped"));
    assert_eq!(shop.cancel(order, "k").await.text, refused.text);
    assert!(shop.neighbours.world().refunds.is_empty());

    // And the receipt goes its way.
    shop.pass(Duration::from_secs(31 * 60)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "completed");
    let ended = shop.cancel(order, "k3").await;
    assert_eq!((ended.status, ended.code()), (StatusCode::CONFLICT, "ordering.already_shipped"));
    shop.finish().await;
}

async fn what_is_cancelled_does_not_leave() {
    let shop = Shop::new().await;
    let order = paid(&shop).await;
    // The hold is there, the money is slow: the warehouse may not send it any more.
    for _ in 0..3 {
        shop.neighbours.fail("payment.refund", down);
    }
    let cancelled = shop.cancel(order, "k").await;
    assert!(cancelled.status.is_success(), "{cancelled:?}");
    assert!(!shop.neighbours.world().dispatch(&order.to_string()), "shipping refuses");
    shop.pass(Duration::from_secs(60)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "cancelled");
    assert_eq!(shop.neighbours.world().refunds.len(), 1);
    shop.finish().await;
}

async fn a_hold_is_lifted_when_the_order_moved_on() {
    let shop = Shop::new().await;
    let order = paid(&shop).await;
    shop.neighbours.fail("shipping.hold", down);
    let asked = shop.cancel(order, "k").await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{asked:?}");
    assert_eq!(
        (&asked.body["status"], &asked.body["cancellation"]["refused_at"]),
        (&json!("paid"), &json!(null))
    );
    // Shipping told that it left, and does not know so when it is asked for the hold.
    shop.ship(order).await;
    shop.pass(Duration::from_secs(60)).await;
    let shipped = shop.order(order).await;
    assert_eq!(shipped.status_of_order(), "shipped");
    assert_eq!(shipped.body["cancellation"]["refusal"], "ordering.already_shipped");
    let world = shop.neighbours.world().clone();
    assert!(world.holds.values().all(|hold| *hold == Hold::Lifted), "{:?}", world.holds);
    assert!(world.refunds.is_empty() && world.stock["TEA"] == 8);
    shop.finish().await;
}

async fn a_fulfilment_that_still_runs_stops() {
    for slow in ["inventory.sell", "shipping.open"] {
        let shop = Shop::new().await;
        let order = shop.placed().await;
        for _ in 0..4 {
            shop.neighbours.fail(slow, down);
        }
        shop.capture(order, ATTEMPT, total(), false).await;
        let cancelled = shop.cancel(order, "k").await;
        assert!(cancelled.status.is_success(), "{slow}: {cancelled:?}");
        shop.pass(Duration::from_secs(120)).await;
        assert_eq!(shop.order(order).await.status_of_order(), "cancelled", "{slow}");
        let world = shop.neighbours.world().clone();
        assert!(world.shipments.values().all(|shipment| shipment.cancelled), "{slow}: {:?}", world.shipments);
        assert!(matches!(world.reservations.values().next(), Some(Reservation::Returned(_))), "{slow}");
        assert_eq!((world.stock["TEA"], world.refunds.len()), (10, 1), "{slow}");
        let events = shop.event_names(order).await;
        assert!(!events.contains(&"FulfilmentOpened".to_owned()), "{slow}: {events:?}");
        shop.finish().await;
    }
}

async fn a_fulfilment_waits_out_a_hold() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    let held = (order.to_string(), "hld_of_somebody".to_owned());
    shop.neighbours.world().holds.insert(held.clone(), Hold::Held);
    shop.capture(order, ATTEMPT, total(), false).await;
    shop.pass(Duration::from_secs(600)).await;
    assert!(shop.neighbours.world().shipments.is_empty(), "nothing is opened under a hold");
    assert_eq!(shop.deps.metrics.alerts("saga_stuck"), 0);
    shop.neighbours.world().holds.insert(held, Hold::Lifted);
    shop.pass(Duration::from_secs(10)).await;
    assert_eq!(shop.neighbours.world().shipments.len(), 1);
    shop.finish().await;
}

async fn money_that_came_twice_goes_back_twice() {
    let shop = Shop::new().await;
    let order = paid(&shop).await;
    shop.capture(order, OTHER_ATTEMPT, total(), true).await;
    assert_eq!(shop.order(order).await.body["axes"]["payment"], "overpaid");
    assert_eq!(shop.cancel(order, "k").await.status, StatusCode::OK);
    assert_eq!(shop.neighbours.world().refunds.len(), 2, "each capture once");
    shop.refunded(order, OTHER_ATTEMPT, total()).await;
    assert_eq!(shop.order(order).await.body["axes"]["payment"], "part_refunded");
    shop.refunded(order, ATTEMPT, total()).await;
    let done = shop.order(order).await;
    assert_eq!(
        (&done.body["axes"]["payment"], &done.body["amounts"]["paid"]["minor"]),
        (&"refunded".into(), &0.into())
    );
    shop.finish().await;
}

async fn money_that_comes_after_the_cancellation_goes_back_too() {
    let shop = Shop::new().await;
    let order = paid(&shop).await;
    assert_eq!(shop.cancel(order, "k").await.status, StatusCode::OK);
    shop.capture(order, OTHER_ATTEMPT, total(), true).await;
    assert_eq!(shop.order(order).await.body["axes"]["payment"], "late");
    assert_eq!(shop.neighbours.world().refunds.len(), 2);
    shop.refunded(order, ATTEMPT, total()).await;
    assert_eq!(shop.order(order).await.body["axes"]["payment"], "late", "one is still here");
    shop.refunded(order, OTHER_ATTEMPT, total()).await;
    assert_eq!(shop.order(order).await.body["axes"]["payment"], "refunded");
    shop.finish().await;
}

async fn many_requests_at_once_are_one_cancellation() {
    let shop = Shop::new().await;
    let order = paid(&shop).await;
    let keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
    let answers = futures_util::future::join_all(keys.iter().map(|key| shop.cancel(order, key))).await;
    assert!(answers.iter().all(|answer| answer.status.is_success()), "{answers:?}");
    shop.settle().await;
    assert_eq!(shop.sagas().await.iter().filter(|(name, _)| name == "cancel-paid").count(), 1);
    assert_eq!(shop.neighbours.world().refunds.len(), 1);
    shop.finish().await;
}

async fn a_refund_the_provider_refuses_holds_nothing_else_up() {
    let shop = Shop::new().await;
    let order = paid(&shop).await;
    shop.neighbours.world().refunds_fail = true;
    assert_eq!(shop.cancel(order, "k").await.status, StatusCode::OK);
    assert_eq!(shop.deps.metrics.alerts("order_refund_failed"), 1);
    assert_eq!(shop.neighbours.world().stock["TEA"], 10);
    assert_eq!(shop.order(order).await.body["axes"]["payment"], "captured", "the money is still here");
    shop.refunded(order, ATTEMPT, total()).await;
    assert_eq!(shop.order(order).await.body["axes"]["payment"], "refunded");
    shop.finish().await;
}

async fn staff_cancel_with_a_reason_that_is_told() {
    let shop = Shop::new().await;
    let (unpaid, order) = (shop.placed().await, paid(&shop).await);
    let path = |order: OrderId| format!("/v1/orders/{order}/cancellation");
    let silent = shop.post_as(SUPPORT, &path(order), "k", Some(json!({}))).await;
    assert_eq!((silent.status, silent.code()), (StatusCode::BAD_REQUEST, "request.invalid"), "{silent:?}");
    for (order, key) in [(unpaid, "a"), (order, "b")] {
        let body = json!({"reason": "the buyer telephoned"});
        let cancelled = shop.post_as(SUPPORT, &path(order), key, Some(body)).await;
        assert_eq!(cancelled.status_of_order(), "cancelled", "{cancelled:?}");
        assert_eq!(cancelled.body["cancellation"]["reason"], "staff");
        assert!(!cancelled.text.contains("telephoned"), "what people write is not in kept answers");
    }
    let acted = shop.data_of("ordering.staff_acted.v1").await;
    assert_eq!(acted.len(), 2);
    assert_eq!((&acted[1]["actor"], &acted[1]["reason"]), (&json!(SUPPORT), &json!("the buyer telephoned")));
    assert_eq!(
        (&acted[1]["action"], &acted[1]["object"]),
        (&json!("ordering.cancellation_requested"), &json!(order))
    );
    let notes = shop.get_as(SUPPORT, &format!("/v1/orders/{order}")).await.body["notes"].clone();
    assert_eq!(
        (&notes[0]["about"], &notes[0]["text"]),
        (&json!("cancellation"), &json!("the buyer telephoned"))
    );
    assert!(shop.order(order).await.body["notes"].is_null(), "the buyer is not shown it");
    assert!(!shop.stored_texts().await.contains("telephoned"), "only the note and the fact hold it");

    let mine = shop.placed().await;
    let body = Some(json!({"reason": "CANARY my neighbour has one"}));
    assert_eq!(shop.post_as(BUYER, &path(mine), "c", body).await.status_of_order(), "cancelled");
    assert_eq!(shop.order(mine).await.body["notes"][0]["about"], "cancellation");
    assert_eq!(shop.data_of("ordering.staff_acted.v1").await.len(), 2);
    let first = order.cast::<ShipmentKind>();
    assert!(shop.neighbours.world().shipments.contains_key(&first.to_string()));
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    paused!["cancel_paid": a_paid_order_is_cancelled_with_its_money_stock_and_shipment, what_has_left_is_not_cancelled, what_is_cancelled_does_not_leave, a_hold_is_lifted_when_the_order_moved_on, a_fulfilment_that_still_runs_stops, a_fulfilment_waits_out_a_hold, money_that_came_twice_goes_back_twice, money_that_comes_after_the_cancellation_goes_back_too, many_requests_at_once_are_one_cancellation, a_refund_the_provider_refuses_holds_nothing_else_up, staff_cancel_with_a_reason_that_is_told]
}
