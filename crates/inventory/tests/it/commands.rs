//! The commands on every mode of the database.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_inventory::{
    commands::{self, StockReceipt, enter_stock::enter},
    domain::{AdjustmentKind, StockCommand, stock::StockEntry},
    queries, store,
};
use merx_kernel::{Id, PageRequest};
use merx_sql::{Query as _, params};

use crate::{
    bench::{Bench, MAIN, NORTH, SOUTH, code, on_every_mode, rsv},
    decide::sku,
};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("commands::reserve_release_and_sell", reserve_release_and_sell),
        on_every_mode("commands::every_action_and_undo_twice", every_action_and_undo_twice),
        on_every_mode("commands::a_release_before_its_reserve_wins", a_release_before_its_reserve_wins),
        on_every_mode("commands::all_lines_or_nothing", all_lines_or_nothing),
        on_every_mode("commands::warehouses_serve_by_the_rule", warehouses_serve_by_the_rule),
        on_every_mode("commands::a_receipt_counts_once", a_receipt_counts_once),
        on_every_mode("commands::a_correction_spares_what_is_reserved", a_correction_spares_what_is_reserved),
        on_every_mode("commands::orphans_raise_one_alarm_each", orphans_raise_one_alarm_each),
        on_every_mode("commands::what_each_costs", what_each_costs),
        on_every_mode("commands::a_rebuild_gives_the_same_rows", a_rebuild_gives_the_same_rows),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn reserve_release_and_sell(bench: Arc<Bench>) {
    bench.receive("A", 10).await;
    bench.reserve(1, &[("A", 3)]).await.unwrap();
    assert_eq!(bench.figures("A").await, (7, 3, 0));
    bench.reserve(2, &[("A", 7)]).await.unwrap();
    let refused = bench.reserve(3, &[("A", 1)]).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        ("inventory.sold_out", "1 of A were asked for, 0 can be had.")
    );
    bench.release(1).await.unwrap();
    bench.sell(2).await.unwrap();
    assert_eq!(bench.figures("A").await, (3, 0, 7));
    // What was refused left nothing behind: the same identity may try again.
    bench.reserve(3, &[("A", 1)]).await.unwrap();
    assert_eq!(bench.figures("A").await, (2, 1, 7));
    assert_eq!(code(bench.sell(4).await), "inventory.reservation_unknown");
}

/// T3: each action and each undo twice leaves what once leaves.
async fn every_action_and_undo_twice(bench: Arc<Bench>) {
    bench.receive("A", 10).await;
    bench.receive("B", 10).await;
    for _ in 0..2 {
        bench.reserve(1, &[("A", 2), ("B", 3)]).await.unwrap();
        assert_eq!((bench.figures("A").await, bench.figures("B").await), ((8, 2, 0), (7, 3, 0)));
    }
    assert_eq!(code(bench.reserve(1, &[("A", 2)]).await), "inventory.reservation_differs");
    for _ in 0..2 {
        bench.release(1).await.unwrap();
        assert_eq!((bench.figures("A").await, bench.figures("B").await), ((10, 0, 0), (10, 0, 0)));
    }
    assert_eq!(code(bench.reserve(1, &[("A", 2), ("B", 3)]).await), "inventory.reservation_released");
    assert_eq!(code(bench.sell(1).await), "inventory.reservation_released");
    bench.reserve(2, &[("A", 4)]).await.unwrap();
    for _ in 0..2 {
        bench.sell(2).await.unwrap();
        assert_eq!(bench.figures("A").await, (6, 0, 4));
    }
    bench.reserve(2, &[("A", 4)]).await.unwrap();
    assert_eq!(code(bench.release(2).await), "inventory.reservation_sold");
    assert_eq!(bench.figures("A").await, (6, 0, 4));
}

