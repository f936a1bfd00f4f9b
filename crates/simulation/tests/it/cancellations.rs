//! Paid orders that are not to be: before anything of them left they end, and money, goods and parcels come back; after
//! that they do not. Cancellation and warehouse meet in every order there is.

use std::{collections::BTreeMap, time::Duration};

use merx_alipay_sandbox::{EntryKind, Fault, Spoiled};
use merx_kernel::Role;
use merx_testkit::Answer;
use serde_json::{Value, json};
use tokio::task::yield_now;

use merx_simulation::world::{Buyer, CUP, Order, TEA, World, email};

/// How many points of the one are tried for the other to come in.
const POINTS: usize = 40;

/// The order has ended, and everything of it is where it was.
async fn assert_undone(world: &World, buyer: &Buyer, order: &Order, reason: &str) {
    let seen = buyer.look(order).await;
    assert_eq!(seen["axes"]["order"], "cancelled", "{seen}");
    assert_eq!(seen["axes"]["payment"], "refunded", "{seen}");
    assert_eq!(seen["axes"]["fulfilment"], "none", "{seen}");
    assert_eq!(seen["amounts"]["paid"]["minor"], 0);
    assert_eq!(seen["cancellation"]["reason"], reason);
    for shipment in world.shipments(order).await {
        assert_eq!(shipment["status"], "cancelled", "{shipment}");
        let late = world.dispatch(shipment["id"].as_str().unwrap()).await;
        late.expect_problem(409, "shipping.order_cancelled");
    }
    buyer.receive(order).await.expect_problem(409, "ordering.order_ended");
}

/// The order goes its way, whatever was asked.
async fn assert_goes_on(world: &World, buyer: &Buyer, order: &Order) {
    let seen = buyer.look(order).await;
    assert_eq!(seen["axes"]["order"], "confirmed", "{seen}");
    assert_eq!(seen["axes"]["payment"], "captured", "{seen}");
    assert_eq!(seen["axes"]["fulfilment"], "shipped", "{seen}");
    buyer.cancel(order).await.expect_problem(409, "ordering.already_shipped");
    buyer.receive(order).await.expect(200);
    assert_eq!(world.shipments(order).await[0]["status"], "dispatched");
}

async fn paid(world: &World, lines: &[(&str, i64)]) -> (Buyer, Order) {
    let buyer = world.buyer().await;
    let order = buyer.order(lines).await;
    buyer.pay(world, &order).await;
    (buyer, order)
}

