//! A parcel on its way: what carriers tell, what the buyer sees, what is set right, what the timeline says.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_contracts::{
    common::v1::TimelineRequest,
    events::{
        accounts::PersonErased,
        shipping::{ShipmentCorrected, ShipmentReturned},
    },
    ids::{AccountId, HoldId, OrderId},
    shipping::v1::{HoldRequest, LiftHoldRequest},
};
use merx_kernel::{Id, Role};
use merx_platform::rpc::ask;
use merx_shipping::{
    commands::{self, Act},
    domain::TrackingReport,
};
use merx_sql::Tx;
use serde_json::{Value, json};

use crate::{
    api::{Api, STAFF},
    bench::{Bench, START, on_every_mode, while_open},
    shipments::{BUYER, open, path, shipment},
};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("parcels::tracked_once_and_in_order", tracked_once_and_in_order),
        on_every_mode("parcels::impossible_reports_are_refused", impossible_reports_are_refused),
        on_every_mode("parcels::the_same_report_at_once", the_same_report_at_once),
        on_every_mode("parcels::a_buyer_sees_own_parcels_only", a_buyer_sees_own_parcels_only),
        on_every_mode("parcels::as_they_were_at_a_moment", as_they_were_at_a_moment),
        on_every_mode("parcels::a_correction_says_why", a_correction_says_why),
        on_every_mode("parcels::erased_people_leave_no_words", erased_people_leave_no_words),
        on_every_mode("parcels::what_is_told_after_an_erasure_has_no_words", told_after_an_erasure),
        on_every_mode("parcels::erasing_waits_for_a_report_under_way", erasing_waits_for_a_report),
        on_every_mode("parcels::one_that_came_back_has_not_arrived", one_that_came_back),
        on_every_mode("parcels::it_arrives_by_a_clock_set_back", it_arrives_by_a_clock_set_back),
        on_every_mode("parcels::the_timeline_tells_all", the_timeline_tells_all),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn parcels_of(order: u128) -> String {
    format!("/v1/orders/{}/shipments", OrderId::from_bits(order))
}

fn after(seconds: u64) -> String {
    START.plus(Duration::from_secs(seconds)).to_string()
}

/// A dispatched shipment, a minute later.
async fn on_its_way(bench: &Bench) -> Api {
    let api = bench.api();
    open(bench, 1).await;
    let by = json!({"carrier": "SF", "tracking_number": "SF1"});
    assert_eq!(api.post(Role::Warehouse, &path(1, "/dispatch"), "sent", by).await.status, 200);
    bench.clock.advance(Duration::from_secs(60));
    api
}

