//! Several shipments of one order.

use std::time::Duration;

use http::StatusCode;
use merx_contracts::ids::{OrderId, ShipmentId};
use merx_kernel::Id;
use merx_ordering::domain::{Command, Rejection, decide};
use serde_json::{Value, json};

use crate::{
    given::{
        ATTEMPT, CUP, DEADLINE, OTHER_SHIPMENT, SHIPMENT, TEA, after, await_payment, facts_at, names,
        open_some, paid, place, ship_some, total,
    },
    shop::Shop,
};
use crate::{paused, plain};

const STRANGE: ShipmentId = Id::from_bits(0x1313);
/// What takes a day in a shop takes a minute here.
const DAY: Duration = Duration::from_secs(60);

fn what_left_and_what_is_left_add_up() {
    let opened = || {
        let two = open_some(&[(SHIPMENT, &[(TEA, 2)]), (OTHER_SHIPMENT, &[(CUP, 1)])]);
        vec![place(), await_payment(), paid(), two]
    };
    let with = |more: &[Command]| [opened(), more.to_vec()].concat();
    let delivered = Command::RecordDelivery;
    let first = || ship_some(SHIPMENT, &[(TEA, 2)]);
    let second = || ship_some(OTHER_SHIPMENT, &[(CUP, 1)]);
    type Row = (&'static str, Vec<Command>, Command, Result<&'static [&'static str], Rejection>);
    let table: Vec<Row> = vec![
        ("more than ordered", opened(), ship_some(SHIPMENT, &[(TEA, 3)]), Err(Rejection::ShippedTooMuch)),
        (
            "one line twice",
            opened(),
            ship_some(SHIPMENT, &[(TEA, 2), (TEA, 1)]),
            Err(Rejection::ShippedTooMuch),
        ),
        ("never ordered", opened(), ship_some(SHIPMENT, &[("POT", 1)]), Err(Rejection::ShippedTooMuch)),
        ("a part", opened(), first(), Ok(&["OrderShipped"])),
        ("the same again", with(&[first()]), first(), Ok(&[])),
        ("again, differently told", with(&[first()]), ship_some(SHIPMENT, &[(CUP, 1)]), Ok(&[])),
        ("the rest", with(&[first()]), second(), Ok(&["OrderShipped"])),
        ("what is gone", with(&[first()]), ship_some(STRANGE, &[(TEA, 1)]), Err(Rejection::ShippedTooMuch)),
        ("one that nobody opened", opened(), ship_some(STRANGE, &[(TEA, 1)]), Ok(&["OrderShipped"])),
        ("without lines, as planned", opened(), ship_some(OTHER_SHIPMENT, &[]), Ok(&["OrderShipped"])),
        ("one too many", with(&[first(), second()]), ship_some(STRANGE, &[]), Err(Rejection::ShippedTooMuch)),
        ("delivered early", with(&[first()]), delivered(OTHER_SHIPMENT), Err(Rejection::NotShipped)),
        ("delivered", with(&[first()]), delivered(SHIPMENT), Ok(&["OrderDelivered"])),
        (
            "received in part",
            with(&[first()]),
            Command::ConfirmReceipt(Default::default()),
            Err(Rejection::NotAllShipped),
        ),
        (
            "received",
            with(&[first(), second()]),
            Command::ConfirmReceipt(Default::default()),
            Ok(&["ReceiptConfirmed", "OrderCompleted"]),
        ),
    ];
    for (title, given, when, then) in table {
        let result = decide(&after(&given), &when, &facts_at(DEADLINE));
        assert_eq!(
            result.as_ref().map(|events| names(events)).map_err(|no| *no),
            then.map(<[_]>::to_vec),
            "{title}"
        );
    }
}

fn lines(order: &Value) -> Vec<(String, i64, i64, i64)> {
    let figure = |line: &Value, name: &str| line[name].as_i64().unwrap();
    let of = |line: &Value| {
        let sku = line["sku"].as_str().unwrap().to_owned();
        (sku, figure(line, "quantity"), figure(line, "shipped"), figure(line, "delivered"))
    };
    order["lines"].as_array().unwrap().iter().map(of).collect()
}

/// An order with a shipment from each of two warehouses.
async fn in_two_parcels(shop: &Shop) -> (OrderId, ShipmentId) {
    shop.neighbours.world().allocations = vec![
        ("whs_a".to_owned(), vec![("TEA".to_owned(), 1)]),
        ("whs_b".to_owned(), vec![("TEA".to_owned(), 1), ("CUP".to_owned(), 1)]),
    ];
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    let first = order.cast::<merx_contracts::ids::ShipmentKind>();
    let shipments = shop.order(order).await.body["shipments"].clone();
    let ids: Vec<ShipmentId> =
        shipments.as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!((ids.len(), ids[0]), (2, first), "{shipments}");
    (order, ids[1])
}

async fn parcels_of_two_warehouses_go_their_own_ways() {
    let shop = Shop::new().await;
    let (order, second) = in_two_parcels(&shop).await;
    let asked = shop.neighbours.world().shipments.clone();
    let mut warehouses: Vec<&str> = asked.values().map(|s| s.warehouse.as_str()).collect();
    warehouses.sort_unstable();
    assert_eq!(warehouses, ["whs_a", "whs_b"]);

    shop.ship_some(order, order.cast(), &[("TEA", 1)]).await;
    let part = shop.order(order).await;
    assert_eq!(
        (part.status_of_order(), &part.body["axes"]["fulfilment"]),
        ("part_shipped", &"part_shipped".into())
    );
    assert_eq!(lines(&part.body), [("TEA".to_owned(), 2, 1, 0), ("CUP".to_owned(), 1, 0, 0)]);
    assert_eq!(part.body["shipment"]["tracking_number"], "SF1234567890", "the first, in short");
    assert!(part.body["shipments"][1]["dispatched_at"].is_null());
    let receipt = format!("/v1/orders/{order}/receipt");
    let early = shop.post(&receipt, "early").await;
    assert_eq!(
        (early.status, early.code()),
        (StatusCode::CONFLICT, "ordering.not_shipped"),
        "a part is not all"
    );
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_timers").await, 0);

    shop.deliver(order).await;
    assert_eq!(shop.order(order).await.status_of_order(), "part_shipped");
    shop.ship_some(order, second, &[("TEA", 1), ("CUP", 1)]).await;
    let all = shop.order(order).await;
    assert_eq!(all.status_of_order(), "shipped");
    assert_eq!(lines(&all.body), [("TEA".to_owned(), 2, 2, 1), ("CUP".to_owned(), 1, 1, 0)]);
    shop.deliver_one(order, second).await;
    let delivered = shop.order(order).await;
    assert_eq!(delivered.status_of_order(), "delivered");
    assert_eq!(lines(&delivered.body), [("TEA".to_owned(), 2, 2, 2), ("CUP".to_owned(), 1, 1, 1)]);

    let told: Vec<Value> = shop.data_of("ordering.order_shipped.v2").await;
    assert_eq!(told.len(), 2);
    assert_eq!((&told[0]["complete"], &told[1]["complete"]), (&json!(false), &json!(true)));
    let packed = |line: &Value| (line["sku"].clone(), line["quantity"].clone());
    let lines: Vec<_> = told[1]["lines"].as_array().unwrap().iter().map(packed).collect();
    assert_eq!(lines, [(json!("CUP"), json!(1)), (json!("TEA"), json!(1))]);
    assert_eq!(told[1]["lines"][0]["title"], all.body["lines"][1]["title"], "as it was called in the order");
    assert_eq!(told[0]["number"], all.body["number"]);
    shop.finish().await;
}

async fn staff_split_a_shipment_that_ordering_never_heard_of() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    shop.ship_some(order, order.cast(), &[("TEA", 2)]).await;
    shop.ship_some(order, STRANGE, &[("CUP", 1)]).await;
    let shipped = shop.order(order).await;
    assert_eq!(shipped.status_of_order(), "shipped");
    assert_eq!(shipped.body["shipments"].as_array().unwrap().len(), 2);
    assert_eq!(
        shipped.body["shipments"][0]["lines"],
        json!([{"sku": "TEA", "quantity": 2}]),
        "what left, not what was planned"
    );
    shop.finish().await;
}

async fn more_than_was_ordered_is_parked_with_an_alert() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    shop.ship_some(order, STRANGE, &[("TEA", 3)]).await;
    assert_eq!(shop.background.settled().await.unwrap().dead, 1);
    assert_eq!(shop.deps.metrics.alerts("order_shipment_unexpected"), 1);
    assert_eq!(shop.order(order).await.status_of_order(), "paid", "nothing changed");
    shop.ship_some(order, order.cast(), &[("TEA", 2), ("CUP", 1)]).await;
    assert_eq!(shop.order(order).await.status_of_order(), "shipped", "what is right is taken all the same");
    shop.finish().await;
}

