//! Fault tests of the whole shop in process, one file for each row of the list. Each prints what it measured; how much of it
//! runs is a variable of the row's name.

mod t03_asks;
mod t03_sagas;
mod t05_refunds;
mod t08_messages;
mod t14_storm;
mod t15_mutations;
mod t16_wrong_fields;
mod t17_out_of_order;
mod t18_silence;
mod t23_limit;
mod t30_clocks;
mod t35_sessions;

use std::{fmt::Display, future::Future, ops::Range, thread, time::Duration};

use futures_util::future::join_all;
use merx_alipay_sandbox::Fault;
use merx_contracts::ids::AttemptId;
use merx_kernel::{Role, Timestamp};
use merx_server::shop::Topology;
use merx_simulation::{
    dice::Dice,
    run::number,
    world::{Attempt, Buyer, Ground, Order, Told as _, World},
};
use merx_sql::{Query as _, params};

/// What everybody buys; there is enough of it.
pub const PLENTY: &str = "PLENTY-1";

/// One sub-case that held, with its size, its figure and its first seed.
pub fn proof(id: &str, case: &str, size: u64, figure: impl Display, seed: impl Display) {
    println!("PROOF | {id} | {case} | size={size} | {figure} | seed={seed}");
}

/// The seeds of enough worlds for `size` subjects, `each` of them in one.
pub fn seeds_for(size: u64, each: u64) -> Range<u64> {
    let first = number("MERX_SIM_FIRST", 1);
    first..first + size.div_ceil(each)
}

/// Says from what a failed run can be repeated.
struct Repeat(u64);

impl Drop for Repeat {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("SEED={}", self.0);
        }
    }
}

/// Lives a world of every seed twice, compares the two, and answers what the first lives came to, in the order of the seeds.
pub fn lived<T, F: Future<Output = (World, T)>>(seeds: Range<u64>, life: impl Fn(World) -> F) -> Vec<T> {
    lived_in(seeds, |seed| World::on(Ground::interleaved(seed), topology(seed), |_| {}), life)
}

/// Calls between contexts as they are made in the world of this seed.
pub fn topology(seed: u64) -> Topology {
    [Topology::Local, Topology::Loopback, Topology::LoopbackTwice][(seed % 3) as usize]
}

/// As [`lived`], in worlds that `make` makes.
pub fn lived_in<T, M: Future<Output = World>, F: Future<Output = (World, T)>>(
    seeds: Range<u64>,
    make: impl Fn(u64) -> M,
    life: impl Fn(World) -> F,
) -> Vec<T> {
    lived_to(seeds, make, life, World::finish_whatever_alarmed)
}

/// As [`lived_in`], and `end` ends them.
pub fn lived_to<T, M: Future<Output = World>, F: Future<Output = (World, T)>, E: Future<Output = ()>>(
    seeds: Range<u64>,
    make: impl Fn(u64) -> M,
    life: impl Fn(World) -> F,
    end: impl Fn(World) -> E,
) -> Vec<T> {
    let once = |seed| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (world, came_to) = life(make(seed).await).await;
            let trace = world.trace.clone();
            end(world).await;
            (trace.hash(), came_to)
        })
    };
    let both = |seed| {
        let _repeat = Repeat(seed);
        let ((first, came_to), (second, _)) = (once(seed), once(seed));
        assert_eq!(first, second, "two runs of one seed are the same");
        came_to
    };
    seeds.map(both).collect()
}

/// Somebody with one order that waits for its money.
pub struct Waiting {
    pub buyer: Buyer,
    pub order: Order,
    pub dice: Dice,
}

/// So many buyers, each with one order of one to three [`PLENTY`]; those of neighbours cost differently.
pub async fn waiting(world: &World, count: u64) -> Vec<Waiting> {
    if world.count(&format!("SELECT COUNT(*) FROM inventory_stock WHERE sku = '{PLENTY}'")).await == 0 {
        world.sell(PLENTY, 4_200, 100, 1_000_000).await;
    }
    let accounts = world.accounts(Role::Customer, usize::try_from(count).unwrap()).await;
    let ready = accounts.into_iter().zip(1..).map(|((account, api), n)| async move {
        let buyer = Buyer::new(account, api).await;
        let order = buyer.order(&[(PLENTY, 1 + n % 3)]).await;
        Waiting { buyer, order, dice: Dice::of(world) }
    });
    join_all(ready).await
}

impl Waiting {
    /// At the cashier, logged in: the trade is there, and nobody has paid.
    pub async fn begin(&self, world: &World) -> (Attempt, String) {
        let (attempt, code) = self.buyer.at_cashier(world, &self.order).await;
        world.sandbox.log_in(&code).await.unwrap();
        (attempt, code)
    }
    /// The order in one word.
    pub async fn status(&self) -> String {
        self.buyer.status(&self.order).await
    }
}

/// From now on nothing Alipay sends arrives.
pub fn silence(world: &World) {
    world.arm(Fault::LoseNotification, 1_000_000);
}

/// When the shop booked the money of each attempt, by the attempt's number at Alipay.
pub async fn booked(world: &World) -> Vec<(String, Timestamp)> {
    let read =
        "SELECT attempt_id, MIN(posted_at) FROM payment_postings WHERE kind = 'capture' GROUP BY attempt_id";
    let row = |row: &merx_sql::Row<'_>| Ok((row.get::<AttemptId>(0)?.bare(), row.get::<Timestamp>(1)?));
    world.shop.deps.db.read("test.booked", move |q| q.query(read, params![], row)).await.told()
}

/// The share of `all` in percent below which so much of them lies, and the last of them.
pub fn spread(all: &[Duration], percent: usize) -> (Duration, Duration) {
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    match sorted.last() {
        None => Default::default(),
        Some(last) => (sorted[(sorted.len() - 1) * percent / 100], *last),
    }
}
