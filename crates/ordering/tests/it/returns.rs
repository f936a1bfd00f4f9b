//! Parcels that come back, and what was told wrong of one.

use std::time::Duration;

use http::StatusCode;
use merx_contracts::{
    events::{ordering::Line, shipping},
    ids::{OrderId, ShipmentId, Sku},
};
use merx_kernel::{Id, Quantity};
use merx_ordering::domain::{
    Axes, Command, FulfilmentAxis, Order, OrderAxis, PaymentAxis, ReceivedBy, Rejection, Settled, decide,
};
use serde_json::json;

use crate::{
    given::{
        ATTEMPT, CUP, DEADLINE, OTHER_ATTEMPT, OTHER_SHIPMENT, SHIPMENT, TEA, after, await_payment, capture,
        facts_at, names, open_some, paid, place, refunded, ship_some, total,
    },
    shop::{Answer, OPERATOR, SUPPORT, Shop},
};
use crate::{paused, plain};

const STRANGE: ShipmentId = Id::from_bits(0x1313);
/// What takes a day in a shop takes a minute here.
const DAY: Duration = Duration::from_secs(60);
const TIMERS: &str = "SELECT COUNT(*) FROM ordering_timers";

fn opened() -> Vec<Command> {
    let two = open_some(&[(SHIPMENT, &[(TEA, 2)]), (OTHER_SHIPMENT, &[(CUP, 1)])]);
    vec![place(), await_payment(), paid(), two]
}
fn part() -> Vec<Command> {
    with(opened(), &[ship_some(SHIPMENT, &[(TEA, 2)])])
}
fn all() -> Vec<Command> {
    with(part(), &[ship_some(OTHER_SHIPMENT, &[(CUP, 1)])])
}
fn with(given: Vec<Command>, more: &[Command]) -> Vec<Command> {
    [given, more.to_vec()].concat()
}
fn returned(shipment_id: ShipmentId) -> Command {
    Command::RecordReturn(shipment_id)
}
fn corrected(shipment_id: ShipmentId, tracking_number: &str) -> Command {
    let (carrier, tracking_number) = ("SF Express".to_owned(), tracking_number.to_owned());
    Command::RecordCorrection { shipment_id, carrier, tracking_number }
}

