//! What comes back from sales.

use std::sync::Arc;

use libtest_mimic::Trial;
use merx_contracts::{
    common::v1::{SkuQuantity, TimelineRequest},
    ids::{OrderId, ReturnId},
    inventory::v1::{
        Allocation, ReserveRequest, SellRequest, TakeBackRequest, inventory_client::InventoryClient,
    },
};
use merx_platform::{Peer, rpc};

use crate::bench::{Bench, MAIN, SOUTH, code, on_every_mode, rsv};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode(
            "returns::goods_go_back_to_where_they_came_from",
            goods_go_back_to_where_they_came_from,
        ),
        on_every_mode("returns::a_return_that_overtakes_the_sale", a_return_that_overtakes_the_sale),
        on_every_mode("returns::many_returns_at_once_are_bounded", many_returns_at_once_are_bounded),
        on_every_mode("returns::asks_over_the_wire", asks_over_the_wire),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn goods_go_back_to_where_they_came_from(bench: Arc<Bench>) {
    bench.open_warehouse(SOUTH, "south", 9).await;
    bench.receive("A", 3).await;
    bench.receive_in(SOUTH, "A", 4).await.unwrap();
    bench.reserve(1, &[("A", 5)]).await.unwrap();
    bench.sell(1).await.unwrap();
    assert_eq!(bench.figures("A").await, (0, 0, 3));
    assert_eq!(bench.figures_in("A", SOUTH).await, (2, 0, 2));
    for _ in 0..2 {
        bench.take_back(1, 1, &[("A", 4)]).await.unwrap();
        assert_eq!(bench.figures("A").await, (3, 0, 3), "sold is what ever left");
        assert_eq!(bench.figures_in("A", SOUTH).await, (3, 0, 2));
    }
    assert_eq!(code(bench.take_back(1, 1, &[("A", 3)]).await), "inventory.return_differs");
    assert_eq!(code(bench.take_back(2, 1, &[("A", 2)]).await), "inventory.returned_too_much");
    assert_eq!(code(bench.take_back(2, 1, &[("B", 1)]).await), "inventory.returned_too_much");
    for _ in 0..2 {
        bench.take_back(3, 1, &[]).await.unwrap();
        assert_eq!(bench.figures_in("A", SOUTH).await, (4, 0, 2));
    }
    let returned: i64 = bench.levels().await.values().map(|level| level.returned).sum();
    assert_eq!(returned, 5);
    // What came back can be sold again; the first sale stays what it was.
    bench.reserve(2, &[("A", 7)]).await.unwrap();
    bench.sell(1).await.unwrap();
    assert_eq!(code(bench.release(1).await), "inventory.reservation_sold");
}

async fn a_return_that_overtakes_the_sale(bench: Arc<Bench>) {
    bench.receive("A", 5).await;
    bench.reserve(1, &[("A", 2)]).await.unwrap();
    for _ in 0..2 {
        bench.take_back(1, 1, &[]).await.unwrap();
        assert_eq!(bench.figures("A").await, (5, 0, 0));
    }
    assert_eq!(code(bench.sell(1).await), "inventory.reservation_released");
    bench.take_back(2, 2, &[]).await.unwrap();
    assert_eq!(code(bench.reserve(2, &[("A", 1)]).await), "inventory.reservation_released");
    assert_eq!(code(bench.take_back(3, 3, &[("A", 1)]).await), "inventory.returned_too_much");
    bench.reserve(3, &[("A", 1)]).await.unwrap();
}

/// The same return from all sides is one; different ones never bring back more than was sold.
async fn many_returns_at_once_are_bounded(bench: Arc<Bench>) {
    bench.receive("A", 10).await;
    bench.reserve(1, &[("A", 10)]).await.unwrap();
    bench.sell(1).await.unwrap();
    let start = |ret: u128| {
        let mine = bench.clone();
        bench.deps.tasks.spawn("test", async move { code(mine.take_back(ret, 1, &[("A", 3)]).await) })
    };
    let tasks: Vec<_> = (0..24).map(|n| start(n % 6)).collect();
    let mut codes = Vec::new();
    for task in tasks {
        codes.push(task.await.unwrap());
    }
    assert_eq!(codes.iter().filter(|c| *c == "ok").count(), 12, "three returns, four times each: {codes:?}");
    assert_eq!(codes.iter().filter(|c| *c == "inventory.returned_too_much").count(), 12, "{codes:?}");
    assert_eq!(bench.figures("A").await, (9, 0, 10));
}