async fn a_carrier_that_never_says_so_has_thirty_days() {
    let shop = Shop::new().await;
    let (order, second) = in_two_parcels(&shop).await;
    shop.ship_some(order, order.cast(), &[("TEA", 1)]).await;
    shop.pass(40 * DAY).await;
    assert_eq!(
        shop.order(order).await.status_of_order(),
        "part_shipped",
        "nobody received what has not left"
    );
    shop.ship_some(order, second, &[("TEA", 1), ("CUP", 1)]).await;
    shop.deliver(order).await;
    shop.pass(30 * DAY - Duration::from_secs(1)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "shipped");
    shop.pass(Duration::from_secs(1)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "completed");
    shop.finish().await;
}

async fn the_last_delivery_counts() {
    let shop = Shop::new().await;
    let (order, second) = in_two_parcels(&shop).await;
    shop.ship_some(order, order.cast(), &[("TEA", 1)]).await;
    shop.ship_some(order, second, &[("TEA", 1), ("CUP", 1)]).await;
    shop.deliver(order).await;
    shop.pass(20 * DAY).await;
    assert_eq!(shop.order(order).await.status_of_order(), "shipped", "one parcel is still on its way");
    shop.deliver_one(order, second).await;
    shop.pass(15 * DAY - Duration::from_secs(1)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "delivered");
    shop.pass(Duration::from_secs(1)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "completed");
    shop.finish().await;
}

async fn both_versions_of_the_fact_are_taken() {
    let shop = Shop::new().await;
    let (order, second) = in_two_parcels(&shop).await;
    // Told without lines, before shipments had them: what was planned for it.
    shop.ship(order).await;
    assert_eq!(
        lines(&shop.order(order).await.body),
        [("TEA".to_owned(), 2, 1, 0), ("CUP".to_owned(), 1, 0, 0)]
    );
    shop.ship_some(order, second, &[("TEA", 1), ("CUP", 1)]).await;
    assert_eq!(shop.order(order).await.status_of_order(), "shipped");
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    [paused!["shipments": parcels_of_two_warehouses_go_their_own_ways, staff_split_a_shipment_that_ordering_never_heard_of, more_than_was_ordered_is_parked_with_an_alert, a_carrier_that_never_says_so_has_thirty_days, the_last_delivery_counts, both_versions_of_the_fact_are_taken], plain!["shipments": what_left_and_what_is_left_add_up]].into_iter().flatten().collect()
}
