//! Several shipments of one order: nothing is lost or doubled when they are parted.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_contracts::{
    ids::{AfterSaleId, OrderId, ShipmentId, Sku},
    shipping::v1::{CancelRequest, HoldRequest, LiftHoldRequest, OpenRequest},
};
use merx_kernel::{BoundedText, Id, Quantity, Role};
use merx_platform::rpc::ask;
use merx_shipping::{
    commands::{self, Act},
    domain::{Dispatch, Record, ShipmentLine, ShipmentStatus},
    queries,
};
use merx_sql::Tx;
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::{
    api::STAFF,
    bench::{Bench, on_every_mode},
    shipments::{open, path, request, shipment},
};

pub fn trials() -> Vec<Trial> {
    [
        crate::trials!("splits": quantities_are_conserved_and_history_is_true),
        on_every_mode("splits::a_part_leaves_first", a_part_leaves_first),
        on_every_mode(
            "splits::what_replaces_goods_still_does_when_it_is_parted",
            what_replaces_goods_still_does_when_it_is_parted,
        ),
        on_every_mode("splits::what_cannot_be_parted", what_cannot_be_parted),
        on_every_mode("splits::at_once", at_once),
        on_every_mode("splits::a_clock_set_back_doubles_nothing", a_clock_set_back_doubles_nothing),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const ORDER: OrderId = Id::from_bits(1);

fn line(sku: &str, units: i64) -> ShipmentLine {
    ShipmentLine { sku: Sku::new(sku).unwrap(), quantity: Quantity::new(units).unwrap() }
}

/// The units of each SKU over the shipments that were not cancelled.
fn units(records: &[Record]) -> BTreeMap<String, i64> {
    let mut units = BTreeMap::new();
    for record in records.iter().filter(|r| r.shipment.status != ShipmentStatus::Cancelled) {
        for line in &record.lines {
            *units.entry(line.sku.to_string()).or_default() += line.quantity.get();
        }
    }
    units
}

async fn a_part_leaves_first(bench: Arc<Bench>) {
    let api = bench.api();
    open(&bench, 1).await;
    let before = units(&queries::of_order(&bench.state, ORDER).await.unwrap());
    let body = json!({"lines": [{"sku": "MUG", "quantity": 2}, {"sku": "TEE-M", "quantity": 1}]});
    let parted = api.post(Role::Warehouse, &path(1, "/split"), "k1", body.clone()).await;
    assert_eq!(parted.status, 201, "{}", parted.body);
    assert_eq!(parted.body["remaining"]["lines"], json!([{"sku": "TEE-M", "quantity": 1}]));
    let went = json!([{"sku": "MUG", "quantity": 2}, {"sku": "TEE-M", "quantity": 1}]);
    assert_eq!(parted.body["shipment"]["lines"], went);
    assert_eq!(parted.body["shipment"]["split_from_id"], shipment(1).to_string());
    // The same key again is the same split.
    let replay = api.post(Role::Warehouse, &path(1, "/split"), "k1", body).await;
    assert_eq!((replay.replayed, &replay.body), (true, &parted.body));

    let new = parted.body["shipment"]["id"].as_str().unwrap().to_owned();
    let by = json!({"carrier": "SF", "tracking_number": "SF1"});
    let sent = api.post(Role::Warehouse, &format!("/v1/shipments/{new}/dispatch"), "k2", by).await;
    assert_eq!((sent.status.as_u16(), sent.body["status"].as_str()), (200, Some("dispatched")));
    let records = queries::of_order(&bench.state, ORDER).await.unwrap();
    let status: Vec<_> = records.iter().map(|r| r.shipment.status.name()).collect();
    assert_eq!((status, units(&records)), (vec!["open", "dispatched"], before));
    // The Open that made it all, once more after a lost answer.
    open(&bench, 1).await;

    let shipped = bench.own_facts().await;
    assert_eq!(shipped.len(), 1);
    let body: Value = serde_json::from_str(shipped[0].data.get()).unwrap();
    assert_eq!((&body["lines"], &body["shipment_id"]), (&went, &json!(new)));
    let told = bench.told().await;
    assert_eq!((told[0].action.as_str(), told[0].actor), ("shipping.split", STAFF));
    assert_eq!(told[0].detail["into"], new);
    assert_eq!(api.get(Role::Customer, "/v1/shipments").await.status, 403);
    let support = api.post(Role::Support, &path(1, "/split"), "k3", json!({"lines": []})).await;
    assert_eq!(support.status, 403);
}

async fn what_replaces_goods_still_does_when_it_is_parted(bench: Arc<Bench>) {
    let api = bench.api();
    let case: AfterSaleId = Id::from_bits(0xa1);
    let replacement = OpenRequest { case_id: case.to_string(), ..request(1) };
    ask(bench.client().open(replacement.clone()).await).unwrap();
    ask(bench.client().open(replacement).await).unwrap();
    let own = ask(bench.client().open(request(1)).await).unwrap_err();
    assert_eq!(own.code(), "shipping.shipment_differs");
    let body = json!({"lines": [{"sku": "MUG", "quantity": 1}]});
    let parted = api.post(Role::Warehouse, &path(1, "/split"), "k1", body).await;
    assert_eq!(parted.status, 201, "{}", parted.body);
    for part in ["shipment", "remaining"] {
        assert_eq!(parted.body[part]["case_id"], case.to_string(), "{}", parted.body);
    }
    let new = parted.body["shipment"]["id"].as_str().unwrap().to_owned();
    let other = format!("/v1/shipments/{new}");
    let by = json!({"carrier": "SF", "tracking_number": "SF1"});
    let mended = json!({"carrier": "SF", "tracking_number": "SF2", "reason": "a typing error"});
    assert_eq!(api.post(Role::Warehouse, &format!("{other}/dispatch"), "k2", by).await.status, 200);
    let corrected = api.post(Role::Warehouse, &format!("{other}/corrections"), "k3", mended).await;
    assert_eq!(corrected.status, 200, "{}", corrected.body);
    assert_eq!(api.post(Role::Warehouse, &format!("{other}/delivery"), "k4", json!({})).await.status, 200);
    let back = json!({"code": "returned", "at": corrected.body["dispatched_at"]});
    let returned = api.post(Role::Warehouse, &format!("{other}/tracking-events"), "k5", back).await;
    assert_eq!(returned.status, 200, "{}", returned.body);
    let told = bench.own_facts().await;
    assert_eq!(told.len(), 4);
    for fact in told {
        let body: Value = serde_json::from_str(fact.data.get()).unwrap();
        assert_eq!((&body["case_id"], &body["shipment_id"]), (&json!(case), &json!(new)), "{}", fact.kind);
    }
}

async fn what_cannot_be_parted(bench: Arc<Bench>) {
    let api = bench.api();
    open(&bench, 1).await;
    let some = |sku: &str, n: i64| json!({"lines": [{"sku": sku, "quantity": n}]});
    let all = json!({"lines": [{"sku": "MUG", "quantity": 2}, {"sku": "TEE-M", "quantity": 2}]});
    let twice = json!({"lines": [{"sku": "MUG", "quantity": 2}, {"sku": "MUG", "quantity": 1}]});
    let priced = json!({"lines": [{"sku": "MUG", "quantity": 1, "price": 0}]});
    for (id, body, problem) in [
        (1, some("MUG", 3), (409, "shipping.split_exceeds")),
        (1, some("CUP", 1), (409, "shipping.split_exceeds")),
        (1, twice, (409, "shipping.split_exceeds")),
        (1, all, (409, "shipping.split_takes_all")),
        (1, some("MUG", 0), (400, "request.invalid")),
        (1, json!({"lines": []}), (400, "request.invalid")),
        (1, priced, (400, "request.invalid")),
        (9, some("MUG", 1), (404, "shipping.shipment_not_found")),
    ] {
        let refused = api.post(Role::Warehouse, &path(id, "/split"), "k1", body.clone()).await;
        assert_eq!(refused.problem(), problem, "{body}");
    }
    let by = json!({"carrier": "SF", "tracking_number": "SF1"});
    assert_eq!(api.post(Role::Warehouse, &path(1, "/dispatch"), "k2", by).await.status, 200);
    let late = api.post(Role::Warehouse, &path(1, "/split"), "k3", some("MUG", 1)).await;
    assert_eq!(late.problem(), (409, "shipping.already_dispatched"));

    // So many parcels nobody packs.
    let many = OpenRequest {
        lines: vec![merx_contracts::common::v1::SkuQuantity { sku: "MUG".to_owned(), quantity: 99 }],
        ..request(2)
    };
    ask(bench.client().open(many).await).unwrap();
    for n in 1..merx_shipping::domain::shipment::SHIPMENTS_MAX {
        let part = api.post(Role::Warehouse, &path(2, "/split"), &format!("m{n}"), some("MUG", 1)).await;
        assert_eq!(part.status, 201, "{}", part.body);
    }
    let refused = api.post(Role::Warehouse, &path(2, "/split"), "too-many", some("MUG", 1)).await;
    assert_eq!(refused.problem(), (409, "shipping.shipment_limit"));
}

/// Twelve want a unit each of a shipment of four: three get one, for something must stay.
async fn at_once(bench: Arc<Bench>) {
    let four = OpenRequest {
        lines: vec![merx_contracts::common::v1::SkuQuantity { sku: "MUG".to_owned(), quantity: 4 }],
        ..request(1)
    };
    ask(bench.client().open(four).await).unwrap();
    let api = Arc::new(bench.api());
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let api = api.clone();
            bench.deps.tasks.spawn("test", async move {
                let body = json!({"lines": [{"sku": "MUG", "quantity": 1}]});
                api.post(Role::Warehouse, &path(1, "/split"), &format!("k{n}"), body).await
            })
        })
        .collect();
    let mut codes = BTreeMap::new();
    for task in tasks {
        let reply = task.await.unwrap();
        *codes.entry((reply.status.as_u16(), reply.problem().1.to_owned())).or_insert(0) += 1;
    }
    let expected = [((201, String::new()), 3), ((409, "shipping.split_takes_all".to_owned()), 9)];
    assert_eq!(codes, BTreeMap::from(expected));
    let records = queries::of_order(&bench.state, ORDER).await.unwrap();
    assert_eq!((records.len(), units(&records)), (4, BTreeMap::from([("MUG".to_owned(), 4)])));
}

