//! T8: every message two to five times, a fifth of them lost first, and messages of different orders in another order: each
//! has one effect. The guard is `inbox`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::join_all;
use merx_kernel::Entropy as _;
use merx_platform::{
    faults::{Faults, Point, Seam},
    time::SeededEntropy,
};
use merx_simulation::{
    run::number,
    world::{Ground, World, email},
};

use super::{lived_in, proof, seeds_for, topology, waiting};

/// Orders of one world.
const EACH: u64 = 10;
/// From the end of the faults until nothing is left to do.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// What the list asks of a bus that misbehaves; it stops when it is told to.
struct Unruly {
    dice: SeededEntropy,
    on: Arc<AtomicBool>,
    hits: Arc<[AtomicU64; 3]>,
}

impl Unruly {
    fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.dice.fill(&mut bytes);
        u64::from_le_bytes(bytes) % end
    }
}

impl Faults for Unruly {
    fn strikes(&self, point: Point, _: &str) -> bool {
        let (kind, strikes) = match point {
            Point::BusLost => (0, self.below(5) == 0),
            Point::BusRepeated => (1, true),
            Point::BusReordered => (2, true),
            _ => return false,
        };
        let strikes = strikes && self.on.load(SeqCst);
        self.hits[kind].fetch_add(u64::from(strikes), SeqCst);
        strikes
    }
    fn amount(&self, _: Point, end: u64) -> u64 {
        self.below(end)
    }
}

#[test]
fn every_message_has_one_effect_however_it_comes() {
    let orders = number("MERX_T8_SHOP", 20);
    let (hits, seeds) = (Arc::<[AtomicU64; 3]>::default(), seeds_for(orders, EACH));
    let first = seeds.start;
    let on: Arc<AtomicBool> = Arc::default();
    let make = |seed: u64| {
        on.store(true, SeqCst);
        let mut ground = Ground::interleaved(seed);
        let dice = SeededEntropy::new(seed.wrapping_mul(31));
        ground.deps.faults = Seam::to(Arc::new(Unruly { dice, on: on.clone(), hits: hits.clone() }));
        World::on(ground, topology(seed), |_| {})
    };
    let all = lived_in(seeds, make, |world| async {
        let came = buy_all(&world, &on).await;
        (world, came)
    });
    let messages: i64 = all.iter().map(|(messages, _)| messages).sum();
    let drained = all.iter().map(|(_, drained)| *drained).max().unwrap_or_default();
    assert!(drained <= DRAIN_MAX, "drained after {drained:?}");
    // Each world is lived twice.
    let [lost, repeated, reordered] = [0, 1, 2].map(|kind| hits[kind].load(SeqCst) / 2);
    let case = "the whole shop: each message delivered 2–5 ×, 20 % lost first, reordered within 10";
    let figure = format!(
        "1 effect per id for {messages} messages taken in ({lost} lost first, {repeated} repeated, {reordered} reordered); \
         drained {drained:?} of virtual time after the faults"
    );
    proof("T8", case, u64::try_from(messages).unwrap(), figure, first);
}

/// Every order from the cart to the receipt or back; how many messages that was, and how long the last took.
async fn buy_all(world: &World, on: &AtomicBool) -> (i64, Duration) {
    let all = waiting(world, EACH).await;
    join_all(all.iter().enumerate().map(|(number, one)| async move {
        world.pass(one.dice.span(60_000)).await;
        let (_, code) = one.begin(world).await;
        if number % 3 > 0 {
            assert!(world.sandbox.pay(&code).await.unwrap().now);
        } else {
            one.buyer.cancel(&one.order).await.expect(200);
        }
        // What the orders mean for carts, parcels and mails is on its way, more than once.
        world.pass(Duration::from_secs(90)).await;
        if number % 3 == 2 {
            world.ship(&one.order).await;
            world.pass(Duration::from_secs(90)).await;
            one.buyer.receive(&one.order).await.expect(200);
        }
    }))
    .await;
    on.store(false, SeqCst);
    let began = world.shop.deps.now();
    while world.running.background.settled().await.unwrap().waiting > 0 || !is_read(world).await {
        world.pass(Duration::from_secs(1)).await;
    }
    let drained = world.shop.deps.now().since(began);
    world.settle().await;
    assert_one_effect_each(world, &all).await;
    (world.count(TAKEN).await, drained)
}

/// What the subscriptions have taken in, each message once for each of them.
const TAKEN: &str = "SELECT (SELECT COUNT(*) FROM ordering_inbox) + (SELECT COUNT(*) FROM shipping_inbox)
    + (SELECT COUNT(*) FROM cart_inbox) + (SELECT COUNT(*) FROM notification_inbox) + (SELECT COUNT(*) FROM accounts_inbox)";

async fn is_read(world: &World) -> bool {
    world.running.background.bus.lag().await.unwrap().iter().all(|lag| lag.facts == 0)
}

async fn assert_one_effect_each(world: &World, all: &[super::Waiting]) {
    for (number, one) in all.iter().enumerate() {
        let status = ["cancelled", "paid", "completed"][number % 3];
        assert_eq!(one.status().await, status, "{}", one.order.id);
        let mails = world.mailed(&email(one.buyer.account));
        let expected: &[&str] = match number % 3 {
            0 => &["order_placed", "order_cancelled"],
            1 => &["order_placed", "order_paid"],
            _ => &["order_placed", "order_paid", "order_shipped", "order_completed"],
        };
        let mut sorted = mails.clone();
        sorted.sort();
        let mut wanted: Vec<&str> = expected.to_vec();
        wanted.sort_unstable();
        assert_eq!(sorted, wanted, "each told once");
        assert_eq!(one.buyer.cart().await, [], "what was ordered left the cart, once");
    }
    let parcels = i64::try_from(all.len() - all.len().div_ceil(3)).unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM shipping_shipments").await, parcels);
    assert_eq!(world.count("SELECT COUNT(*) FROM ordering_events WHERE name = 'OrderPaid'").await, parcels);
}
