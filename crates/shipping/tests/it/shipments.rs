//! A shipment from open to delivered, by asks and routes.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_contracts::{
    accounts::v1::AddressReply,
    common::v1::{Money, SkuQuantity},
    events::{
        ordering::Line,
        shipping::{ShipmentDelivered, ShipmentDispatchedV2},
    },
    ids::{AccountId, AddressId, OrderId, ShipmentId, Sku, WarehouseId},
    shipping::v1::{OpenRequest, QuoteRequest},
};
use merx_kernel::{ErrorKind, Id, Quantity, Role};
use merx_platform::rpc;
use merx_shipping::queries;
use merx_sql::params;
use serde_json::{Value, json};

use crate::{
    api::STAFF,
    bench::{Bench, START, on_every_mode, on_old_tables},
};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("shipments::quotes_are_explained", quotes_are_explained),
        on_every_mode("shipments::open_is_once", open_is_once),
        on_every_mode("shipments::dispatched_and_delivered_once", dispatched_and_delivered_once),
        on_every_mode("shipments::the_same_dispatch_at_once", the_same_dispatch_at_once),
        on_every_mode("shipments::other_numbers_race", other_numbers_race),
        on_every_mode("shipments::lists_in_pages", lists_in_pages),
        on_old_tables("shipments::older_rows_go_on", older_rows_go_on),
        on_old_tables("shipments::a_broken_off_migration_goes_on", a_broken_off_migration_goes_on),
        on_every_mode("shipments::the_label_is_asked_each_time", the_label_is_asked_each_time),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub const ADDRESS: AddressId = Id::from_bits(77);
pub const BUYER: AccountId = Id::from_bits(9);

pub fn shipment(id: u128) -> ShipmentId {
    Id::from_bits(id)
}

pub fn request(id: u128) -> OpenRequest {
    let line = |sku: &str, quantity| SkuQuantity { sku: sku.to_owned(), quantity };
    OpenRequest {
        shipment_id: shipment(id).to_string(),
        order_id: OrderId::from_bits(id).to_string(),
        account_id: BUYER.to_string(),
        address_id: ADDRESS.to_string(),
        method: "standard".to_owned(),
        lines: vec![line("TEE-M", 1), line("MUG", 2), line("TEE-M", 1)],
        warehouse_id: String::new(),
        case_id: String::new(),
    }
}

pub async fn open(bench: &Bench, id: u128) {
    rpc::ask(bench.client().open(request(id)).await).unwrap();
}

pub fn path(id: u128, rest: &str) -> String {
    format!("/v1/shipments/{}{rest}", shipment(id))
}

async fn quotes_are_explained(bench: Arc<Bench>) {
    let quote = |region: &str, country: &str| QuoteRequest {
        country: country.to_owned(),
        region: region.to_owned(),
        weight_grams: 1_200,
        subtotal: Some(Money { minor: 5_000, currency: "CNY".to_owned() }),
    };
    let options = rpc::ask(bench.client().quote(quote("上海市", "CN")).await).unwrap().options;
    let seen: Vec<_> = options.iter().map(|o| (o.method.as_str(), o.fee.clone().unwrap().minor)).collect();
    assert_eq!(seen, [("standard", 1_000), ("express", 1_900)]);
    assert_eq!(options[0].label.clone().unwrap().zh, "普通快递");
    assert!(options[0].explanation.clone().unwrap().zh.starts_with("江浙沪皖:首重 1 公斤 ¥8.00"));
    let refused = rpc::ask(bench.client().quote(quote("Berlin", "DE")).await).unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Rejected, "shipping.destination_unserved"));
    let bare = QuoteRequest { subtotal: None, ..quote("上海", "CN") };
    assert_eq!(rpc::ask(bench.client().quote(bare).await).unwrap_err().kind(), ErrorKind::Invalid);
}

