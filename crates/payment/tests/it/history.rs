//! A payment as it is and as it was, the list of all, and the timeline of an order.

use std::{collections::BTreeSet, time::Duration};

use libtest_mimic::Trial;
use merx_contracts::common::v1::TimelineEntry;
use merx_kernel::{Role, Timestamp};
use serde_json::{Value, json};

use crate::{
    everywhere,
    gateway::Trouble,
    inline,
    modes::Mode,
    world::{AMOUNT, BUYER, START, World, order, order_of, refund_id},
};

pub fn trials() -> Vec<Trial> {
    let mut trials = everywhere!["history":
        a_payment_is_shown_as_of_any_moment,
        staff_sees_any_payment_and_its_refunds,
        payments_are_found_by_state_order_attempt_trade_and_time,
        the_timeline_has_everything_with_its_causes,
    ];
    trials.extend(inline!["history":
        the_calls_of_a_payment_are_bounded,
        a_refund_tells_how_it_ended,
    ]);
    trials
}

async fn as_of(world: &World, at: Timestamp) -> Value {
    let path = format!("/v1/payments/{}?as_of={at}", order(1));
    let reply = world.get(&path, BUYER, Role::Customer).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

async fn a_payment_is_shown_as_of_any_moment(mode: Mode) {
    let world = World::new(mode).await;
    let second = Duration::from_secs(1);
    world.step(second);
    world.open(order(1)).await;
    let opened = world.now();
    world.step(second);
    let (attempt_id, url) = world.start(order(1)).await;
    let begun = world.now();
    world.step(second);
    world.gateway.visit(&url);
    assert!(world.gateway.pay(attempt_id));
    world.notified(attempt_id).await;
    let paid = world.now();
    world.step(second);
    world.refund(order(1), refund_id(1), attempt_id, AMOUNT).await.unwrap();
    world.pass(second).await;
    let back = world.now();

    let before = format!("/v1/payments/{}?as_of={START}", order(1));
    world.get(&before, BUYER, Role::Customer).await.is_problem(404, "payment.not_found");
    let seen = as_of(&world, opened).await;
    assert_eq!((&seen["status"], &seen["attempts"]), (&json!("open"), &json!([])));
    let seen = as_of(&world, begun).await;
    assert_eq!(seen["attempts"][0]["state"], "open");
    assert!(seen["attempts"][0].get("ended_at").is_none());
    let seen = as_of(&world, paid).await;
    assert_eq!((&seen["status"], &seen["refunds"]), (&json!("captured"), &json!([])));
    assert_eq!(seen["attempts"][0]["ended_at"], paid.to_string());
    let seen = as_of(&world, back).await;
    assert_eq!(
        (&seen["refunded"]["minor"], &seen["refunds"][0]["status"]),
        (&json!(AMOUNT), &json!("succeeded"))
    );
    assert_eq!(seen, serde_json::to_value(world.view(order(1)).await).unwrap(), "the last moment is now");
    for wrong in ["as_of=yesterday", "as_of=", "asof=2026-01-01T00:00:00Z"] {
        let path = format!("/v1/payments/{}?{wrong}", order(1));
        world.get(&path, BUYER, Role::Customer).await.is_problem(400, "request.invalid");
    }
    world.get(&before, 12, Role::Customer).await.is_problem(404, "payment.not_found");
    world.finish_drained().await;
}

async fn staff_sees_any_payment_and_its_refunds(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.paid(order(1)).await;
    world.refund(order(1), refund_id(1), attempt_id, 700).await.unwrap();
    let paths =
        [format!("/v1/payments/{}", order(1)), format!("/v1/payments/{}/refunds/{}", order(1), refund_id(1))];
    for path in &paths {
        for role in [Role::Support, Role::Operator, Role::Administrator] {
            assert_eq!(world.get(path, 77, role).await.status, 200, "{path} {role:?}");
        }
        assert_eq!(world.get(path, BUYER, Role::Customer).await.status, 200);
        for role in [Role::Customer, Role::Warehouse, Role::ProductManager] {
            world.get(path, 77, role).await.is_problem(404, "payment.not_found");
        }
    }
    let refund = world.get(&paths[1], BUYER, Role::Customer).await.json();
    assert_eq!((&refund["amount"]["minor"], &refund["status"]), (&json!(700), &json!("requested")));
    assert_eq!(refund["attempt_id"], attempt_id.to_string());
    let absent = format!("/v1/payments/{}/refunds/{}", order(1), refund_id(9));
    world.get(&absent, BUYER, Role::Customer).await.is_problem(404, "payment.refund_unknown");
    world.finish().await;
}

async fn a_refund_tells_how_it_ended(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.paid(order(1)).await;
    world.gateway.trouble([Trouble::Refused("ACQ.TRADE_HAS_FINISHED")]);
    world.refund(order(1), refund_id(1), attempt_id, 700).await.unwrap();
    world.pass(Duration::from_secs(1)).await;
    let failed = serde_json::to_value(world.view(order(1)).await).unwrap()["refunds"][0].clone();
    assert_eq!(
        (&failed["status"], &failed["failure_code"]),
        (&json!("failed"), &json!("ACQ.TRADE_HAS_FINISHED"))
    );
    assert!(failed["settled_at"].is_string() && failed["reason"] == "late payment", "{failed}");
    world.finish_drained().await;
}

async fn found(world: &World, query: &str) -> Vec<String> {
    let reply = world.get(&format!("/v1/admin/payments?{query}"), 77, Role::Support).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text);
    let items = reply.json()["items"].as_array().unwrap().clone();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

async fn payments_are_found_by_state_order_attempt_trade_and_time(mode: Mode) {
    let world = World::new(mode).await;
    let paid = world.paid(order(1)).await;
    world.step(Duration::from_secs(60));
    let later = world.now();
    world.open(order(2)).await;
    world.close(order(2)).await;
    world.open(order(3)).await;
    let ids = |numbers: &[u128]| numbers.iter().map(|n| order(*n).to_string()).collect::<Vec<_>>();
    assert_eq!(found(&world, "").await, ids(&[3, 2, 1]), "newest first");
    assert_eq!(found(&world, "status=captured").await, ids(&[1]));
    assert_eq!(found(&world, "status=open").await, ids(&[3]));
    assert_eq!(found(&world, &format!("order_id={}", order_of(order(2)))).await, ids(&[2]));
    assert_eq!(found(&world, &format!("attempt={paid}")).await, ids(&[1]));
    assert_eq!(found(&world, &format!("attempt={}", paid.bare())).await, ids(&[1]), "as it stands at Alipay");
    let trade_no = world.gateway.trade(paid).trade_no;
    assert_eq!(found(&world, &format!("provider_trade_no={trade_no}")).await, ids(&[1]));
    assert!(found(&world, "provider_trade_no=2").await.is_empty());
    assert_eq!(found(&world, &format!("from={later}")).await, ids(&[3, 2]));
    assert_eq!(found(&world, &format!("to={later}")).await, ids(&[1]));
    assert_eq!(found(&world, &format!("status=closed&from={later}")).await, ids(&[2]));
    let page = world.get("/v1/admin/payments?limit=2", 77, Role::Support).await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(found(&world, &format!("limit=2&cursor={cursor}")).await, ids(&[1]));
    for wrong in ["status=absent", "status=paid", "attempt=x", "cursor=x", "cursor=1.x", "limit=0", "buyer=x"]
    {
        let reply = world.get(&format!("/v1/admin/payments?{wrong}"), 77, Role::Support).await;
        reply.is_problem(400, "request.invalid");
    }
    for role in [Role::Customer, Role::Warehouse] {
        world.get("/v1/admin/payments", BUYER, role).await.is_problem(403, "request.forbidden");
    }
    let item =
        world.get("/v1/admin/payments?status=captured", 77, Role::Support).await.json()["items"][0].clone();
    assert_eq!((&item["captured"]["minor"], &item["amount"]["minor"]), (&json!(AMOUNT), &json!(AMOUNT)));
    world.finish_drained().await;
}

fn one<'a>(entries: &'a [TimelineEntry], name: &str) -> &'a TimelineEntry {
    let mut named = entries.iter().filter(|entry| entry.name == name);
    let entry = named.next().unwrap_or_else(|| panic!("no {name} in {entries:#?}"));
    assert!(named.next().is_none(), "several {name}");
    entry
}

