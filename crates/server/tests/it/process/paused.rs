//! A process that does not run for a while (SIGSTOP, SIGCONT) under load: its clients wait or give up, and nothing is
//! lost or done twice. Two coordinators and a lease that runs out meanwhile (T4) need leases, which are not there yet.

use std::{sync::Arc, time::Duration};

use merx_kernel::Clock as _;
use merx_platform::{
    tasks::Tasks,
    time::{OsEntropy, SystemClock},
};
use tokio_util::sync::CancellationToken;

use super::{
    buyers::{Buyer, Said, restock},
    harness::{SEED, Site, until, within},
    placed,
};

const BUYERS: usize = 12;
/// After so long a client of its own gives up on a request.
const CLIENT_WAITS: Duration = Duration::from_millis(500);
const DRAINED_WITHIN: Duration = Duration::from_secs(180);

/// For how long it is stopped: `MERX_PAUSE=30` is the full size.
fn seconds() -> u64 {
    std::env::var("MERX_PAUSE").map_or(2, |told| told.parse().expect("MERX_PAUSE is a number of seconds"))
}

/// Asks again and again with little patience, until told to stop; answers how many requests got no answer in time.
async fn impatient(url: String, stop: CancellationToken) -> usize {
    let client = reqwest::Client::builder().timeout(CLIENT_WAITS).build().expect("a client");
    let mut unanswered = 0;
    while !stop.is_cancelled() {
        match client.get(&url).send().await {
            Err(error) if error.is_timeout() => unanswered += 1,
            Err(error) => panic!("a stopped process refuses nobody: {error}"),
            Ok(_) => SystemClock.sleep(Duration::from_millis(10)).await,
        }
    }
    unanswered
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_stopped_under_load_goes_on_where_it_was() {
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
    let waiting = tasks.spawn("impatient", impatient(format!("{}/v1/products", site.api()), stop.clone()));
    until("forty orders", || async { (placed(&site).len() >= 40).then_some(()) }).await;
    site.signal("STOP");
    SystemClock.sleep(Duration::from_secs(seconds())).await;
    let before = placed(&site).len();
    site.signal("CONT");
    until("more orders", || async { (placed(&site).len() >= before + 40).then_some(()) }).await;
    stop.cancel();
    let unanswered = waiting.await.expect("to the end");
    let mut orders = Vec::new();
    for buyer in working {
        orders.extend(buyer.await.expect("a buyer to the end").reckon().await);
    }
    within(DRAINED_WITHIN, "a drained audit", || async {
        site.run(&["audit", "--drained"]).status.success().then_some(())
    })
    .await;
    // Whatever was sent again was done once.
    assert_eq!(placed(&site), orders.iter().map(|order| order.id.bits()).collect());
    site.stop().await;
    site.succeed(&["audit"]);
    site.assert_no_panic();
    assert!(unanswered > 0, "nobody noticed");
    println!(
        "PROOF | T4 | SQLite: the process stopped for {s} s under load (two coordinators: NOT RUN, no leases) | size={s} | \
         {unanswered} requests timed out at clients of {} ms, {} orders acknowledged, {} paid, 0 lost, 0 doubled, audit drained \
         and clean | seed={}",
        CLIENT_WAITS.as_millis(),
        orders.len(),
        orders.iter().filter(|order| order.said == Said::Paid).count(),
        *SEED,
        s = seconds(),
    );
}
