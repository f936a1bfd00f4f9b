//! Stock on its way between warehouses.

use std::sync::Arc;

use libtest_mimic::Trial;
use merx_contracts::ids::{Sku, TransferId};
use merx_inventory::{
    commands::transfer_stock::transfer_stock,
    domain::{TransferCommand, transfer::TransferLine},
};
use merx_sql::params;

use crate::{
    bench::{Bench, MAIN, SOUTH, code, on_every_mode, rsv},
    decide::sku,
};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("transfers::sent_and_received_with_a_loss", sent_and_received_with_a_loss),
        on_every_mode("transfers::called_back", called_back),
        on_every_mode("transfers::what_is_refused", what_is_refused),
        on_every_mode("transfers::received_and_recalled_at_once", received_and_recalled_at_once),
        on_every_mode("transfers::the_auditor_sees_each_wrong", the_auditor_sees_each_wrong),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn send(wanted: &[(&str, i64)]) -> TransferCommand {
    let line = |(code, quantity): &(&str, i64)| TransferLine { sku: sku(code), quantity: *quantity };
    let lines = wanted.iter().map(line).collect();
    TransferCommand::Send { from: MAIN, to: SOUTH, lines, reason: "fair".to_owned() }
}

fn receive(arrived: Option<&[(&str, i64)]>, reason: Option<&str>) -> TransferCommand {
    let figures =
        |all: &[(&str, i64)]| -> Vec<(Sku, i64)> { all.iter().map(|(c, n)| (sku(c), *n)).collect() };
    TransferCommand::Receive { arrived: arrived.map(figures), reason: reason.map(str::to_owned) }
}

fn recall() -> TransferCommand {
    TransferCommand::Recall { reason: "wrong door".to_owned() }
}

async fn act(bench: &Bench, id: u128, command: TransferCommand) -> String {
    // Reservations of the tests have small numbers; no two aggregates share their bits.
    let (act, id) = (bench.staff(), TransferId::from_bits(2_000_000 + id));
    code(bench.db().write("test", move |tx| transfer_stock(tx, &act, id, &command).map(drop)).await)
}

/// (available, in transit, transferred, written off) in main and in south.
async fn books(bench: &Bench, code: &str) -> [(i64, i64, i64, i64); 2] {
    let levels = bench.levels().await;
    [MAIN, SOUTH].map(|warehouse| {
        let level = levels.get(&(sku(code), warehouse)).copied().unwrap_or_default();
        (level.available, level.in_transit, level.transferred, level.written_off)
    })
}

async fn sent_and_received_with_a_loss(bench: Arc<Bench>) {
    bench.open_warehouse(SOUTH, "south", 9).await;
    bench.receive("A", 10).await;
    bench.receive("B", 2).await;
    assert_eq!(act(&bench, 1, send(&[("A", 6), ("B", 2)])).await, "ok");
    assert_eq!(books(&bench, "A").await, [(4, 6, 0, 0), (0, 0, 0, 0)]);
    bench.check().await;
    // What is on the way is free for no order.
    assert_eq!(code(bench.reserve(1, &[("A", 5)]).await), "inventory.sold_out");
    assert_eq!(act(&bench, 1, receive(Some(&[("A", 5), ("B", 0)]), None)).await, "request.invalid", "why?");
    assert_eq!(act(&bench, 1, receive(Some(&[("A", 5)]), Some("lost"))).await, "request.invalid", "and B?");
    assert_eq!(act(&bench, 1, receive(Some(&[("A", 7), ("B", 2)]), None)).await, "request.invalid");
    assert_eq!(act(&bench, 1, receive(Some(&[("A", 5), ("B", 0)]), Some("fell off"))).await, "ok");
    assert_eq!(books(&bench, "A").await, [(4, 0, -5, 1), (5, 0, 5, 0)]);
    assert_eq!(books(&bench, "B").await, [(0, 0, 0, 2), (0, 0, 0, 0)]);
    for again in [receive(None, None), recall()] {
        assert_eq!(act(&bench, 1, again).await, "inventory.transfer_ended");
    }
    // 9 of A are left, in two places.
    bench.reserve(2, &[("A", 9)]).await.unwrap();
    let told = bench.facts("inventory.staff_acted.v1").await;
    let actions: Vec<&str> = told.iter().map(|t| t["action"].as_str().unwrap()).collect();
    assert!(actions.contains(&"inventory.transfer_sent") && actions.contains(&"inventory.transfer_received"));
}

async fn called_back(bench: Arc<Bench>) {
    bench.open_warehouse(SOUTH, "south", 9).await;
    bench.receive("A", 3).await;
    assert_eq!(act(&bench, 1, send(&[("A", 3)])).await, "ok");
    assert_eq!(act(&bench, 1, recall()).await, "ok");
    assert_eq!(books(&bench, "A").await, [(3, 0, 0, 0), (0, 0, 0, 0)]);
    assert_eq!(act(&bench, 1, recall()).await, "inventory.transfer_ended");
}

