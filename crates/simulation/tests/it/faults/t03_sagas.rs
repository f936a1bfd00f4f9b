//! T3: every step of every saga carried out twice, and every call it makes: the shop ends as if each had been done once.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use merx_alipay_sandbox::Fault;
use merx_kernel::Role;
use merx_platform::faults::{Faults, Point, Seam};
use merx_server::shop::Topology;
use merx_simulation::{
    run::number,
    world::{Buyer, CUP, Ground, Order, TEA, Told as _, World},
};
use merx_sql::{Query as _, params};
use serde_json::json;

use super::{lived_in, proof, seeds_for};

const MINUTE: Duration = Duration::from_secs(60);

/// The steps of the sagas that a run must have passed; what is undone, and what only settles odd money, is in the harness
/// of the sagas in ordering.
const STEPS: &[&str] = &[
    "reserve-stock",
    "open-payment",
    "close-payment",
    "release-stock",
    "sell-stock",
    "open-shipment",
    "hold-shipping",
    "cancel-order",
    "refund-payment",
    "take-back-stock",
    "cancel-shipments",
    "find-buyer",
    "take-stock",
    "revive",
    "accept-deposits",
];

/// Does everything twice, or only looks on.
struct Twice {
    strikes: bool,
    passed: Arc<Mutex<BTreeSet<String>>>,
}

impl Faults for Twice {
    fn strikes(&self, point: Point, of: &str) -> bool {
        if point == Point::SagaTwice {
            self.passed.lock().unwrap_or_else(PoisonError::into_inner).insert(of.to_owned());
        }
        self.strikes
            && matches!(point, Point::SagaTwice | Point::CallTwice | Point::TimerTwice | Point::BusRepeated)
    }
    fn amount(&self, _: Point, _: u64) -> u64 {
        0
    }
}

#[test]
fn every_saga_with_every_step_twice_ends_as_if_once() {
    let passed: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let seeds = seeds_for(number("MERX_T3", 1), 1);
    let (first, worlds) = (seeds.start, seeds.end - seeds.start);
    let make = |strikes| {
        let passed = passed.clone();
        move |seed| {
            let mut ground = Ground::virtual_time(seed);
            ground.deps.faults = Seam::to(Arc::new(Twice { strikes, passed: passed.clone() }));
            World::on(ground, Topology::Local, |_| {})
        }
    };
    let live = |world: World| async {
        every_saga(&world).await;
        let state = afterwards(&world).await;
        (world, state)
    };
    let once = lived_in(seeds.clone(), make(false), live);
    let twice = lived_in(seeds, make(true), live);
    assert_eq!(once, twice);
    let passed = passed.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let missing: Vec<&&str> = STEPS.iter().filter(|step| !passed.contains(**step)).collect();
    assert!(missing.is_empty(), "no run passed {missing:?}, only {passed:?}");
    let case = "the whole shop: every step of every saga, every call, timer and message twice";
    let figure = format!(
        "{} of {} steps (100 %): {}; final state identical to single execution",
        STEPS.len(),
        STEPS.len(),
        STEPS.join(", ")
    );
    proof("T3", case, worlds * STEPS.len() as u64, figure, first);
}

/// One order for every way a saga can go.
async fn every_saga(world: &World) {
    let buy = async |lines: &[(&str, i64)]| {
        let buyer = world.buyer().await;
        let order = buyer.order(lines).await;
        (buyer, order)
    };
    let (buyer, order) = buy(&[(TEA, 1), (CUP, 1)]).await;
    buyer.pay(world, &order).await;
    world.ship(&order).await;
    buyer.receive(&order).await.expect(200);

    let greedy = world.buyer().await;
    greedy.fill(TEA, 1).await;
    greedy.fill(CUP, 3).await;
    greedy.place(&greedy.quote().await).await.expect_problem(409, "inventory.sold_out");

    let (buyer, order) = buy(&[(TEA, 1)]).await;
    buyer.cancel(&order).await.expect(200);

    let (buyer, order) = buy(&[(TEA, 1)]).await;
    buyer.pay(world, &order).await;
    buyer.cancel(&order).await.expect(200);

    let (buyer, order) = buy(&[(TEA, 1)]).await;
    buyer.pay(world, &order).await;
    world.ship(&order).await;
    buyer.cancel(&order).await.expect_problem(409, "ordering.already_shipped");

    // Money after the close.
    let (buyer, order) = buy(&[(TEA, 1)]).await;
    let (_, code) = buyer.at_cashier(world, &order).await;
    world.sandbox.log_in(&code).await.unwrap();
    world.arm(Fault::PayAfterClose { after_ms: 5_000 }, 1);
    buyer.cancel(&order).await.expect(200);
    world.pass(MINUTE).await;
    // And once more, when somebody else has the goods.
    let (buyer, order) = buy(&[(CUP, 2)]).await;
    let (_, code) = buyer.at_cashier(world, &order).await;
    world.sandbox.log_in(&code).await.unwrap();
    world.arm(Fault::PayAfterClose { after_ms: 5_000 }, 1);
    buyer.cancel(&order).await.expect(200);
    buy(&[(CUP, 2)]).await;
    world.pass(MINUTE).await;

    came_back(world, buy(&[(TEA, 1)]).await).await;
    // And one that nobody pays.
    let (buyer, order) = buy(&[(TEA, 1)]).await;
    buyer.at_cashier(world, &order).await;
    world.pass(32 * MINUTE).await;
    world.settle().await;
}

