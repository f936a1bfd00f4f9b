//! The simulator itself: what it promises of plans, restarts and runs, and that its checks can fail.

use std::{collections::BTreeMap, process::Command, time::Duration};

use futures_util::future::join;
use merx_kernel::Entropy as _;
use merx_platform::time::OsEntropy;
use merx_simulation::{
    faults::{Plan, every_point},
    report::Campaign,
    run::{live, live_twice},
    scenarios::persistent::persistent,
    shrink::shrink,
    world::{Ground, TEA, World},
};

#[test]
fn a_plan_is_read_as_it_was_printed_and_a_quarter_of_the_points_is_active() {
    let plans: Vec<Plan> = (0..1_000).map(Plan::of).collect();
    let mut active: BTreeMap<&str, u64> = BTreeMap::new();
    for plan in &plans {
        assert_eq!(plan.to_string().parse().as_ref(), Ok(plan));
        plan.active.iter().for_each(|point| *active.entry(point).or_insert(0) += 1);
    }
    assert_eq!(active.len(), every_point().len(), "{active:?}");
    assert!(active.values().all(|runs| (180..320).contains(runs)), "{active:?}");
    for wrong in ["points=bus.nothing", "restarts=crash:1", "restarts=slow:1:2", "jumps=1:x:2", "people"] {
        assert!(wrong.parse::<Plan>().is_err(), "{wrong}");
    }
}

/// Opens a world, and lets chance that comes from nowhere decide something in it.
async fn careless(world: World) -> World {
    let mut bytes = [0; 8];
    OsEntropy.fill(&mut bytes);
    world.trace.see(format!("something came of {bytes:?}"));
    world
}

#[test]
fn chance_that_does_not_come_from_the_seed_is_caught() {
    let failure = live_twice(1, &Plan::default(), &careless).expect_err("two runs cannot be equal");
    assert!(failure.why.starts_with("the runs part at"), "{failure}");
}

/// Fails when two of these meet; everything else in the plan is no matter.
async fn fragile(world: World) -> World {
    let plan = world.faults.plan().clone();
    let breaks = plan.active.contains("call.slow") && plan.active.contains("timer.late");
    assert!(!(breaks && plan.people(5) >= 2), "it breaks");
    world
}

#[test]
fn the_plan_of_a_run_that_fails_is_made_as_small_as_it_can_be() {
    let both = |plan: &Plan| plan.active.contains("call.slow") && plan.active.contains("timer.late");
    let seed = (1..).find(|seed| {
        let plan = Plan::of(*seed);
        both(&plan) && !plan.restarts.is_empty() && !plan.jumps.is_empty()
    });
    let seed = seed.unwrap();
    let plan = Plan::of(seed);
    let failure = live_twice(seed, &plan, &fragile).expect_err("it breaks");
    let (small, failure) = shrink(plan, failure, || false, |plan| live_twice(seed, plan, &fragile).err());
    assert!(failure.why.starts_with("it breaks"), "{failure}");
    let expected = "begins=1795132800000 points=call.slow,timer.late people=2";
    assert_eq!(small.to_string(), expected);
}

/// A task of the shop panics; nobody who stands in it notices.
async fn unnoticed(world: World) -> World {
    let dies = async { panic!("in a corner") };
    drop(world.shop.deps.tasks.spawn::<(), _>("test.dies", dies));
    world.pass(Duration::from_secs(1)).await;
    world
}

