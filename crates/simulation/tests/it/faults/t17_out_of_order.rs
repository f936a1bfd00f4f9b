//! T17: notifications that are late or out of order. Money that comes too late pays for its order if the goods are still
//! there; whatever money an order does not want goes back by itself.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use merx_alipay_sandbox::{EntryKind, Fault};
use merx_simulation::{
    run::number,
    world::{Told as _, World},
};

use super::{PLENTY, Waiting, lived, proof, seeds_for, spread, waiting};

/// Orders of one world that go one way.
const EACH_WAY: u64 = 3;
/// From when the shop can know of the money until it is back.
const BACK_WITHIN: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);

/// What became of one world: how long money stayed that was not wanted, the orders that kept theirs, and those that it
/// brought back to life.
#[derive(Default)]
struct Came {
    back: Vec<Duration>,
    kept: u64,
    revived: u64,
}

#[test]
fn money_that_comes_out_of_order_is_never_stranded() {
    let seeds = seeds_for(number("MERX_T17", 15), 5 * EACH_WAY);
    let first = seeds.start;
    let all = lived(seeds, |world| async {
        let came = every_way(&world).await;
        (world, came)
    });
    let back: Vec<Duration> = all.iter().flat_map(|came| came.back.clone()).collect();
    let kept: u64 = all.iter().map(|came| came.kept).sum();
    let revived: u64 = all.iter().map(|came| came.revived).sum();
    let (p99, last) = spread(&back, 99);
    assert!(last <= BACK_WITHIN, "the last after {last:?}");
    let case = "paid after cancel, paid after expiry, closed overtaken by paid, closed after paid, refund told before paid";
    let size = back.len() as u64 + kept + revived;
    let figure = format!(
        "0 stranded: {} refunded by themselves (p99 {p99:?}, last {last:?} of virtual time), {kept} kept their order, {revived} revived it",
        back.len()
    );
    proof("T17", case, size, figure, first);
}

async fn every_way(world: &World) -> Came {
    let mut all = waiting(world, 5 * EACH_WAY).await;
    let mut next = || all.split_off(all.len() - EACH_WAY as usize);
    let (cancelled, overtaken, refunded, closed, expired) = (next(), next(), next(), next(), next());
    let armed = u32::try_from(EACH_WAY).unwrap();

    join_all(cancelled.iter().map(|one| one.begin(world))).await;
    world.arm(Fault::PayAfterClose { after_ms: cancelled[0].dice.below(20_000) }, armed);
    cancel(world, &cancelled, 200).await;
    world.pass(MINUTE).await;

    // The news of the close waits until it was overtaken by the news of the money.
    join_all(overtaken.iter().map(|one| one.begin(world))).await;
    world.arm(Fault::PayAfterClose { after_ms: overtaken[0].dice.below(5_000) }, armed);
    world.arm(Fault::ReorderNotification, armed);
    cancel(world, &overtaken, 200).await;
    world.pass(MINUTE).await;

    // Alipay tells of the money when it is long back.
    let codes = join_all(refunded.iter().map(|one| one.begin(world))).await;
    world.arm(Fault::DelayNotification { delay_ms: 300_000 + refunded[0].dice.below(300_000) }, armed);
    for (_, code) in &codes {
        assert!(world.sandbox.pay(code).await.unwrap().now);
    }
    let mut begun = codes;
    world.pass(Duration::from_secs(1)).await;
    cancel(world, &refunded, 409).await;
    world.settle().await;
    cancel(world, &refunded, 200).await;

    let kept = closed_after_paid(world, &closed).await;
    let late = join_all(expired.iter().map(|one| one.begin(world))).await;
    world.pass(31 * MINUTE).await;
    // Of these nothing is left.
    let [available, ..] = world.stock(PLENTY).await;
    world.adjust(PLENTY, -available).await.expect(201);
    world.arm(Fault::PayAfterExpiry, armed);
    for ((_, code), one) in late.iter().zip(&expired) {
        assert_eq!(one.status().await, "cancelled");
        world.pass(one.dice.span(60_000)).await;
        assert!(world.sandbox.pay(code).await.unwrap().now);
    }
    begun.extend(late);
    world.pass(20 * MINUTE).await;
    world.settle().await;
    let revived: Vec<Waiting> = cancelled.into_iter().chain(overtaken).collect();
    for one in &revived {
        assert_eq!(one.status().await, "paid", "{}", one.order.id);
        assert_eq!(one.buyer.look(&one.order).await["amounts"]["paid"]["minor"], one.order.total_minor);
    }
    for one in [refunded, expired].iter().flatten() {
        assert_eq!(one.buyer.look(&one.order).await["amounts"]["paid"]["minor"], 0, "{}", one.order.id);
        assert_eq!(one.status().await, "cancelled");
    }
    let numbers = begun.into_iter().map(|(attempt, _)| attempt.number).collect();
    Came { back: went_back(world, numbers).await, kept, revived: revived.len() as u64 }
}

async fn cancel(world: &World, all: &[Waiting], status: u16) {
    let answers = join_all(all.iter().map(|one| one.buyer.cancel(&one.order))).await;
    for answer in answers {
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    }
    world.settle().await;
}

/// Validly signed, and overtaken by what Alipay itself says: an alert for a person, and the order goes its way.
async fn closed_after_paid(world: &World, all: &[Waiting]) -> u64 {
    for one in all {
        let (attempt, code) = one.begin(world).await;
        assert!(world.sandbox.pay(&code).await.unwrap().now);
        world.settle().await;
        let closed = [("trade_status".to_owned(), "TRADE_CLOSED".to_owned())];
        let reply = world.sandbox.send_forged(&attempt.number, &closed).await.told();
        assert!(!reply.is_success());
        world.settle().await;
        assert_eq!(one.status().await, "paid", "what was paid stays paid");
    }
    let alerts = world.alerts().await;
    assert_eq!(alerts.iter().filter(|kind| *kind == "payment_notification_quarantined").count(), all.len());
    all.len() as u64
}

/// How long the money of these attempts stayed, by Alipay's own ledger: from its coming, or the cancellation after it.
async fn went_back(world: &World, numbers: Vec<String>) -> Vec<Duration> {
    let mut sums: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for entry in world.ledger().await {
        sums.entry(entry.out_trade_no.clone()).or_default().push(entry);
    }
    let stayed = numbers.iter().map(|number| {
        let [paid, back] = sums[number].as_slice() else { panic!("{number}: {:?}", sums[number]) };
        assert_eq!((paid.kind, back.kind), (EntryKind::Capture, EntryKind::Refund));
        assert_eq!(paid.amount, back.amount, "all of it, once");
        back.at.since(paid.at)
    });
    stayed.collect()
}