fn what_comes_back_counts_once() {
    use Command::{ConfirmReceipt, RecordDelivery, RefundQuarantine, RefundReturned};
    use ReceivedBy::{Buyer, Timer};
    let (first, second) = (|| returned(SHIPMENT), || returned(OTHER_SHIPMENT));
    let received = || with(all(), &[ConfirmReceipt(Buyer)]);
    let refunded = || with(all(), &[first(), second(), RefundReturned]);
    type Row = (&'static str, Vec<Command>, Command, Result<&'static [&'static str], Rejection>);
    let table: Vec<Row> = vec![
        ("no order", vec![], first(), Err(Rejection::OrderUnknown)),
        ("not sent", opened(), first(), Err(Rejection::NotShipped)),
        ("nobody knows it", all(), returned(STRANGE), Err(Rejection::NotShipped)),
        ("came back", part(), first(), Ok(&["ParcelReturned"])),
        ("came back twice", with(part(), &[first()]), first(), Ok(&[])),
        ("after its delivery", with(all(), &[RecordDelivery(SHIPMENT)]), first(), Ok(&["ParcelReturned"])),
        ("after the receipt", received(), first(), Ok(&["ParcelReturned"])),
        ("twice after the receipt", with(received(), &[first()]), first(), Ok(&[])),
        ("delivered after it came back", with(all(), &[first()]), RecordDelivery(SHIPMENT), Ok(&[])),
        ("sent after it came back", with(all(), &[first()]), ship_some(SHIPMENT, &[(TEA, 2)]), Ok(&[])),
        (
            "the rest is sent",
            with(part(), &[first()]),
            ship_some(OTHER_SHIPMENT, &[(CUP, 1)]),
            Ok(&["OrderShipped"]),
        ),
        ("the timer", with(all(), &[first()]), ConfirmReceipt(Timer), Ok(&[])),
        ("the timer of a part", with(part(), &[first()]), ConfirmReceipt(Timer), Ok(&[])),
        (
            "the buyer",
            with(all(), &[first()]),
            ConfirmReceipt(Buyer),
            Ok(&["ReceiptConfirmed", "OrderCompleted"]),
        ),
        ("the buyer of a part", part(), ConfirmReceipt(Buyer), Err(Rejection::NotAllShipped)),
        ("refund of what is away", all(), RefundReturned, Err(Rejection::NotQuarantined)),
        ("refund of one of two", with(all(), &[first()]), RefundReturned, Err(Rejection::NotQuarantined)),
        (
            "refund while the rest may leave",
            with(part(), &[first()]),
            RefundReturned,
            Err(Rejection::NotQuarantined),
        ),
        ("refund", with(all(), &[first(), second()]), RefundReturned, Ok(&["OrderCancelled"])),
        ("refund twice", refunded(), RefundReturned, Ok(&[])),
        ("refund decided before", refunded(), RefundQuarantine, Ok(&[])),
        ("accepted after the refund", refunded(), Command::AcceptQuarantine, Err(Rejection::NotQuarantined)),
        (
            "refund of what was received",
            with(received(), &[first(), second()]),
            RefundReturned,
            Err(Rejection::NotQuarantined),
        ),
        ("comes back after the refund", refunded(), first(), Ok(&[])),
        ("delivered after the refund", refunded(), RecordDelivery(SHIPMENT), Ok(&[])),
        ("received after the refund", refunded(), ConfirmReceipt(Buyer), Err(Rejection::OrderEnded)),
        ("corrected", part(), corrected(SHIPMENT, "YT1"), Ok(&["ParcelCorrected"])),
        ("corrected twice", with(part(), &[corrected(SHIPMENT, "YT1")]), corrected(SHIPMENT, "YT1"), Ok(&[])),
        ("corrected to what it was", part(), corrected(SHIPMENT, "SF1234567890"), Ok(&[])),
        ("corrected before it left", part(), corrected(OTHER_SHIPMENT, "YT1"), Err(Rejection::NotShipped)),
        ("corrected after the receipt", received(), corrected(SHIPMENT, "YT1"), Ok(&["ParcelCorrected"])),
        ("corrected after the refund", refunded(), corrected(SHIPMENT, "YT1"), Ok(&[])),
    ];
    for (title, given, when, then) in table {
        let result = decide(&after(&given), &when, &facts_at(DEADLINE));
        let result = result.as_ref().map(|events| names(events)).map_err(|no| *no);
        assert_eq!(result, then.map(<[_]>::to_vec), "{title}");
    }
}

/// One that came back undelivered is not delivered by the others.
fn an_order_is_not_delivered_without_what_came_back() {
    let axes = |given: Vec<Command>| after(&given).axes.unwrap().fulfilment;
    let delivered = Command::RecordDelivery;
    assert_eq!(axes(with(all(), &[returned(SHIPMENT), delivered(OTHER_SHIPMENT)])), FulfilmentAxis::Shipped);
    let had_arrived = [delivered(SHIPMENT), returned(SHIPMENT), delivered(OTHER_SHIPMENT)];
    assert_eq!(axes(with(all(), &had_arrived)), FulfilmentAxis::Delivered);
}

fn all_money_of_what_came_back_goes_back() {
    let back = [returned(SHIPMENT), returned(OTHER_SHIPMENT), Command::RefundReturned];
    let twice = capture(OTHER_ATTEMPT, total(), true);
    let order = after(&with(with(all(), &[twice]), &back));
    let axes = |order: &Order| -> Axes { order.axes.unwrap() };
    assert_eq!((axes(&order).order, axes(&order).payment), (OrderAxis::Cancelled, PaymentAxis::Captured));
    assert_eq!((order.settled, order.to_refund().count()), (Some(Settled::Refunded), 2));
    let fold = |order: Order, command: Command| {
        decide(&order, &command, &facts_at(DEADLINE)).unwrap().iter().fold(order, Order::evolve)
    };
    let some = fold(order, refunded(ATTEMPT, total()));
    assert_eq!(axes(&some).payment, PaymentAxis::PartRefunded);
    let late = fold(some.clone(), capture(Id::from_bits(0x99), total(), true));
    assert_eq!(axes(&late).payment, PaymentAxis::Late, "more money finds its way back too");
    let done = fold(some, refunded(OTHER_ATTEMPT, total()));
    assert_eq!((axes(&done).payment, done.held_minor()), (PaymentAxis::Refunded, 0));
}

async fn shipped(shop: &Shop) -> OrderId {
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    shop.ship(order).await;
    order
}

async fn a_parcel_that_came_back_waits_for_a_person() {
    let shop = Shop::new().await;
    let order = shipped(&shop).await;
    assert_eq!(shop.count(TIMERS).await, 1);
    shop.come_back(order, order.cast()).await;
    let shown = shop.order(order).await;
    assert_eq!(shown.status_of_order(), "shipped");
    assert!(shown.body["shipments"][0]["returned_at"].is_string(), "{shown:?}");
    assert_eq!(shop.deps.metrics.alerts("order_parcel_returned"), 1);
    assert_eq!(shop.count(TIMERS).await, 0);

    // The same once more, and a delivery that is not so.
    shop.come_back(order, order.cast()).await;
    shop.deliver(order).await;
    assert_eq!(shop.order(order).await.body, shown.body);
    assert_eq!((shop.deps.metrics.alerts("order_parcel_returned"), shop.count(TIMERS).await), (1, 0));
    shop.pass(40 * DAY).await;
    assert_eq!(shop.order(order).await.status_of_order(), "shipped", "silence is no receipt");

    let received = shop.post(&format!("/v1/orders/{order}/receipt"), "k").await;
    assert_eq!(received.status_of_order(), "completed", "the buyer knows better");
    shop.finish().await;
}

async fn a_parcel_may_come_back_after_its_delivery_and_after_the_receipt() {
    let shop = Shop::new().await;
    let order = shipped(&shop).await;
    shop.deliver(order).await;
    shop.come_back(order, order.cast()).await;
    assert_eq!((shop.order(order).await.status_of_order(), shop.count(TIMERS).await), ("delivered", 0));

    let received = shipped(&shop).await;
    shop.post(&format!("/v1/orders/{received}/receipt"), "k").await;
    shop.come_back(received, received.cast()).await;
    let shown = shop.order(received).await;
    assert_eq!(shown.status_of_order(), "completed");
    assert!(shown.body["shipments"][0]["returned_at"].is_string());
    assert_eq!(shop.deps.metrics.alerts("order_parcel_returned"), 2);
    shop.finish().await;
}

async fn parcels_that_replace_goods_are_no_news_of_the_order() {
    let shop = Shop::new().await;
    let order = shipped(&shop).await;
    shop.deliver(order).await;
    let before = (shop.order(order).await.body, shop.count(TIMERS).await);
    let (shipment_id, order_id, case_id) = (Id::from_bits(0x5151), order, Some(Id::from_bits(0xa1)));
    let (carrier, tracking_number) = ("YTO".to_owned(), "YT1".to_owned());
    let line = Line { sku: Sku::new("TEA").unwrap(), quantity: Quantity::new(1).unwrap() };
    let left = shipping::ShipmentDispatchedV2 {
        shipment_id,
        order_id,
        case_id,
        carrier: carrier.clone(),
        tracking_number: tracking_number.clone(),
        lines: vec![line],
    };
    shop.publish("shipping", left).await;
    let right = shipping::ShipmentCorrected { shipment_id, order_id, case_id, carrier, tracking_number };
    shop.publish("shipping", right).await;
    shop.publish("shipping", shipping::ShipmentDelivered { shipment_id, order_id, case_id }).await;
    shop.publish("shipping", shipping::ShipmentReturned { shipment_id, order_id, case_id }).await;
    assert_eq!((shop.order(order).await.body, shop.count(TIMERS).await), before);
    assert_eq!(shop.deps.metrics.alerts("order_parcel_returned"), 0);
    shop.finish().await;
}

async fn no_later_parcel_starts_the_time_again() {
    let shop = Shop::new().await;
    shop.neighbours.world().allocations = vec![
        ("whs_a".to_owned(), vec![("TEA".to_owned(), 1)]),
        ("whs_b".to_owned(), vec![("TEA".to_owned(), 1), ("CUP".to_owned(), 1)]),
    ];
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    let second = shop.order(order).await.body["shipments"][1]["id"].as_str().unwrap().parse().unwrap();
    shop.ship_some(order, order.cast(), &[("TEA", 1)]).await;
    let early = shop.post(&format!("/v1/orders/{order}/receipt"), "early").await;
    assert_eq!((early.status, early.code()), (StatusCode::CONFLICT, "ordering.not_shipped"));
    assert_eq!(early.body["detail"], "Not everything has been shipped yet.");
    shop.deliver(order).await;
    shop.come_back(order, order.cast()).await;
    let refused = settle(&shop, order, "part").await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "ordering.not_quarantined"));
    shop.ship_some(order, second, &[("TEA", 1), ("CUP", 1)]).await;
    assert_eq!(shop.count(TIMERS).await, 0, "the last has left");
    shop.deliver_one(order, second).await;
    assert_eq!((shop.order(order).await.status_of_order(), shop.count(TIMERS).await), ("delivered", 0));
    shop.come_back(order, second).await;
    assert_eq!(settle(&shop, order, "k").await.status_of_order(), "cancelled");
    shop.settle().await;
    assert_eq!(shop.neighbours.world().stock["TEA"], 10);
    shop.finish().await;
}