async fn the_timeline_has_everything_with_its_causes(mode: Mode) {
    let world = World::new(mode).await;
    assert!(world.timeline(order(9)).await.is_empty(), "an order without a payment has none");
    world.open(order(1)).await;
    world.step(Duration::from_millis(5));
    let (attempt_id, code) = world.start_qr(order(1)).await;
    world.gateway.scan(&code);
    let wrong = world.gateway.fields(attempt_id).with("total_amount", "0.01");
    world.notify(world.gateway.signed(wrong)).await;
    world.step(Duration::from_millis(5));
    assert!(world.gateway.pay(attempt_id));
    world.notified(attempt_id).await;
    world.step(Duration::from_millis(5));
    world.refund(order(1), refund_id(1), attempt_id, 700).await.unwrap();
    world.pass(Duration::from_secs(1)).await;

    let entries = world.timeline(order(1)).await;
    let ids: BTreeSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids.len(), entries.len(), "every entry has its own id: {entries:#?}");
    assert!(entries.is_sorted_by_key(|entry| entry.at));
    assert!(
        entries.iter().all(|e| e.caused_by.is_empty() || ids.contains(e.caused_by.as_str())),
        "{entries:#?}"
    );
    let kinds: BTreeSet<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["event", "message", "provider_call", "request"]));

    let started = one(&entries, "AttemptStarted");
    assert_eq!(started.actor, merx_contracts::ids::AccountId::from_bits(BUYER).to_string());
    assert_eq!(started.detail["method"], "alipay_qr");
    let made = one(&entries, "alipay.trade.precreate");
    assert_eq!((made.kind.as_str(), made.detail["outcome"].as_str()), ("provider_call", "done"));
    assert!(made.detail.contains_key("duration_ms"));
    assert_eq!(one(&entries, "AttemptPrepared").caused_by, made.id);
    let requests: Vec<_> = entries.iter().filter(|entry| entry.kind == "request").collect();
    let verdicts: Vec<_> = requests.iter().map(|entry| entry.detail["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["quarantined", "taken"]);
    assert_eq!(requests[0].detail["kind"], "under");
    let captured = one(&entries, "PaymentCaptured");
    assert_eq!(captured.caused_by, requests[1].id, "the notification brought the money");
    let told = one(&entries, "payment.captured.v1");
    assert_eq!((told.kind.as_str(), &told.caused_by), ("message", &captured.id));
    assert_eq!(told.id, world.facts().await[0].id.to_string());
    let back = one(&entries, "RefundSucceeded");
    assert_eq!(back.caused_by, one(&entries, "alipay.trade.refund").id);
    assert_eq!(one(&entries, "payment.refunded.v1").caused_by, back.id);
    assert!(!format!("{entries:?}").contains("zhang"), "no payer is named");
    world.finish_drained().await;
}

async fn the_calls_of_a_payment_are_bounded(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    assert!(world.gateway.pay(attempt_id));
    world.gateway.ledger().down = true;
    // Hours of questions without an answer, and refunds of another payment beside them.
    world.pass(Duration::from_secs(60 * 3600)).await;
    let calls = world.gateway.calls("alipay.trade.query");
    assert!(calls > 250, "{calls} calls");
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_calls").await, 200);
    assert!(
        world
            .timeline(order(1))
            .await
            .iter()
            .any(|e| e.kind == "provider_call" && e.detail["outcome"] == "no_answer")
    );
    world.gateway.ledger().down = false;
    world.pass(Duration::from_secs(600)).await;
    assert_eq!(world.captures().await, 1);
    // Old ones are forgotten while others are made.
    world.step(Duration::from_secs(91 * 24 * 3600));
    let mut wanted = world.open_request(order(2));
    wanted.deadline = world.now().plus(Duration::from_secs(1_800)).as_millis();
    world.ask_open(wanted).await.unwrap();
    world.start(order(2)).await;
    world.pass(Duration::from_secs(120)).await;
    assert!(world.count("SELECT COUNT(*) FROM payment_calls").await < 10);
    world.finish_drained().await;
}