/// Two parts leave a shipment, the second by a clock that was set back: at no moment is a unit in two places.
async fn a_clock_set_back_doubles_nothing(bench: Arc<Bench>) {
    let api = bench.api();
    open(&bench, 1).await;
    let one = |sku: &str| json!({"lines": [{"sku": sku, "quantity": 1}]});
    bench.clock.advance(Duration::from_secs(20));
    assert_eq!(api.post(Role::Warehouse, &path(1, "/split"), "k1", one("MUG")).await.status, 201);
    bench.clock.set_back(Duration::from_secs(5));
    assert_eq!(api.post(Role::Warehouse, &path(1, "/split"), "k2", one("TEE-M")).await.status, 201);
    let records = queries::of_order(&bench.state, ORDER).await.unwrap();
    let all = units(&records);
    for seconds in 0..25 {
        let at = crate::bench::START.plus(Duration::from_secs(seconds));
        let then: Vec<_> = records.iter().cloned().filter_map(|record| record.as_of(at).unwrap()).collect();
        assert_eq!(units(&then), all, "after {seconds} s");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Open(u128, i64, i64),
    Split(usize, i64, i64),
    Dispatch(usize),
    Hold(u128),
    Lift(u128),
    Cancel(u128),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => (1..4u128, 1..6i64, 1..6i64).prop_map(|(id, a, b)| Step::Open(id, a, b)),
        4 => (0..6usize, 0..4i64, 0..4i64).prop_map(|(at, a, b)| Step::Split(at, a, b)),
        1 => (0..6usize).prop_map(Step::Dispatch),
        1 => (1..3u128).prop_map(Step::Hold),
        2 => (1..3u128).prop_map(Step::Lift),
        1 => (1..3u128).prop_map(Step::Cancel),
    ];
    prop::collection::vec(step, 1..25)
}