async fn open_is_once(bench: Arc<Bench>) {
    open(&bench, 1).await;
    let (record, _) = queries::shipment(&bench.state, shipment(1)).await.unwrap();
    let held: Vec<_> = record.lines.iter().map(|l| (l.sku.as_str(), l.quantity.get())).collect();
    assert_eq!((record.shipment.status.name(), held), ("open", vec![("MUG", 2), ("TEE-M", 2)]));
    bench.clock.advance(Duration::from_secs(1));
    open(&bench, 1).await;
    let mut fewer = request(1);
    fewer.lines.pop();
    let elsewhere = OpenRequest { address_id: AddressId::from_bits(78).to_string(), ..request(1) };
    let packed = |place: u128| OpenRequest {
        shipment_id: shipment(4).to_string(),
        warehouse_id: WarehouseId::from_bits(place).to_string(),
        ..request(4)
    };
    rpc::ask(bench.client().open(packed(3)).await).unwrap();
    for other in [fewer, elsewhere, packed(2), OpenRequest { warehouse_id: String::new(), ..packed(3) }] {
        let refused = rpc::ask(bench.client().open(other).await).unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (ErrorKind::Rejected, "shipping.shipment_differs"));
    }
    // An order may have several shipments.
    let second = OpenRequest { shipment_id: shipment(2).to_string(), ..request(1) };
    rpc::ask(bench.client().open(second).await).unwrap();
    assert_eq!(queries::of_order(&bench.state, Id::from_bits(1)).await.unwrap().len(), 2);
    for bad in [
        OpenRequest { lines: vec![], ..request(3) },
        OpenRequest { method: "pigeon".to_owned(), ..request(3) },
        OpenRequest { order_id: "1".to_owned(), ..request(3) },
        OpenRequest { warehouse_id: "1".to_owned(), ..request(3) },
        OpenRequest { lines: vec![SkuQuantity { sku: "A".to_owned(), quantity: 0 }], ..request(3) },
    ] {
        assert_eq!(rpc::ask(bench.client().open(bad).await).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

async fn dispatched_and_delivered_once(bench: Arc<Bench>) {
    let api = bench.api();
    open(&bench, 1).await;
    let early = api.post(Role::Warehouse, &path(1, "/delivery"), "k0", Value::Null).await;
    assert_eq!(early.problem(), (409, "shipping.not_dispatched"));
    let by = json!({"carrier": "SF", "tracking_number": "SF123"});
    let sent = api.post(Role::Warehouse, &path(1, "/dispatch"), "k1", by.clone()).await;
    assert_eq!(
        (sent.status.as_u16(), sent.body["status"].as_str()),
        (200, Some("dispatched")),
        "{}",
        sent.body
    );
    assert_eq!((&sent.body["carrier"], &sent.body["tracking_number"]), (&json!("SF"), &json!("SF123")));
    // The same key, and the same command under another key: the same answer, no second effect.
    let replay = api.post(Role::Warehouse, &path(1, "/dispatch"), "k1", by.clone()).await;
    assert_eq!((replay.replayed, &replay.body), (true, &sent.body));
    bench.clock.advance(Duration::from_secs(60));
    let again = api.post(Role::Warehouse, &path(1, "/dispatch"), "k2", by).await;
    assert_eq!((again.status.as_u16(), &again.body), (200, &sent.body));
    let other = json!({"carrier": "SF", "tracking_number": "SF124"});
    let refused = api.post(Role::Warehouse, &path(1, "/dispatch"), "k3", other).await;
    assert_eq!(refused.problem(), (409, "shipping.already_dispatched"));

    let delivered = api.post(Role::Warehouse, &path(1, "/delivery"), "k4", Value::Null).await;
    assert_eq!((delivered.status.as_u16(), delivered.body["status"].as_str()), (200, Some("delivered")));
    let again = api.post(Role::Warehouse, &path(1, "/delivery"), "k5", Value::Null).await;
    assert_eq!(again.body, delivered.body);

    let facts = bench.own_facts().await;
    assert_eq!(facts.len(), 2);
    let shipped: ShipmentDispatchedV2 = facts[0].fact().unwrap();
    let line = |sku: &str, n| Line { sku: Sku::new(sku).unwrap(), quantity: Quantity::new(n).unwrap() };
    let expected = ShipmentDispatchedV2 {
        shipment_id: shipment(1),
        order_id: Id::from_bits(1),
        case_id: None,
        carrier: "SF".to_owned(),
        tracking_number: "SF123".to_owned(),
        lines: vec![line("MUG", 2), line("TEE-M", 2)],
    };
    assert_eq!(shipped, expected);
    let handed: ShipmentDelivered = facts[1].fact().unwrap();
    assert_eq!(
        handed,
        ShipmentDelivered { shipment_id: shipment(1), order_id: Id::from_bits(1), case_id: None }
    );
    let told: Vec<_> = bench.told().await.into_iter().map(|t| (t.actor, t.action, t.object)).collect();
    let by_staff = |action: &str| (STAFF, action.to_owned(), shipment(1).to_string());
    assert_eq!(told, [by_staff("shipping.dispatched"), by_staff("shipping.tracked")]);

    for (path, body, problem) in [
        (
            path(9, "/dispatch"),
            json!({"carrier": "SF", "tracking_number": "1"}),
            (404, "shipping.shipment_not_found"),
        ),
        (path(1, "/dispatch"), json!({"carrier": "", "tracking_number": "1"}), (400, "request.invalid")),
        (path(1, "/dispatch"), json!({"carrier": "SF"}), (400, "request.invalid")),
        ("/v1/shipments/ord_1/dispatch".to_owned(), json!({}), (400, "request.invalid")),
    ] {
        let refused = api.post(Role::Warehouse, &path, "k9", body).await;
        assert_eq!(refused.problem(), problem, "{path}");
    }
    let support = api.post(Role::Support, &path(1, "/delivery"), "k9", Value::Null).await;
    assert_eq!(support.status, 403);
}

async fn dispatch_at_once(bench: &Arc<Bench>, numbers: Vec<(String, &'static str)>) -> Vec<(u16, Value)> {
    let api = Arc::new(bench.api());
    let start = |(key, number): (String, &'static str)| {
        let api = api.clone();
        bench.deps.tasks.spawn("test", async move {
            let body = json!({"carrier": "SF", "tracking_number": number});
            let reply = api.post(Role::Warehouse, &path(1, "/dispatch"), &key, body).await;
            (reply.status.as_u16(), reply.body)
        })
    };
    let tasks: Vec<_> = numbers.into_iter().map(start).collect();
    let mut replies = Vec::new();
    for task in tasks {
        replies.push(task.await.unwrap());
    }
    replies
}

async fn the_same_dispatch_at_once(bench: Arc<Bench>) {
    open(&bench, 1).await;
    let replies = dispatch_at_once(&bench, (0..30).map(|_| ("same".to_owned(), "SF1")).collect()).await;
    assert!(replies.iter().all(|r| r.0 == 200 && *r == replies[0]), "{replies:?}");
    assert_eq!(bench.own_facts().await.len(), 1);
}

async fn other_numbers_race(bench: Arc<Bench>) {
    open(&bench, 1).await;
    let numbers = (0..20).map(|n| (format!("k{n}"), if n % 2 == 0 { "SF1" } else { "SF2" })).collect();
    let replies = dispatch_at_once(&bench, numbers).await;
    let won = replies.iter().filter(|r| r.0 == 200).count();
    assert_eq!((won, replies.len() - won), (10, 10), "{replies:?}");
    assert!(replies.iter().filter(|r| r.0 != 200).all(|r| r.1["code"] == "shipping.already_dispatched"));
    assert_eq!(bench.own_facts().await.len(), 1);
}

async fn lists_in_pages(bench: Arc<Bench>) {
    let api = bench.api();
    for id in 1..=5 {
        open(&bench, id).await;
    }
    let by = json!({"carrier": "SF", "tracking_number": "SF1"});
    api.post(Role::Warehouse, &path(3, "/dispatch"), "k1", by).await;
    let (mut seen, mut next) = (Vec::new(), "/v1/shipments?status=open&limit=2".to_owned());
    loop {
        let page = api.get(Role::Support, &next).await.body;
        seen.extend(page["items"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("/v1/shipments?status=open&limit=2&cursor={cursor}");
    }
    assert_eq!(seen, [1, 2, 4, 5].map(|id| shipment(id).to_string()));
    let all = api.get(Role::Support, "/v1/shipments").await.body;
    assert_eq!(all["items"].as_array().unwrap().len(), 5);
    assert!(!all.to_string().contains("recipient"), "no personal data in a list");
    let dispatched = api.get(Role::Support, "/v1/shipments?status=dispatched").await.body;
    assert_eq!(dispatched["items"][0]["tracking_number"], "SF1");
    let (later, first) = ("2026-11-20T00:00:01Z", OrderId::from_bits(1));
    for (filter, expected) in [
        (format!("order_id={first}"), 1),
        ("carrier=SF".to_owned(), 1),
        ("carrier=YTO".to_owned(), 0),
        ("tracking_number=SF1".to_owned(), 1),
        ("tracking_number=SF".to_owned(), 0),
        (format!("opened_from={START}"), 5),
        (format!("opened_from={later}"), 0),
        (format!("opened_to={START}"), 0),
        (format!("opened_to={later}&status=open"), 4),
        (format!("warehouse_id={}", WarehouseId::from_bits(3)), 0),
    ] {
        let found = api.get(Role::Support, &format!("/v1/shipments?{filter}")).await.body;
        assert_eq!(found["items"].as_array().unwrap().len(), expected, "{filter}: {found}");
    }
    for bad in ["status=lost", "limit=0", "cursor=x", "cursor=1.x", "colour=red", "opened_from=now"] {
        let reply = api.get(Role::Support, &format!("/v1/shipments?{bad}")).await;
        assert_eq!(reply.problem(), (400, "request.invalid"), "{bad}");
    }
    assert_eq!(api.get(Role::Customer, "/v1/shipments").await.status, 403);
}

async fn the_label_is_asked_each_time(bench: Arc<Bench>) {
    let api = bench.api();
    open(&bench, 1).await;
    let address = AddressReply {
        address_id: ADDRESS.to_string(),
        country: "CN".to_owned(),
        region: "上海市".to_owned(),
        city: "上海".to_owned(),
        line1: "南京东路 1 号".to_owned(),
        postcode: "200001".to_owned(),
        recipient: "王小明".to_owned(),
        phone: "13800000000".to_owned(),
        ..AddressReply::default()
    };
    bench.addresses.set(address);
    let seen = api.get(Role::Warehouse, &path(1, "")).await;
    assert_eq!(
        (seen.status.as_u16(), &seen.body["address"]["state"]),
        (200, &json!("present")),
        "{}",
        seen.body
    );
    assert_eq!(
        (&seen.body["address"]["recipient"], &seen.body["lines"][0]["sku"]),
        (&json!("王小明"), &json!("MUG"))
    );
    bench.addresses.set(AddressReply {
        address_id: ADDRESS.to_string(),
        erased: true,
        ..AddressReply::default()
    });
    let erased = api.get(Role::Warehouse, &path(1, "")).await;
    assert_eq!(erased.body["address"], json!({"state": "erased"}));
    let unknown = api.get(Role::Warehouse, &path(2, "")).await;
    assert_eq!(unknown.problem(), (404, "shipping.shipment_not_found"));
}

/// What was opened, dispatched and delivered before shipments could be several.
async fn older_rows(bench: &Bench) {
    let rows = |tx: &mut merx_sql::Tx<'_>| {
        for (id, status, left, arrived) in [
            (1, "open", None, None),
            (2, "dispatched", Some(5_000), None),
            (3, "delivered", Some(5_000), Some(9_000)),
        ] {
            let carrier = left.map(|_| "SF");
            let at = |after: i64| START.as_millis() + after;
            let values = params![
                shipment(id),
                OrderId::from_bits(id),
                BUYER,
                ADDRESS,
                status,
                carrier,
                carrier,
                START,
                left.map(at),
                arrived.map(at)
            ];
            tx.execute(
                "INSERT INTO shipping_shipments (shipment, order_id, account, address, method, status, carrier,
                 tracking_number, opened_at, dispatched_at, delivered_at)
                 VALUES (?, ?, ?, ?, 'standard', ?, ?, ?, ?, ?, ?)",
                values,
            )?;
            for sku in ["MUG", "TEE-M"] {
                let line = "INSERT INTO shipping_shipment_lines (shipment, sku, quantity) VALUES (?, ?, 2)";
                tx.execute(line, params![shipment(id), sku])?;
            }
        }
        Ok(())
    };
    bench.deps.db.write("test", rows).await.unwrap();
}

/// On a server each statement of a migration is kept by itself: one that was carried out and not yet counted, when the
/// process died, is carried out again.
async fn a_broken_off_migration_goes_on(bench: Arc<Bench>) {
    older_rows(&bench).await;
    bench.migrate().await;
    let text = merx_shipping::migrations().into_iter().find(|m| m.number == 101).unwrap().mysql;
    let first_insert = text.split(';').position(|s| s.trim_start().starts_with("INSERT")).unwrap();
    let back = move |tx: &mut merx_sql::Tx<'_>| {
        let sql = "UPDATE merx_migrations SET steps_done = ?, finished = 0
                   WHERE context = 'shipping' AND number = 101 AND steps_done > 0";
        tx.execute(sql, params![i64::try_from(first_insert).unwrap()])
    };
    bench.deps.db.write("test", back).await.unwrap();
    bench.migrate().await;
    let record = queries::shipment(&bench.state, shipment(3)).await.unwrap().0;
    assert_eq!((record.shipment.version, record.history.len()), (3, 3));
}

async fn older_rows_go_on(bench: Arc<Bench>) {
    older_rows(&bench).await;
    bench.migrate().await;
    bench.clock.advance(Duration::from_secs(60));
    let api = bench.api();
    // The Open that made it, once more, which now says where; then it leaves.
    let told = OpenRequest { warehouse_id: WarehouseId::from_bits(3).to_string(), ..request(1) };
    rpc::ask(bench.client().open(told).await).unwrap();
    let by = json!({"carrier": "SF", "tracking_number": "SF1"});
    assert_eq!(api.post(Role::Warehouse, &path(1, "/dispatch"), "k1", by).await.status, 200);
    assert_eq!(api.post(Role::Warehouse, &path(2, "/delivery"), "k2", Value::Null).await.status, 200);
    assert_eq!(bench.own_facts().await.len(), 2);
    for (id, versions) in [(1, 2), (2, 3), (3, 3)] {
        let record = queries::shipment(&bench.state, shipment(id)).await.unwrap().0;
        assert_eq!(
            (record.shipment.version, record.history.len()),
            (versions, usize::try_from(versions).unwrap())
        );
        let past = |at: u64| record.clone().as_of(START.plus(Duration::from_secs(at))).unwrap().unwrap();
        let left = ["open", "dispatched", "dispatched"];
        assert_eq!(past(0).shipment.status.name(), "open");
        assert_eq!(past(6).shipment.status.name(), left[usize::try_from(id).unwrap() - 1]);
    }
}
