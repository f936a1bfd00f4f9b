//! The routes of warehouses, levels, transfers, counts, thresholds, orphans; and that staff's deeds are told.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_http::Limits;
use merx_inventory::commands;
use merx_kernel::Role;
use serde_json::{Value, json};

use crate::{
    api::Api,
    bench::{Bench, MAIN, SOUTH, on_every_mode, rsv},
};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("staff_routes::warehouses_are_kept", warehouses_are_kept),
        on_every_mode("staff_routes::levels_in_pages", levels_in_pages),
        on_every_mode("staff_routes::every_kind_of_adjustment", every_kind_of_adjustment),
        on_every_mode("staff_routes::thresholds_are_kept", thresholds_are_kept),
        on_every_mode("staff_routes::a_transfer_from_end_to_end", a_transfer_from_end_to_end),
        on_every_mode("staff_routes::a_count_from_end_to_end", a_count_from_end_to_end),
        on_every_mode("staff_routes::orphans_are_shown", orphans_are_shown),
        on_every_mode("staff_routes::a_level_as_of_then", a_level_as_of_then),
        on_every_mode("staff_routes::who_may", who_may),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const W: Role = Role::Warehouse;

fn api(bench: &Bench) -> Api {
    Api::new(&bench.deps, merx_inventory::module(&bench.state, &Limits::default()).routes)
}

fn column(page: &Value, name: &str) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
}

async fn warehouses_are_kept(bench: Arc<Bench>) {
    let api = api(&bench);
    let body = json!({"code": "north", "name": "North", "priority": 0});
    let made = api.post(W, "/v1/warehouses", "k1", body.clone()).await;
    assert_eq!((made.status.as_u16(), &made.body["active"]), (201, &json!(true)), "{}", made.body);
    let again = api.post(W, "/v1/warehouses", "k1", body.clone()).await;
    assert_eq!((again.replayed, &again.body), (true, &made.body));
    let taken = api.post(W, "/v1/warehouses", "k2", body).await;
    assert_eq!(taken.problem(), (409, "inventory.warehouse_code_taken"));
    assert_eq!(column(&api.get(W, "/v1/warehouses").await.body, "code"), ["north", "main"]);

    // The first by priority gets the receipt that names none, at once.
    let receipt = api.post(W, "/v1/inventory/A/receipts", "k3", json!({"quantity": 2})).await;
    assert_eq!(receipt.body["stock"]["warehouse_code"], "north");
    let place = format!("/v1/warehouses/{}", made.body["id"].as_str().unwrap());
    let seen = api.get(W, &place).await;
    assert_eq!(seen.etag, "\"1\"");
    let wanted = |active: bool| json!({"code": "north", "name": "North", "priority": 7, "active": active});
    assert_eq!(api.put(W, &place, "", wanted(true)).await.problem(), (428, "request.version_missing"));
    assert_eq!(
        api.put(W, &place, "\"1\"", wanted(false)).await.problem(),
        (409, "inventory.warehouse_in_use")
    );
    let changed = api.put(W, &place, "\"1\"", wanted(true)).await;
    assert_eq!((changed.status.as_u16(), changed.etag.as_str()), (200, "\"2\""), "{}", changed.body);
    assert_eq!(api.put(W, &place, "\"1\"", wanted(true)).await.problem(), (412, "request.version_stale"));
    let main_code = json!({"code": "main", "name": "North", "priority": 7, "active": true});
    assert_eq!(
        api.put(W, &place, "\"2\"", main_code).await.problem(),
        (409, "inventory.warehouse_code_taken")
    );
    let nowhere = format!("/v1/warehouses/{SOUTH}");
    assert_eq!(api.get(W, &nowhere).await.problem(), (404, "inventory.warehouse_not_found"));
    assert_eq!(
        api.put(W, &nowhere, "\"1\"", wanted(true)).await.problem(),
        (404, "inventory.warehouse_not_found")
    );
    for bad in [
        json!({"code": "", "name": "x", "priority": 1}),
        json!({"code": "x", "name": "x", "priority": -1}),
        json!({"code": "x", "name": "x", "priority": 1, "active": false}),
    ] {
        assert_eq!(api.post(W, "/v1/warehouses", "k9", bad).await.problem(), (400, "request.invalid"));
    }
    let told = bench.facts("inventory.staff_acted.v1").await;
    let mut actions: Vec<&str> = told.iter().map(|t| t["action"].as_str().unwrap()).collect();
    actions.sort_unstable();
    assert_eq!(
        actions,
        ["inventory.stock_received", "inventory.warehouse_changed", "inventory.warehouse_opened"]
    );
    assert!(told.iter().all(|t| t["actor"].as_str().unwrap().starts_with("acc_")));
}

