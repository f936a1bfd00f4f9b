//! The routes and the asks.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_contracts::{
    common::v1::SkuQuantity,
    inventory::v1::{
        AvailabilityRequest, ReleaseRequest, ReserveRequest, SellRequest, inventory_client::InventoryClient,
    },
};
use merx_http::Limits;
use merx_kernel::{ErrorKind, Result, Role};
use merx_platform::{Peer, rpc};
use serde_json::{Value, json};

use crate::{
    api::Api,
    bench::{Bench, NORTH, on_every_mode, rsv},
};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("routes::staff_receive_and_adjust", staff_receive_and_adjust),
        on_every_mode("routes::the_ledger_in_pages", the_ledger_in_pages),
        on_every_mode("routes::the_same_key_at_once", the_same_key_at_once),
        on_every_mode("routes::asks_over_the_wire", asks_over_the_wire),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn api(bench: &Bench) -> Api {
    Api::new(&bench.deps, merx_inventory::module(&bench.state, &Limits::default()).routes)
}

async fn staff_receive_and_adjust(bench: Arc<Bench>) {
    let api = api(&bench);
    let unknown = api.get(Role::Warehouse, "/v1/inventory/TEE-M").await;
    assert_eq!(unknown.problem(), (404, "inventory.sku_unknown"));
    let receipts = "/v1/inventory/TEE-M/receipts";
    let made =
        api.post(Role::Warehouse, receipts, "k1", json!({"quantity": 12, "reason": "first delivery"})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!((&made.body["quantity"], &made.body["stock"]["available"]), (&json!(12), &json!(12)));
    let again =
        api.post(Role::Warehouse, receipts, "k1", json!({"quantity": 12, "reason": "first delivery"})).await;
    assert_eq!((again.status.as_u16(), again.replayed, &again.body), (201, true, &made.body));
    let other = api.post(Role::Warehouse, receipts, "k1", json!({"quantity": 13})).await;
    assert_eq!(other.problem(), (422, "request.idempotency_key_reused"));

    bench.reserve(1, &[("TEE-M", 2)]).await.unwrap();
    let adjustments = "/v1/inventory/TEE-M/adjustments";
    let lost =
        api.post(Role::Operator, adjustments, "k2", json!({"delta": -4, "reason": "water damage"})).await;
    assert_eq!((lost.status.as_u16(), &lost.body["stock"]["available"]), (201, &json!(6)));
    let refused = api.post(Role::Operator, adjustments, "k3", json!({"delta": -7, "reason": "more"})).await;
    assert_eq!(refused.problem(), (409, "inventory.adjustment_too_large"));

    let stock = api.get(Role::ProductManager, "/v1/inventory/TEE-M").await.body;
    assert_eq!(stock["available"], 6);
    assert_eq!(stock["reserved"], 2);
    let main = &stock["warehouses"][0];
    let figures = ["warehouse_code", "received", "adjusted", "sold"].map(|name| main[name].clone());
    assert_eq!(figures, [json!("main"), json!(12), json!(-4), json!(0)]);

    for (body, code) in [
        (json!({"quantity": 0}), "request.invalid"),
        (json!({"quantity": 1_000_001}), "request.invalid"),
        (json!({"quantity": 1.5}), "request.invalid"),
        (json!({"quantity": 1, "colour": "red"}), "request.invalid"),
        (json!({"quantity": 1, "reason": "x".repeat(501)}), "request.invalid"),
        (json!({"quantity": 1, "warehouse_id": "moon"}), "request.invalid"),
        (json!({"quantity": 1, "warehouse_id": NORTH}), "inventory.warehouse_unknown"),
    ] {
        let bad = api.post(Role::Warehouse, receipts, "k9", body.clone()).await;
        assert_eq!(bad.problem(), (400, code), "{body}");
    }
    let bad = api.get(Role::Warehouse, "/v1/inventory/no%20code").await;
    assert_eq!(bad.problem(), (400, "request.invalid"));
    let who = api.post(Role::ProductManager, receipts, "k9", json!({"quantity": 1})).await;
    assert_eq!(who.status, 403);
    assert_eq!(api.get(Role::Customer, "/v1/inventory/TEE-M").await.status, 403);
}

async fn the_ledger_in_pages(bench: Arc<Bench>) {
    let api = api(&bench);
    let receipts = "/v1/inventory/A/receipts";
    api.post(Role::Warehouse, receipts, "k1", json!({"quantity": 9, "reason": "first"})).await;
    for id in 1..=3 {
        // Some in the same millisecond, some later: no line is lost or shown twice.
        bench.clock.advance(Duration::from_millis(u64::try_from(id % 2).unwrap()));
        bench.reserve(id, &[("A", 1)]).await.unwrap();
    }
    bench.release(1).await.unwrap();
    bench.sell(2).await.unwrap();
    let (mut seen, mut path) = (Vec::new(), "/v1/inventory/A/movements?limit=2".to_owned());
    loop {
        let page = api.get(Role::Warehouse, &path).await.body;
        seen.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/inventory/A/movements?limit=2&cursor={cursor}");
    }
    let mut kinds: Vec<&str> = seen.iter().map(|m| m["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["received", "released", "reserved", "reserved", "reserved", "sold"]);
    assert!(seen.is_sorted_by(|a, b| a["at"].as_str() >= b["at"].as_str()), "newest first");
    let received = seen.last().unwrap();
    assert_eq!((&received["kind"], &received["reason"]), (&json!("received"), &json!("first")));
    assert!(received["entry_id"].as_str().unwrap().starts_with("ste_"));
    assert!(received["account_id"].as_str().unwrap().starts_with("acc_"));
    let sold = seen.iter().find(|m| m["kind"] == "sold").unwrap();
    assert_eq!((&sold["reservation_id"], &sold["entry_id"]), (&json!(rsv(2).to_string()), &Value::Null));
    for bad in ["limit=0", "limit=101", "cursor=x", "cursor=1.2.3", "page=2"] {
        let reply = api.get(Role::Warehouse, &format!("/v1/inventory/A/movements?{bad}")).await;
        assert_eq!(reply.problem(), (400, "request.invalid"), "{bad}");
    }
    let nothing = api.get(Role::Warehouse, "/v1/inventory/ZZZ/movements").await;
    assert_eq!(nothing.problem(), (404, "inventory.sku_unknown"));
}

/// T20, the part of these routes: one key from many at once is one receipt.
async fn the_same_key_at_once(bench: Arc<Bench>) {
    let api = Arc::new(api(&bench));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let api = api.clone();
            bench.deps.tasks.spawn("test", async move {
                let path = "/v1/inventory/A/receipts";
                let reply = api.post(Role::Warehouse, path, "same", json!({"quantity": 3})).await;
                (reply.status.as_u16(), reply.body)
            })
        })
        .collect();
    let mut replies = Vec::new();
    for task in tasks {
        replies.push(task.await.unwrap());
    }
    assert!(replies.iter().all(|r| r.0 == 201 && *r == replies[0]), "{replies:?}");
    assert_eq!(bench.figures("A").await, (3, 0, 0));
}

/// Each call carried as bytes and carried out twice: what a retry after a lost answer does.
async fn asks_over_the_wire(bench: Arc<Bench>) {
    bench.receive("A", 5).await;
    let mut client = InventoryClient::new(Peer::loopback_twice(merx_inventory::service(&bench.state)));
    let line = |sku: &str, quantity| SkuQuantity { sku: sku.to_owned(), quantity };
    let order = |id: u128, lines| ReserveRequest { reservation_id: rsv(id).to_string(), lines };
    let kind = |result: Result<()>| result.map_err(|e| (e.kind(), e.code().to_owned()));
    let reserved = rpc::ask(client.reserve(order(1, vec![line("A", 4)])).await);
    assert_eq!(kind(reserved.map(drop)), Ok(()));
    let refused = rpc::ask(client.reserve(order(2, vec![line("A", 2)])).await).unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Rejected, "inventory.sold_out"));
    assert_eq!(refused.message(), "2 of A were asked for, 1 can be had.");
    let skus = vec!["A".to_owned(), "B".to_owned()];
    let had = rpc::ask(client.availability(AvailabilityRequest { skus }).await).unwrap();
    assert_eq!(had.available, [line("A", 1), line("B", 0)]);
    rpc::ask(client.sell(SellRequest { reservation_id: rsv(1).to_string() }).await).unwrap();
    rpc::ask(client.release(ReleaseRequest { reservation_id: rsv(2).to_string() }).await).unwrap();
    let late = rpc::ask(client.reserve(order(2, vec![line("A", 1)])).await).unwrap_err();
    assert_eq!((late.kind(), late.code()), (ErrorKind::Rejected, "inventory.reservation_released"));
    assert_eq!(bench.figures("A").await, (1, 0, 4));

    let invalid = Err((ErrorKind::Invalid, "request.invalid".to_owned()));
    for bad in [
        order(3, vec![]),
        order(3, vec![line("A", 0)]),
        order(3, vec![line("A", 10_000)]),
        order(3, vec![line("no code", 1)]),
        order(3, vec![line("A", 1); 101]),
        ReserveRequest { reservation_id: "ord_1".to_owned(), lines: vec![line("A", 1)] },
    ] {
        assert_eq!(kind(rpc::ask(client.reserve(bad).await).map(drop)), invalid);
    }
    let many = AvailabilityRequest { skus: vec!["A".to_owned(); 101] };
    assert_eq!(kind(rpc::ask(client.availability(many).await).map(drop)), invalid);
}