/// T3: the undo that overtakes its action.
async fn a_release_before_its_reserve_wins(bench: Arc<Bench>) {
    bench.receive("A", 10).await;
    bench.release(1).await.unwrap();
    bench.release(1).await.unwrap();
    assert_eq!(code(bench.reserve(1, &[("A", 2)]).await), "inventory.reservation_released");
    assert_eq!(code(bench.sell(1).await), "inventory.reservation_released");
    assert_eq!(bench.figures("A").await, (10, 0, 0));
}

async fn all_lines_or_nothing(bench: Arc<Bench>) {
    bench.receive("A", 10).await;
    bench.receive("C", 1).await;
    let refused = bench.reserve(1, &[("A", 2), ("C", 2)]).await.unwrap_err();
    assert_eq!(refused.message(), "2 of C were asked for, 1 can be had.");
    assert_eq!(code(bench.reserve(2, &[("A", 2), ("ZZZ", 1)]).await), "inventory.sold_out");
    assert_eq!((bench.figures("A").await, bench.figures("C").await), ((10, 0, 0), (1, 0, 0)));
    // SKUs are told apart to the letter and the case, on every engine.
    assert_eq!(code(bench.reserve(3, &[("a", 1)]).await), "inventory.sold_out");
    // Two lines of one SKU are one line.
    bench.reserve(4, &[("A", 4), ("A", 6)]).await.unwrap();
    assert_eq!(bench.figures("A").await, (0, 10, 0));
}

async fn warehouses_serve_by_the_rule(bench: Arc<Bench>) {
    bench.open_warehouse(SOUTH, "south", 9).await;
    bench.open_warehouse(NORTH, "north", 5).await;
    for (warehouse, units) in [(MAIN, 2), (SOUTH, 9), (NORTH, 5)] {
        bench.receive_in(warehouse, "A", units).await.unwrap();
    }
    // 4: not in main (2), so from north (5), before south (9).
    bench.reserve(1, &[("A", 4)]).await.unwrap();
    assert_eq!(bench.figures_in("A", NORTH).await, (1, 4, 0));
    bench.reserve(2, &[("A", 2)]).await.unwrap();
    assert_eq!(bench.figures_in("A", MAIN).await, (0, 2, 0));
    let had = queries::availability(&bench.state, vec![sku("nope"), sku("A")]).await.unwrap();
    assert_eq!(had, [(sku("nope"), 0), (sku("A"), 10)]);
    // 10 are there over all: split, by priority. 11 are not.
    assert_eq!(
        bench.reserve(3, &[("A", 11)]).await.unwrap_err().message(),
        "11 of A were asked for, 10 can be had."
    );
    bench.reserve(3, &[("A", 10)]).await.unwrap();
    assert_eq!(bench.figures_in("A", NORTH).await, (0, 5, 0));
    assert_eq!(bench.figures_in("A", SOUTH).await, (0, 9, 0));
    bench.reserve(3, &[("A", 10)]).await.unwrap();
    let sold = commands::sell(&bench.state, rsv(3)).await.unwrap();
    let sold: Vec<_> = sold.iter().map(|line| (line.warehouse, line.quantity)).collect();
    assert_eq!(sold, [(NORTH, 1), (SOUTH, 9)]);
    bench.release(1).await.unwrap();
    bench.sell(2).await.unwrap();
    assert_eq!(bench.figures_in("A", NORTH).await, (4, 0, 1));
    assert_eq!(bench.figures_in("A", MAIN).await, (0, 0, 2));
    let by_warehouse = queries::stock(&bench.state, sku("A")).await.unwrap();
    assert_eq!(
        by_warehouse.iter().map(|(w, _)| w.code.as_str()).collect::<Vec<_>>(),
        ["main", "north", "south"]
    );
    // What was taken in the first warehouse before the plan changed is back there.
    for (warehouse, code) in [(MAIN, "X"), (SOUTH, "X"), (SOUTH, "Y")] {
        bench.receive_in(warehouse, code, 1).await.unwrap();
    }
    bench.reserve(4, &[("X", 1), ("Y", 1)]).await.unwrap();
    assert_eq!(bench.figures_in("X", MAIN).await, (1, 0, 0));
    assert_eq!(bench.figures_in("X", SOUTH).await, (0, 1, 0));
}

