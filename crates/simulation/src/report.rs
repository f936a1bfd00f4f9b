//! Many seeds on several cores, and what came of them.

use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use merx_kernel::{Clock as _, Timestamp};
use merx_platform::time::SystemClock;
use serde_json::{Value, json};

use crate::{
    faults::{Plan, every_point},
    run::{Failure, Lived, commit, live_twice},
    shrink::shrink,
    world::{Touched, World},
};

/// How often it is told how far it has come.
const TOLD_EVERY_MS: i64 = 10_000;
/// So many failing seeds are made small and told; then it ends.
const FAILURES_MAX: usize = 5;
const PAGE_BYTES: u64 = 4_096;

/// Which seeds run, and how.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// What the people do.
    pub scenario: String,
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// How many at a time.
    pub jobs: usize,
    /// What goes wrong in all of them; what their seeds have, unless given.
    pub plan: Option<Plan>,
    /// Whether each seed's hash is told.
    pub hashes: bool,
    /// How long the plan of a seed that fails is made smaller, at most.
    pub shrink_for: Duration,
}

/// A seed that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The seed.
    pub seed: u64,
    /// The smallest plan with which it still fails.
    pub plan: Plan,
    /// Why, with that plan.
    pub failure: Failure,
}

/// What came of them.
#[derive(Debug, Default)]
pub struct Report {
    /// The hash of each that held.
    pub hashes: BTreeMap<u64, u64>,
    /// What they touched.
    pub touched: Touched,
    /// Those that did not hold.
    pub failed: Vec<Failed>,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// The most memory that was seen in use, in MiB.
    pub memory_mib: u64,
}

impl Campaign {
    /// Runs all of them, each twice.
    pub fn run<F: Future<Output = World>>(&self, life: &(impl Fn(World) -> F + Sync)) -> Report {
        let (next, is_over) = (AtomicU64::new(self.first), AtomicBool::new(false));
        let began = SystemClock.now();
        let mut report = Report::default();
        let (sender, results) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                let (sender, next, is_over) = (sender.clone(), &next, &is_over);
                let work = move || {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        let is_done = seed >= self.first + self.seeds || is_over.load(Ordering::Relaxed);
                        if is_done || sender.send((seed, self.one(seed, life))).is_err() {
                            return;
                        }
                    }
                };
                let _ = scope.spawn(work);
            }
            drop(sender);
            let mut told_at = began;
            for (seed, result) in results {
                report.take(self, seed, result);
                if report.failed.len() >= FAILURES_MAX {
                    is_over.store(true, Ordering::Relaxed);
                }
                let now = SystemClock.now();
                if now.as_millis() - told_at.as_millis() >= TOLD_EVERY_MS {
                    told_at = now;
                    report.progress(self, began);
                }
            }
        });
        report.took_ms = SystemClock.now().as_millis() - began.as_millis();
        report
    }

    /// Whether its seeds decide what goes wrong, or nothing does, with as many people as there are.
    pub fn is_usual(&self) -> bool {
        self.plan.as_ref().is_none_or(|plan| *plan == Plan::default())
    }

    fn one<F: Future<Output = World>>(
        &self,
        seed: u64,
        life: &impl Fn(World) -> F,
    ) -> Result<Lived, Box<Failed>> {
        let plan = self.plan.clone().unwrap_or_else(|| Plan::of(seed));
        match live_twice(seed, &plan, life) {
            Ok(lived) => Ok(lived),
            Err(failure) => {
                println!("seed {seed} fails, its plan is made smaller: {}", first_line(&failure.why));
                let until = SystemClock.now().plus(self.shrink_for);
                let is_over = || SystemClock.now() >= until;
                let (plan, failure) =
                    shrink(plan, failure, is_over, |plan| live_twice(seed, plan, life).err());
                Err(Box::new(Failed { seed, plan, failure }))
            }
        }
    }

    /// How a seed is run again.
    pub fn command(&self, seed: u64, plan: &Plan) -> String {
        let scenario = &self.scenario;
        format!(
            "cargo run --release -p merx-simulation -- --scenario {scenario} --first {seed} --seeds 1 --plan '{plan}'"
        )
    }
}