async fn what_is_refused(bench: Arc<Bench>) {
    bench.receive("A", 3).await;
    assert_eq!(act(&bench, 1, send(&[("A", 1)])).await, "inventory.warehouse_closed", "there is no south");
    bench.open_warehouse(SOUTH, "south", 9).await;
    bench.reserve(1, &[("A", 2)]).await.unwrap();
    assert_eq!(act(&bench, 1, send(&[("A", 2)])).await, "inventory.not_available");
    assert_eq!(act(&bench, 1, send(&[("ZZZ", 1)])).await, "inventory.not_available");
    let same = TransferCommand::Send { from: MAIN, to: MAIN, lines: Vec::new(), reason: "x".to_owned() };
    for bad in [same, send(&[]), send(&[("A", 0)]), send(&[("A", 1_000_001)]), send(&[("A", 1), ("A", 1)])] {
        assert_eq!(act(&bench, 1, bad).await, "request.invalid");
    }
    for unknown in [receive(None, None), recall()] {
        assert_eq!(act(&bench, 9, unknown).await, "inventory.transfer_not_found");
    }
    // The bits of a reservation are no transfer.
    let (staff, id, command) = (bench.staff(), rsv(1).cast(), recall());
    let recalled = bench.db().write("test", move |tx| transfer_stock(tx, &staff, id, &command).map(drop));
    assert_eq!(code(recalled.await), "inventory.transfer_not_found");
    assert_eq!(books(&bench, "A").await, [(1, 0, 0, 0), (0, 0, 0, 0)]);
}

/// One end for each transfer, whoever comes first.
async fn received_and_recalled_at_once(bench: Arc<Bench>) {
    bench.open_warehouse(SOUTH, "south", 9).await;
    bench.receive("A", 20).await;
    for id in 1..=10u128 {
        assert_eq!(act(&bench, id, send(&[("A", 2)])).await, "ok");
        let start = |command: TransferCommand| {
            let mine = bench.clone();
            bench.deps.tasks.spawn("test", async move { act(&mine, id, command).await })
        };
        let tasks =
            [start(receive(None, None)), start(recall()), start(receive(None, None)), start(recall())];
        let mut codes = Vec::new();
        for task in tasks {
            codes.push(task.await.unwrap());
        }
        assert_eq!(codes.iter().filter(|c| *c == "ok").count(), 1, "{codes:?}");
        assert_eq!(codes.iter().filter(|c| *c == "inventory.transfer_ended").count(), 3, "{codes:?}");
    }
    let [main, south] = books(&bench, "A").await;
    assert_eq!((main.0 + south.0, main.1), (20, 0));
}

/// What is done to the books, and what undoes it: each must be seen by A2.
const WRONGS: &[(&str, &str)] = &[
    (
        "UPDATE inventory_stock SET in_transit = in_transit + 1 WHERE in_transit > 0",
        "UPDATE inventory_stock SET in_transit = in_transit - 1 WHERE in_transit > 0",
    ),
    (
        "UPDATE inventory_stock SET returned = returned + 1, available = available + 1 WHERE returned > 0",
        "UPDATE inventory_stock SET returned = returned - 1, available = available - 1 WHERE returned > 0",
    ),
    (
        "UPDATE inventory_stock SET written_off = written_off - 1 WHERE written_off > 0",
        "UPDATE inventory_stock SET written_off = written_off + 1 WHERE sku = 'A' AND transferred < 0",
    ),
    (
        "UPDATE inventory_transfer_lines SET sent = sent + 1 WHERE arrived IS NULL",
        "UPDATE inventory_transfer_lines SET sent = sent - 1 WHERE arrived IS NULL",
    ),
    (
        "UPDATE inventory_movements SET quantity = quantity + 1 WHERE kind = 'arrived'",
        "UPDATE inventory_movements SET quantity = quantity - 1 WHERE kind = 'arrived'",
    ),
    (
        "UPDATE inventory_movements SET kind = 'found' WHERE kind = 'returned'",
        "UPDATE inventory_movements SET kind = 'returned' WHERE kind = 'found'",
    ),
];

async fn the_auditor_sees_each_wrong(bench: Arc<Bench>) {
    bench.open_warehouse(SOUTH, "south", 9).await;
    bench.receive("A", 10).await;
    assert_eq!(act(&bench, 1, send(&[("A", 3)])).await, "ok");
    assert_eq!(act(&bench, 1, receive(Some(&[("A", 2)]), Some("one fell off"))).await, "ok");
    assert_eq!(act(&bench, 2, send(&[("A", 1)])).await, "ok");
    bench.reserve(1, &[("A", 2)]).await.unwrap();
    bench.sell(1).await.unwrap();
    bench.take_back(1, 1, &[("A", 1)]).await.unwrap();
    for (wrong, undo) in WRONGS {
        for (sql, seen) in [(*wrong, true), (*undo, false)] {
            let change = move |tx: &mut merx_sql::Tx<'_>| tx.guarded(sql, params![]);
            assert!(bench.db().write("test", change).await.unwrap(), "{sql}");
            let audit = bench.db().read("test", merx_auditor::check_stock).await.unwrap();
            assert_eq!(!audit.violations.is_empty(), seen, "{sql}: {:?}", audit.violations);
        }
    }
}
