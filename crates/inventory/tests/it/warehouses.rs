//! Warehouses that open and close.

use std::sync::Arc;

use libtest_mimic::Trial;
use merx_contracts::ids::WarehouseId;
use merx_http::IfMatch;
use merx_inventory::{
    commands::{
        count_stock::{CountStep, count_stock},
        keep_warehouses::change_warehouse,
        transfer_stock::transfer_stock,
    },
    domain::{TransferCommand, transfer::TransferLine},
    queries, store,
};
use merx_kernel::Id;

use crate::{
    bench::{Bench, MAIN, SOUTH, code, on_every_mode},
    decide::sku,
};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("warehouses::only_an_empty_one_is_closed", only_an_empty_one_is_closed),
        on_every_mode("warehouses::what_comes_back_to_a_closed_one", what_comes_back_to_a_closed_one),
        on_every_mode("warehouses::closing_and_receiving_at_once", closing_and_receiving_at_once),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Opens or closes a warehouse as it is now.
async fn set_active(bench: &Bench, id: WarehouseId, active: bool) -> String {
    let found = bench.db().read("test", move |q| store::warehouse(q, id)).await.unwrap().unwrap();
    let (act, seen) = (bench.staff(), IfMatch(found.version));
    let wanted = store::Warehouse { active, ..found };
    let write = move |tx: &mut merx_sql::Tx<'_>| change_warehouse(tx, &act, &wanted, seen).map(drop);
    let done = code(bench.db().write("test", write).await);
    bench.state.read_warehouses().await.unwrap();
    done
}

async fn only_an_empty_one_is_closed(bench: Arc<Bench>) {
    bench.open_warehouse(SOUTH, "south", 9).await;
    bench.receive_in(SOUTH, "A", 2).await.unwrap();
    assert_eq!(set_active(&bench, SOUTH, false).await, "inventory.warehouse_in_use");
    bench.reserve(1, &[("A", 2)]).await.unwrap();
    assert_eq!(set_active(&bench, SOUTH, false).await, "inventory.warehouse_in_use", "2 are set aside");
    bench.sell(1).await.unwrap();
    let open = CountStep::Open { warehouse: SOUTH, skus: Vec::new(), reason: "x".to_owned() };
    for (step, then) in
        [(open, "inventory.warehouse_in_use"), (CountStep::Abandon { reason: "x".to_owned() }, "ok")]
    {
        let act = bench.staff();
        let count =
            move |tx: &mut merx_sql::Tx<'_>| count_stock(tx, &act, Id::from_bits(4_000_001), &step).map(drop);
        bench.db().write("test", count).await.unwrap();
        assert_eq!(set_active(&bench, SOUTH, false).await, then);
    }
    assert_eq!(code(bench.receive_in(SOUTH, "A", 1).await), "inventory.warehouse_closed");
    assert_eq!(set_active(&bench, SOUTH, true).await, "ok");
    // A transfer that is on the way keeps both ends open.
    bench.receive("B", 1).await;
    let lines = vec![TransferLine { sku: sku("B"), quantity: 1 }];
    let send = TransferCommand::Send { from: MAIN, to: SOUTH, lines, reason: "x".to_owned() };
    let act = bench.staff();
    let transfer =
        move |tx: &mut merx_sql::Tx<'_>| transfer_stock(tx, &act, Id::from_bits(2_000_001), &send).map(drop);
    bench.db().write("test", transfer).await.unwrap();
    for end in [MAIN, SOUTH] {
        assert_eq!(set_active(&bench, end, false).await, "inventory.warehouse_in_use");
    }
}

async fn what_comes_back_to_a_closed_one(bench: Arc<Bench>) {
    bench.open_warehouse(SOUTH, "south", 0).await;
    bench.receive_in(SOUTH, "A", 2).await.unwrap();
    bench.reserve(1, &[("A", 2)]).await.unwrap();
    bench.sell(1).await.unwrap();
    assert_eq!(set_active(&bench, SOUTH, false).await, "ok");
    bench.take_back(1, 1, &[]).await.unwrap();
    assert_eq!(bench.figures_in("A", SOUTH).await, (2, 0, 2), "it lies there");
    assert_eq!(queries::availability(&bench.state, vec![sku("A")]).await.unwrap(), [(sku("A"), 0)]);
    assert_eq!(code(bench.reserve(2, &[("A", 1)]).await), "inventory.sold_out", "and serves nobody");
    // It can be sent where it is of use.
    let lines = vec![TransferLine { sku: sku("A"), quantity: 2 }];
    let send = TransferCommand::Send { from: SOUTH, to: MAIN, lines, reason: "closed".to_owned() };
    for command in [send, TransferCommand::Receive { arrived: None, reason: None }] {
        let act = bench.staff();
        let transfer = move |tx: &mut merx_sql::Tx<'_>| {
            transfer_stock(tx, &act, Id::from_bits(2_000_001), &command).map(drop)
        };
        bench.db().write("test", transfer).await.unwrap();
    }
    bench.reserve(2, &[("A", 2)]).await.unwrap();
}

/// T25, write skew: a receipt and the close of its warehouse read what the other writes. Never both.
async fn closing_and_receiving_at_once(bench: Arc<Bench>) {
    for round in 0..20u128 {
        let id = WarehouseId::from_bits(100 + round);
        bench.open_warehouse(id, &format!("w{round}"), 50).await;
        let mine = bench.clone();
        let receive = bench.deps.tasks.spawn("test", async move { code(mine.receive_in(id, "A", 1).await) });
        let mine = bench.clone();
        let close = bench.deps.tasks.spawn("test", async move { set_active(&mine, id, false).await });
        let (received, closed) = (receive.await.unwrap(), close.await.unwrap());
        match (received.as_str(), closed.as_str()) {
            ("ok", "inventory.warehouse_in_use") => {
                assert_eq!(bench.figures_in("A", id).await, (1, 0, 0));
            }
            ("inventory.warehouse_closed", "ok") => {
                assert_eq!(bench.figures_in("A", id).await, (0, 0, 0));
            }
            other => panic!("{other:?}"),
        }
    }
}
