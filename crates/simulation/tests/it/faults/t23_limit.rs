//! T23: what one buyer may have of a thing at most, by orders that all come at once.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use merx_kernel::Role;
use merx_simulation::{
    dice::Dice,
    run::number,
    world::{Buyer, Order, World},
};

use super::{lived, proof, seeds_for};

const LIMITED: &str = "LIMITED-1";
/// What one buyer may have.
const LIMIT: i64 = 3;
/// Buyers of one world, and how often each accepts each of his quotes at once.
const EACH: u64 = 10;
const AT_ONCE: usize = 3;

#[test]
fn no_buyer_has_more_than_the_limit_however_many_orders_come_at_once() {
    let seeds = seeds_for(number("MERX_T23_LIMIT", 20), EACH);
    let first = seeds.start;
    let all = lived(seeds, |world| async {
        let tried = rush(&world).await;
        (world, tried)
    });
    let (tried, placed) = all.iter().fold((0, 0), |(tried, placed), came| (tried + came.0, placed + came.1));
    let buyers = all.len() as u64 * EACH;
    let case = "per-customer limit: orders of one buyer at once";
    let figure = format!(
        "{tried} orders of {buyers} buyers at once, {placed} placed: 0 buyers above {LIMIT}, none below what he may have left; \
         what is cancelled is given back"
    );
    proof("T23", case, tried, figure, first);
}

async fn rush(world: &World) -> (u64, u64) {
    world.sell_limited(LIMITED, 88_000, 100, 10_000, u32::try_from(LIMIT).ok()).await;
    let mut buyers = Vec::new();
    for (account, api) in world.accounts(Role::Customer, EACH as usize).await {
        buyers.push((Buyer::new(account, api).await, Dice::of(world)));
    }
    let all = join_all(buyers.iter().map(|(buyer, dice)| orders_at_once(buyer, dice))).await;
    world.settle().await;
    let of_each = "SELECT COALESCE(MAX(bought), 0) FROM ordering_purchases";
    assert!(world.count(of_each).await <= LIMIT);
    let bought = "SELECT COALESCE(SUM(l.quantity), 0) FROM ordering_lines l JOIN ordering_orders o
        ON o.order_id = l.order_id WHERE o.order_axis NOT IN ('rejected', 'cancelled')";
    assert_eq!(world.count(bought).await, world.count("SELECT SUM(bought) FROM ordering_purchases").await);
    for ((buyer, _), (_, orders)) in buyers.iter().zip(&all) {
        // All of it is given back, and can be bought again.
        for order in orders {
            buyer.cancel(order).await.expect(200);
        }
        world.settle().await;
        buyer.order(&[(LIMITED, LIMIT)]).await;
        world.settle().await;
        let more =
            buyer.api.put(&format!("/v1/cart/lines/{LIMITED}"), serde_json::json!({"quantity": 1})).await;
        if more.status == 204 {
            let quote = buyer.quote().await;
            buyer.place(&quote).await.expect_problem(409, "ordering.limit_exceeded");
        }
    }
    // Nobody pays.
    world.pass(std::time::Duration::from_secs(1_900)).await;
    let placed = all.iter().map(|(_, orders)| orders.len() as u64).sum();
    (all.iter().map(|(tried, _)| *tried).sum(), placed)
}

/// Two fillings of the cart, each accepted several times at once.
async fn orders_at_once(buyer: &Buyer, dice: &Dice) -> (u64, Vec<Order>) {
    buyer.fill(LIMITED, 1 + i64::from(dice.one_in(2))).await;
    let one = buyer.quote().await;
    buyer.fill(LIMITED, 2).await;
    let other = buyer.quote().await;
    let quotes = [&one, &other].into_iter().cycle().take(2 * AT_ONCE);
    let answers = join_all(quotes.map(|quote| buyer.place(quote))).await;
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let mut orders = Vec::new();
    for answer in &answers {
        match answer.status.as_u16() {
            201 => orders.push(Order::of(answer)),
            status => {
                assert!(status < 500, "{}", answer.text);
                *refused.entry(answer.code().to_owned()).or_default() += 1;
            }
        }
    }
    assert!(!orders.is_empty(), "somebody may have the first: {refused:?}");
    (answers.len() as u64, orders)
}