/// The carrier brings it back, and staff gives the money back.
async fn came_back(world: &World, (buyer, order): (Buyer, Order)) {
    buyer.pay(world, &order).await;
    world.ship(&order).await;
    let shipment = world.shipments(&order).await[0]["id"].as_str().unwrap().to_owned();
    world.track(&shipment, "returned").await.expect(200);
    world.settle().await;
    let decision = json!({"decision": "refund", "reason": "it came back"});
    let path = format!("/v1/orders/{}/settlement", order.id);
    world.staff(Role::Administrator).await.post(&path, decision).await.expect(200);
    world.settle().await;
}

/// Everything a shop says of itself that does not name an identity or a moment.
const STATE: &[&str] = &[
    "SELECT 'order ' || order_axis || ' ' || payment_axis || ' ' || fulfilment_axis || ' ' || paid_minor, COUNT(*)
     FROM ordering_orders GROUP BY 1 ORDER BY 1",
    "SELECT 'ordering ' || name, COUNT(*) FROM ordering_events GROUP BY 1 ORDER BY 1",
    "SELECT 'payment ' || name, COUNT(*) FROM payment_events GROUP BY 1 ORDER BY 1",
    "SELECT 'inventory ' || name, COUNT(*) FROM inventory_events GROUP BY 1 ORDER BY 1",
    "SELECT 'stock ' || sku || ' ' || available || ' ' || reserved, sold FROM inventory_stock ORDER BY 1",
    "SELECT 'moved ' || sku || ' ' || kind, SUM(quantity) FROM inventory_movements GROUP BY 1 ORDER BY 1",
    "SELECT 'reservation ' || status, COUNT(*) FROM inventory_reservations GROUP BY 1 ORDER BY 1",
    "SELECT 'paid ' || status || ' ' || captured_minor || ' ' || refunded_minor, COUNT(*) FROM payment_payments
     GROUP BY 1 ORDER BY 1",
    "SELECT 'refund ' || status || ' ' || amount_minor, COUNT(*) FROM payment_refunds GROUP BY 1 ORDER BY 1",
    "SELECT 'shipment ' || status, COUNT(*) FROM shipping_shipments GROUP BY 1 ORDER BY 1",
    "SELECT 'hold ' || status, COUNT(*) FROM shipping_holds GROUP BY 1 ORDER BY 1",
    "SELECT 'fact ' || type, COUNT(*) FROM ordering_outbox GROUP BY 1 ORDER BY 1",
    "SELECT 'fact ' || type, COUNT(*) FROM payment_outbox GROUP BY 1 ORDER BY 1",
    "SELECT 'fact ' || type, COUNT(*) FROM shipping_outbox GROUP BY 1 ORDER BY 1",
    "SELECT 'mail ' || template || ' ' || state, COUNT(*) FROM notification_mails GROUP BY 1 ORDER BY 1",
];

async fn afterwards(world: &World) -> Vec<String> {
    let read = |q: &mut merx_sql::Reader<'_>| {
        let mut lines = Vec::new();
        for sql in STATE {
            let line = |row: &merx_sql::Row<'_>| {
                let (what, count): (String, i64) = (row.get(0)?, row.get(1)?);
                Ok(format!("{what}: {count}"))
            };
            lines.extend(q.query(sql, params![], line)?);
        }
        Ok(lines)
    };
    let mut state = world.shop.deps.db.read("test.state", read).await.told();
    let mut moved: Vec<String> = world.moved().await.iter().map(|moved| format!("{moved:?}")).collect();
    moved.sort();
    state.extend(moved);
    state
}
