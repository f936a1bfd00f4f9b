//! Whole shops run from a seed. Everything a run draws, waits for and answers comes from the seed, so a second run
//! must do the same to the byte; whatever breaks in one can be brought back by its number.
//!
//! `MERX_SIM_SEEDS=1000` runs a thousand seeds more than usual, `MERX_SIM_FIRST=7001` begins at another seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::Command,
    sync::Mutex,
    thread,
    time::Duration,
};

use futures_util::future::join_all;
use merx_alipay_sandbox::{Fault, Spoiled};
use merx_kernel::Entropy;
use merx_platform::time::SeededEntropy;
use merx_server::shop::Topology;
use merx_testkit::Happened;

use crate::world::{Buyer, CUP, Order, TEA, World};

/// Seeds that always run.
const SEEDS: u64 = 20;

fn seeds() -> impl Iterator<Item = u64> {
    let number = |name: &str, usual: u64| {
        env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let first = number("MERX_SIM_FIRST", 1);
    first..first + SEEDS + number("MERX_SIM_SEEDS", 0)
}

/// Says from what a failed run can be repeated.
struct Repeat(u64);

impl Drop for Repeat {
    fn drop(&mut self) {
        if thread::panicking() {
            let head = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
            let commit = head.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
            println!("SEED={} COMMIT={}", self.0, commit.unwrap_or_default());
        }
    }
}

/// What a run did, on a runtime and a clock of its own.
fn run<F: Future<Output = World>>(seed: u64, life: impl Fn(World) -> F) -> (u64, Vec<Happened>) {
    let _repeat = Repeat(seed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let topology = [Topology::Local, Topology::Loopback, Topology::LoopbackTwice][(seed % 3) as usize];
        let world = life(World::seeded(seed, topology).await).await;
        let trace = world.trace.clone();
        world.finish().await;
        (trace.hash(), trace.take())
    })
}

/// Runs every seed twice; answers the hashes.
fn twice<F: Future<Output = World>>(life: impl Fn(World) -> F) -> Vec<u64> {
    let both = |seed| {
        let (first, events) = run(seed, &life);
        let (second, again) = run(seed, &life);
        let _repeat = Repeat(seed);
        if first != second {
            let differs = events.iter().zip(&again).position(|(one, other)| one != other);
            let at = differs.unwrap_or_else(|| events.len().min(again.len()));
            panic!("the runs part at {at}:\n{:#?}\n{:#?}", events.get(at), again.get(at));
        }
        first
    };
    seeds().map(both).collect()
}

fn assert_all_differ(hashes: &[u64]) {
    let different: BTreeSet<&u64> = hashes.iter().collect();
    assert_eq!(different.len(), hashes.len(), "a seed that changes nothing proves nothing: {hashes:?}");
    println!("{} seeds, each run twice; the last trace is {:016x}", hashes.len(), hashes[hashes.len() - 1]);
}

#[test]
fn a_purchase_is_a_function_of_its_seed() {
    let hashes = twice(|world| async {
        let buyer = world.buyer().await;
        let order = buyer.order(&[(TEA, 2), (CUP, 1)]).await;
        buyer.pay(&world, &order).await;
        world.ship(&order).await;
        buyer.receive(&order).await.expect(200);
        world
    });
    assert_all_differ(&hashes);
}

#[test]
fn a_day_in_the_shop_is_a_function_of_its_seed() {
    let ends = Mutex::new(BTreeMap::new());
    let hashes = twice(|world| async {
        let dice = Dice::of(&world);
        for _ in 0..dice.below(8) {
            dice.trouble(&world);
        }
        let mut shoppers = Vec::new();
        for _ in 0..6 {
            shoppers.push((world.buyer().await, Dice::of(&world)));
        }
        join_all(shoppers.iter().map(|(buyer, dice)| shop(&world, buyer, dice))).await;
        // Every deadline passes, and the last look of the poller.
        world.pass(Duration::from_secs(3_600)).await;
        assert_nothing_hangs(&world).await;
        for end in ENDS {
            let orders = format!("SELECT COUNT(*) FROM ordering_orders WHERE {end}");
            *ends.lock().unwrap().entry(*end).or_insert(0) += world.count(&orders).await;
        }
        world
    });
    assert_all_differ(&hashes);
    let ends = ends.into_inner().unwrap();
    println!("{ends:#?}");
    // A day on which one of these never happens proves nothing about it.
    assert!(ends.values().all(|orders| *orders > 0), "{ends:?}");
}

