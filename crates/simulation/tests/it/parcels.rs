//! One order, several parcels: from two warehouses, parted, sent and delivered one after the other.

use std::time::Duration;

use merx_kernel::Role;
use serde_json::{Value, json};

use merx_simulation::world::{Buyer, Order, TEA, World, email};

/// Costs 20.00 yuan; lies in the second warehouse only.
const TRAY: &str = "TRAY-1";
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A shop with two warehouses: tea in the first and some in the second, trays in the second only.
async fn two_warehouses() -> (World, [String; 2]) {
    let world = World::new().await;
    world.sell(TRAY, 2_000, 300, 5).await;
    let (main, second) = (world.main_warehouse().await, world.open_warehouse("NB-1").await);
    let sent = world.transfer(TRAY, &main, &second, 5).await.expect(201);
    world.arrive(&sent.text_at("/id")).await.expect(201);
    let sent = world.transfer(TEA, &main, &second, 4).await.expect(201);
    world.arrive(&sent.text_at("/id")).await.expect(201);
    world.settle().await;
    (world, [main, second])
}

fn id(shipment: &Value) -> &str {
    shipment["id"].as_str().unwrap()
}

/// (ordered, shipped, delivered) of each line, by SKU.
async fn lines(buyer: &Buyer, order: &Order) -> Vec<(String, [i64; 3])> {
    let seen = buyer.look(order).await;
    let line = |line: &Value| {
        let figures = ["quantity", "shipped", "delivered"].map(|figure| line[figure].as_i64().unwrap());
        (line["sku"].as_str().unwrap().to_owned(), figures)
    };
    let mut lines: Vec<_> = seen["lines"].as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

/// What the parcels hold together, by SKU: (all, left, arrived). It is to agree with the order's lines.
async fn packed(buyer: &Buyer, order: &Order) -> Vec<(String, [i64; 3])> {
    let seen = buyer.api.get(&format!("/v1/orders/{}/shipments", order.id)).await.expect(200);
    let mut sums: std::collections::BTreeMap<String, [i64; 3]> = Default::default();
    for parcel in seen.body["items"].as_array().unwrap().iter().filter(|p| p["status"] != "cancelled") {
        for line in parcel["lines"].as_array().unwrap() {
            let sum = sums.entry(line["sku"].as_str().unwrap().to_owned()).or_default();
            let units = line["quantity"].as_i64().unwrap();
            let counts = [true, parcel["dispatched_at"].is_string(), parcel["delivered_at"].is_string()];
            for (figure, counted) in sum.iter_mut().zip(counts) {
                *figure += if counted { units } else { 0 };
            }
        }
    }
    sums.into_iter().collect()
}

async fn axes(buyer: &Buyer, order: &Order) -> [String; 2] {
    assert_eq!(lines(buyer, order).await, packed(buyer, order).await, "order and parcels disagree");
    let seen = buyer.look(order).await;
    ["order", "fulfilment"].map(|axis| seen["axes"][axis].as_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_order_goes_out_of_two_warehouses_in_three_parcels_and_arrives() {
    let (world, [main, second]) = two_warehouses().await;
    let buyer = world.buyer().await;
    // Eight of tea lie nowhere together: six here, two there, with the tray.
    let order = buyer.order(&[(TEA, 8), (TRAY, 1)]).await;
    buyer.pay(&world, &order).await;
    let opened = world.shipments(&order).await;
    let mut places: Vec<&str> = opened.iter().map(|s| s["warehouse_id"].as_str().unwrap()).collect();
    places.sort_unstable();
    let mut expected = [main.as_str(), second.as_str()];
    expected.sort_unstable();
    assert_eq!(places, expected);
    assert_eq!(axes(&buyer, &order).await, ["confirmed", "none"]);

    let from = |place: &str| opened.iter().find(|s| s["warehouse_id"] == place).unwrap();
    let staff = world.staff(Role::Warehouse).await;
    let held = staff.get(&format!("/v1/shipments/{}", id(from(&main)))).await.expect(200);
    let tea_here = held.body["lines"][0]["quantity"].as_i64().unwrap();
    let apart = world.split(id(from(&main)), TEA, 2).await.expect(201);
    world.split(id(from(&main)), TEA, tea_here - 2).await.expect_problem(409, "shipping.split_takes_all");
    let parcels = [id(from(&main)).to_owned(), apart.text_at("/shipment/id"), id(from(&second)).to_owned()];

    for (number, parcel) in parcels.iter().enumerate() {
        world.dispatch(parcel).await.expect(200);
        world.settle().await;
        let how_far = if number + 1 == parcels.len() { "shipped" } else { "part_shipped" };
        assert_eq!(axes(&buyer, &order).await, ["confirmed", how_far]);
    }
    assert_eq!(buyer.look(&order).await["shipments"].as_array().map(Vec::len), Some(3));
    world.pass(HOUR).await;
    world.track(&parcels[2], "out_for_delivery").await.expect(200);
    for (number, parcel) in parcels.iter().enumerate() {
        world.deliver(parcel).await;
        let how_far = if number + 1 == parcels.len() { "delivered" } else { "shipped" };
        assert_eq!(axes(&buyer, &order).await, ["confirmed", how_far]);
    }
    let seen = buyer.api.get(&format!("/v1/orders/{}/shipments", order.id)).await.expect(200);
    let of_last = seen.body["items"].as_array().unwrap().iter().find(|p| id(p) == parcels[2]).unwrap();
    assert_eq!(of_last["tracking"][0]["code"], "out_for_delivery");
    buyer.receive(&order).await.expect(200);
    world.settle().await;
    assert_eq!(axes(&buyer, &order).await, ["completed", "received"]);
    assert_eq!(world.stock(TEA).await, [2, 0, 8]);
    assert_eq!(world.stock(TRAY).await, [4, 0, 1]);
    let mailed = world.mailed(&email(buyer.account));
    let of_parcels = mailed.iter().filter(|template| *template == "order_shipped").count();
    assert_eq!((of_parcels, mailed.len()), (3, 6), "{mailed:?}");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_order_nobody_confirms_completes_by_itself() {
    let (world, _) = two_warehouses().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1), (TRAY, 1)]).await;
    buyer.pay(&world, &order).await;
    world.ship(&order).await;
    for shipment in world.shipments(&order).await {
        world.pass(HOUR).await;
        world.track(id(&shipment), "delivered").await.expect(200);
        world.settle().await;
    }
    assert_eq!(axes(&buyer, &order).await, ["confirmed", "delivered"]);
    let world = world.rested(15 * DAY - Duration::from_secs(60), &[]).await;
    let buyer = buyer.back_in(&world);
    world.settle().await;
    assert_eq!(buyer.status(&order).await, "delivered");
    world.pass(Duration::from_secs(61)).await;
    world.settle().await;
    assert_eq!(axes(&buyer, &order).await, ["completed", "received"]);
    assert_eq!(world.mailed(&email(buyer.account)).last().unwrap(), "order_completed");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_paid_order_of_two_warehouses_comes_back_to_both() {
    let (world, [main, second]) = two_warehouses().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 8), (TRAY, 2)]).await;
    buyer.pay(&world, &order).await;
    assert_eq!(world.stock(TEA).await, [2, 0, 8]);
    buyer.cancel(&order).await.expect(200);
    world.settle().await;
    assert_eq!(buyer.status(&order).await, "cancelled");
    assert_eq!(world.stock(TEA).await, [10, 0, 0]);
    assert_eq!(world.stock(TRAY).await, [5, 0, 0]);
    let staff = world.staff(Role::Warehouse).await;
    let tea = staff.get(&format!("/v1/inventory/{TEA}")).await.expect(200);
    for (place, units) in [(&main, 6), (&second, 4)] {
        let all = tea.body["warehouses"].as_array().unwrap();
        let there = all.iter().find(|w| w["warehouse_id"] == **place).unwrap();
        assert_eq!(there["available"], units, "{}", tea.text);
    }
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_between_warehouses_cannot_be_bought() {
    let (world, [main, second]) = two_warehouses().await;
    let buyer = world.buyer().await;
    let sent = world.transfer(TRAY, &second, &main, 4).await.expect(201);
    buyer.fill(TRAY, 2).await;
    let quote = buyer.quote().await;
    buyer.place(&quote).await.expect_problem(409, "inventory.sold_out");
    let taken = json!({"lines": [{"sku": TRAY, "quantity": 3}], "reason": "one is broken"});
    let staff = world.staff(Role::Warehouse).await;
    staff.post(&format!("/v1/transfers/{}/receipt", sent.text_at("/id")), taken).await.expect(201);
    // One here, three there: together enough, each warehouse sends its own.
    world.settle().await;
    buyer.fill(TRAY, 4).await;
    let order = Order::of(&buyer.place(&buyer.quote().await).await.expect(201));
    buyer.pay(&world, &order).await;
    assert_eq!(world.shipments(&order).await.len(), 2);
    assert_eq!(world.stock(TRAY).await, [0, 0, 4]);
    world.ship(&order).await;
    buyer.receive(&order).await.expect(200);
    world.finish().await;
}