/// Each call carried as bytes and carried out twice.
async fn asks_over_the_wire(bench: Arc<Bench>) {
    bench.open_warehouse(SOUTH, "south", 9).await;
    bench.receive("A", 2).await;
    bench.receive_in(SOUTH, "A", 2).await.unwrap();
    bench.receive_in(SOUTH, "B", 2).await.unwrap();
    let mut client = InventoryClient::new(Peer::loopback_twice(merx_inventory::service(&bench.state)));
    let line = |sku: &str, quantity| SkuQuantity { sku: sku.to_owned(), quantity };
    let reservation_id = rsv(1).to_string();
    let lines = vec![line("B", 1), line("A", 3)];
    rpc::ask(client.reserve(ReserveRequest { reservation_id: reservation_id.clone(), lines }).await).unwrap();
    let sold = rpc::ask(client.sell(SellRequest { reservation_id: reservation_id.clone() }).await).unwrap();
    let from = |warehouse_id: String, lines| Allocation { warehouse_id, lines };
    // South adds most; main has what is left of A.
    assert_eq!(
        sold.allocations,
        [
            from(MAIN.to_string(), vec![line("A", 2)]),
            from(SOUTH.to_string(), vec![line("A", 1), line("B", 1)])
        ]
    );
    let back = |lines, reason: &str| TakeBackRequest {
        return_id: ReturnId::from_bits(1).to_string(),
        reservation_id: reservation_id.clone(),
        lines,
        reason: reason.to_owned(),
        written_off: false,
    };
    rpc::ask(client.take_back(back(vec![line("A", 1)], "after_sale")).await).unwrap();
    assert_eq!(bench.figures("A").await, (1, 0, 2));
    // One more came and is broken: it stays sold, and everything that is still to come is one less.
    let broken = TakeBackRequest {
        return_id: ReturnId::from_bits(2).to_string(),
        written_off: true,
        ..back(vec![line("A", 1)], "after_sale")
    };
    rpc::ask(client.take_back(broken.clone()).await).unwrap();
    rpc::ask(client.take_back(broken.clone()).await).unwrap();
    assert_eq!(bench.figures("A").await, (1, 0, 2));
    let all = TakeBackRequest { lines: vec![], ..broken };
    assert!(rpc::ask(client.take_back(all).await).unwrap_err().is("request.invalid"));
    let rest =
        TakeBackRequest { return_id: ReturnId::from_bits(3).to_string(), ..back(vec![], "order_returned") };
    rpc::ask(client.take_back(rest).await).unwrap();
    assert_eq!(bench.figures("A").await, (1, 0, 2), "the broken one came from here, and is in no stock");
    for bad in [back(vec![line("A", 0)], "x"), back(vec![line("A", 1); 101], "x"), back(vec![], "")] {
        assert!(rpc::ask(client.take_back(bad).await).unwrap_err().is("request.invalid"));
    }
    let order: OrderId = rsv(1).cast();
    let timeline = TimelineRequest { order_id: order.to_string() };
    let told = rpc::ask(client.timeline(timeline).await).unwrap().entries;
    let names: Vec<&str> = told.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["StockReserved", "StockSold", "StockReturned", "StockWrittenOff", "StockReturned"]);
    assert_eq!(told[0].detail["lines"], "2 A (main), 1 A (south), 1 B (south)");
    assert_eq!(told[2].detail["reason"], "after_sale");
    assert!(told.iter().all(|e| e.kind == "event" && e.id.starts_with("rsv_")));
    let nothing = TimelineRequest { order_id: OrderId::from_bits(99).to_string() };
    assert_eq!(rpc::ask(client.timeline(nothing).await).unwrap().entries, []);
}