async fn a_return_never_overtakes_its_shipment() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    // Shipping is ahead of payment: what it tells of the parcel waits behind the shipment.
    shop.ship(order).await;
    shop.correct(order, "YT1").await;
    shop.come_back(order, order.cast()).await;
    let settled = shop.background.settled().await.unwrap();
    assert_eq!((settled.waiting, settled.dead), (1, 0));
    assert_eq!(shop.deps.metrics.alerts("order_parcel_returned"), 0);
    shop.capture(order, ATTEMPT, total(), false).await;
    shop.pass(Duration::from_secs(10)).await;
    let parcel = shop.order(order).await.body["shipments"][0].clone();
    assert_eq!(parcel["tracking_number"], "YT1");
    assert!(parcel["returned_at"].is_string(), "{parcel}");
    assert_eq!((shop.deps.metrics.alerts("order_parcel_returned"), shop.count(TIMERS).await), (1, 0));
    shop.finish().await;
}

async fn what_was_told_wrong_is_corrected() {
    let shop = Shop::new().await;
    let order = shipped(&shop).await;
    for _ in 0..2 {
        shop.correct(order, "YT1").await;
    }
    let shown = shop.order(order).await;
    assert_eq!(
        (&shown.body["shipment"]["carrier"], &shown.body["shipment"]["tracking_number"]),
        (&json!("YTO"), &json!("YT1"))
    );
    assert_eq!(shown.body["shipments"][0]["tracking_number"], "YT1");
    // The shipment told once more does not bring the wrong number back.
    shop.ship(order).await;
    assert_eq!(shop.order(order).await.body, shown.body);
    let events = shop.event_names(order).await;
    assert_eq!(events.iter().filter(|name| *name == "ParcelCorrected").count(), 1, "{events:?}");
    shop.finish().await;
}

