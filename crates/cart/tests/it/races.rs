//! What meets at the same moment: no line is lost, none is spoilt, nothing is refused that has place.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_cart::commands::sweep;
use merx_contracts::{
    Envelope,
    events::ordering::{Line, OrderAwaitingPayment},
    ids::{AccountId, Sku},
};
use merx_kernel::{Id, Quantity, Role};
use merx_sql::{Tx, params};

use crate::bench::{Bench, on_every_mode, while_open};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("races::the_first_lines_of_a_cart", the_first_lines_of_a_cart),
        on_every_mode("races::an_order_and_a_smaller_quantity", an_order_and_a_smaller_quantity),
        on_every_mode("races::a_sweep_and_a_new_quantity", a_sweep_and_a_new_quantity),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const BUYER: AccountId = Id::from_bits(11);

/// Windows of one buyer put the first lines of a cart in at once: there is place for all.
async fn the_first_lines_of_a_cart(bench: Arc<Bench>) {
    for id in 1..=20 {
        let buyer = bench.buyer(Id::from_bits(id), Role::Customer);
        let put = |sku: &'static str| {
            let buyer = buyer.clone();
            bench.deps.tasks.spawn("test", async move { drop(buyer.put(sku, 1).await.expect(204)) })
        };
        for window in ["TEA", "POT", "CUP", "TRAY"].map(put) {
            window.await.unwrap();
        }
    }
    assert_eq!(bench.rows().await, [80, 20, 0]);
    bench.check_counts().await;
}

/// An order takes three of five while another window says two: whichever comes first, no line is left without units,
/// which nobody could read.
async fn an_order_and_a_smaller_quantity(bench: Arc<Bench>) {
    let buyer = bench.buyer(BUYER, Role::Customer);
    let line = Line { sku: Sku::new("TEA").unwrap(), quantity: Quantity::new(3).unwrap() };
    for round in 1..=80 {
        buyer.fill(&[("TEA", 5)]).await;
        let ordered = OrderAwaitingPayment {
            order_id: Id::from_bits(round),
            account_id: BUYER,
            cart_id: BUYER.cast(),
            lines: vec![line.clone()],
        };
        let envelope = Envelope::new(bench.deps.ids.next(), bench.deps.now(), None, &ordered).unwrap();
        let (own, other) = (bench.clone(), bench.deps.db.clone());
        let order = bench.deps.tasks.spawn("order", async move { own.deliver(&envelope, 0).await });
        let window = bench.deps.tasks.spawn("window", async move {
            let sql = "UPDATE cart_lines SET quantity = 2 WHERE cart = ? AND sku = 'TEA'";
            other.write("window", move |tx| tx.execute(sql, params![BUYER])).await
        });
        order.await.unwrap().unwrap();
        window.await.unwrap().unwrap();
        let left = buyer.lines().await;
        assert!(left.iter().all(|(_, units)| *units == 2), "{left:?}");
        bench.check_counts().await;
    }
}

/// A cart is as young as its youngest line, and the line becomes young while the cart is being looked at.
async fn a_sweep_and_a_new_quantity(bench: Arc<Bench>) {
    let guest = bench.buyer(BUYER, Role::Guest);
    guest.fill(&[("CUP", 1), ("POT", 1), ("TEA", 1)]).await;
    bench.clock.advance(Duration::from_secs(31 * 86_400));
    let now = bench.deps.now();
    let more = move |tx: &mut Tx<'_>| {
        let sql = "UPDATE cart_lines SET quantity = 2, changed_at = ? WHERE cart = ? AND sku = 'POT'";
        tx.execute(sql, params![now, BUYER]).map(drop)
    };
    while_open(&bench, more, sweep(&bench.state)).await.1.unwrap();
    let lines = guest.lines().await;
    assert_eq!(lines, [("CUP", 1), ("POT", 2), ("TEA", 1)].map(|(sku, n)| (sku.to_owned(), n)));
    bench.check_counts().await;
}
