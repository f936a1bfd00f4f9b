//! T30, the simulated part: the clock of the shop jumps, and days on which calendars do what clocks do not.

use std::time::Duration;

use axum::{body::Body, http::Request};
use futures_util::future::join_all;
use merx_kernel::{Role, Timestamp};
use merx_server::shop::Topology;
use merx_simulation::{
    faults::Plan,
    run::number,
    world::{Ground, World},
};

use super::{Waiting, lived, lived_in, proof, seeds_for, t35_sessions::Session, waiting};

const MINUTE: Duration = Duration::from_secs(60);
/// How far a clock jumps, in milliseconds.
const JUMPS: &[i64] = &[-3_600_000, -600_000, 600_000];
/// Orders of one world that are paid, that nobody pays, and that are cancelled.
const EACH: u64 = 3;
/// The most by which a token may be believed before its time.
const LEEWAY_MAX_S: i64 = 60;

/// Half an hour before: the year ends in London, in Hangzhou; summer time begins and ends in Berlin, ends in New York.
const BEFORE: &[(&str, i64)] = &[
    ("year end UTC", 1_798_759_800_000),
    ("year end in China", 1_798_731_000_000),
    ("summer time begins in the EU", 1_806_195_600_000 - 1_800_000),
    ("summer time begins in the US", 1_805_007_600_000 - 1_800_000),
    ("summer time ends in the EU", 1_824_944_400_000 - 1_800_000),
];

#[test]
fn a_clock_that_jumps_strands_nothing() {
    let seeds = seeds_for(number("MERX_T30", 3), 1);
    let first = seeds.start;
    let worlds = seeds.end - seeds.start;
    let ends = lived(seeds, |world| async {
        let mut ended = 0;
        for by in JUMPS {
            ended += through_a_jump(&world, *by).await;
        }
        (world, ended)
    });
    let orders: u64 = ends.iter().sum();
    let case =
        "simulated: −1 h and ±10 min jumps, and back, while orders are placed, paid, cancelled and run out";
    let figure = format!(
        "{orders} of {orders} orders in their final state, 0 × 5xx, 0 negative durations, audits clean, {} jumps",
        worlds * JUMPS.len() as u64
    );
    proof("T30", case, orders, figure, first);
}

async fn through_a_jump(world: &World, by: i64) -> u64 {
    let mut all = waiting(world, 3 * EACH).await;
    let (cancelled, idle) = (all.split_off(2 * EACH as usize), all.split_off(EACH as usize));
    let codes = join_all(all.iter().map(|one| one.begin(world))).await;
    world.pass(5 * MINUTE).await;
    world.set_clock_off_by(by);
    for (_, code) in &codes {
        assert!(world.sandbox.pay(code).await.unwrap().now);
    }
    for one in &cancelled {
        let answer = one.buyer.cancel(&one.order).await;
        assert!(answer.status.as_u16() < 500, "{}", answer.text);
    }
    // Somebody begins while the clock is wrong, and ends when it is right.
    let late = waiting(world, 1).await.remove(0);
    world.pass(10 * MINUTE).await;
    assert_no_negative(world);
    world.set_clock_off_by(0);
    world.pass(100 * MINUTE).await;
    world.settle().await;
    assert_no_negative(world);
    let ended: [(&[Waiting], &str); 4] = [
        (&all, "paid"),
        (&idle, "cancelled"),
        (&cancelled, "cancelled"),
        (std::slice::from_ref(&late), "cancelled"),
    ];
    let mut count = 0;
    for (orders, status) in ended {
        for one in orders {
            assert_eq!(one.status().await, status, "{} after a jump by {by} ms", one.order.id);
            count += 1;
        }
    }
    count
}

/// Every duration, age and lag that is measured.
fn assert_no_negative(world: &World) {
    let metrics = world.shop.deps.metrics.render().unwrap();
    let timed = |line: &&str| ["_seconds", "_ms", "_age", "_lag"].iter().any(|part| line.contains(part));
    let mut seen = 0;
    for line in metrics.lines().filter(|line| !line.starts_with('#')).filter(timed) {
        let value = line.rsplit(' ').next().unwrap();
        assert!(!value.starts_with('-'), "{line}");
        seen += 1;
    }
    assert!(seen > 0, "nothing that is measured was found: {metrics}");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_believed_within_the_leeway_and_no_more() {
    let world = World::new().await;
    let (account, _) = world.account(Role::Customer).await;
    let token = Session::begin(&world, account).await.access;
    let asked = async |off_by_s: i64| {
        world.set_clock_off_by(1_000 * off_by_s);
        let request = Request::get("/v1/me").header("authorization", format!("Bearer {token}"));
        let answer = world.knock(request.body(Body::empty()).unwrap()).await.unwrap();
        world.set_clock_off_by(0);
        answer.status == 200
    };
    let mut leeway = 0;
    for seconds in 0..=2 * LEEWAY_MAX_S {
        if asked(-seconds).await {
            assert_eq!(leeway, (seconds - 1).max(0), "what is refused once is refused from then on");
            leeway = seconds;
        }
    }
    assert!((0..=LEEWAY_MAX_S).contains(&leeway), "{leeway} s");
    for (off_by, good) in
        [(599, true), (600, false), (660, false), (-600, false), (-3_600, false), (3_600, false)]
    {
        assert_eq!(asked(off_by).await, good, "off by {off_by} s");
    }
    let case = "simulated: access tokens before a clock that is behind or ahead";
    let figure =
        format!("leeway {leeway} s (at most {LEEWAY_MAX_S}); refused from its end on, to the second");
    proof("T30", case, 2 * u64::try_from(LEEWAY_MAX_S).unwrap() + 7, figure, "1");
    world.finish().await;
}

#[test]
fn deadlines_do_not_know_of_calendars() {
    let worlds = BEFORE.len() as u64;
    let make = |seed: u64| {
        let (_, begins) = BEFORE[usize::try_from(seed - 1).unwrap() % BEFORE.len()];
        let plan = Plan { begins: Timestamp::from_millis(begins), ..Plan::default() };
        World::on(Ground::planned(seed, plan), Topology::Local, |_| {})
    };
    let ended = lived_in(1..worlds + 1, make, |world| async {
        let all = waiting(&world, EACH).await;
        let mut ends = Vec::new();
        for one in &all {
            let seen = one.buyer.look(&one.order).await;
            let placed: Timestamp = serde_json::from_value(seen["created_at"].clone()).unwrap();
            let deadline: Timestamp = serde_json::from_value(seen["payment_deadline"].clone()).unwrap();
            assert_eq!(deadline.since(placed), 30 * MINUTE);
            ends.push(deadline);
        }
        world.pass(ends[0].since(world.time()) - Duration::from_millis(1)).await;
        assert_eq!(all[0].status().await, "awaiting_payment", "not a moment too early");
        world.pass(MINUTE).await;
        world.settle().await;
        for one in &all {
            assert_eq!(one.status().await, "cancelled");
        }
        (world, all.len() as u64)
    });
    let orders: u64 = ended.iter().sum();
    let names: Vec<&str> = BEFORE.iter().map(|(name, _)| *name).collect();
    let figure = format!("{orders} deadlines to the millisecond over {}", names.join(", "));
    proof("T30", "simulated: order deadlines over year ends and summer time", orders, figure, "1");
}