/// The ways a visit can end, as the orders have it.
const ENDS: &[&str] = &[
    "order_axis = 'rejected'",
    "order_axis = 'confirmed'",
    "order_axis = 'confirmed' AND cancel_requested_at IS NOT NULL",
    "order_axis = 'cancelled' AND cancel_reason = 'buyer'",
    "order_axis = 'cancelled' AND cancel_reason = 'expired'",
    "order_axis = 'cancelled' AND payment_axis = 'refunded'",
];

/// Randomness of one shopper: what it draws does not depend on who else is in the shop.
struct Dice(SeededEntropy);

impl Dice {
    fn of(world: &World) -> Self {
        Self(SeededEntropy::new(u64::from_le_bytes(world.shop.deps.ids.random_bytes())))
    }
    fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % end
    }
    fn one_in(&self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// Something that goes wrong at Alipay.
    fn trouble(&self, world: &World) {
        let call = Spoiled { method: None, executed: self.one_in(2) };
        let fault = match self.below(9) {
            0 => Fault::LoseNotification,
            1 => Fault::DuplicateNotification { copies: 3 },
            2 => Fault::DelayNotification { delay_ms: self.below(600_000) },
            3 => Fault::ReorderNotification,
            4 => Fault::GatewayTimeout(call),
            5 => Fault::GatewayUnknown(call),
            6 => Fault::HalfAnswer(call),
            7 => Fault::WrongSignature(call),
            _ => Fault::PayAfterClose { after_ms: self.below(60_000) },
        };
        world.arm(fault, 1 + u32::try_from(self.below(3)).unwrap());
    }
}

/// One shopper's visit: buys, abandons, cancels or pays too late, in no hurry.
async fn shop(world: &World, buyer: &Buyer, dice: &Dice) {
    world.pass(Duration::from_millis(dice.below(1_200_000))).await;
    let sku = if dice.one_in(3) { CUP } else { TEA };
    buyer.fill(sku, 1 + i64::try_from(dice.below(3)).unwrap()).await;
    let placed = buyer.place(&buyer.quote().await).await;
    if placed.status.as_u16() == 409 {
        placed.expect_problem(409, "inventory.sold_out");
        return;
    }
    let order = Order::of(&placed.expect(201));
    if dice.one_in(5) {
        return;
    }
    let (_, code) = buyer.at_cashier(world, &order).await;
    if dice.one_in(2) {
        world.sandbox.log_in(&code).await.unwrap();
    }
    let late = dice.one_in(4);
    if late {
        world.arm(Fault::PayAfterExpiry, 1);
    }
    let (pay_after, cancel_after) =
        (dice.below(if late { 3_600_000 } else { 1_500_000 }), dice.below(3_000_000));
    let pays = async {
        world.pass(Duration::from_millis(pay_after)).await;
        // The cashier refuses when the time is over.
        let paid = world.sandbox.pay(&code).await;
        world.trace.see(format!("{paid:?}"));
    };
    let cancels = async {
        if dice.one_in(2) {
            world.pass(Duration::from_millis(cancel_after)).await;
            let answer = buyer.cancel(&order).await;
            assert!(answer.status.as_u16() < 500, "{}", answer.text);
        }
    };
    tokio::join!(pays, cancels);
}

/// Every order has come to where it rests, with its money and its stock.
async fn assert_nothing_hangs(world: &World) {
    world.settle().await;
    let open = "SELECT COUNT(*) FROM ordering_orders WHERE order_axis IN ('placed', 'awaiting_payment')";
    assert_eq!(world.count(open).await, 0, "orders hang");
    let held = "SELECT COUNT(*) FROM inventory_reservations WHERE status = 'reserved'";
    assert_eq!(world.count(held).await, 0, "stock hangs");
    let stranded = "SELECT COUNT(*) FROM ordering_orders WHERE order_axis = 'cancelled' AND paid_minor <> 0";
    assert_eq!(world.count(stranded).await, 0, "money hangs");
    let unfinished = "SELECT COUNT(*) FROM ordering_orders o LEFT JOIN ordering_shipments s ON s.order_id = o.order_id
        WHERE o.order_axis = 'confirmed' AND s.shipment_id IS NULL";
    assert_eq!(world.count(unfinished).await, 0, "parcels hang");
}
