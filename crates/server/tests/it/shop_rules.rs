//! What holds for a purchase that goes well.

use merx_server::shop::Topology;

use crate::world::{CUP, TEA, World};

/// What a whole purchase leaves behind, without the identities.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    status: String,
    timeline: Vec<String>,
    stock: [[i64; 3]; 2],
    paid_minor: Vec<i64>,
    told: Vec<String>,
    facts: i64,
}

async fn whole_purchase(topology: Topology) -> Outcome {
    let world = World::seeded(7, topology).await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 2), (CUP, 1)]).await;
    assert_eq!(world.stock(TEA).await, [8, 2, 0]);
    buyer.pay(&world, &order).await;
    assert_eq!(buyer.status(&order).await, "paid");
    assert_eq!(world.stock(TEA).await, [8, 0, 2]);
    buyer.receive(&order).await.expect_problem(409, "ordering.not_shipped");
    world.ship(&order).await;
    assert_eq!(buyer.look(&order).await["shipment"]["tracking_number"], "SF123");
    buyer.receive(&order).await.expect(200);
    let cart = buyer.api.get("/v1/cart").await.expect(200);
    assert_eq!(cart.body["lines"].as_array().map(Vec::len), Some(0), "what was ordered left the cart");
    let outcome = Outcome {
        status: buyer.status(&order).await,
        timeline: buyer.timeline(&order).await,
        stock: [world.stock(TEA).await, world.stock(CUP).await],
        paid_minor: world.ledger().await.iter().map(|entry| entry.amount.minor).collect(),
        told: world.line.notified().into_iter().map(|n| n.reply.body).collect(),
        facts: world.count("SELECT COUNT(*) FROM ordering_outbox").await,
    };
    assert_eq!(outcome.paid_minor, [order.total_minor]);
    world.finish().await;
    outcome
}

#[tokio::test(start_paused = true)]
async fn a_purchase_runs_from_cart_to_receipt_in_every_topology() {
    let local = whole_purchase(Topology::Local).await;
    assert_eq!(local.status, "completed");
    assert_eq!(local.stock, [[8, 0, 2], [2, 0, 1]]);
    assert_eq!(local.told, ["success"]);
    assert_eq!(
        local.timeline,
        [
            "OrderPlaced",
            "OrderAwaitingPayment",
            "OrderPaid",
            "FulfilmentOpened",
            "OrderShipped",
            "ReceiptConfirmed",
            "OrderCompleted"
        ]
    );
    for topology in [Topology::Loopback, Topology::LoopbackTwice] {
        assert_eq!(whole_purchase(topology).await, local, "{topology:?}");
    }
}