async fn a_receipt_counts_once(bench: Arc<Bench>) {
    let receipt = StockReceipt { entry: Id::from_bits(5), sku: sku("A"), quantity: 7, reason: None };
    for _ in 0..2 {
        commands::receive_stock(&bench.state, receipt.clone()).await.unwrap();
        assert_eq!(bench.figures("A").await, (7, 0, 0));
    }
    let bad = StockReceipt { entry: Id::from_bits(6), quantity: 0, ..receipt };
    assert_eq!(code(commands::receive_stock(&bench.state, bad).await), "request.invalid");
}

async fn a_correction_spares_what_is_reserved(bench: Arc<Bench>) {
    bench.receive("A", 5).await;
    bench.reserve(1, &[("A", 3)]).await.unwrap();
    let adjust = |id: u128, delta: i64| {
        let entry = StockEntry {
            entry: Id::from_bits(id),
            sku: sku("A"),
            warehouse: MAIN,
            quantity: delta,
            reason: Some("broken".to_owned()),
            by: None,
        };
        let (act, command) = (bench.staff(), StockCommand::Adjust(entry, AdjustmentKind::Correction));
        bench.db().write("test", move |tx| enter(tx, &act, &command))
    };
    assert_eq!(code(adjust(1, -3).await), "inventory.adjustment_too_large");
    assert_eq!(adjust(2, -2).await.unwrap().available, 0);
    // Again: it counted once, and is not refused for what it took itself.
    assert_eq!(adjust(2, -2).await.unwrap().available, 0);
    assert_eq!(adjust(3, 4).await.unwrap().available, 4);
    assert_eq!(bench.figures("A").await, (4, 3, 0));
}

async fn orphans_raise_one_alarm_each(bench: Arc<Bench>) {
    let limit = Duration::from_secs(3600);
    bench.receive("A", 9).await;
    bench.reserve(1, &[("A", 1)]).await.unwrap();
    bench.reserve(2, &[("A", 1)]).await.unwrap();
    bench.reserve(3, &[("A", 1)]).await.unwrap();
    bench.sell(2).await.unwrap();
    bench.release(3).await.unwrap();
    let watch = || commands::watch_orphans(&bench.state, limit);
    assert_eq!(watch().await.unwrap(), 0);
    bench.clock.advance(limit + Duration::from_millis(1));
    bench.reserve(4, &[("A", 1)]).await.unwrap();
    assert_eq!(watch().await.unwrap(), 1);
    assert_eq!(watch().await.unwrap(), 0, "one alarm each");
    assert_eq!(bench.deps.metrics.alerts("inventory_orphan"), 1);
    assert_eq!(bench.figures("A").await, (6, 2, 1), "nothing was let go");
    let open = || async {
        let (found, _) = queries::orphans(&bench.state, &PageRequest::default()).await.unwrap();
        let gauge = bench.deps.metrics.render().unwrap();
        let gauge = gauge.lines().find(|l| l.starts_with("merx_inventory_orphans_open ")).unwrap().to_owned();
        let held = found.iter().map(|(orphan, lines)| (orphan.reservation, lines.len())).collect::<Vec<_>>();
        (held, gauge)
    };
    assert_eq!(open().await, (vec![(rsv(1), 1)], "merx_inventory_orphans_open 1".to_owned()));
    bench.sell(1).await.unwrap();
    assert_eq!(open().await.0, [], "the list knows at once");
    assert_eq!(watch().await.unwrap(), 0);
    assert_eq!(watch().await.unwrap(), 0);
    assert_eq!(open().await.1, "merx_inventory_orphans_open 0");
    let ended = |q: &mut merx_sql::Reader<'_>| {
        let sql = "SELECT COUNT(*) FROM inventory_orphans WHERE ended_at IS NOT NULL";
        q.query_one(sql, params![], |row| row.get::<i64>(0))
    };
    assert_eq!(bench.db().read("test", ended).await.unwrap(), 1);
}

