//! Whole shops run from a seed. Everything a run draws, waits for and answers comes from the seed, so a second run
//! must do the same to the byte; whatever breaks in one can be brought back by its number.
//!
//! `MERX_SIM_SEEDS=1000` runs a thousand seeds more than usual, `MERX_SIM_FIRST=7001` begins at another seed.

use std::{collections::BTreeSet, env, process::Command, thread};

use merx_server::shop::Topology;
use merx_testkit::Happened;

use crate::world::{Ground, World};

/// Seeds that always run.
const SEEDS: u64 = 20;

/// A number of the environment, or the usual one.
pub fn number(name: &str, usual: u64) -> u64 {
    env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The seeds of a run, as the environment has it.
pub fn seeds() -> impl Iterator<Item = u64> {
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
pub fn twice<F: Future<Output = World>>(
    seeds: impl Iterator<Item = u64>,
    life: impl Fn(World) -> F,
) -> Vec<u64> {
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

/// Every seed made a run of its own.
pub fn assert_all_differ(hashes: &[u64]) {
    let different: BTreeSet<&u64> = hashes.iter().collect();
    assert_eq!(different.len(), hashes.len(), "a seed that changes nothing proves nothing: {hashes:?}");
    println!("{} seeds, each run twice; the last trace is {:016x}", hashes.len(), hashes[hashes.len() - 1]);
}