async fn report(api: &Api, key: &str, code: &str, at: u64) -> Value {
    let body = json!({"code": code, "at": after(at), "place": "Hangzhou hub", "text": "scanned"});
    let reply = api.post(Role::Warehouse, &path(1, "/tracking-events"), key, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

async fn tracked_once_and_in_order(bench: Arc<Bench>) {
    let api = on_its_way(&bench).await;
    let first = report(&api, "k1", "in_transit", 40).await;
    assert_eq!((&first["status"], &first["code"]), (&json!("dispatched"), &json!("in_transit")));
    // Told late, and told again: by the key, and by code and time under another key.
    report(&api, "k2", "picked_up", 10).await;
    bench.clock.advance(Duration::from_secs(5));
    assert_eq!(report(&api, "k1", "in_transit", 40).await, first);
    assert_eq!(report(&api, "k3", "in_transit", 40).await, first);
    let done = report(&api, "k4", "delivered", 50).await;
    assert_eq!(done["status"], "delivered");
    // A carrier may say it twice; the parcel arrived once.
    report(&api, "k5", "delivered", 55).await;
    let again = api.post(Role::Warehouse, &path(1, "/delivery"), "k6", Value::Null).await;
    assert_eq!(again.body["delivered_at"], after(50));

    let seen =
        api.get_as(BUYER, Role::Customer, &format!("/v1/orders/{}/shipments", OrderId::from_bits(1))).await;
    let codes: Vec<_> =
        seen.body["items"][0]["tracking"].as_array().unwrap().iter().map(|e| &e["code"]).collect();
    assert_eq!(codes, ["picked_up", "in_transit", "delivered", "delivered"], "in the order it happened");
    assert_eq!(seen.body["items"][0]["tracking"][0]["text"], "scanned");
    assert!(bench.kept_answers().await.iter().all(|body| !body.contains("scanned")), "nor in kept answers");
    let kinds: Vec<_> = bench.own_facts().await.into_iter().map(|f| f.kind).collect();
    assert_eq!(kinds, ["shipping.shipped.v2", "shipping.delivered.v1"]);
    let told = bench.told().await;
    assert_eq!(told.iter().filter(|t| t.action == "shipping.tracked").count(), 4);
    assert!(told.iter().all(|t| !t.detail.to_string().contains("scanned")), "the words stay here");
}

async fn impossible_reports_are_refused(bench: Arc<Bench>) {
    let api = bench.api();
    open(&bench, 1).await;
    let body = |code: &str, at: u64| json!({"code": code, "at": after(at)});
    let post = async |key: &str, body: Value| {
        api.post(Role::Warehouse, &path(1, "/tracking-events"), key, body).await
    };
    assert_eq!(post("k1", body("picked_up", 0)).await.problem(), (409, "shipping.not_dispatched"));
    bench.clock.advance(Duration::from_secs(4_000));
    let by = json!({"carrier": "SF", "tracking_number": "SF1"});
    assert_eq!(api.post(Role::Warehouse, &path(1, "/dispatch"), "sent", by).await.status, 200);
    for (at, status) in [(399, 400), (400, 200), (4_301, 400), (4_300, 200)] {
        assert_eq!(post(&format!("at{at}"), body("in_transit", at)).await.status, status, "{at}");
    }
    for bad in [
        json!({"code": "lost", "at": after(100)}),
        json!({"code": "in_transit", "at": "yesterday"}),
        json!({"code": "in_transit"}),
        json!({"code": "in_transit", "at": after(100), "place": ""}),
        json!({"code": "in_transit", "at": after(100), "text": "x".repeat(501)}),
        json!({"code": "in_transit", "at": after(100), "status": "delivered"}),
    ] {
        assert_eq!(post("bad", bad.clone()).await.problem(), (400, "request.invalid"), "{bad}");
    }
    let support = api.post(Role::Support, &path(1, "/tracking-events"), "k2", body("in_transit", 100)).await;
    assert_eq!(support.status, 403);
    for n in 2..merx_shipping::domain::tracking::EVENTS_MAX {
        let at = 4_000 + u64::try_from(n).unwrap();
        assert_eq!(post(&format!("n{n}"), body("in_transit", at)).await.status, 200);
    }
    let full = post("full", body("in_transit", 4_200)).await;
    assert_eq!(full.problem(), (409, "shipping.tracking_limit"));
    assert_eq!(post("arrived", body("delivered", 4_200)).await.status, 200, "it may arrive all the same");
    assert_eq!(post("again", body("delivered", 4_201)).await.problem(), (409, "shipping.tracking_limit"));
    assert_eq!(post("back", body("returned", 4_202)).await.status, 200, "and come back");
    assert_eq!(post("twice", body("returned", 4_203)).await.problem(), (409, "shipping.tracking_limit"));
}

async fn the_same_report_at_once(bench: Arc<Bench>) {
    let api = Arc::new(on_its_way(&bench).await);
    let start = |n: u32| {
        let api = api.clone();
        bench.deps.tasks.spawn("test", async move { report(&api, &format!("k{n}"), "delivered", 30).await })
    };
    let tasks: Vec<_> = (0..12).map(start).collect();
    let mut replies = Vec::new();
    for task in tasks {
        replies.push(task.await.unwrap());
    }
    assert!(replies.iter().all(|r| *r == replies[0]), "{replies:?}");
    assert_eq!(bench.own_facts().await.len(), 2);
    assert_eq!(bench.told().await.len(), 2);
}

async fn a_buyer_sees_own_parcels_only(bench: Arc<Bench>) {
    let api = on_its_way(&bench).await;
    let route = |id: u128| format!("/v1/orders/{}/shipments", OrderId::from_bits(id));
    let own = api.get_as(BUYER, Role::Customer, &route(1)).await;
    assert_eq!(own.status, 200, "{}", own.body);
    let parcel = &own.body["items"][0];
    assert_eq!((&parcel["carrier"], &parcel["lines"][0]["sku"]), (&json!("SF"), &json!("MUG")));
    assert!(parcel.get("address_id").is_none() && parcel.get("address").is_none());
    let stranger = AccountId::from_bits(10);
    let foreign = api.get_as(stranger, Role::Customer, &route(1)).await;
    let unknown = api.get_as(stranger, Role::Customer, &route(7)).await;
    assert_eq!(foreign.problem(), (404, "shipping.order_not_found"));
    assert_eq!(foreign.problem(), unknown.problem());
    assert_eq!(foreign.body["detail"], unknown.body["detail"]);
    assert_eq!(api.get_as(BUYER, Role::Warehouse, &route(1)).await.status, 403);
    assert_eq!(api.get_as(BUYER, Role::Customer, &(route(1) + "?as_of=then")).await.problem().0, 400);
}

async fn as_they_were_at_a_moment(bench: Arc<Bench>) {
    let api = bench.api();
    open(&bench, 1).await;
    bench.clock.advance(Duration::from_secs(10));
    let lines = json!({"lines": [{"sku": "MUG", "quantity": 1}]});
    assert_eq!(api.post(Role::Warehouse, &path(1, "/split"), "split", lines).await.status, 201);
    bench.clock.advance(Duration::from_secs(10));
    let by = json!({"carrier": "SF", "tracking_number": "SF1"});
    assert_eq!(api.post(Role::Warehouse, &path(1, "/dispatch"), "sent", by).await.status, 200);
    bench.clock.advance(Duration::from_secs(10));
    let right = json!({"carrier": "YTO", "tracking_number": "Y1", "reason": "misread"});
    assert_eq!(api.post(Role::Warehouse, &path(1, "/corrections"), "right", right).await.status, 200);
    bench.clock.advance(Duration::from_secs(10));
    report(&api, "arrived", "delivered", 35).await;

    let at = async |seconds: Option<u64>| {
        let moment = seconds.map(|s| format!("?as_of={}", after(s))).unwrap_or_default();
        let route = format!("/v1/orders/{}/shipments{moment}", OrderId::from_bits(1));
        let items = api.get_as(BUYER, Role::Customer, &route).await.body["items"].take();
        let text = |item: &Value, name: &str| item[name].as_str().unwrap_or("-").to_owned();
        let seen = |i: &Value| {
            let units: i64 =
                i["lines"].as_array().unwrap().iter().map(|l| l["quantity"].as_i64().unwrap()).sum();
            format!(
                "{} {} {units} {}",
                text(i, "status"),
                text(i, "carrier"),
                i["tracking"].as_array().unwrap().len()
            )
        };
        items.as_array().unwrap().iter().map(seen).collect::<Vec<_>>()
    };
    assert_eq!(at(Some(0)).await, ["open - 4 0"]);
    assert_eq!(at(Some(10)).await, ["open - 3 0", "open - 1 0"]);
    assert_eq!(at(Some(20)).await, ["dispatched SF 3 0", "open - 1 0"]);
    assert_eq!(at(Some(30)).await, ["dispatched YTO 3 0", "open - 1 0"]);
    // Handed over at 35, but nobody here knew before 40.
    assert_eq!(at(Some(39)).await, ["dispatched YTO 3 0", "open - 1 0"]);
    assert_eq!(at(Some(40)).await, ["delivered YTO 3 1", "open - 1 0"]);
    assert_eq!(at(None).await, at(Some(99)).await);
    let before = format!("/v1/orders/{}/shipments?as_of=2026-01-01T00:00:00Z", OrderId::from_bits(1));
    assert_eq!(api.get_as(BUYER, Role::Customer, &before).await.body, json!({"items": []}));
}

async fn a_correction_says_why(bench: Arc<Bench>) {
    let api = bench.api();
    open(&bench, 1).await;
    let right = json!({"carrier": "YTO", "tracking_number": "Y1", "reason": "misread label"});
    let early = api.post(Role::Warehouse, &path(1, "/corrections"), "k1", right.clone()).await;
    assert_eq!(early.problem(), (409, "shipping.not_dispatched"));
    let api = on_its_way(&bench).await;
    let done = api.post(Role::Warehouse, &path(1, "/corrections"), "k1", right.clone()).await;
    assert_eq!(
        (done.status.as_u16(), &done.body["carrier"], &done.body["tracking_number"]),
        (200, &json!("YTO"), &json!("Y1"))
    );
    // The same again changes nothing, and nobody is told.
    assert_eq!(api.post(Role::Warehouse, &path(1, "/corrections"), "k2", right).await.status, 200);
    let told: Vec<_> = bench.told().await.into_iter().filter(|t| t.action == "shipping.corrected").collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].actor, told[0].reason.as_deref()), (STAFF, Some("misread label")));
    assert_eq!(told[0].detail["before"], json!({"carrier": "SF", "tracking_number": "SF1"}));
    for bad in [
        json!({"carrier": "YTO", "tracking_number": "Y1"}),
        json!({"carrier": "YTO", "tracking_number": "Y1", "reason": " "}),
    ] {
        let refused = api.post(Role::Warehouse, &path(1, "/corrections"), "k3", bad).await;
        assert_eq!(refused.problem(), (400, "request.invalid"));
    }
    let facts: Vec<_> = bench.own_facts().await;
    let kinds: Vec<_> = facts.iter().map(|f| f.kind.as_str()).collect();
    assert_eq!(kinds, ["shipping.shipped.v2", "shipping.corrected.v1"], "the parcel left once");
    let corrected: ShipmentCorrected = facts[1].fact().unwrap();
    assert_eq!((corrected.carrier.as_str(), corrected.tracking_number.as_str()), ("YTO", "Y1"));
}

