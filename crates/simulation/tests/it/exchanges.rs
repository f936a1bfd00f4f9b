//! Exchanges: what came back goes out again, whole or in parts, and what becomes of it when it cannot.

use merx_kernel::Role;
use serde_json::json;

use merx_simulation::world::{CUP, TEA, World};

use crate::after_sales::{
    act, approve, arrived, ask, axes, comes_back, inspected, look, refunded, sent, status,
};

#[tokio::test(start_paused = true)]
async fn goods_are_exchanged() {
    let world = World::new().await;
    let (buyer, order) = arrived(&world, &[(CUP, 1)]).await;
    let case = ask(&buyer, &order, "exchange", &[(CUP, 1)]).await;
    approve(&world, &case).await.expect(200);
    sent(&buyer, &case).await.expect(200);
    comes_back(&world, &case, &[(CUP, 1)]).await;
    inspected(&world, &case, &[(CUP, 0, 1)]).await.expect(200);
    assert_eq!(status(&buyer, &case).await, "replacing");
    let open = world.shipments(&order).await;
    assert_eq!(open.iter().filter(|shipment| shipment["status"] == "open").count(), 1);
    world.ship(&order).await;
    assert_eq!(status(&buyer, &case).await, "exchanged");
    assert_eq!(axes(&buyer, &order).await, ["captured", "exchanged"]);
    assert_eq!(refunded(&world).await, Vec::<i64>::new());
    // The order's own goods are where they were, and its buyer may say so.
    assert_eq!(buyer.status(&order).await, "delivered");
    buyer.receive(&order).await.expect(200);
    assert_eq!(world.stock(CUP).await, [1, 0, 2]);
    world.finish().await;
}

/// The warehouse sends a replacement in two parcels: the case ends with the last one, and the order's own goods are as
/// they were. That they all come back then ends nothing: the buyer has others.
#[tokio::test(start_paused = true)]
async fn a_replacement_goes_out_in_parts() {
    let world = World::new().await;
    let (buyer, order) = arrived(&world, &[(TEA, 2)]).await;
    let case = ask(&buyer, &order, "exchange", &[(TEA, 2)]).await;
    approve(&world, &case).await.expect(200);
    comes_back(&world, &case, &[(TEA, 2)]).await;
    inspected(&world, &case, &[(TEA, 2, 0)]).await.expect(200);
    let shipments = world.shipments(&order).await;
    let [own, replacement] = &shipments[..] else { panic!("{shipments:?}") };
    assert_eq!((own.get("case_id"), replacement["case_id"].as_str()), (None, Some(case.as_str())));
    let parted = world.split(replacement["id"].as_str().unwrap(), TEA, 1).await.expect(201);
    world.dispatch(&parted.text_at("/shipment/id")).await.expect(200);
    world.settle().await;
    assert_eq!(status(&buyer, &case).await, "replacing", "one is still to go");
    world.ship(&order).await;
    assert_eq!(status(&buyer, &case).await, "exchanged");
    assert_eq!(buyer.status(&order).await, "delivered");

    world.track(own["id"].as_str().unwrap(), "returned").await.expect(200);
    world.settle().await;
    let operator = world.staff(Role::Operator).await;
    let body = json!({"decision": "refund", "reason": "all of it is back"});
    let settle = operator.post(&format!("/v1/orders/{}/settlement", order.id), body).await;
    settle.expect_problem(409, "ordering.goods_replaced");
    assert_eq!(buyer.status(&order).await, "delivered");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_replaced_is_refunded() {
    let world = World::new().await;
    let (buyer, order) = arrived(&world, &[(CUP, 3)]).await;
    let case = ask(&buyer, &order, "exchange", &[(CUP, 2)]).await;
    approve(&world, &case).await.expect(200);
    comes_back(&world, &case, &[(CUP, 2)]).await;
    inspected(&world, &case, &[(CUP, 1, 1)]).await.expect(200);
    assert_eq!((status(&buyer, &case).await, refunded(&world).await), ("refunded".to_owned(), vec![7_800]));
    let names: Vec<String> = look(&buyer.api, &case).await["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|happened| happened["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(names.contains(&"ReplacementUnavailable".to_owned()), "{names:?}");
    assert_eq!(world.stock(CUP).await, [1, 0, 2]);
    world.finish().await;
}

/// The replacement comes back undelivered: staff give the money back, and it goes into stock again.
#[tokio::test(start_paused = true)]
async fn a_replacement_that_comes_back_becomes_money() {
    let world = World::new().await;
    let (buyer, order) = arrived(&world, &[(CUP, 1)]).await;
    let case = ask(&buyer, &order, "exchange", &[(CUP, 1)]).await;
    approve(&world, &case).await.expect(200);
    comes_back(&world, &case, &[(CUP, 1)]).await;
    inspected(&world, &case, &[(CUP, 0, 1)]).await.expect(200);
    world.ship(&order).await;
    let why = json!({"reason": "nobody was at home, twice"});
    let early = act(&world, Role::Support, &case, "replacement-refund", why.clone()).await;
    early.expect_problem(409, "aftersale.replacement_out");
    let before = world.stock(CUP).await;
    let all = world.shipments(&order).await;
    let replacement = all.iter().find(|shipment| shipment["case_id"] == case).unwrap();
    world.track(replacement["id"].as_str().unwrap(), "returned").await.expect(200);
    world.settle().await;
    act(&world, Role::Support, &case, "replacement-refund", why).await.expect(200);
    assert_eq!((status(&buyer, &case).await, refunded(&world).await), ("refunded".to_owned(), vec![3_900]));
    assert_eq!(world.stock(CUP).await[0], before[0] + 1);
    world.finish().await;
}
