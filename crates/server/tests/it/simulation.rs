//! Whole shops run from a seed. Everything a run draws, waits for and answers comes from the seed, so a second run
//! must do the same to the byte; whatever breaks in one can be brought back by its number.
//!
//! `MERX_SIM_SEEDS=1000` runs a thousand seeds more than usual, `MERX_SIM_FIRST=7001` begins at another seed.

mod day;
mod deadline;

use std::{collections::BTreeSet, env, process::Command, thread, time::Duration};

use merx_alipay_sandbox::{Fault, Spoiled};
use merx_kernel::Entropy;
use merx_platform::time::SeededEntropy;
use merx_server::shop::Topology;
use merx_testkit::Happened;

use crate::world::{CUP, Ground, TEA, World};

/// Seeds that always run.
const SEEDS: u64 = 20;

/// A number of the environment, or the usual one.
fn number(name: &str, usual: u64) -> u64 {
    env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn seeds() -> impl Iterator<Item = u64> {
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
        let world = life(World::on(Ground::interleaved(seed), topology, |_| {}).await).await;
        let trace = world.trace.clone();
        world.finish_whatever_alarmed().await;
        (trace.hash(), trace.take())
    })
}

/// Runs every seed twice; answers the hashes.
fn twice<F: Future<Output = World>>(seeds: impl Iterator<Item = u64>, life: impl Fn(World) -> F) -> Vec<u64> {
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
    seeds.map(both).collect()
}

fn assert_all_differ(hashes: &[u64]) {
    let different: BTreeSet<&u64> = hashes.iter().collect();
    assert_eq!(different.len(), hashes.len(), "a seed that changes nothing proves nothing: {hashes:?}");
    println!("{} seeds, each run twice; the last trace is {:016x}", hashes.len(), hashes[hashes.len() - 1]);
}

#[test]
fn a_purchase_is_a_function_of_its_seed() {
    let hashes = twice(seeds(), |world| async {
        let buyer = world.buyer().await;
        let order = buyer.order(&[(TEA, 2), (CUP, 1)]).await;
        buyer.pay(&world, &order).await;
        world.ship(&order).await;
        buyer.receive(&order).await.expect(200);
        world
    });
    assert_all_differ(&hashes);
}

/// Randomness of one person: what it draws does not depend on who else is in the shop.
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
    fn units(&self, most: u64) -> i64 {
        1 + i64::try_from(self.below(most)).unwrap()
    }
    /// So many milliseconds at most.
    fn span(&self, most_ms: u64) -> Duration {
        Duration::from_millis(self.below(most_ms))
    }
    fn pick<'a, T>(&self, among: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(among.len()).unwrap();
        if count == 0 { None } else { among.get(usize::try_from(self.below(count)).unwrap()) }
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
