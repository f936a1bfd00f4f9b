//! Thresholds, and who is told when.

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::bench::{Bench, MAIN, SOUTH, code, on_every_mode};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("low_stock::told_once_until_it_was_above", told_once_until_it_was_above),
        on_every_mode("low_stock::each_warehouse_has_its_own", each_warehouse_has_its_own),
        on_every_mode("low_stock::a_crowd_crosses_once", a_crowd_crosses_once),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn told(bench: &Bench) -> Vec<(i64, i64)> {
    let facts = bench.facts("inventory.stock_low.v1").await;
    let mut all: Vec<_> =
        facts.iter().map(|f| (f["available"].as_i64().unwrap(), f["threshold"].as_i64().unwrap())).collect();
    all.sort_unstable();
    all
}

async fn told_once_until_it_was_above(bench: Arc<Bench>) {
    bench.receive("A", 10).await;
    bench.set_threshold(MAIN, "A", 5).await;
    bench.reserve(1, &[("A", 5)]).await.unwrap();
    assert_eq!(told(&bench).await, [], "5 are not below 5");
    bench.reserve(2, &[("A", 2)]).await.unwrap();
    assert_eq!(told(&bench).await, [(3, 5)]);
    bench.reserve(3, &[("A", 1)]).await.unwrap();
    bench.sell(2).await.unwrap();
    assert_eq!(told(&bench).await, [(3, 5)], "once");
    bench.release(3).await.unwrap();
    bench.reserve(4, &[("A", 1)]).await.unwrap();
    assert_eq!(told(&bench).await, [(3, 5)], "it has not been above");
    bench.release(1).await.unwrap();
    bench.reserve(5, &[("A", 7)]).await.unwrap();
    assert_eq!(told(&bench).await, [(0, 5), (3, 5)]);
    // A refused order tells nobody of what it would have made low.
    bench.receive("A", 9).await;
    assert_eq!(code(bench.reserve(6, &[("A", 9), ("B", 1)]).await), "inventory.sold_out");
    assert_eq!(told(&bench).await.len(), 2);
    // A threshold that is too high already is told at once; one that is lowered or raised further is not.
    bench.set_threshold(MAIN, "A", 20).await;
    assert_eq!(told(&bench).await, [(0, 5), (3, 5), (9, 20)]);
    bench.set_threshold(MAIN, "A", 30).await;
    bench.set_threshold(MAIN, "A", 0).await;
    bench.reserve(7, &[("A", 9)]).await.unwrap();
    assert_eq!(told(&bench).await.len(), 3);
}

async fn each_warehouse_has_its_own(bench: Arc<Bench>) {
    bench.open_warehouse(SOUTH, "south", 9).await;
    bench.receive("A", 4).await;
    bench.receive_in(SOUTH, "A", 4).await.unwrap();
    bench.set_threshold(MAIN, "A", 2).await;
    bench.set_threshold(SOUTH, "A", 3).await;
    // 6 of 8: split, and low in both.
    bench.reserve(1, &[("A", 6)]).await.unwrap();
    assert_eq!(told(&bench).await, [(0, 2), (2, 3)]);
    bench.release(1).await.unwrap();
    // Crossed in the first warehouse alone.
    bench.reserve(2, &[("A", 3)]).await.unwrap();
    assert_eq!(told(&bench).await, [(0, 2), (1, 2), (2, 3)]);
    assert_eq!(bench.figures("A").await, (1, 3, 0));
    let facts = bench.facts("inventory.stock_low.v1").await;
    assert_eq!(facts.iter().filter(|f| f["warehouse_id"] == SOUTH.to_string()).count(), 1);
}

async fn a_crowd_crosses_once(bench: Arc<Bench>) {
    bench.receive("A", 100).await;
    bench.set_threshold(MAIN, "A", 50).await;
    let buy = |id: u128| {
        let mine = bench.clone();
        bench.deps.tasks.spawn("test", async move { code(mine.reserve(id, &[("A", 1)]).await) })
    };
    let tasks: Vec<_> = (1..=120).map(buy).collect();
    let mut sold = 0;
    for task in tasks {
        sold += usize::from(task.await.unwrap() == "ok");
    }
    assert_eq!(sold, 100);
    assert_eq!(told(&bench).await, [(49, 50)]);
}
