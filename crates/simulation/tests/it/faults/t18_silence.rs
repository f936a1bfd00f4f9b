//! T18: no notification arrives, ever. The shop asks, and finds every payment. The guard is `attempt-poller`.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use merx_kernel::Timestamp;
use merx_simulation::{run::number, world::World};

use super::{Waiting, booked, lived, proof, seeds_for, silence, spread, waiting};

/// Orders of one world.
const EACH: u64 = 10;
/// The latest that somebody pays: before the provider takes no more.
const PAYS_WITHIN_MS: u64 = 28 * 60_000;
const FOUND_WITHIN: Duration = Duration::from_secs(300);

#[test]
fn what_nobody_tells_of_is_found_within_five_minutes() {
    let seeds = seeds_for(number("MERX_T18", 20), EACH);
    let first = seeds.start;
    let all = lived(seeds, |world| async {
        let found = pay_unheard(&world).await;
        (world, found)
    });
    let found: Vec<Duration> = all.into_iter().flatten().collect();
    let (p50, last) = spread(&found, 50);
    assert!(last <= FOUND_WITHIN, "the last after {last:?}");
    let case = "the whole shop: every notification lost, pages and codes paid at any moment";
    let figure = format!("100 % found by query, p50 {p50:?}, last {last:?} of virtual time");
    proof("T18", case, found.len() as u64, figure, first);
}

async fn pay_unheard(world: &World) -> Vec<Duration> {
    let all = waiting(world, EACH).await;
    silence(world);
    let mut paid_at: BTreeMap<String, Timestamp> = BTreeMap::new();
    paid_at.extend(join_all(all.iter().map(|one| pays(world, one))).await);
    world.pass(FOUND_WITHIN).await;
    world.settle().await;
    assert!(world.line.notified().is_empty(), "nothing was told");
    for one in &all {
        assert_eq!(one.status().await, "paid", "{}", one.order.id);
    }
    let booked = booked(world).await;
    assert_eq!(booked.len(), all.len());
    booked.iter().map(|(number, at)| at.since(paid_at[number])).collect()
}

/// Pays at a moment of his own; answers the attempt's number, and when it was.
async fn pays(world: &World, one: &Waiting) -> (String, Timestamp) {
    let (number, code) = if one.dice.one_in(2) {
        let (attempt, code) = one.begin(world).await;
        (attempt.number, code)
    } else {
        let (attempt, code) = one.buyer.code(&one.order).await;
        let number = attempt["id"].as_str().unwrap().split_once('_').unwrap().1.to_owned();
        (number, code)
    };
    world.pass(one.dice.span(PAYS_WITHIN_MS)).await;
    assert!(world.sandbox.pay(&code).await.unwrap().now);
    (number, world.shop.deps.now())
}