/// Whatever is asked in whatever order: the units of an order change by Open and Cancel only, and what was true at each
/// moment can still be read afterwards.
fn quantities_are_conserved_and_history_is_true() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    let run = |steps: Vec<Step>| {
        runtime.block_on(walk(steps));
        Ok(())
    };
    TestRunner::new(config).run(&steps(), run).unwrap();
}

async fn walk(steps: Vec<Step>) {
    let bench = Bench::in_memory().await;
    let mut expected = BTreeMap::new();
    let mut moments = Vec::new();
    for step in steps {
        let records = queries::of_order(&bench.state, ORDER).await.unwrap();
        let done = take_step(&bench, &step, &records).await;
        let now = queries::of_order(&bench.state, ORDER).await.unwrap();
        match step {
            Step::Open(..) if now.len() > records.len() => {
                for line in &now
                    .iter()
                    .find(|n| !records.iter().any(|r| r.shipment.id == n.shipment.id))
                    .unwrap()
                    .lines
                {
                    *expected.entry(line.sku.to_string()).or_default() += line.quantity.get();
                }
            }
            Step::Cancel(_) if done => expected.clear(),
            _ => {}
        }
        assert_eq!(units(&now), expected, "after {step:?}");
        moments.push((bench.deps.now(), now));
        bench.clock.advance(Duration::from_millis(1));
    }
    let end = queries::of_order(&bench.state, ORDER).await.unwrap();
    for (at, then) in moments {
        let seen = end.iter().cloned().filter_map(|record| record.as_of(at).unwrap());
        assert_eq!(seen.collect::<Vec<_>>(), then, "as of {at}");
    }
}