async fn one_that_came_back(bench: Arc<Bench>) {
    let api = on_its_way(&bench).await;
    report(&api, "k1", "delivered", 20).await;
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(report(&api, "k2", "returned", 40).await["status"], "returned");
    // Told again, and told late what happened before: it stays with us.
    assert_eq!(report(&api, "k3", "returned", 45).await["status"], "returned");
    assert_eq!(report(&api, "k4", "delivered", 30).await["status"], "returned");
    let refused = api.post(Role::Warehouse, &path(1, "/delivery"), "k5", Value::Null).await;
    assert_eq!(refused.problem(), (409, "shipping.already_returned"));
    let facts = bench.own_facts().await;
    let kinds: Vec<_> = facts.iter().map(|f| f.kind.as_str()).collect();
    assert_eq!(kinds, ["shipping.shipped.v2", "shipping.delivered.v1", "shipping.returned.v1"]);
    let fact: ShipmentReturned = facts[2].fact().unwrap();
    assert_eq!(
        fact,
        ShipmentReturned { shipment_id: shipment(1), order_id: OrderId::from_bits(1), case_id: None }
    );
    let seen = api.get(Role::Support, "/v1/shipments?status=returned").await.body;
    assert_eq!(seen["items"][0]["returned_at"], after(40));
    let record = merx_shipping::queries::shipment(&bench.state, shipment(1)).await.unwrap().0;
    for (seconds, status) in [(59, "dispatched"), (119, "delivered"), (120, "returned")] {
        let then = record.clone().as_of(START.plus(Duration::from_secs(seconds))).unwrap().unwrap();
        assert_eq!(then.shipment.status.name(), status, "after {seconds} s");
    }
    // One that nobody took comes back as well.
    open(&bench, 2).await;
    let by = json!({"carrier": "SF", "tracking_number": "SF2"});
    assert_eq!(api.post(Role::Warehouse, &path(2, "/dispatch"), "k6", by).await.status, 200);
    let back = json!({"code": "returned", "at": bench.deps.now().to_string()});
    let reply = api.post(Role::Warehouse, &path(2, "/tracking-events"), "k7", back).await;
    assert_eq!(reply.body["status"], "returned", "{}", reply.body);
}