async fn settle(shop: &Shop, order: OrderId, key: &str) -> Answer {
    let body = json!({"decision": "refund", "reason": "nobody was at home three times"});
    shop.post_as(OPERATOR, &format!("/v1/orders/{order}/settlement"), key, Some(body)).await
}

async fn staff_refund_an_order_that_came_back() {
    let shop = Shop::new().await;
    let order = shipped(&shop).await;
    let early = settle(&shop, order, "early").await;
    assert_eq!((early.status, early.code()), (StatusCode::CONFLICT, "ordering.not_quarantined"));
    shop.come_back(order, order.cast()).await;
    let body = json!({"decision": "refund", "reason": "because"});
    let path = format!("/v1/orders/{order}/settlement");
    assert_eq!(shop.post_as(SUPPORT, &path, "s", Some(body)).await.status, StatusCode::FORBIDDEN);

    let settled = settle(&shop, order, "k").await;
    assert_eq!((settled.status, settled.status_of_order()), (StatusCode::OK, "cancelled"), "{settled:?}");
    shop.settle().await;
    let again = settle(&shop, order, "k").await;
    assert!(again.replayed && again.text == settled.text);
    assert_eq!(settle(&shop, order, "k2").await.status, StatusCode::OK, "decided so before");
    let world = shop.neighbours.world().clone();
    assert_eq!((world.stock["TEA"], world.refunds.len()), (10, 1));
    assert!(!world.calls.iter().any(|call| call == "shipping.hold"), "there is nothing to hold");
    let told = shop.data_of("ordering.order_cancelled.v2").await;
    assert_eq!((told.len(), &told[0]["paid"], &told[0]["reason"]), (1, &json!(true), &json!("staff")));
    assert_eq!(shop.data_of("ordering.staff_acted.v1").await[0]["action"], "ordering.payment_settled");
    let timeline = shop.get_as(SUPPORT, &format!("/v1/orders/{order}/timeline")).await;
    assert!(timeline.text.contains("refund-returned ended"), "{timeline:?}");

    shop.refunded(order, ATTEMPT, total()).await;
    let done = shop.order(order).await;
    let amounts = &done.body["amounts"];
    assert_eq!(done.body["axes"]["payment"], "refunded");
    assert_eq!((&amounts["paid"]["minor"], &amounts["refunded"]["minor"]), (&json!(0), &json!(14_390)));
    assert!(done.body["shipments"][0]["cancelled"].is_null(), "it did leave");
    assert_eq!(shop.data_of("ordering.order_refunded.v1").await.len(), 1);
    assert_eq!(shop.post(&format!("/v1/orders/{order}/receipt"), "r").await.code(), "ordering.order_ended");
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    [
        plain!["returns": what_comes_back_counts_once, an_order_is_not_delivered_without_what_came_back, all_money_of_what_came_back_goes_back],
        paused!["returns": a_parcel_that_came_back_waits_for_a_person, a_parcel_may_come_back_after_its_delivery_and_after_the_receipt, no_later_parcel_starts_the_time_again, parcels_that_replace_goods_are_no_news_of_the_order, a_return_never_overtakes_its_shipment, what_was_told_wrong_is_corrected, staff_refund_an_order_that_came_back],
    ]
    .into_iter()
    .flatten()
    .collect()
}