async fn levels_in_pages(bench: Arc<Bench>) {
    let api = api(&bench);
    bench.open_warehouse(SOUTH, "south", 9).await;
    for (code, south) in [("TEE-L", 0), ("TEE-M", 3), ("TEE.X", 1), ("MUG", 2), ("tee", 1)] {
        bench.receive(code, 5).await;
        if south > 0 {
            bench.receive_in(SOUTH, code, south).await.unwrap();
        }
    }
    bench.set_threshold(SOUTH, "TEE-M", 4).await;
    let (mut seen, mut path) = (Vec::new(), "/v1/inventory?limit=2".to_owned());
    loop {
        let page = api.get(W, &path).await.body;
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|i| format!("{}/{}", i["sku"], i["warehouse_code"])),
        );
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/inventory?limit=2&cursor={cursor}");
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
    assert!(seen.is_sorted_by(|a, b| a < b), "by SKU and warehouse, each once: {seen:?}");
    let tee = api.get(W, "/v1/inventory?sku=TEE").await.body;
    assert_eq!(column(&tee, "sku"), ["TEE-L", "TEE-M", "TEE-M", "TEE.X", "TEE.X"]);
    let south = api.get(W, &format!("/v1/inventory?sku=TEE-&warehouse_id={SOUTH}")).await.body;
    assert_eq!(column(&south, "sku"), ["TEE-M"]);
    let low = api.get(W, "/v1/inventory?low=true").await.body;
    assert_eq!((column(&low, "sku"), &low["items"][0]["available"]), (vec!["TEE-M".to_owned()], &json!(3)));
    for bad in ["limit=0", "limit=101", "cursor=x", "sku=%25", "low=maybe", "warehouse_id=main", "x=1"] {
        let reply = api.get(W, &format!("/v1/inventory?{bad}")).await;
        assert_eq!(reply.problem(), (400, "request.invalid"), "{bad}");
    }
}

async fn every_kind_of_adjustment(bench: Arc<Bench>) {
    let api = api(&bench);
    bench.receive("A", 20).await;
    let path = "/v1/inventory/A/adjustments";
    let told = [
        ("correction", -1i64, "adjusted"),
        ("found", 2, "found"),
        ("damage", -3, "damaged"),
        ("theft", -4, "stolen"),
        ("write_off", -5, "written_off"),
    ];
    for (kind, delta, _) in told {
        let body = json!({"delta": delta, "kind": kind, "reason": format!("a {kind}"), "warehouse_id": MAIN});
        let made = api.post(W, path, kind, body).await;
        assert_eq!((made.status.as_u16(), &made.body["quantity"]), (201, &json!(delta)), "{}", made.body);
    }
    let stock = api.get(W, "/v1/inventory/A").await.body["warehouses"][0].clone();
    let figures = ["available", "adjusted", "written_off"].map(|name| stock[name].as_i64().unwrap());
    assert_eq!(figures, [9, 1, 12]);
    for (kind, delta, name) in told {
        let lines = api.get(W, &format!("/v1/inventory/A/movements?kind={name}")).await.body;
        let line = &lines["items"][0];
        let units = if name == "adjusted" { json!(delta) } else { json!(delta.abs()) };
        assert_eq!((&line["quantity"], &line["reason"]), (&units, &json!(format!("a {kind}"))));
    }
    for bad in [
        json!({"delta": 1, "kind": "damage", "reason": "x"}),
        json!({"delta": -1, "kind": "found", "reason": "x"}),
        json!({"delta": -1, "kind": "eaten", "reason": "x"}),
        json!({"delta": -1}),
        json!({"delta": -1, "reason": ""}),
    ] {
        assert_eq!(api.post(W, path, "bad", bad).await.problem(), (400, "request.invalid"));
    }
    let none = api.get(W, "/v1/inventory/A/movements?kind=sold").await;
    assert_eq!((none.status.as_u16(), &none.body["items"]), (200, &json!([])));
    let when = "since=2026-11-20T00:00:00Z&until=2026-11-20T00:00:01Z";
    let lines = api.get(W, &format!("/v1/inventory/A/movements?{when}&warehouse_id={MAIN}")).await.body;
    assert_eq!(lines["items"].as_array().map(Vec::len), Some(6));
    let later = api.get(W, "/v1/inventory/A/movements?since=2026-11-21T00:00:00Z").await.body;
    assert_eq!(later["items"], json!([]));
}