/// The clock was an hour ahead when the parcel left.
async fn it_arrives_by_a_clock_set_back(bench: Arc<Bench>) {
    drop(on_its_way(&bench).await);
    bench.clock.set_back(Duration::from_secs(3_600));
    let (store, act) = (bench.store.clone(), Act::now(STAFF, &*bench.deps.clock, &bench.deps.ids));
    let deliver = move |tx: &mut Tx<'_>| commands::track::deliver(tx, &store, shipment(1), &act);
    let done = bench.deps.db.write("test", deliver).await.unwrap();
    assert_eq!((done.status.name(), done.delivered_at >= done.dispatched_at), ("delivered", true));
}

async fn erased_people_leave_no_words(bench: Arc<Bench>) {
    let api = on_its_way(&bench).await;
    report(&api, "k1", "exception", 40).await;
    let events = async || {
        let seen = api
            .get_as(BUYER, Role::Customer, &format!("/v1/orders/{}/shipments", OrderId::from_bits(1)))
            .await;
        seen.body["items"][0]["tracking"].clone()
    };
    bench.hand_over(&PersonErased { account_id: Id::from_bits(10) }).await;
    assert_eq!(events().await[0]["text"], "scanned", "somebody else's");
    bench.hand_over(&PersonErased { account_id: BUYER }).await;
    let left = events().await;
    assert_eq!(left[0]["code"], "exception");
    assert!(left[0].get("text").is_none() && left[0].get("place").is_none(), "{left}");
}

