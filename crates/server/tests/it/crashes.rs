//! The built binary, killed with SIGKILL at each of its named points: before and after every durable step of a checkout
//! (T1), and between commit and delivery, effect and acknowledgement (what of T9 concerns one process).
//!
//! Compiled only with fault switches:
//!
//! ```text
//! RUSTC_WORKSPACE_WRAPPER=$PWD/scripts/rustc-with-guard-switches MERX_T1=all \
//!     cargo test -p merx-server --test it -- --nocapture --test-threads=1 crashes::
//! ```
//!
//! `MERX_T1=all` runs every point, otherwise a few of them (`points::chosen`).

mod lane;
mod points;
mod shopper;

use std::{
    collections::{BTreeMap, VecDeque},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use merx_platform::{
    tasks::Tasks,
    time::{OsEntropy, SystemClock},
};

use crate::process::{
    databases::Engine,
    harness::{self, Site, say},
};
use lane::{Lane, Outcome};
use shopper::Scenario;

/// Lives in which nobody is killed, to see which points there are.
const LISTINGS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn sqlite_paid() {
    at_every_point(Scenario::Paid, Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn sqlite_not_paid() {
    at_every_point(Scenario::NotPaid, Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn sqlite_no_stock() {
    at_every_point(Scenario::NoStock, Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn sqlite_provider_timeout() {
    at_every_point(Scenario::ProviderTimeout, Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn mariadb_paid() {
    at_every_point(Scenario::Paid, Engine::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn mariadb_not_paid() {
    at_every_point(Scenario::NotPaid, Engine::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn mariadb_no_stock() {
    at_every_point(Scenario::NoStock, Engine::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn mariadb_provider_timeout() {
    at_every_point(Scenario::ProviderTimeout, Engine::MariaDb).await;
}

/// Such a build serves nobody who has not said that he means to.
#[test]
fn a_build_with_fault_switches_refuses_to_serve() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let mut command = Command::new(harness::binary());
    command.env_remove("MERX_FAULT_SWITCHES").stdin(Stdio::null()).args(["up", "--data"]).arg(folder.path());
    let output = command.output().expect("merx runs");
    let text = harness::text_of(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("carries fault switches") && text.contains("server.fault_switches"), "{text}");
    assert_eq!(folder.path().read_dir().expect("a folder").count(), 0, "nothing is made");
}

/// Kills a shop at each point of a scenario, each time with an order of its own.
async fn at_every_point(scenario: Scenario, engine: Engine) {
    if !engine.is_there() {
        return;
    }
    // Made once: finding keys is what a first start takes longest over.
    let mut first = Site::new(&[]);
    first.start().await;
    first.stop().await;
    let (all, by_timing) = listed(scenario, engine, &first).await;
    let chosen = points::chosen(&all);
    say(&format!("T1 {} {}: {} of {} points", engine.name(), scenario.name(), chosen.len(), all.len()));
    let queue = Arc::new(Mutex::new(VecDeque::from(chosen.clone())));
    let tasks = Tasks::new(Arc::new(SystemClock), Arc::new(OsEntropy));
    let mut working = Vec::new();
    for _ in 0..scenario.lanes(engine).min(chosen.len()) {
        let lane = Lane::open(scenario, engine, &first);
        working.push(tasks.spawn("lane", lane.work(queue.clone())));
    }
    let mut outcomes = BTreeMap::new();
    for lane in working {
        outcomes.extend(lane.await.expect("a lane to its end"));
    }
    report(scenario, engine, [chosen.len(), all.len(), by_timing], &outcomes);
}

/// The points that every life passes, and how many more only some lives do.
async fn listed(scenario: Scenario, engine: Engine, first: &Site) -> (Vec<String>, usize) {
    let tasks = Tasks::new(Arc::new(SystemClock), Arc::new(OsEntropy));
    let open = |_| tasks.spawn("listing", Lane::open(scenario, engine, first).list());
    let lives: Vec<_> = (0..LISTINGS).map(open).collect();
    let mut lists = Vec::new();
    for life in lives {
        lists.push(life.await.expect("a life to its end"));
    }
    let (all, by_timing) = points::in_every(&lists);
    if !by_timing.is_empty() {
        say(&format!("T1 {} {}: only timing makes {by_timing:?}", engine.name(), scenario.name()));
    }
    (all, by_timing.len())
}

fn report(
    scenario: Scenario,
    engine: Engine,
    [chosen, all, by_timing]: [usize; 3],
    outcomes: &BTreeMap<String, Outcome>,
) {
    let missed = outcomes.iter().filter(|(_, o)| matches!(o, Outcome::NeverHit)).map(|(point, _)| point);
    let (explained, missed): (Vec<_>, Vec<_>) = missed.partition(|point| points::may_be_missed(point));
    assert!(missed.is_empty(), "points that were listed and never passed: {missed:?}");
    let hits = |wanted: &dyn Fn(&str) -> bool| {
        let wanted = outcomes.iter().filter(|(point, _)| wanted(point));
        wanted
            .filter_map(|(_, o)| if let Outcome::Killed(hit) = o { Some(*hit) } else { None })
            .collect::<Vec<_>>()
    };
    let longest = |of: &dyn Fn(&lane::Hit) -> Duration, hits: &[lane::Hit]| {
        hits.iter().map(of).max().unwrap_or_default().as_millis()
    };
    let (killed, name) = (hits(&|_| true), scenario.name());
    let hit = killed.len();
    assert_eq!(hit + explained.len(), chosen);
    println!(
        "PROOF | T1 | {}: {name}, SIGKILL before and after each durable step | size={hit} | {chosen} of {all} points chosen, \
         {hit} hit, {} repetitions not needed in their life ({by_timing} more points only in some lives, by timing), every order at rest at most {} ms after the restart, restart to ready at most {} ms, audit drained and \
         clean after each, 0 double charges, 0 acknowledged lost | seed=-",
        engine.name(),
        explained.len(),
        longest(&|hit| hit.at_rest, &killed),
        longest(&|hit| hit.ready, &killed),
    );
    let of_bus = hits(&|point| points::is_of_bus(point));
    if !of_bus.is_empty() {
        println!(
            "PROOF | T9 | {}: {name}, SIGKILL between commit and delivery, effect and acknowledgement, delivery and mark | \
             size={} | all hit, 0 lost, 0 doubled, at rest at most {} ms after the restart | seed=-",
            engine.name(),
            of_bus.len(),
            longest(&|hit| hit.at_rest, &of_bus),
        );
    }
}