#[test]
fn a_panic_in_a_corner_is_a_failure_and_a_failing_seed_does_not_end_the_others() {
    let failure = live(1, &Plan::default(), &unnoticed).expect_err("it panicked");
    assert!(failure.why.starts_with("in a corner"), "{failure}");
    let campaign = Campaign {
        scenario: "test".to_owned(),
        first: 1,
        seeds: 4,
        jobs: 2,
        plan: Some(Plan { people_max: Some(1), ..Plan::default() }),
        hashes: false,
        shrink_for: Duration::from_secs(600),
    };
    let report = campaign.run(&async |world: World| {
        let seed = world.shop.deps.now();
        assert!(world.faults.plan().people_max.is_some() && seed.as_millis() > 0);
        assert_ne!(world.faults.seed(), 2, "the second is broken");
        world
    });
    assert_eq!(report.hashes.keys().copied().collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(report.failed.iter().map(|failed| failed.seed).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_seed_does_the_same_in_another_process() {
    let hashes = || {
        let mut run = Command::new(env!("CARGO_BIN_EXE_merx-simulation"));
        let out = run.args(["--scenario", "persistent", "--first", "1", "--seeds", "3", "--hashes"]).output();
        let out = String::from_utf8(out.unwrap().stdout).unwrap();
        let hashes: Vec<String> =
            out.lines().filter(|line| line.starts_with("HASH ")).map(str::to_owned).collect();
        assert_eq!(hashes.len(), 3, "{out}");
        let mut hashes = hashes;
        hashes.sort();
        hashes
    };
    assert_eq!(hashes(), hashes());
}

#[test]
fn whole_shops_come_to_rest_after_whatever_goes_wrong() {
    let first = merx_simulation::run::number("MERX_SIM_FIRST", 1);
    for seed in first..first + 6 {
        if let Err(failure) = live_twice(seed, &Plan::of(seed), &persistent) {
            panic!("SEED={seed} PLAN='{}'\n{failure}", Plan::of(seed));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_what_was_under_way_and_keeps_what_was_acknowledged() {
    let world = World::on(Ground::interleaved(1), Default::default(), |_| {}).await;
    let buyer = world.buyer().await;
    let kept = buyer.order(&[(TEA, 1)]).await;
    // What was bought leaves the cart.
    world.settle().await;
    buyer.fill(TEA, 1).await;
    let accepted = buyer.quote().await;
    // The process dies in the moment in which the second order is placed.
    let key = "the-second";
    let path = format!("{}/orders", buyer.checkout());
    let place = || buyer.api.post_as(key, &path, accepted.clone());
    let dies = async {
        tokio::task::yield_now().await;
        world.crash(Duration::from_secs(2)).await;
    };
    let (lost, ()) = join(place(), dies).await;
    assert!(lost.is_lost(), "{}", lost.text);
    assert_eq!(world.shop.count(), 2);
    // The same client, under the same key, before the new process: one order, whatever was committed before.
    let placed = place().await;
    assert!(placed.status.is_success(), "{}", placed.text);
    assert_eq!(place().await.text_at("/id"), placed.text_at("/id"));
    assert_eq!(buyer.listed().await, [placed.text_at("/id"), kept.id.clone()]);
    let acknowledged = world.door.acknowledged();
    assert!(acknowledged.iter().any(|order| order.to_string() == kept.id), "{acknowledged:?}");
    world.restart_in_order(Duration::from_secs(5)).await;
    assert_eq!(buyer.status(&kept).await, "awaiting_payment");
    // Nobody is there for a while.
    let (asked, ()) = join(
        async {
            world.pass(Duration::from_secs(1)).await;
            buyer.api.get("/v1/orders").await
        },
        world.crash(Duration::from_secs(10)),
    )
    .await;
    assert!(asked.is_lost());
    world.pass(Duration::from_secs(3_600)).await;
    assert_eq!(buyer.status(&kept).await, "cancelled");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_shops_clock_may_be_wrong_while_everybody_elses_goes_on() {
    let world = World::new().await;
    let (time, shop) = (world.time(), world.shop.deps.now());
    world.set_clock_off_by(-3_600_000);
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(world.time().since(time), Duration::from_secs(60));
    assert_eq!(shop.since(world.shop.deps.clock.now()), Duration::from_secs(3_540));
    world.set_clock_off_by(0);
    assert_eq!(world.shop.deps.now().since(shop), Duration::from_secs(60));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_acknowledged_and_is_gone_is_found_by_the_audit() {
    let world = World::new().await;
    let _ = world.buyer().await.order(&[(TEA, 1)]).await;
    let erase =
        |tx: &mut merx_sql::Tx<'_>| tx.execute("DELETE FROM ordering_orders", merx_sql::params![]).map(drop);
    world.shop.deps.db.write("test.gone", erase).await.unwrap();
    let mut audit = world.shop.audit(None, false);
    audit.acknowledged = world.door.acknowledged();
    let report = audit.run().await.unwrap().to_text();
    assert!(report.contains("was acknowledged and is not there"), "{report}");
    world.abandon().await;
}