/// The budget: a fresh reservation takes at most 4 statements, and one more for each further line.
async fn what_each_costs(bench: Arc<Bench>) {
    for code in ["A", "B", "C"] {
        bench.receive(code, 9).await;
    }
    bench.reserve(9, &[("A", 1)]).await.unwrap();
    let before = bench.db().stats();
    bench.reserve(1, &[("A", 1)]).await.unwrap();
    let one = bench.db().stats().since(&before);
    bench.reserve(2, &[("A", 1), ("B", 1), ("C", 1)]).await.unwrap();
    let three = bench.db().stats().since(&before);
    assert_eq!((one.labels["inventory.reserve"].write_txs, one.labels.len()), (1, 1));
    assert_eq!(one.labels["inventory.reserve"].write_statements, 4);
    assert_eq!(three.labels["inventory.reserve"].write_statements, 4 + 6);
    bench.sell(1).await.unwrap();
    bench.release(2).await.unwrap();
    let all = bench.db().stats().since(&before);
    assert_eq!(all.labels["inventory.sell"].write_statements, 5);
    assert_eq!(all.labels["inventory.release"].write_statements, 7);
    // A threshold costs nothing while it is not crossed; the order that crosses it pays for telling.
    bench.set_threshold(MAIN, "A", 6).await;
    assert_eq!(cost(&bench, 3, &[("A", 1)]).await, 4, "8 to 7: not crossed");
    assert_eq!(cost(&bench, 4, &[("A", 2)]).await, 10, "7 to 5: crossed");
    assert_eq!(cost(&bench, 5, &[("A", 1)]).await, 4, "5 to 4: told before");
    // What the first warehouse does not have costs two more: a try in vain, and a look at the shelves.
    bench.open_warehouse(SOUTH, "south", 9).await;
    bench.receive_in(SOUTH, "A", 9).await.unwrap();
    assert_eq!(cost(&bench, 6, &[("A", 5)]).await, 6);
}

async fn cost(bench: &Bench, id: u128, wanted: &[(&str, i64)]) -> u64 {
    let before = bench.db().stats();
    bench.reserve(id, wanted).await.unwrap();
    bench.db().stats().since(&before).labels["inventory.reserve"].write_statements
}

async fn a_rebuild_gives_the_same_rows(bench: Arc<Bench>) {
    bench.receive("A", 5).await;
    bench.reserve(1, &[("A", 3)]).await.unwrap();
    bench.clock.advance(Duration::from_secs(1));
    bench.sell(1).await.unwrap();
    bench.release(2).await.unwrap();
    // On MySQL an event gets its position after the commit, and a rebuild reads by position.
    bench.check().await;
    let before = bench.levels().await;
    let rebuilt = merx_platform::projection::rebuild(bench.db(), &bench.store, merx_inventory::projection());
    assert_eq!(rebuilt.await.unwrap(), 4);
    assert_eq!(bench.levels().await, before);
    // A row that says something else is seen.
    let spoil =
        |tx: &mut merx_sql::Tx<'_>| tx.execute("UPDATE inventory_stock SET available = 99", params![]);
    bench.db().write("test", spoil).await.unwrap();
    assert!(!bench.compare().await[0].is_equal());
    let _ = merx_platform::projection::rebuild(bench.db(), &bench.store, merx_inventory::projection())
        .await
        .unwrap();
    let found = bench.db().read("test", |q| store::level(q, &sku("A"), MAIN)).await.unwrap().unwrap();
    assert_eq!(found.available, 2);
}