impl Report {
    fn take(&mut self, campaign: &Campaign, seed: u64, result: Result<Lived, Box<Failed>>) {
        self.memory_mib = self.memory_mib.max(memory_mib());
        match result {
            Ok(lived) => {
                if campaign.hashes {
                    println!("HASH {seed} {:016x}", lived.hash);
                }
                self.hashes.insert(seed, lived.hash);
                self.touched.add(&lived.touched);
            }
            Err(failed) => {
                let command = campaign.command(failed.seed, &failed.plan);
                println!("SEED={seed} COMMIT={} COMMAND={command}\n{}", commit(), failed.failure);
                self.failed.push(*failed);
            }
        }
    }

    fn progress(&self, campaign: &Campaign, began: Timestamp) {
        let done = self.hashes.len() + self.failed.len();
        let took = SystemClock.now().as_millis() - began.as_millis();
        println!(
            "{done} of {} seeds, {} failed, {} seeds an hour, {} MiB",
            campaign.seeds,
            self.failed.len(),
            per_hour(done, took),
            memory_mib(),
        );
    }

    /// Seeds an hour, each run twice.
    pub fn seeds_per_hour(&self) -> i64 {
        per_hour(self.hashes.len() + self.failed.len(), self.took_ms)
    }

    /// Points that never struck.
    pub fn never_struck(&self) -> Vec<&'static str> {
        every_point().into_iter().filter(|point| !self.touched.faults.contains_key(*point)).collect()
    }

    /// All of it for a program to read; `never` is what was to be seen and was not.
    pub fn json(&self, campaign: &Campaign, never: &[&str]) -> Value {
        let failed = |failed: &Failed| {
            json!({
                "seed": failed.seed,
                "plan": failed.plan.to_string(),
                "why": failed.failure.why,
                "command": campaign.command(failed.seed, &failed.plan),
            })
        };
        json!({
            "commit": commit(),
            "scenario": campaign.scenario,
            "first": campaign.first,
            "seeds": campaign.seeds,
            "traces_equal": self.hashes.len(),
            "failed": self.failed.iter().map(failed).collect::<Vec<_>>(),
            "never_seen": never,
            "events": self.touched.events,
            "faults": self.touched.faults,
            "never_struck": self.never_struck(),
            "orders": self.touched.orders,
            "answers": self.touched.answers,
            "mails": self.touched.mails,
            "took_ms": self.took_ms,
            "seeds_per_hour": self.seeds_per_hour(),
            "memory_mib": self.memory_mib,
        })
    }

    /// Tells everything.
    pub fn tell(&self, campaign: &Campaign) {
        let tables = [
            ("events by type", &self.touched.events),
            ("faults by point", &self.touched.faults),
            ("orders by final state", &self.touched.orders),
            ("answers", &self.touched.answers),
            ("mails", &self.touched.mails),
        ];
        for (title, table) in tables {
            println!("\n{title}: {} in all, {} kinds", table.values().sum::<u64>(), table.len());
            table.iter().for_each(|(what, times)| println!("  {times:>9}  {what}"));
        }
        println!("\npoints that never struck: {:?}", self.never_struck());
        let sum = |table: &BTreeMap<String, u64>| table.values().sum::<u64>();
        println!(
            "PROOF | SIM | {}: whole shops under faults, each seed run twice | size={} | {} failed, {} traces equal \
             and all different, {} events of {} types, {} faults at {} of {} points, {} orders, {} answers, {} seeds \
             an hour, {} MiB | seed={}",
            campaign.scenario,
            campaign.seeds,
            self.failed.len(),
            self.hashes.len(),
            sum(&self.touched.events),
            self.touched.events.len(),
            sum(&self.touched.faults),
            every_point().len() - self.never_struck().len(),
            every_point().len(),
            sum(&self.touched.orders),
            sum(&self.touched.answers),
            self.seeds_per_hour(),
            self.memory_mib,
            campaign.first,
        );
    }
}

fn per_hour(done: usize, took_ms: i64) -> i64 {
    i64::try_from(done).unwrap_or(0) * 3_600_000 / took_ms.max(1)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Memory in use by this process, where the system tells.
fn memory_mib() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident: u64 = pages.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    resident * PAGE_BYTES / 1024 / 1024
}