async fn take_step(bench: &Bench, step: &Step, records: &[Record]) -> bool {
    let (mut client, order_id) = (bench.client(), ORDER.to_string());
    let hold_id = |id: u128| merx_contracts::ids::HoldId::from_bits(id).to_string();
    let chosen = |at: usize| records.get(at).map_or(shipment(99), |r| r.shipment.id);
    let act = Act::now(STAFF, &*bench.deps.clock, &bench.deps.ids);
    let store = bench.store.clone();
    match *step {
        Step::Open(id, mugs, tees) => {
            let sku = |sku: &str, quantity| merx_contracts::common::v1::SkuQuantity {
                sku: sku.to_owned(),
                quantity,
            };
            let lines = vec![sku("MUG", mugs), sku("TEE-M", tees)];
            let asked = OpenRequest { shipment_id: shipment(id).to_string(), lines, ..request(1) };
            ask(client.open(asked).await).is_ok()
        }
        Step::Split(at, mugs, tees) => {
            let lines = [("MUG", mugs), ("TEE-M", tees)];
            let go: Vec<_> = lines.iter().filter(|l| l.1 > 0).map(|l| line(l.0, l.1)).collect();
            if go.is_empty() {
                return false;
            }
            let (id, into): (_, ShipmentId) = (chosen(at), bench.deps.ids.next());
            let write = move |tx: &mut Tx<'_>| commands::split(tx, &store, id, &go, into, &act).map(drop);
            bench.deps.db.write("split", write).await.is_ok()
        }
        Step::Dispatch(at) => {
            let id = chosen(at);
            let text = |text: &str| BoundedText::new(text).unwrap();
            let by = Dispatch { carrier: text("SF"), tracking_number: BoundedText::new("SF1").unwrap() };
            let write = move |tx: &mut Tx<'_>| commands::dispatch(tx, &store, id, &by, &act).map(drop);
            bench.deps.db.write("dispatch", write).await.is_ok()
        }
        Step::Hold(id) => ask(client.hold(HoldRequest { order_id, hold_id: hold_id(id) }).await).is_ok(),
        Step::Lift(id) => {
            ask(client.lift_hold(LiftHoldRequest { order_id, hold_id: hold_id(id) }).await).is_ok()
        }
        Step::Cancel(id) => {
            ask(client.cancel(CancelRequest { order_id, hold_id: hold_id(id) }).await).is_ok()
        }
    }
}
