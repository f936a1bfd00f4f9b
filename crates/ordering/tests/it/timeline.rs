//! One story of an order, told by every context.

use std::collections::{BTreeMap, HashMap};

use merx_contracts::{common::v1 as wire, ids::OrderId};
use merx_kernel::Timestamp;
use merx_ordering::queries::{causal::merged, timeline::TimelineEntry};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    given::{ATTEMPT, BUYER, total},
    shop::{START, SUPPORT, Shop},
};
use crate::{paused, plain};

fn entry(id: &str, at: i64, caused_by: Option<&str>) -> TimelineEntry {
    TimelineEntry {
        id: id.to_owned(),
        context: "x".to_owned(),
        kind: "event".to_owned(),
        name: id.to_owned(),
        at: Timestamp::from_millis(at),
        trace_id: None,
        caused_by: caused_by.map(str::to_owned),
        actor: None,
        detail: Default::default(),
    }
}

fn told(lists: Vec<Vec<TimelineEntry>>) -> Vec<String> {
    merged(lists, &BTreeMap::new()).into_iter().map(|entry| entry.id).collect()
}

fn causes_come_before_effects_and_then_time_decides() {
    // The clock of b is behind: its effect would stand before its cause.
    let a = vec![entry("a1", 10, None), entry("a2", 30, Some("b1"))];
    let b = vec![entry("b1", 5, Some("a1")), entry("b2", 40, None)];
    assert_eq!(told(vec![a, b]), ["a1", "b1", "a2", "b2"]);
    // Who tells of a thing first knows it best.
    let twice = vec![vec![entry("m", 5, Some("e"))], vec![entry("e", 4, None)], vec![entry("m", 9, None)]];
    assert_eq!(told(twice), ["e", "m"]);
    let unknown = vec![vec![entry("a", 2, Some("nobody")), entry("b", 1, None)]];
    assert_eq!(told(unknown), ["a", "b"], "a context's own order is kept");
    let circle =
        vec![vec![entry("a", 2, Some("b"))], vec![entry("b", 1, Some("a"))], vec![entry("c", 3, None)]];
    assert_eq!(told(circle), ["c", "b", "a"], "whatever the data says, everything is told once");
}

fn what_a_saga_asked_for_stands_between_its_beginning_and_its_end() {
    let traced = |context: &str, kind: &str, trace: &str, entry: TimelineEntry| TimelineEntry {
        context: context.to_owned(),
        kind: kind.to_owned(),
        trace_id: Some(trace.to_owned()),
        ..entry
    };
    // All in one millisecond, as a fast machine does it.
    let own = vec![
        traced("ordering", "event", "t", entry("placed", 7, Some("found"))),
        traced("ordering", "saga", "t", entry("saga", 7, Some("placed"))),
        traced("ordering", "event", "t", entry("awaits", 7, Some("saga"))),
        traced("ordering", "saga", "t", entry("saga/end", 7, Some("saga"))),
    ];
    let stock = vec![
        traced("inventory", "event", "t", entry("reserved", 7, None)),
        traced("inventory", "event", "other", entry("sold", 9, None)),
    ];
    let payment = vec![
        traced("payment", "provider_call", "t", entry("call", 7, None)),
        traced("payment", "event", "t", entry("found", 7, Some("call"))),
        traced("payment", "event", "t", entry("opened", 7, None)),
        traced("payment", "event", "t", entry("later", 8, None)),
    ];
    let ends = BTreeMap::from([("awaits".to_owned(), "saga".to_owned())]);
    let story = merged(vec![own, stock, payment], &ends);
    let ids: Vec<&str> = story.iter().map(|entry| entry.id.as_str()).collect();
    let expected =
        ["call", "found", "placed", "saga", "reserved", "opened", "awaits", "saga/end", "later", "sold"];
    assert_eq!(ids, expected);
    let cause = |id: &str| story.iter().find(|entry| entry.id == id).unwrap().caused_by.as_deref();
    assert_eq!([cause("reserved"), cause("opened")], [Some("saga"); 2]);
    assert_eq!([cause("later"), cause("sold")], [None; 2], "the saga was over, and of another trace");
    assert_eq!(cause("call"), None, "what led to the saga was not asked for by it");
}

proptest! {
    fn whatever_is_told_is_told_once_and_after_its_cause(
        entries in prop::collection::vec((0..50i64, prop::option::of(0..30usize), 0..4usize), 0..30)
    ) {
        // Causes are earlier in the list of all, so there is no circle.
        let mut lists = vec![Vec::new(); 4];
        for (n, (at, cause, list)) in entries.iter().enumerate() {
            let cause = cause.filter(|cause| *cause < n).map(|cause| cause.to_string());
            lists[*list].push(entry(&n.to_string(), *at, cause.as_deref()));
        }
        let order = merged(lists.clone(), &BTreeMap::new());
        prop_assert_eq!(order.len(), entries.len());
        let place = |id: &str| order.iter().position(|entry| entry.id == id).unwrap();
        for entry in &order {
            if let Some(cause) = &entry.caused_by {
                prop_assert!(place(cause) < place(&entry.id));
            }
        }
        for list in lists {
            for pair in list.windows(2) {
                prop_assert!(place(&pair[0].id) < place(&pair[1].id));
            }
        }
    }
}

fn of_wire(id: &str, kind: &str, name: &str, after_ms: i64, caused_by: &str) -> wire::TimelineEntry {
    wire::TimelineEntry {
        id: id.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        at: START.as_millis() + after_ms,
        trace_id: String::new(),
        caused_by: caused_by.to_owned(),
        actor: SUPPORT.to_string(),
        detail: HashMap::from([("buyer_logon_id".to_owned(), "secret***".to_owned())]),
    }
}