async fn told_after_an_erasure(bench: Arc<Bench>) {
    let api = on_its_way(&bench).await;
    bench.hand_over(&PersonErased { account_id: BUYER }).await;
    report(&api, "k1", "exception", 40).await;
    // Of parcels made later too.
    open(&bench, 2).await;
    let by = json!({"carrier": "SF", "tracking_number": "SF2"});
    assert_eq!(api.post(Role::Warehouse, &path(2, "/dispatch"), "k2", by).await.status, 200);
    let late = json!({"code": "exception", "at": bench.deps.now().to_string(), "text": "scanned"});
    assert_eq!(api.post(Role::Warehouse, &path(2, "/tracking-events"), "k3", late).await.status, 200);
    for id in [1, 2] {
        let seen = api.get_as(BUYER, Role::Customer, &parcels_of(id)).await.body["items"][0].take();
        assert_eq!(seen["tracking"][0]["code"], "exception");
        assert!(!seen.to_string().contains("scanned"), "{seen}");
    }
}

/// A report is being kept in a transaction still open; the words it brings are erased with the others.
async fn erasing_waits_for_a_report(bench: Arc<Bench>) {
    drop(on_its_way(&bench).await);
    let (store, act) = (bench.store.clone(), Act::now(STAFF, &*bench.deps.clock, &bench.deps.ids));
    let body = json!({"code": "exception", "at": after(10), "text": "scanned"});
    let told: TrackingReport = serde_json::from_value(body).unwrap();
    let keep = move |tx: &mut Tx<'_>| commands::track(tx, &store, shipment(1), &told, &act).map(drop);
    let erased = PersonErased { account_id: BUYER };
    while_open(&bench, keep, bench.hand_over(&erased)).await.0.unwrap();
    let seen = bench.api().get_as(BUYER, Role::Customer, &parcels_of(1)).await.body;
    assert_eq!(seen["items"][0]["tracking"][0]["code"], "exception");
    assert!(!seen.to_string().contains("scanned"), "{seen}");
}

async fn the_timeline_tells_all(bench: Arc<Bench>) {
    let order_id = OrderId::from_bits(1).to_string();
    let hold_id = HoldId::from_bits(21).to_string();
    open(&bench, 1).await;
    bench.clock.advance(Duration::from_millis(1));
    let hold = HoldRequest { order_id: order_id.clone(), hold_id: hold_id.clone() };
    ask(bench.client().hold(hold).await).unwrap();
    bench.clock.advance(Duration::from_millis(1));
    ask(bench.client().lift_hold(LiftHoldRequest { order_id: order_id.clone(), hold_id }).await).unwrap();
    bench.clock.advance(Duration::from_millis(1));
    let api = on_its_way(&bench).await;
    report(&api, "k1", "delivered", 30).await;
    let entries = ask(bench.client().timeline(TimelineRequest { order_id }).await).unwrap().entries;
    let seen: Vec<_> = entries.iter().map(|e| (e.kind.as_str(), e.name.as_str())).collect();
    let expected = [
        ("event", "ShipmentOpened"),
        ("event", "OrderHeld"),
        ("event", "OrderHoldLifted"),
        ("event", "ShipmentDispatched"),
        ("message", "shipping.shipped.v2"),
        ("tracking", "delivered"),
        ("event", "ShipmentDelivered"),
        ("message", "shipping.delivered.v1"),
    ];
    assert_eq!(seen, expected);
    let ids: std::collections::BTreeSet<_> = entries.iter().map(|e| &e.id).collect();
    assert_eq!(ids.len(), entries.len());
    let sent = entries.iter().find(|e| e.name == "ShipmentDispatched").unwrap();
    assert_eq!(
        (sent.actor.as_str(), &sent.detail["carrier"]),
        (STAFF.to_string().as_str(), &"SF".to_owned())
    );
    assert_eq!((sent.id.clone(), sent.trace_id.len()), (format!("{}/2", shipment(1)), 32));
    let fact = entries.iter().find(|e| e.kind == "message").unwrap();
    assert_eq!(fact.caused_by, sent.id);
    assert!(entries.iter().all(|e| !format!("{e:?}").contains("scanned")), "no words of carriers");
    let nothing = TimelineRequest { order_id: OrderId::from_bits(7).to_string() };
    assert_eq!(ask(bench.client().timeline(nothing).await).unwrap().entries, []);
}
