//! T23: an order's time runs out while its buyer pays. Many orders of one moment, each with its own way to pay, its own
//! millisecond and its own turn among the tasks of that millisecond: every one ends sold and paid, or released with
//! nothing held of the buyer's money.
//!
//! `MERX_T23=10000` runs ten thousand interleavings instead of a few hundred.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use futures_util::future::join_all;
use merx_alipay_sandbox::Fault;
use merx_kernel::{Role, Timestamp};
use merx_sql::{Query as _, params};
use tokio::task::yield_now;

use crate::{
    dice::Dice,
    run::{assert_all_differ, number, twice},
    world::{Buyer, Told as _, World},
};

const RUSH: &str = "RUSH-1";
/// Orders of one shop, whose time runs out together.
const AT_ONCE: u64 = 50;
/// Interleavings, unless told.
const USUALLY: u64 = 200;
/// How long before an order's deadline the provider stops to take money.
const EXPIRY_BEFORE: Duration = Duration::from_secs(60);

/// How long a buyer has.
const PAYMENT_WINDOW: Duration = Duration::from_secs(30 * 60);

/// How orders ended: order axis, payment axis, reservation.
type Ends = BTreeMap<[String; 3], i64>;

/// Runs them, each twice.
pub fn race_every_order() {
    let rounds = number("MERX_T23", USUALLY).div_ceil(AT_ONCE);
    let all: Mutex<Ends> = Mutex::default();
    let first = number("MERX_SIM_FIRST", 1);
    let hashes = twice(first..first + rounds, |world| async {
        race_all(&world).await;
        for (end, orders) in ends(&world).await {
            *all.lock().unwrap().entry(end).or_insert(0) += orders;
        }
        world
    });
    assert_all_differ(&hashes);
    let all = all.into_inner().unwrap();
    let expected = [
        // Paid in time; or late, and the goods were still there.
        ["confirmed", "captured", "sold"],
        ["cancelled", "none", "released"],
        // Paid late, and somebody else had them.
        ["cancelled", "refunded", "released"],
        // Paid, and then cancelled by the buyer: what was sold came back (the audit counts it).
        ["cancelled", "refunded", "sold"],
    ];
    let expected: Vec<[String; 3]> = expected.iter().map(|end| end.map(str::to_owned)).collect();
    assert!(all.keys().all(|end| expected.contains(end)), "{all:?}");
    // A race that always ends the same was none.
    assert!(expected.iter().all(|end| all.contains_key(end)), "{all:?}");
    // Each was counted in both of its runs.
    let figure: Vec<String> =
        all.iter().map(|(end, orders)| format!("{} {}", orders / 2, end.join("/"))).collect();
    println!(
        "PROOF | T23 | payment races the deadline, in one process | size={} | {}; nothing held, nothing sold twice, each run twice | seed={first}",
        rounds * AT_ONCE,
        figure.join(", ")
    );
}

async fn ends(world: &World) -> Vec<([String; 3], i64)> {
    let read = "SELECT o.order_axis, o.payment_axis, r.status, COUNT(*) FROM ordering_orders o
        JOIN inventory_reservations r ON r.reservation = COALESCE(o.reservation_id, o.order_id)
        GROUP BY o.order_axis, o.payment_axis, r.status ORDER BY 1, 2, 3";
    let db = &world.shop.deps.db;
    let row = |row: &merx_sql::Row<'_>| Ok(([row.get(0)?, row.get(1)?, row.get(2)?], row.get(3)?));
    db.read("test.ends", move |q| q.query(read, params![], row)).await.told()
}

async fn race_all(world: &World) {
    world.sell(RUSH, 1_000, 10, i64::try_from(AT_ONCE).unwrap()).await;
    let mut racers = Vec::new();
    for (account, api) in world.accounts(Role::Customer, usize::try_from(AT_ONCE).unwrap()).await {
        racers.push((Buyer::new(account, api).await, Dice::of(world)));
    }
    let dice = Dice::of(world);
    tokio::join!(
        join_all(racers.iter().map(|(buyer, dice)| race(world, buyer, dice))),
        clear_the_shelves(world, &dice)
    );
    // The last look of the poller, and every refund.
    world.pass(Duration::from_secs(3_600)).await;
    world.settle().await;
}

/// What the orders let go is gone now and then, before the money comes that would have had it.
async fn clear_the_shelves(world: &World, dice: &Dice) {
    world.pass(PAYMENT_WINDOW).await;
    for _ in 0..100 {
        world.pass(dice.span(20)).await;
        let [available, ..] = world.stock(RUSH).await;
        if available > 0 {
            // Somebody else may be quicker.
            let cleared = world.adjust(RUSH, -available).await;
            assert!(cleared.status.as_u16() < 500, "{}", cleared.text);
        }
    }
}

async fn race(world: &World, buyer: &Buyer, dice: &Dice) {
    world.pass(dice.span(1_000)).await;
    let order = buyer.order(&[(RUSH, 1)]).await;
    let seen = buyer.look(&order).await;
    let deadline: Timestamp = serde_json::from_value(seen["payment_deadline"].clone()).unwrap();
    let code = match dice.one_in(3) {
        true => buyer.code(&order).await.1,
        false => buyer.at_cashier(world, &order).await.1,
    };
    if dice.one_in(2) {
        world.sandbox.log_in(&code).await.unwrap();
    }
    let aim = if dice.one_in(2) { deadline } else { deadline.minus(EXPIRY_BEFORE) };
    let moment = aim.minus(Duration::from_millis(20)).plus(dice.span(40));
    let (nearly, turns) = (moment.minus(Duration::from_millis(20)).plus(dice.span(40)), dice.below(60));
    let pays = async {
        until(world, moment).await;
        if dice.one_in(2) {
            world.arm(Fault::PayAfterExpiry, 1);
        }
        if dice.one_in(3) {
            world.arm(Fault::LoseNotification, 1);
        }
        for _ in 0..turns {
            yield_now().await;
        }
        // The cashier refuses when the time is over.
        let paid = world.sandbox.pay(&code).await;
        world.trace.see(format!("{paid:?}"));
    };
    let cancels = async {
        if dice.one_in(3) {
            until(world, nearly).await;
            if dice.one_in(3) {
                world.arm(Fault::PayAfterClose { after_ms: dice.below(40) }, 1);
            }
            let answer = buyer.cancel(&order).await;
            assert!(answer.status.as_u16() < 500, "{}", answer.text);
        }
    };
    tokio::join!(pays, cancels);
}

async fn until(world: &World, moment: Timestamp) {
    world.pass(moment.since(world.shop.deps.now())).await;
}