/// Money, goods and parcels of the world's only order are back.
async fn assert_given_back(world: &World, order: &Order) {
    let moved = world.moved().await;
    assert_eq!(moved, [(EntryKind::Capture, order.total_minor), (EntryKind::Refund, order.total_minor)]);
    assert_eq!(world.stock(TEA).await, [10, 0, 0]);
    assert_eq!(world.stock(CUP).await, [3, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn before_anything_left_everything_comes_back() {
    let world = World::new().await;
    let (buyer, order) = paid(&world, &[(TEA, 2), (CUP, 1)]).await;
    let cancelled =
        buyer.api.post_as("once", &path(&order), json!({"reason": "two by mistake"})).await.expect(200);
    world.settle().await;
    assert_undone(&world, &buyer, &order, "buyer").await;
    assert_given_back(&world, &order).await;
    // The same request again is answered the same, another is no error, and nothing goes back twice.
    let again =
        buyer.api.post_as("once", &path(&order), json!({"reason": "two by mistake"})).await.expect(200);
    assert_eq!(again.text, cancelled.text);
    buyer.cancel(&order).await.expect(200);
    world.pass(Duration::from_secs(3_600)).await;
    assert_given_back(&world, &order).await;
    assert_eq!(buyer.look(&order).await["notes"][0]["text"], "two by mistake");
    assert_eq!(
        world.mailed(&email(buyer.account)),
        ["order_placed", "order_paid", "order_cancelled", "order_refunded"]
    );
    world.finish().await;
}

fn path(order: &Order) -> String {
    format!("/v1/orders/{}/cancellation", order.id)
}

#[tokio::test(start_paused = true)]
async fn staff_cancel_for_a_buyer_and_say_why() {
    let world = World::new().await;
    let (buyer, order) = paid(&world, &[(TEA, 1)]).await;
    let (actor, support) = world.account(Role::Support).await;
    support.post(&path(&order), json!({})).await.expect_problem(400, "request.invalid");
    world.staff(Role::Warehouse).await.post(&path(&order), json!({"reason": "x"})).await.expect(404);
    support.post(&path(&order), json!({"reason": "the buyer called"})).await.expect(200);
    world.settle().await;
    assert_undone(&world, &buyer, &order, "staff").await;
    assert_given_back(&world, &order).await;
    let seen = world.staff(Role::Operator).await.get("/v1/admin/audit").await.expect(200);
    let items = seen.body["items"].as_array().unwrap();
    let acts: Vec<_> = items.iter().filter(|act| act["actor_id"] == actor.to_string()).collect();
    assert_eq!(acts.len(), 1, "{}", seen.text);
    assert_eq!(acts[0]["action"], "ordering.cancellation_requested");
    assert_eq!(acts[0]["reason"], "the buyer called");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_has_left_is_not_cancelled() {
    let world = World::new().await;
    let (buyer, order) = paid(&world, &[(TEA, 1)]).await;
    world.ship(&order).await;
    assert_goes_on(&world, &buyer, &order).await;
    assert_eq!(world.moved().await, [(EntryKind::Capture, order.total_minor)]);
    assert_eq!(world.stock(TEA).await, [9, 0, 1]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn part_of_it_has_left_and_the_rest_goes_too() {
    let world = World::new().await;
    let (buyer, order) = paid(&world, &[(TEA, 3)]).await;
    let first = world.shipments(&order).await[0]["id"].as_str().unwrap().to_owned();
    let split = world.split(&first, TEA, 1).await.expect(201);
    world.dispatch(&split.text_at("/shipment/id")).await.expect(200);
    world.settle().await;
    buyer.cancel(&order).await.expect_problem(409, "ordering.already_shipped");
    assert_eq!(buyer.look(&order).await["axes"]["fulfilment"], "part_shipped");
    world.dispatch(&first).await.expect(200);
    world.settle().await;
    assert_goes_on(&world, &buyer, &order).await;
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn while_money_goes_back_nothing_leaves() {
    let world = World::new().await;
    let (buyer, order) = paid(&world, &[(TEA, 1)]).await;
    let shipment = world.shipments(&order).await[0]["id"].as_str().unwrap().to_owned();
    let refund = Some("alipay.trade.refund".to_owned());
    world.arm(Fault::GatewayTimeout(Spoiled { method: refund.clone(), executed: false }), 2);
    world.arm(Fault::GatewayTimeout(Spoiled { method: refund, executed: true }), 2);
    let answered = buyer.cancel(&order).await;
    assert!([200, 202].contains(&answered.status.as_u16()), "{}", answered.text);
    let late = world.dispatch(&shipment).await;
    assert!(["shipping.order_held", "shipping.order_cancelled"].contains(&late.code()), "{}", late.text);
    world.pass(Duration::from_secs(1_800)).await;
    world.settle().await;
    assert_undone(&world, &buyer, &order, "buyer").await;
    assert_given_back(&world, &order).await;
    world.finish_alarmed(&["payment_refund_stuck"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_paid_by_a_code_goes_back_too() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(CUP, 2)]).await;
    let (_, scanned) = buyer.code(&order).await;
    assert!(world.sandbox.pay(&scanned).await.unwrap().now);
    world.settle().await;
    buyer.cancel(&order).await.expect(200);
    world.settle().await;
    assert_undone(&world, &buyer, &order, "buyer").await;
    assert_given_back(&world, &order).await;
    world.finish().await;
}

/// Which of the two came first.
fn outcome(cancelled: &Answer, dispatched: &Answer) -> &'static str {
    match (cancelled.status.as_u16(), dispatched.status.as_u16()) {
        (200 | 202, 409) => {
            let code = dispatched.code();
            assert!(
                ["shipping.order_held", "shipping.order_cancelled"].contains(&code),
                "{}",
                dispatched.text
            );
            "cancelled"
        }
        (409, 200) => {
            cancelled.expect_problem(409, "ordering.already_shipped");
            "shipped"
        }
        // The answer did not wait for what the warehouse has said since.
        (202, 200) => "shipped",
        _ => panic!("{}\n{}", cancelled.text, dispatched.text),
    }
}

#[tokio::test(start_paused = true)]
async fn cancellation_and_dispatch_exclude_each_other_wherever_they_meet() {
    let world = World::interleaved(1).await;
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    let mut shipped = 0;
    for point in 0..2 * POINTS {
        let (buyer, order) = paid(&world, &[(TEA, 1)]).await;
        let shipment = world.shipments(&order).await[0]["id"].as_str().unwrap().to_owned();
        let (cancel_at, dispatch_at) = if point < POINTS { (0, point) } else { (point - POINTS, 0) };
        let cancel = async {
            turns(cancel_at).await;
            buyer.cancel(&order).await
        };
        let dispatch = async {
            turns(dispatch_at).await;
            world.dispatch(&shipment).await
        };
        let (cancelled, dispatched) = tokio::join!(cancel, dispatch);
        world.settle().await;
        let end = outcome(&cancelled, &dispatched);
        match end {
            "cancelled" => assert_undone(&world, &buyer, &order, "buyer").await,
            _ => assert_goes_on(&world, &buyer, &order).await,
        }
        *ends.entry(end).or_default() += 1;
        if end == "shipped" {
            shipped += 1;
            world.receive(TEA, &world.main_warehouse().await, 1).await;
        }
    }
    println!("{} meetings of cancellation and dispatch: {ends:?}", 2 * POINTS);
    assert!(ends.len() == 2, "one of the two was always first: {ends:?}");
    assert_eq!(world.stock(TEA).await, [10, 0, shipped]);
    world.finish().await;
}

/// So many times everybody else has had a turn.
async fn turns(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn cancellation_comes_at_every_point_of_fulfilment() {
    let world = World::interleaved(1).await;
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for point in 0..2 * POINTS {
        let buyer = world.buyer().await;
        let order = buyer.order(&[(TEA, 1), (CUP, 1)]).await;
        let (_, code) = buyer.at_cashier(&world, &order).await;
        let pay = async { assert!(world.sandbox.pay(&code).await.unwrap().now) };
        let cancel = async {
            turns(point).await;
            // A request that finds the money on its way is told so, and asked again ends the paid order.
            let first = buyer.cancel(&order).await;
            if first.status == 409 {
                first.expect_problem(409, "ordering.already_paid");
                world.settle().await;
                buyer.cancel(&order).await.expect(200);
            }
        };
        tokio::join!(pay, cancel);
        world.settle().await;
        let seen = buyer.look(&order).await;
        if seen["axes"]["order"] == "confirmed" {
            // The close was asked for before the money came: it came to nothing, and is asked for again.
            assert_eq!(seen["cancellation"]["refusal"], "ordering.already_paid", "{seen}");
            buyer.cancel(&order).await.expect(200);
            world.settle().await;
        }
        world.pass(Duration::from_secs(60)).await;
        assert_undone(&world, &buyer, &order, "buyer").await;
        let parcels: Vec<Value> = world.shipments(&order).await;
        assert!(parcels.len() <= 1, "{parcels:?}");
        let events = buyer.timeline(&order).await;
        let asked = events.iter().position(|event| event == "CancellationRequested").unwrap();
        let when = if parcels.is_empty() { "before any parcel" } else { "with a parcel" };
        *met.entry(format!("after {}, {when}", events[asked - 1])).or_default() += 1;
    }
    println!("{} cancellations from the payment on: {met:#?}", 2 * POINTS);
    assert!(met.len() >= 3, "they all met the order at the same point: {met:#?}");
    assert_eq!(world.stock(TEA).await, [10, 0, 0]);
    assert_eq!(world.stock(CUP).await, [3, 0, 0]);
    world.finish().await;
}