async fn thresholds_are_kept(bench: Arc<Bench>) {
    let api = api(&bench);
    let path = format!("/v1/inventory/A/thresholds/{MAIN}");
    let none = api.get(W, &path).await;
    assert_eq!((none.etag.as_str(), &none.body["threshold"]), ("\"0\"", &json!(0)));
    let set = api.put(W, &path, "\"0\"", json!({"threshold": 3})).await;
    assert_eq!((set.status.as_u16(), set.etag.as_str(), &set.body["low"]), (200, "\"1\"", &json!(true)));
    assert_eq!(
        api.put(W, &path, "\"0\"", json!({"threshold": 4})).await.problem(),
        (412, "request.version_stale")
    );
    for bad in [-1, 1_000_001] {
        let reply = api.put(W, &path, "\"1\"", json!({"threshold": bad})).await;
        assert_eq!(reply.problem(), (400, "request.invalid"));
    }
    let nowhere = format!("/v1/inventory/A/thresholds/{SOUTH}");
    assert_eq!(api.get(W, &nowhere).await.problem(), (404, "inventory.warehouse_not_found"));
    bench.receive("A", 5).await;
    let stock = api.get(W, "/v1/inventory/A").await.body;
    assert_eq!(
        (&stock["warehouses"][0]["threshold"], &stock["warehouses"][0]["low"]),
        (&json!(3), &json!(false))
    );
    assert_eq!(bench.facts("inventory.stock_low.v1").await.len(), 1, "0 were below 3");
    assert_eq!(bench.facts("inventory.staff_acted.v1").await[0]["detail"]["after"], 3);
}