fn items(answer: &crate::shop::Answer) -> Vec<Value> {
    answer.body["items"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone()
}

async fn story(shop: &Shop, who: merx_contracts::ids::AccountId, order: OrderId) -> Vec<Value> {
    items(&shop.get_as(who, &format!("/v1/orders/{order}/timeline")).await)
}

async fn every_context_tells_its_part_of_one_story() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    let captured = shop.capture(order, ATTEMPT, total(), false).await;
    shop.ship(order).await;
    let message = captured.id.to_string();
    {
        let mut world = shop.neighbours.world();
        world.timelines.insert(
            "payment",
            vec![
                of_wire("call_1", "provider_call", "alipay.trade.query", -50, ""),
                of_wire("payment/1", "event", "PaymentCaptured", -40, "call_1"),
                of_wire(&message, "message", "payment.captured.v1", -30, "payment/1"),
            ],
        );
        world.timelines.insert("shipping", vec![of_wire("trk_1", "tracking", "in_transit", 100, "")]);
        world.silent.insert("inventory");
    }
    let all = story(&shop, SUPPORT, order).await;
    let place =
        |name: &str| all.iter().position(|i| i["name"] == name).unwrap_or_else(|| panic!("{name}: {all:#?}"));
    for pair in [
        ["placeOrder", "OrderPlaced"],
        ["OrderPlaced", "place-order"],
        ["place-order", "OrderAwaitingPayment"],
        ["OrderAwaitingPayment", "ordering.order_awaiting_payment.v2"],
        ["alipay.trade.query", "PaymentCaptured"],
        ["PaymentCaptured", "payment.captured.v1"],
        ["payment.captured.v1", "OrderPaid"],
        ["OrderPaid", "fulfil-order"],
        ["fulfil-order", "FulfilmentOpened"],
        ["FulfilmentOpened", "OrderShipped"],
        ["OrderShipped", "in_transit"],
    ] {
        assert!(place(pair[0]) < place(pair[1]), "{pair:?}: {all:#?}");
    }
    let of = |name: &str| &all[place(name)];
    assert_eq!(
        (&of("OrderPaid")["caused_by"], &of("payment.captured.v1")["id"]),
        (&json!(message), &json!(message))
    );
    assert_eq!(of("OrderPlaced")["actor"], json!(BUYER));
    assert_eq!(of("OrderPlaced")["caused_by"], of("placeOrder")["id"]);
    assert!(
        of("placeOrder")["id"].as_str().unwrap().starts_with("placeOrder/req_"),
        "{:?}",
        of("placeOrder")
    );
    let silent: Vec<&Value> = all.iter().filter(|i| i["kind"] == "unanswered").collect();
    let contexts: Vec<&str> = silent.iter().map(|i| i["context"].as_str().unwrap()).collect();
    assert_eq!(contexts, ["inventory", "notification"], "{silent:?}");
    let ends = all.iter().filter(|i| i["name"] == "place-order ended").count();
    assert_eq!(ends, 1);

    let mine = story(&shop, BUYER, order).await;
    let kinds: std::collections::BTreeSet<&str> = mine.iter().map(|i| i["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["event", "request", "tracking", "unanswered"].into());
    let text = json!(mine).to_string();
    assert!(!text.contains(&SUPPORT.to_string()), "nobody of the shop");
    assert!(!text.contains("provider_call") && !text.contains("PaymentCaptured"), "no machinery: {text}");
    let paid = mine.iter().find(|i| i["name"] == "OrderPaid").unwrap();
    assert!(paid["caused_by"].is_null(), "its cause is not shown: {paid}");
    let awaiting = mine.iter().find(|i| i["name"] == "OrderAwaitingPayment").unwrap();
    let placed = mine.iter().find(|i| i["name"] == "OrderPlaced").unwrap();
    assert_eq!(awaiting["caused_by"], placed["id"], "by way of the saga");
    shop.finish().await;
}

async fn a_fact_is_told_even_when_its_publisher_is_silent() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    let captured = shop.capture(order, ATTEMPT, total(), false).await;
    shop.neighbours.world().silent.extend(["payment", "inventory", "shipping"]);
    let all = story(&shop, SUPPORT, order).await;
    let heard = all.iter().find(|i| i["id"] == json!(captured.id)).unwrap();
    assert_eq!((&heard["context"], &heard["name"]), (&json!("payment"), &json!("payment.captured.v1")));
    assert_eq!(all.iter().filter(|i| i["kind"] == "unanswered").count(), 4);
    shop.finish().await;
}

async fn who_did_what_for_the_shop_is_for_the_shop() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    let path = format!("/v1/orders/{order}/cancellation");
    shop.post_as(SUPPORT, &path, "k", Some(json!({"reason": "out of stock"}))).await;
    let all = story(&shop, SUPPORT, order).await;
    let request = all.iter().find(|i| i["name"] == "cancelOrder").unwrap();
    assert_eq!((&request["actor"], &request["detail"]["staff"]), (&json!(SUPPORT), &json!("true")));
    let ended = all.iter().find(|i| i["name"] == "cancel-paid ended").unwrap();
    assert_eq!(ended["detail"]["status"], "done");
    let mine = json!(story(&shop, BUYER, order).await).to_string();
    assert!(
        mine.contains("OrderCancelled")
            && !mine.contains("cancelOrder")
            && !mine.contains(&SUPPORT.to_string()),
        "{mine}"
    );
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    [paused!["timeline": every_context_tells_its_part_of_one_story, a_fact_is_told_even_when_its_publisher_is_silent, who_did_what_for_the_shop_is_for_the_shop], plain!["timeline": causes_come_before_effects_and_then_time_decides, what_a_saga_asked_for_stands_between_its_beginning_and_its_end, whatever_is_told_is_told_once_and_after_its_cause]].into_iter().flatten().collect()
}
