//! SIGKILL at any moment loses nothing that was acknowledged, and whatever was begun is carried on by the next start
//! by itself (T2).

use std::{
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering},
    time::Duration,
};

use merx_kernel::Clock as _;
use merx_platform::{
    tasks::Tasks,
    time::{OsEntropy, SystemClock},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    buyers::{Buyer, Known, Said, restock},
    databases::Engine,
    harness::{SEED, Site, random, say, within},
};

const BUYERS: usize = 12;
/// The longest a shop lives, and in a long run.
const LIFE_MS_MAX: [u64; 2] = [1_200, 3_000];
/// One life in so many ends while the shop is still starting.
const STILLBORN: u64 = 8;
/// How long the last sagas may wait: for attempts that nobody can pay any more to run out.
const DRAINED_WITHIN: Duration = Duration::from_secs(180);

/// How much of it.
struct Size {
    kills: usize,
    /// The shop is killed until so many orders were acknowledged, also more often.
    orders: usize,
    life_ms_max: u64,
}

impl Size {
    /// `MERX_T2=200` is the full size, with 20,000 orders; each kill comes with a hundred orders then, unless
    /// `MERX_T2_ORDERS` says how many there are at least in all.
    fn told() -> Self {
        let number = |name: &str| {
            let told = std::env::var(name).ok();
            told.map(|told| told.parse::<usize>().unwrap_or_else(|_| panic!("{name} is a number")))
        };
        match number("MERX_T2") {
            Some(kills) => {
                let orders = number("MERX_T2_ORDERS").unwrap_or(kills * 100);
                Self { kills, orders, life_ms_max: LIFE_MS_MAX[1] }
            }
            None => Self { kills: 12, orders: 0, life_ms_max: LIFE_MS_MAX[0] },
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_killed_at_any_moment_keeps_what_it_promised() {
    killed_at_any_moment(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_on_mariadb_killed_at_any_moment_keeps_what_it_promised() {
    killed_at_any_moment(Engine::MariaDb).await;
}

/// Kills and restarts the shop as often as the size says; answers how long each restart took to be ready.
async fn kill_again_and_again(site: &mut Site, size: &Size, acknowledged: &AtomicUsize) -> Vec<Duration> {
    let mut restarts = Vec::new();
    while restarts.len() < size.kills || acknowledged.load(Ordering::Relaxed) < size.orders {
        SystemClock.sleep(Duration::from_millis(random(size.life_ms_max))).await;
        site.kill();
        if random(STILLBORN) == 0 {
            site.spawn();
            SystemClock.sleep(Duration::from_millis(random(300))).await;
            site.kill();
        }
        restarts.push(site.start().await);
    }
    restarts
}

async fn killed_at_any_moment(engine: Engine) {
    if !engine.is_there() {
        return;
    }
    let size = Size::told();
    say(&format!("SEED={}", *SEED));
    let began = Instant::now();
    // Attempts run out fifteen seconds after their order, orders a minute later.
    let database = engine.fresh();
    let mut site = Site::new(&[&["--payment-deadline-s", "75"], &database.flags()[..]].concat());
    let guests = site.invite(BUYERS);
    site.start().await;
    restock(&site).await;

    let tasks = Tasks::new(Arc::new(SystemClock), Arc::new(OsEntropy));
    let (stop, acknowledged) = (CancellationToken::new(), Arc::default());
    let mut working = Vec::new();
    for guest in guests {
        let mut buyer = Buyer::arrive(&site, guest).await;
        buyer.acknowledged = Arc::clone(&acknowledged);
        working.push(tasks.spawn("buyer", buyer.shop_until(stop.clone())));
    }
    let mut restarts = kill_again_and_again(&mut site, &size, &acknowledged).await;
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
    report(engine, &orders, &mut restarts, load);
    assert!(orders.len() > restarts.len(), "too little happened to mean anything: {} orders", orders.len());
}

fn report(engine: Engine, orders: &[Known], restarts: &mut [Duration], load: Duration) {
    restarts.sort();
    let at = |share: usize| restarts[(restarts.len() * share / 100).min(restarts.len() - 1)].as_millis();
    let count = |said: Said| orders.iter().filter(|o| o.said == said).count();
    println!(
        "PROOF | T2 | {}: SIGKILL at random moments under load | size={} | {} acknowledged orders ({} paid, {} cancelled, {} \
         awaiting payment), 0 lost; restart to ready p50 {} ms, p99 {} ms, longest {} ms; {} s under load | seed={}",
        engine.name(),
        restarts.len(),
        orders.len(),
        count(Said::Paid),
        count(Said::Cancelled),
        count(Said::Awaiting),
        at(50),
        at(99),
        at(100),
        load.as_secs(),
        *SEED
    );
}
