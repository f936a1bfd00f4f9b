//! Many at once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_contracts::ids::{Sku, WarehouseId};
use merx_inventory::domain::StockLevel;
use tokio::{
    sync::{Barrier, Semaphore},
    time::Instant,
};

use crate::bench::{Bench, MAIN, NORTH, SOUTH, code, on_every_mode};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("concurrency::a_thousand_for_a_hundred", a_thousand_for_a_hundred),
        on_every_mode("concurrency::the_last_unit_goes_once", the_last_unit_goes_once),
        on_every_mode(
            "concurrency::crossed_lines_do_not_wait_in_a_ring",
            crossed_lines_do_not_wait_in_a_ring,
        ),
        on_every_mode(
            "concurrency::nothing_is_refused_while_there_is_enough",
            nothing_is_refused_while_there_is_enough,
        ),
        on_every_mode("concurrency::one_reservation_from_all_sides", one_reservation_from_all_sides),
        on_every_mode("concurrency::receipts_and_orders_at_once", receipts_and_orders_at_once),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[derive(Clone, Debug)]
enum Work {
    Reserve(Vec<(&'static str, i64)>),
    Release,
    Sell,
    Receive(&'static str, i64),
}

/// All at once; their answers in the order given.
async fn at_once(bench: &Arc<Bench>, all: Vec<(u128, Work)>) -> Vec<String> {
    let start = |(id, work): (u128, Work)| {
        let mine = bench.clone();
        bench.deps.tasks.spawn("test", async move {
            match work {
                Work::Reserve(wanted) => code(mine.reserve(id, &wanted).await),
                Work::Release => code(mine.release(id).await),
                Work::Sell => code(mine.sell(id).await),
                Work::Receive(sku, units) => {
                    mine.receive(sku, units).await;
                    "ok".to_owned()
                }
            }
        })
    };
    let tasks: Vec<_> = all.into_iter().map(start).collect();
    let mut codes = Vec::new();
    for task in tasks {
        codes.push(task.await.unwrap());
    }
    codes
}

fn count(codes: &[String], code: &str) -> usize {
    codes.iter().filter(|c| *c == code).count()
}

/// How many of the buyers have a connection at once.
const CONNECTIONS: usize = 500;

/// Everybody wants one of A, each in a task of its own, [`CONNECTIONS`] of them at a time. Answers their codes in the
/// order given, and how long each waited for its answer.
async fn crowd(bench: &Arc<Bench>, first: u128, buyers: usize) -> (Vec<String>, Vec<Duration>) {
    let (gate, connections) = (Arc::new(Barrier::new(buyers)), Arc::new(Semaphore::new(CONNECTIONS)));
    let buy = |id: u128| {
        let (bench, gate, connections) = (bench.clone(), gate.clone(), connections.clone());
        bench.clone().deps.tasks.spawn("test", async move {
            gate.wait().await;
            let _connection = connections.acquire().await.unwrap();
            let began = Instant::now();
            (code(bench.reserve(id, &[("A", 1)]).await), began.elapsed())
        })
    };
    let tasks: Vec<_> = (first..).take(buyers).map(buy).collect();
    let (mut codes, mut took) = (Vec::new(), Vec::new());
    for task in tasks {
        let (code, waited) = task.await.unwrap();
        codes.push(code);
        took.push(waited);
    }
    (codes, took)
}

/// T22: `MERX_T22=10000` buyers at once for 100 units of one SKU; without it 1,000. The guard is `Guard::StockUpdate`.
async fn a_thousand_for_a_hundred(bench: Arc<Bench>) {
    let buyers: usize = crate::size("MERX_T22", 1_000);
    bench.receive("A", 100).await;
    let began = Instant::now();
    let (codes, mut took) = crowd(&bench, 1, buyers).await;
    let seconds = began.elapsed();
    let told = (count(&codes, "ok"), count(&codes, "inventory.sold_out"));
    assert_eq!(told, (100, buyers - 100), "{:?}", odd(&codes));
    assert_eq!(bench.figures("A").await, (0, 100, 0));
    // Half of the winners pay, half run out of time: exactly that many are back.
    let winners: Vec<u128> = (1..).zip(&codes).filter(|(_, c)| *c == "ok").map(|(id, _)| id).collect();
    let ends =
        winners.iter().zip(0..).map(|(id, n)| (*id, if n % 2 == 0 { Work::Sell } else { Work::Release }));
    assert_eq!(count(&at_once(&bench, ends.collect()).await, "ok"), 100);
    assert_eq!(bench.figures("A").await, (50, 0, 50));
    // None of them is lost: the next who come have all of them, and nobody more.
    let (codes, _) = crowd(&bench, 1 << 64, 100).await;
    assert_eq!((count(&codes, "ok"), count(&codes, "inventory.sold_out")), (50, 50), "{:?}", odd(&codes));
    let winners = ((1u128 << 64)..).zip(&codes).filter(|(_, c)| *c == "ok").map(|(id, _)| (id, Work::Sell));
    assert_eq!(count(&at_once(&bench, winners.collect()).await, "ok"), 50);
    assert_eq!(bench.figures("A").await, (0, 0, 100));
    took.sort_unstable();
    let at = |share: usize| took[(took.len() - 1) * share / 100].as_millis();
    println!(
        "PROOF | T22 | inventory, {}: {buyers} tasks over {CONNECTIONS} connections for 100 units | size={buyers} | 100 reserved, \
         {} sold out, 0 other answers, 0 oversold; the 50 not paid for were sold to others, 0 undersold; p50 {} ms, p99 {} ms, \
         {seconds:.1?} | seed=-",
        bench.engine(),
        buyers - 100,
        at(50),
        at(99),
    );
}

/// T25, lost updates: races of four for the last unit. The guard is `Guard::StockUpdate`.
async fn the_last_unit_goes_once(bench: Arc<Bench>) {
    let rounds: u128 = crate::size("MERX_T25", 100);
    for round in 1..=rounds {
        bench.receive("A", 1).await;
        let buyers = (0..4).map(|n| (round * 10 + n, Work::Reserve(vec![("A", 1)]))).collect();
        let codes = at_once(&bench, buyers).await;
        assert_eq!((count(&codes, "ok"), count(&codes, "inventory.sold_out")), (1, 3), "round {round}");
    }
    assert_eq!(bench.figures("A").await, (0, i64::try_from(rounds).unwrap(), 0));
    println!(
        "PROOF | T25 | lost update: four reserve the last unit, {} | size={rounds} | 0 lost of {rounds} races, one \
         reserved and three sold out in each | seed=-",
        bench.engine(),
    );
}

/// What was answered besides the expected, for the message of a failed test.
fn odd(codes: &[String]) -> Vec<&String> {
    codes.iter().filter(|c| !["ok", "inventory.sold_out"].contains(&c.as_str())).collect()
}

async fn crossed_lines_do_not_wait_in_a_ring(bench: Arc<Bench>) {
    bench.receive("A", 150).await;
    bench.receive("B", 150).await;
    let crossed = |id: u128| {
        let wanted = if id.is_multiple_of(2) { vec![("A", 1), ("B", 1)] } else { vec![("B", 1), ("A", 1)] };
        (id, Work::Reserve(wanted))
    };
    let codes = at_once(&bench, (1..=300).map(crossed).collect()).await;
    assert_eq!((count(&codes, "ok"), count(&codes, "inventory.sold_out")), (150, 150), "{:?}", odd(&codes));
    assert_eq!((bench.figures("A").await, bench.figures("B").await), ((0, 150, 0), (0, 150, 0)));
}

/// T22, over several warehouses: buyers who together want exactly what there is are all served, wherever it lies, and
/// the next one is not.
async fn nothing_is_refused_while_there_is_enough(bench: Arc<Bench>) {
    bench.open_warehouse(SOUTH, "south", 9).await;
    bench.open_warehouse(NORTH, "north", 5).await;
    for (warehouse, a, b) in [(MAIN, 37, 11), (NORTH, 23, 40), (SOUTH, 60, 9)] {
        bench.receive_in(warehouse, "A", a).await.unwrap();
        bench.receive_in(warehouse, "B", b).await.unwrap();
    }
    // 40 buyers of 3 A, 30 of them with 2 B: all of the 120 A and the 60 B there are.
    let buyers = (1..=40u128).map(|id| {
        let wanted = if id <= 30 { vec![("A", 3), ("B", 2)] } else { vec![("A", 3)] };
        (id, Work::Reserve(wanted))
    });
    let codes = at_once(&bench, buyers.collect()).await;
    assert_eq!(count(&codes, "ok"), 40, "{codes:?}");
    let levels = bench.levels().await;
    assert!(levels.values().all(|level| level.available == 0), "{levels:?}");
    let late = at_once(&bench, vec![(99, Work::Reserve(vec![("B", 1)]))]).await;
    assert_eq!(late, ["inventory.sold_out"]);
    let ends = (1..=40u128).map(|id| (id, if id % 2 == 0 { Work::Sell } else { Work::Release })).collect();
    assert_eq!(count(&at_once(&bench, ends).await, "ok"), 40);
    let sum = |figure: fn(&StockLevel) -> i64| -> Vec<i64> {
        ["A", "B"].iter().map(|code| levels_of(&levels, code).map(figure).sum()).collect()
    };
    assert_eq!(sum(|level| level.reserved), [120, 60]);
}

fn levels_of<'a>(
    levels: &'a BTreeMap<(Sku, WarehouseId), StockLevel>,
    code: &'a str,
) -> impl Iterator<Item = &'a StockLevel> {
    levels.iter().filter(move |((sku, _), _)| sku.as_str() == code).map(|(_, level)| level)
}

/// Every action on one identity from many tasks: whatever the order, one of the three ends, once.
async fn one_reservation_from_all_sides(bench: Arc<Bench>) {
    bench.receive("A", 1_000).await;
    for id in 1..=20u128 {
        let all = [Work::Reserve(vec![("A", 5)]), Work::Sell, Work::Release, Work::Reserve(vec![("A", 5)])];
        let work = all.iter().cycle().take(16).map(|w| (id, w.clone())).collect();
        let codes = at_once(&bench, work).await;
        let known = [
            "ok",
            "inventory.reservation_released",
            "inventory.reservation_sold",
            "inventory.reservation_unknown",
        ];
        assert!(codes.iter().all(|c| known.contains(&c.as_str())), "{codes:?}");
    }
    let (available, reserved, sold) = bench.figures("A").await;
    assert_eq!((available + sold, reserved), (1_000, 0));
    assert_eq!(sold % 5, 0);
}

async fn receipts_and_orders_at_once(bench: Arc<Bench>) {
    bench.receive("A", 1).await;
    let mut all: Vec<(u128, Work)> = (1..=40).map(|id| (id, Work::Receive("A", 2))).collect();
    all.extend((100..=180).map(|id| (id, Work::Reserve(vec![("A", 1)]))));
    let codes = at_once(&bench, all).await;
    let reserved = i64::try_from(count(&codes[40..], "ok")).unwrap();
    assert_eq!(
        reserved + i64::try_from(count(&codes, "inventory.sold_out")).unwrap(),
        81,
        "{:?}",
        odd(&codes)
    );
    assert_eq!(bench.figures("A").await, (81 - reserved, reserved, 0));
}
