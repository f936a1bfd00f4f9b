//! What runs from seeds have found, each told again as a story of its own, with the seed that found it.

use merx_kernel::Role;
use serde_json::json;

use merx_simulation::world::{TEA, World};

/// `--scenario day --first 8`: everything of an order was shipped and came back, its money went back and it ended as
/// cancelled; the auditor took its returned parcel for one that had left a cancelled order.
#[tokio::test(start_paused = true)]
async fn an_order_that_came_back_as_a_whole_is_no_violation_when_its_money_goes_back() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    buyer.pay(&world, &order).await;
    world.ship(&order).await;
    let shipment = world.shipments(&order).await[0]["id"].as_str().unwrap().to_owned();
    world.track(&shipment, "returned").await.expect(200);
    world.settle().await;
    let support = world.staff(Role::Operator).await;
    let settlement = format!("/v1/orders/{}/settlement", order.id);
    support.post(&settlement, json!({"decision": "refund", "reason": "it came back"})).await.expect(200);
    world.settle().await;
    let seen = buyer.look(&order).await;
    assert_eq!((&seen["axes"]["order"], &seen["amounts"]["paid"]["minor"]), (&json!("cancelled"), &json!(0)));
    assert_eq!(world.stock(TEA).await, [10, 0, 0]);
    // The audit is clean.
    world.finish().await;
}
