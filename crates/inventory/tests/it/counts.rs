//! Stock counts.

use std::sync::Arc;

use libtest_mimic::Trial;
use merx_contracts::ids::StockCountId;
use merx_inventory::{
    commands::{
        count_stock::{CountStep, count_stock},
        enter_stock::enter,
    },
    domain::{AdjustmentKind, StockCommand, stock::StockEntry},
};

use crate::{
    bench::{Bench, MAIN, code, on_every_mode},
    decide::sku,
};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("counts::sales_meanwhile_are_not_lost", sales_meanwhile_are_not_lost),
        on_every_mode("counts::corrections_meanwhile_are_not_doubled", corrections_meanwhile_are_not_doubled),
        on_every_mode("counts::what_is_refused", what_is_refused),
        on_every_mode("counts::sales_all_the_while", sales_all_the_while),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn open(skus: &[&str]) -> CountStep {
    let skus = skus.iter().map(|code| sku(code)).collect();
    CountStep::Open { warehouse: MAIN, skus, reason: "end of the year".to_owned() }
}
fn found(code: &str, counted: i64) -> CountStep {
    CountStep::Enter { sku: sku(code), counted }
}
fn close() -> CountStep {
    CountStep::Close { reason: "counted twice".to_owned() }
}
fn abandon() -> CountStep {
    CountStep::Abandon { reason: "fire drill".to_owned() }
}

fn count_id(id: u128) -> StockCountId {
    StockCountId::from_bits(4_000_000 + id)
}

async fn step(bench: &Bench, id: u128, step: CountStep) -> String {
    // Reservations of the tests have small numbers; no two aggregates share their bits.
    let (act, id) = (bench.staff(), count_id(id));
    code(bench.db().write("test", move |tx| count_stock(tx, &act, id, &step).map(drop)).await)
}

async fn adjust(bench: &Bench, delta: i64) {
    let entry = StockEntry {
        entry: bench.deps.ids.next(),
        sku: sku("A"),
        warehouse: MAIN,
        quantity: delta,
        reason: Some("seen".to_owned()),
        by: None,
    };
    let (act, command) = (bench.staff(), StockCommand::Adjust(entry, AdjustmentKind::Correction));
    bench.db().write("test", move |tx| enter(tx, &act, &command)).await.unwrap();
}

async fn sales_meanwhile_are_not_lost(bench: Arc<Bench>) {
    bench.receive("A", 10).await;
    bench.receive("B", 4).await;
    bench.reserve(1, &[("A", 2)]).await.unwrap();
    assert_eq!(step(&bench, 1, open(&["A", "B"])).await, "ok");
    // On the shelf there are 9 of A: 8 available and 2 set aside by the books, so one is missing.
    assert_eq!(step(&bench, 1, found("A", 9)).await, "ok");
    bench.sell(1).await.unwrap();
    bench.reserve(2, &[("A", 3)]).await.unwrap();
    bench.receive("A", 5).await;
    assert_eq!(step(&bench, 1, close()).await, "inventory.count_incomplete", "B is not counted");
    assert_eq!(step(&bench, 1, found("B", 5)).await, "ok");
    assert_eq!(step(&bench, 1, found("B", 6)).await, "ok", "the second figure counts");
    assert_eq!(step(&bench, 1, close()).await, "ok");
    // 10 - 1 missing - 2 sold - 3 reserved + 5 received.
    assert_eq!(bench.figures("A").await, (9, 3, 2));
    assert_eq!(bench.figures("B").await, (6, 0, 0));
    for late in [close(), found("A", 1), abandon()] {
        assert_eq!(step(&bench, 1, late).await, "inventory.count_ended");
    }
    assert_eq!(bench.figures("A").await, (9, 3, 2));
}

async fn corrections_meanwhile_are_not_doubled(bench: Arc<Bench>) {
    bench.receive("A", 10).await;
    for id in [1, 2] {
        assert_eq!(step(&bench, id, open(&[])).await, "ok");
        assert_eq!(step(&bench, id, found("A", 7)).await, "ok");
    }
    adjust(&bench, -1).await;
    assert_eq!(step(&bench, 1, close()).await, "ok");
    assert_eq!(bench.figures("A").await, (7, 0, 0), "one of the three was corrected before");
    assert_eq!(step(&bench, 2, close()).await, "ok");
    assert_eq!(bench.figures("A").await, (7, 0, 0), "the other count found the same");
    // What was never there can be found.
    assert_eq!(step(&bench, 3, open(&["NEW"])).await, "ok");
    assert_eq!(step(&bench, 3, found("NEW", 2)).await, "ok");
    assert_eq!(step(&bench, 3, close()).await, "ok");
    assert_eq!(bench.figures("NEW").await, (2, 0, 0));
}

async fn what_is_refused(bench: Arc<Bench>) {
    bench.receive("A", 5).await;
    assert_eq!(step(&bench, 1, close()).await, "inventory.count_not_found");
    assert_eq!(step(&bench, 1, open(&["A"])).await, "ok");
    assert_eq!(step(&bench, 1, found("B", 1)).await, "request.invalid", "not part of it");
    for bad in [-1, 1_000_001] {
        assert_eq!(step(&bench, 1, found("A", bad)).await, "request.invalid");
    }
    assert_eq!(step(&bench, 1, found("A", 1)).await, "ok");
    bench.reserve(1, &[("A", 3)]).await.unwrap();
    // 4 are missing, 2 are available: what is set aside belongs to an order.
    assert_eq!(step(&bench, 1, close()).await, "inventory.adjustment_too_large");
    bench.release(1).await.unwrap();
    assert_eq!(step(&bench, 1, close()).await, "ok");
    assert_eq!(bench.figures("A").await, (1, 0, 0));
    assert_eq!(step(&bench, 2, open(&[])).await, "ok");
    assert_eq!(step(&bench, 2, close()).await, "inventory.count_incomplete", "nothing was counted");
    assert_eq!(step(&bench, 2, found("A", 0)).await, "ok");
    assert_eq!(step(&bench, 2, abandon()).await, "ok");
    assert_eq!(step(&bench, 2, close()).await, "inventory.count_ended");
    assert_eq!(bench.figures("A").await, (1, 0, 0));
}

/// A hundred sales run while one unit is found missing: each counts, and so does the missing one.
async fn sales_all_the_while(bench: Arc<Bench>) {
    bench.receive("A", 200).await;
    assert_eq!(step(&bench, 1, open(&["A"])).await, "ok");
    let sale = |id: u128| {
        let mine = bench.clone();
        bench.deps.tasks.spawn("test", async move {
            mine.reserve(id, &[("A", 1)]).await.unwrap();
            mine.sell(id).await.unwrap();
        })
    };
    let mut tasks: Vec<_> = (1..=50).map(sale).collect();
    // Whoever counts sees what the books see, less the one that is missing.
    let level = bench.levels().await[&(sku("A"), MAIN)];
    let before = level.on_hand();
    assert_eq!(step(&bench, 1, found("A", before - 1)).await, "ok");
    let entered = bench.db().read("test", |q| merx_inventory::store::count_lines(q, count_id(1)));
    let line = entered.await.unwrap().remove(0);
    let missing = line.expected.unwrap() - line.counted.unwrap();
    tasks.extend((51..=100).map(sale));
    assert_eq!(step(&bench, 1, close()).await, "ok");
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(bench.figures("A").await, (100 - missing, 0, 100));
}
