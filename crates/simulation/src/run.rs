//! Whole shops run from a seed. Everything a run draws, waits for and answers comes from the seed, so a second run
//! must do the same to the byte; whatever breaks in one can be brought back by its number.
//!
//! `MERX_SIM_SEEDS=1000` runs a thousand seeds more than usual, `MERX_SIM_FIRST=7001` begins at another seed;
//! `MERX_SIM_TAIL=100000` tells so many of the last things that happened before a failure, and each in full.

mod panics;

use std::{
    collections::BTreeSet,
    env, fmt,
    process::Command,
    sync::{Arc, OnceLock},
    time::Duration,
};

use merx_server::shop::{Settings, Topology};
use merx_testkit::Happened;

use crate::{
    faults::Plan,
    world::{Ground, Touched, World},
};

/// Seeds that always run.
const SEEDS: u64 = 20;
/// The longest that a run may take on its own clock: one that takes longer hangs.
const LIFE_MAX: Duration = Duration::from_secs(3 * 24 * 3600);
/// How much of what happened last is told of a run that failed, unless the environment wants another.
const TAIL: u64 = 12;
/// The most characters of one thing that happened.
const TOLD_CHARS_MAX: usize = 400;

/// A number of the environment, or the usual one.
pub fn number(name: &str, usual: u64) -> u64 {
    env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The seeds of a run, as the environment has it.
pub fn seeds() -> impl Iterator<Item = u64> {
    let first = number("MERX_SIM_FIRST", 1);
    first..first + SEEDS + number("MERX_SIM_SEEDS", 0)
}

/// The commit of the source, for the report.
pub fn commit() -> &'static str {
    static COMMIT: OnceLock<String> = OnceLock::new();
    COMMIT.get_or_init(|| {
        let head = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
        head.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default()
    })
}

/// What a run did.
#[derive(Debug)]
pub struct Lived {
    /// The hash of everything that happened in it.
    pub hash: u64,
    /// Everything that happened in it.
    pub happened: Vec<Happened>,
    /// What it touched.
    pub touched: Touched,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In the words of whoever noticed.
    pub why: String,
    /// What happened last.
    pub tail: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.why)?;
        self.tail.iter().try_for_each(|line| writeln!(f, "    … {line}"))
    }
}

fn tail() -> usize {
    usize::try_from(number("MERX_SIM_TAIL", TAIL)).unwrap_or(usize::MAX)
}

/// One run of one seed, on a runtime and a clock of its own. A panic anywhere in it, also in a task that outlives it, is
/// its failure.
///
/// # Errors
/// Why it failed.
pub fn live<F: Future<Output = World>>(
    seed: u64,
    plan: &Plan,
    life: &impl Fn(World) -> F,
) -> Result<Lived, Failure> {
    live_tuned(seed, plan, |_| {}, life)
}

/// As [`live`], in a shop with what `tune` makes of the settings.
///
/// # Errors
/// Why it failed.
pub fn live_tuned<F: Future<Output = World>>(
    seed: u64,
    plan: &Plan,
    tune: impl Fn(&mut Settings),
    life: &impl Fn(World) -> F,
) -> Result<Lived, Failure> {
    let trace = OnceLock::new();
    let run = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        // There is no socket in a world: nobody asks the kernel.
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let topology =
                [Topology::Local, Topology::Loopback, Topology::LoopbackTwice][(seed % 3) as usize];
            let ground = Ground::planned(seed, plan.clone());
            let trace = trace.get_or_init(|| ground.trace.clone());
            let all = async {
                let world = life(World::on(ground, topology, &tune).await).await;
                let touched = world.touched().await;
                world.finish_whatever_alarmed().await;
                touched
            };
            let touched = tokio::time::timeout(LIFE_MAX, all).await;
            let touched = touched.unwrap_or_else(|_| panic!("it hangs: {LIFE_MAX:?} have passed"));
            (trace.hash(), trace.take(), touched)
        })
    };
    let chars = if tail() > usize::try_from(TAIL).unwrap_or(0) { usize::MAX } else { TOLD_CHARS_MAX };
    let told = |happened: &Happened| happened.to_string().chars().take(chars).collect();
    // Whatever holds the trace holds a shop, with its database: parts that hold each other are never let go of.
    let is_let_go = || match trace.get().map_or(1, Arc::strong_count) {
        1 => Ok(()),
        left => Err(format!("the shop is over, and {} still hold it", left - 1)),
    };
    let lived = panics::caught(run).and_then(|lived| is_let_go().map(|()| lived));
    lived.map(|(hash, happened, touched)| Lived { hash, happened, touched }).map_err(|why| {
        let happened = trace.get().map(|trace| trace.take()).unwrap_or_default();
        let tail = happened[happened.len().saturating_sub(tail())..].iter().map(told).collect();
        Failure { why, tail }
    })
}

/// A seed, run twice: both must do the same.
///
/// # Errors
/// Why a run failed, or where the two part.
pub fn live_twice<F: Future<Output = World>>(
    seed: u64,
    plan: &Plan,
    life: &impl Fn(World) -> F,
) -> Result<Lived, Failure> {
    let first = live(seed, plan, life)?;
    let second = live(seed, plan, life)?;
    if first.hash == second.hash && first.touched == second.touched {
        return Ok(first);
    }
    let (one, other) = (&first.happened, &second.happened);
    let differs = one.iter().zip(other).position(|(one, other)| one != other);
    let at = differs.unwrap_or_else(|| one.len().min(other.len()));
    let before = one[at.saturating_sub(tail())..at].iter().map(ToString::to_string).collect();
    let why = format!("the runs part at {at}:\n{:#?}\n{:#?}", one.get(at), other.get(at));
    Err(Failure { why, tail: before })
}

/// Runs every seed twice, with nothing going wrong but what `life` makes go wrong; answers the hashes.
pub fn twice<F: Future<Output = World>>(
    seeds: impl Iterator<Item = u64>,
    life: impl Fn(World) -> F,
) -> Vec<u64> {
    let both = |seed| match live_twice(seed, &Plan::default(), &life) {
        Ok(lived) => lived.hash,
        Err(failure) => panic!("SEED={seed} COMMIT={}\n{failure}", commit()),
    };
    seeds.map(both).collect()
}

/// Every seed made a run of its own.
pub fn assert_all_differ(hashes: &[u64]) {
    let different: BTreeSet<&u64> = hashes.iter().collect();
    assert_eq!(different.len(), hashes.len(), "a seed that changes nothing proves nothing: {hashes:?}");
    println!("{} seeds, each run twice; the last trace is {:016x}", hashes.len(), hashes[hashes.len() - 1]);
}
