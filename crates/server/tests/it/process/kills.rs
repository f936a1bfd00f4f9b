//! SIGKILL at any moment loses nothing that was acknowledged, and whatever was begun is carried on by the next start
//! by itself (T2).

use std::{sync::Arc, time::Duration};

use merx_kernel::Clock as _;
use merx_platform::{
    tasks::Tasks,
    time::{OsEntropy, SystemClock},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    buyers::{Buyer, Known, Said, restock},
    harness::{SEED, Site, random, say, within},
};

const BUYERS: usize = 12;
/// The longest a shop lives, and in a long run.
const LIFE_MS_MAX: [u64; 2] = [1_200, 3_000];
/// One life in so many ends while the shop is still starting.
const STILLBORN: u64 = 8;
/// How long the last sagas may wait: for attempts that nobody can pay any more to run out.
const DRAINED_WITHIN: Duration = Duration::from_secs(180);

/// How many kills, and the longest life between two. `MERX_KILLS=200` is the long run.
fn size() -> (usize, u64) {
    match std::env::var("MERX_KILLS") {
        Ok(kills) => (kills.parse().expect("MERX_KILLS is a number"), LIFE_MS_MAX[1]),
        Err(_) => (15, LIFE_MS_MAX[0]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_killed_at_any_moment_keeps_what_it_promised() {
    let (kills, life_ms_max) = size();
    say(&format!("SEED={}", *SEED));
    let began = Instant::now();
    // Attempts run out fifteen seconds after their order, orders a minute later.
    let mut site = Site::new(&["--payment-deadline-s", "75"]);
    let guests = site.invite(BUYERS);
    site.start().await;
    restock(&site).await;

    let tasks = Tasks::new(Arc::new(SystemClock), Arc::new(OsEntropy));
    let stop = CancellationToken::new();
    let mut working = Vec::new();
    for guest in guests {
        let buyer = Buyer::arrive(&site, guest).await;
        working.push(tasks.spawn("buyer", buyer.shop_until(stop.clone())));
    }
    let mut restarts = Vec::new();
    for _ in 0..kills {
        SystemClock.sleep(Duration::from_millis(random(life_ms_max))).await;
        site.kill();
        if random(STILLBORN) == 0 {
            site.spawn();
            SystemClock.sleep(Duration::from_millis(random(300))).await;
            site.kill();
        }
        restarts.push(site.start().await);
    }
    stop.cancel();
    let load = began.elapsed();
    let mut orders = Vec::new();
    for buyer in working {
        orders.extend(buyer.await.expect("a buyer to the end").reckon().await);
    }
    site.succeed(&["audit"]);
    within(DRAINED_WITHIN, "a drained audit", || async {
        site.run(&["audit", "--drained"]).status.success().then_some(())
    })
    .await;
    // And from the file alone. At rest timers come due that nobody serves: that is no fault.
    site.stop().await;
    site.succeed(&["audit"]);
    site.assert_no_panic();
    report(kills, &orders, &mut restarts, load);
    assert!(orders.len() > kills, "too little happened to mean anything: {} orders", orders.len());
}

fn report(kills: usize, orders: &[Known], restarts: &mut [Duration], load: Duration) {
    restarts.sort();
    let at = |share: usize| restarts[(restarts.len() * share / 100).min(restarts.len() - 1)].as_millis();
    let count = |said: Said| orders.iter().filter(|o| o.said == said).count();
    say(&format!(
        "T2: {kills} kills, {} acknowledged orders ({} paid, {} cancelled, {} awaiting payment), 0 lost; restart to \
         ready p50 {} ms, p99 {} ms, longest {} ms; {} s under load",
        orders.len(),
        count(Said::Paid),
        count(Said::Cancelled),
        count(Said::Awaiting),
        at(50),
        at(99),
        at(100),
        load.as_secs()
    ));
}