async fn a_transfer_from_end_to_end(bench: Arc<Bench>) {
    let api = api(&bench);
    bench.open_warehouse(SOUTH, "south", 9).await;
    bench.receive("A", 9).await;
    let line = |quantity| json!([{"sku": "A", "quantity": quantity}]);
    let body = |quantity| json!({"from_warehouse_id": MAIN, "to_warehouse_id": SOUTH, "lines": line(quantity), "reason": "fair"});
    let sent = api.post(W, "/v1/transfers", "k1", body(4)).await;
    assert_eq!((sent.status.as_u16(), &sent.body["status"]), (201, &json!("sent")), "{}", sent.body);
    assert_eq!(api.post(W, "/v1/transfers", "k1", body(4)).await.body, sent.body);
    assert_eq!(bench.figures("A").await, (5, 0, 0), "one effect");
    assert_eq!(api.post(W, "/v1/transfers", "k2", body(6)).await.problem(), (409, "inventory.not_available"));
    assert_eq!(api.post(W, "/v1/transfers", "k3", body(0)).await.problem(), (400, "request.invalid"));
    let place = format!("/v1/transfers/{}", sent.body["id"].as_str().unwrap());
    let receipt = format!("{place}/receipt");
    let less = json!({"lines": line(3), "reason": "one fell off"});
    let got = api.post(W, &receipt, "k4", less.clone()).await;
    assert_eq!((got.status.as_u16(), &got.body["lines"][0]["arrived"]), (201, &json!(3)), "{}", got.body);
    assert_eq!(api.post(W, &receipt, "k4", less).await.body, got.body);
    assert_eq!(api.post(W, &receipt, "k5", json!({})).await.problem(), (409, "inventory.transfer_ended"));
    let again = api.post(W, "/v1/transfers", "k6", body(1)).await.body;
    let back = format!("/v1/transfers/{}/recall", again["id"].as_str().unwrap());
    assert_eq!(api.post(W, &back, "k7", json!({"reason": "no"})).await.body["status"], "recalled");
    let listed = api.get(W, "/v1/transfers").await.body;
    assert_eq!(column(&listed, "status"), ["recalled", "received"], "newest first");
    let page = api.get(W, "/v1/transfers?limit=1").await.body;
    let next = format!("/v1/transfers?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(column(&api.get(W, &next).await.body, "status"), ["received"]);
    let some = format!("/v1/transfers?status=received&warehouse_id={SOUTH}");
    assert_eq!(column(&api.get(W, &some).await.body, "id"), [sent.body["id"].as_str().unwrap()]);
    assert_eq!(api.get(W, &place).await.body, got.body);
    let unknown = "/v1/transfers/trf_00000000000000000000000009";
    assert_eq!(api.get(W, unknown).await.problem(), (404, "inventory.transfer_not_found"));
    let lost = api.get(W, "/v1/inventory/A/movements?kind=lost").await.body["items"][0].clone();
    assert_eq!((&lost["transfer_id"], &lost["reason"]), (&sent.body["id"], &json!("one fell off")));
}

async fn a_count_from_end_to_end(bench: Arc<Bench>) {
    let api = api(&bench);
    bench.receive("A", 9).await;
    let body = json!({"warehouse_id": MAIN, "skus": ["A"], "reason": "monthly"});
    let made = api.post(W, "/v1/stock-counts", "k1", body).await;
    assert_eq!((made.status.as_u16(), &made.body["status"]), (201, &json!("open")), "{}", made.body);
    let place = format!("/v1/stock-counts/{}", made.body["id"].as_str().unwrap());
    let (entries, closing) = (format!("{place}/entries"), format!("{place}/closing"));
    let early = api.post(W, &closing, "k2", json!({"reason": "done"})).await;
    assert_eq!(early.problem(), (409, "inventory.count_incomplete"));
    let figure = json!({"sku": "A", "counted": 7});
    let entered = api.post(W, &entries, "k3", figure.clone()).await;
    assert_eq!(entered.body["lines"][0]["expected"], 9, "{}", entered.body);
    // The same request later does not count anew.
    bench.reserve(1, &[("A", 2)]).await.unwrap();
    bench.sell(1).await.unwrap();
    assert_eq!(api.post(W, &entries, "k3", figure).await.body, entered.body);
    let closed = api.post(W, &closing, "k4", json!({"reason": "two are gone"})).await;
    assert_eq!(closed.body["lines"][0]["difference"], -2, "{}", closed.body);
    assert_eq!(bench.figures("A").await, (5, 0, 2));
    let late = api.post(W, &entries, "k5", json!({"sku": "A", "counted": 1})).await;
    assert_eq!(late.problem(), (409, "inventory.count_ended"));
    let other = api.post(W, "/v1/stock-counts", "k6", json!({"warehouse_id": MAIN, "reason": "x"})).await;
    let gone = format!("/v1/stock-counts/{}/abandonment", other.body["id"].as_str().unwrap());
    assert_eq!(api.post(W, &gone, "k7", json!({"reason": "rain"})).await.body["status"], "abandoned");
    let closed_ones = api.get(W, "/v1/stock-counts?status=closed").await.body;
    assert_eq!(column(&closed_ones, "id"), [made.body["id"].as_str().unwrap()]);
    assert_eq!(api.get(W, &place).await.body, closed.body);
    let unknown = "/v1/stock-counts/cnt_00000000000000000000000009";
    assert_eq!(api.get(W, unknown).await.problem(), (404, "inventory.count_not_found"));
    let counted = api.get(W, "/v1/inventory/A/movements?kind=counted").await.body["items"][0].clone();
    assert_eq!((&counted["stock_count_id"], &counted["quantity"]), (&made.body["id"], &json!(-2)));
}

async fn orphans_are_shown(bench: Arc<Bench>) {
    let api = api(&bench);
    bench.receive("A", 9).await;
    for id in 1..=3 {
        bench.reserve(id, &[("A", 1)]).await.unwrap();
    }
    bench.clock.advance(Duration::from_secs(3 * 3600));
    commands::watch_orphans(&bench.state, merx_inventory::ORPHAN_AFTER).await.unwrap();
    let page = api.get(W, "/v1/inventory/orphans?limit=2").await.body;
    assert_eq!(column(&page, "reservation_id"), [rsv(1).to_string(), rsv(2).to_string()]);
    assert_eq!(page["items"][0]["lines"], json!([{"sku": "A", "warehouse_id": MAIN, "quantity": 1}]));
    let next = format!("/v1/inventory/orphans?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(column(&api.get(W, &next).await.body, "reservation_id"), [rsv(3).to_string()]);
    bench.sell(1).await.unwrap();
    bench.release(2).await.unwrap();
    let left = api.get(W, "/v1/inventory/orphans").await.body;
    assert_eq!(column(&left, "reservation_id"), [rsv(3).to_string()]);
    assert_eq!(bench.figures("A").await, (7, 1, 1), "looking frees nothing");
}

async fn a_level_as_of_then(bench: Arc<Bench>) {
    let api = api(&bench);
    bench.receive("A", 9).await;
    bench.clock.advance(Duration::from_secs(60));
    bench.reserve(1, &[("A", 2)]).await.unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.sell(1).await.unwrap();
    bench.take_back(1, 1, &[("A", 1)]).await.unwrap();
    let at = |text: &'static str| {
        let path = format!("/v1/inventory/A?as_of={text}");
        let api = &api;
        async move {
            let stock = api.get(W, &path).await.body;
            ["available", "reserved", "sold", "returned"].map(|name| stock[name].as_i64().unwrap_or(-1))
        }
    };
    assert_eq!(at("2026-11-20T00:00:59Z").await, [9, 0, 0, 0]);
    assert_eq!(at("2026-11-20T00:01:00Z").await, [7, 2, 0, 0]);
    assert_eq!(at("2026-11-20T00:02:00Z").await, [8, 0, 2, 1]);
    let before = api.get(W, "/v1/inventory/A?as_of=2026-11-19T00:00:00Z").await;
    assert_eq!(before.problem(), (404, "inventory.sku_unknown"));
    assert_eq!(api.get(W, "/v1/inventory/A?as_of=then").await.problem(), (400, "request.invalid"));
}

/// Whoever may only read changes nothing, and customers see nothing.
async fn who_may(bench: Arc<Bench>) {
    let api = api(&bench);
    let reads =
        ["/v1/warehouses", "/v1/inventory", "/v1/inventory/orphans", "/v1/transfers", "/v1/stock-counts"];
    for path in reads {
        assert_eq!(api.get(Role::ProductManager, path).await.status, 200, "{path}");
        assert_eq!(api.get(Role::Customer, path).await.status, 403, "{path}");
    }
    let (trf, cnt) = ("trf_00000000000000000000000001", "cnt_00000000000000000000000001");
    for path in [
        "/v1/warehouses".to_owned(),
        "/v1/inventory/A/receipts".to_owned(),
        "/v1/inventory/A/adjustments".to_owned(),
        "/v1/transfers".to_owned(),
        format!("/v1/transfers/{trf}/receipt"),
        format!("/v1/transfers/{trf}/recall"),
        "/v1/stock-counts".to_owned(),
        format!("/v1/stock-counts/{cnt}/entries"),
        format!("/v1/stock-counts/{cnt}/closing"),
        format!("/v1/stock-counts/{cnt}/abandonment"),
    ] {
        for role in [Role::ProductManager, Role::Support, Role::Customer] {
            assert_eq!(api.post(role, &path, "k", json!({})).await.status, 403, "{path} {role:?}");
        }
    }
    for path in [format!("/v1/warehouses/{MAIN}"), format!("/v1/inventory/A/thresholds/{MAIN}")] {
        assert_eq!(api.put(Role::ProductManager, &path, "\"1\"", json!({})).await.status, 403, "{path}");
    }
}
