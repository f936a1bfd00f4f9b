//! T14: the same notification a hundred times at once, of many orders at once. The guard is `capture-once`.

use futures_util::future::join_all;
use merx_simulation::{
    run::number,
    world::{Told as _, World},
};

use super::{PLENTY, lived, proof, seeds_for, silence, waiting};

/// How often each is told.
const COPIES: usize = 100;
/// Orders of one world.
const EACH: u64 = 4;

#[test]
fn a_notification_a_hundred_times_at_once_is_one_payment() {
    let seeds = seeds_for(number("MERX_T14", 8), EACH);
    let first = seeds.start;
    let paid: u64 = lived(seeds, |world| async {
        let paid = storm(&world).await;
        (world, paid)
    })
    .into_iter()
    .sum();
    let case = "the whole shop: each order's notification 100 × at once, all orders at once";
    let told = paid * COPIES as u64;
    proof("T14", case, told, format!("{paid} orders, {told} replies `success`, {paid} paid events"), first);
}

async fn storm(world: &World) -> u64 {
    let all = waiting(world, EACH).await;
    silence(world);
    let mut forms = Vec::new();
    for one in &all {
        let (attempt, code) = one.begin(world).await;
        world.sandbox.pay(&code).await.unwrap();
        let (_, form) = world.sandbox.forge(&attempt.number, &[]).await.told();
        forms.push(form);
    }
    let replies =
        join_all(forms.iter().flat_map(|form| (0..COPIES).map(|_| world.line.post(form.clone())))).await;
    let good = replies.iter().filter(|reply| reply.is_success()).count();
    assert_eq!(good, all.len() * COPIES, "every one is answered `success`: {replies:?}");
    world.settle().await;
    let captured = world.count("SELECT COUNT(*) FROM payment_events WHERE name = 'PaymentCaptured'").await;
    let told = world.count("SELECT COUNT(*) FROM payment_outbox WHERE type = 'payment.captured.v1'").await;
    let paid = world.count("SELECT COUNT(*) FROM ordering_events WHERE name = 'OrderPaid'").await;
    let orders = i64::try_from(all.len()).unwrap();
    assert_eq!([captured, told, paid], [orders; 3], "one of each for each order");
    for one in &all {
        assert_eq!(one.status().await, "paid");
    }
    let units = world.count("SELECT SUM(quantity) FROM ordering_lines").await;
    assert_eq!(world.stock(PLENTY).await[2], units, "sold once");
    u64::try_from(orders).unwrap()
}
