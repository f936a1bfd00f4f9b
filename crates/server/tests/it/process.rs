//! The built binary: one purchase, restarts, an orderly stop, and kills.

pub mod buyers;
pub mod databases;
pub mod harness;
mod kills;
mod mariadb;
mod paused;

use std::{collections::BTreeSet, sync::Arc};

use merx_contracts::ids::OrderId;
use merx_platform::{
    tasks::Tasks,
    time::{OsEntropy, SystemClock},
};
use merx_server::client::text;
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::Instant};
use tokio_util::sync::CancellationToken;

use buyers::{Buyer, restock};
use harness::{Site, until};

/// The ledger is read beside a shop and at rest; a day is reconciled through the running one.
#[tokio::test(flavor = "multi_thread")]
async fn the_books_are_told_and_reconciled() {
    let mut site = Site::new(&[]);
    site.start().await;
    assert!(site.succeed(&["demo", "purchase"]).contains("Done."));
    let told = site.succeed(&["ledger", "trial-balance"]);
    assert!(told.contains("clearing:alipay") && told.contains("The books balance."), "{told}");
    let past = site.succeed(&["ledger", "trial-balance", "--as-of", "2020-01-01T00:00:00Z", "--json"]);
    let past: Value = serde_json::from_str(&past).expect("JSON");
    assert_eq!((&past["is_balanced"], &past["accounts"]), (&true.into(), &serde_json::json!([])));
    let told = site.succeed(&["reconcile", "--date", "2026-01-01"]);
    assert!(told.contains("The bill and the books agree."), "{told}");
    let tomorrow = site.run(&["reconcile", "--date", "2999-01-01"]);
    harness::refused(&tomorrow, 1, &["a day that is over"]);
    harness::refused(&site.run(&["ledger", "account", "pocket"]), 1, &["no such account"]);
    assert_eq!(site.run(&["reconcile", "--date", "yesterday"]).status.code(), Some(2));
    site.stop().await;
    let lines = site.succeed(&["ledger", "account", "clearing:alipay", "--csv"]);
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines.len() == 2 && lines[1].contains(",clearing:alipay,"), "{lines:?}");
    let one = site.succeed(&["ledger", "account", "revenue", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(one.trim()).expect("one line of JSON")["kind"], "sale");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_succeeds_before_and_after_a_restart() {
    let mut site = Site::new(&[]);
    site.start().await;
    let greeting = site.stdout();
    assert!(greeting.contains("Merx is open.") && greeting.contains(&site.api()), "{greeting}");
    for account in site.demo().accounts {
        assert!(greeting.contains(&account.password), "{greeting}");
    }
    let told = site.succeed(&["demo", "purchase"]);
    assert!(told.contains("12. The audit is clean"), "{told}");
    until("a drained shop", || async { site.run(&["audit", "--drained"]).status.success().then_some(()) })
        .await;
    site.stop().await;
    assert!(site.succeed(&["audit"]).contains("The books agree."));
    let before = site.succeed(&["events", "ordering"]);

    site.start().await;
    assert!(site.succeed(&["demo", "purchase"]).contains("Done."));
    site.stop().await;
    let after = site.succeed(&["events", "ordering"]);
    assert!(
        after.starts_with(&before) && after.len() > before.len(),
        "what happened stays, and more happened"
    );
    assert_eq!(site.stdout().matches("Merx is open.").count(), 2);
    assert_eq!(site.stderr(), "", "nothing to complain about");
}

/// The orders that were ever begun here.
pub fn placed(site: &Site) -> BTreeSet<u128> {
    let events = site.succeed(&["events", "ordering", "--limit", "100000", "--json"]);
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let placed = events.filter(|event| event["name"] == "OrderPlaced");
    placed.map(|event| stream_of(&text(&event, "/stream"))).collect()
}

fn stream_of(id: &str) -> u128 {
    let bare = id.rsplit('_').next().unwrap_or_default();
    OrderId::parse_bare(bare).expect("an id").bits()
}

/// What became of the orders somebody sent.
#[derive(Default)]
struct Sent {
    /// Those that were acknowledged, each with the moment.
    acknowledged: Vec<(u128, Instant)>,
    /// When those were sent that got no answer.
    unanswered: Vec<Instant>,
}

/// Places orders until nobody listens any more.
async fn place_until_closed(mut buyer: Buyer, closed: CancellationToken) -> Sent {
    let mut sent = Sent::default();
    loop {
        let checkout = tokio::select! {
            biased;
            () = closed.cancelled() => return sent,
            checkout = buyer.checkout() => checkout,
        };
        let Some((path, body)) = checkout else { continue };
        let began = Instant::now();
        match buyer.client.post(&path, &body).await {
            Ok(reply) if reply.status == 201 || reply.status == 202 => {
                sent.acknowledged.push((stream_of(&reply.text("/id")), Instant::now()));
            }
            Ok(reply) => assert!([409, 503].contains(&reply.status.as_u16()), "{reply:?}"),
            Err(_) => sent.unanswered.push(began),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_finishes_what_is_in_flight() {
    const BUYERS: usize = 12;
    let mut site = Site::new(&[]);
    let guests = site.invite(BUYERS);
    site.start().await;
    restock(&site).await;
    let tasks = Tasks::new(Arc::new(SystemClock), Arc::new(OsEntropy));
    let closed = CancellationToken::new();
    let mut working = Vec::new();
    for guest in guests {
        let buyer = Buyer::arrive(&site, guest).await;
        working.push(tasks.spawn("buyer", place_until_closed(buyer, closed.clone())));
    }
    until("forty orders", || async { (placed(&site).len() >= 40).then_some(()) }).await;
    let told = Instant::now();
    site.terminate();
    let status = site.ended().await;
    assert!(status.success(), "{status}: {}", site.stderr());
    closed.cancel();
    let (mut acknowledged, mut after) = (BTreeSet::new(), 0);
    for buyer in working {
        let sent = buyer.await.expect("a buyer to the end");
        assert!(
            sent.unanswered.iter().all(|began| *began > told),
            "a request sent before the signal has no answer"
        );
        after += sent.acknowledged.iter().filter(|(_, at)| *at > told).count();
        acknowledged.extend(sent.acknowledged.into_iter().map(|(order, _)| order));
    }
    // Each request that was begun was answered: what is in the books and what was acknowledged are the same.
    assert_eq!(placed(&site), acknowledged);
    assert!(after > 0, "nothing was in flight");
    site.succeed(&["audit"]);
    site.assert_no_panic();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_at_once() {
    let mut site = Site::new(&[]);
    site.start().await;
    let mut slow = TcpStream::connect(site.address()).await.expect("connected");
    slow.write_all(b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        .await
        .expect("sent");
    let metric = "merx_http_requests_in_flight 2";
    until("a request in flight", || async { site.metrics().await.contains(metric).then_some(()) }).await;
    site.terminate();
    until("nobody listens", || async { TcpStream::connect(site.address()).await.err() }).await;
    site.terminate();
    let status = site.ended().await;
    assert_eq!(status.code(), Some(1), "{}", site.stderr());
    assert!(site.stderr().contains("Stopped at once by a second signal"), "{}", site.stderr());
    site.start().await;
    site.stop().await;
    site.succeed(&["audit", "--drained"]);
}
