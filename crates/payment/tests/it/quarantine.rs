//! Money and news that do not fit: recorded as what they are, alarmed, and settled by a person or by themselves.

use std::time::Duration;

use libtest_mimic::Trial;
use merx_contracts::{ids::AccountId, payment::v1::close_reply::Outcome};
use merx_kernel::Role;
use serde_json::{Value, json};

use crate::{
    everywhere,
    gateway::Trouble,
    inline,
    modes::Mode,
    world::{AMOUNT, BUYER, PAGE_BODY, World, order, order_of, refund_id},
};

pub fn trials() -> Vec<Trial> {
    let mut trials = everywhere!["quarantine":
        news_that_do_not_fit_are_listed_as_what_they_are,
        too_little_and_too_much_money_is_booked_and_waits_for_a_person,
        double_money_that_went_back_has_settled_itself,
        a_person_resolves_an_alert_once_and_it_is_told_who_and_why,
        a_person_resolves_what_is_in_quarantine,
    ];
    trials.extend(inline!["quarantine":
        late_money_is_listed_without_an_alert,
        alerts_about_refunds_settle_when_the_money_goes_back,
        lists_are_paged_and_narrowed,
    ]);
    trials
}

const LIST: &str = "/v1/admin/payments/quarantine";
const ALERTS: &str = "/v1/admin/payments/alerts";
const STAFF: u128 = 77;

async fn listed(world: &World, path: &str) -> Vec<Value> {
    let reply = world.get(path, STAFF, Role::Support).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["items"].as_array().unwrap().clone()
}

fn words<'a>(items: &'a [Value], name: &str) -> Vec<&'a str> {
    items.iter().map(|item| item[name].as_str().unwrap_or("-")).collect()
}

async fn news_that_do_not_fit_are_listed_as_what_they_are(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    let base = || world.gateway.fields(attempt_id).with("trade_status", "TRADE_SUCCESS");
    let unknown = merx_contracts::ids::AttemptId::from_bits(77).bare();
    let wrong = [
        (base().with("total_amount", "19.98"), "under"),
        (base().with("total_amount", "20.00"), "over"),
        (base().with("app_id", "2021000000000002"), "foreign"),
        (base().with("seller_id", "2088000000000002"), "foreign"),
        (base().with("out_trade_no", unknown.as_str()), "foreign"),
        (base().with("trans_currency", "USD"), "foreign"),
        (base().with("total_amount", "0.01").with("seller_id", "2088000000000002"), "foreign"),
        (base().with("trade_status", "TRADE_CLOSED"), "contradiction"),
        (base().with("trade_status", "PAID"), "unreadable"),
    ];
    for (fields, _) in &wrong {
        let reply = world.notify(world.gateway.signed(fields.clone())).await;
        assert_eq!((reply.status.as_u16(), reply.text.as_str()), (400, "fail"), "never answered success");
    }
    // What was sent before is there already.
    world.notify(world.gateway.signed(wrong[0].0.clone())).await;
    let mut items = listed(&world, &format!("{LIST}?limit=50")).await;
    items.reverse();
    assert_eq!(words(&items, "kind"), wrong.iter().map(|(_, kind)| *kind).collect::<Vec<_>>());
    assert!(items.iter().all(|item| item["source"] == "notification" && item["state"] == "open"));
    assert!(items.iter().all(|item| item["alert_id"].is_string()), "each has its alert");
    let under = &items[0];
    assert_eq!((&under["asked"]["minor"], &under["found"]["minor"]), (&AMOUNT.into(), &(AMOUNT - 1).into()));
    assert_eq!(under["payment_id"], order(1).to_string());
    assert_eq!(under["attempt_id"], attempt_id.to_string());
    assert_eq!(under["trade_status"], "TRADE_SUCCESS");
    assert_eq!(under["why"][0]["field"], "total_amount");
    let foreign = &items[4];
    assert_eq!(foreign["order_number"], unknown);
    assert!(foreign.get("payment_id").is_none() && foreign.get("asked").is_none());
    assert_eq!(world.captures().await, 0);
    assert_eq!(world.view(order(1)).await.status, "open");
    for path in [LIST, ALERTS] {
        world.get(path, BUYER, Role::Customer).await.is_problem(403, "request.forbidden");
    }
    world.finish().await;
}

async fn too_little_and_too_much_money_is_booked_and_waits_for_a_person(mode: Mode) {
    for (number, minor, kind) in [(1, 1, "under"), (2, 2_500, "over")] {
        let world = World::new(mode).await;
        let payment = order(number);
        let attempt_id = world.begin(payment).await;
        world.gateway.ledger().trades.get_mut(&attempt_id.bare()).unwrap().fen = minor;
        world.gateway.pay(attempt_id);
        // Alipay's own word in answer to our question: the money is there, whatever was asked.
        world.pass(Duration::from_secs(300)).await;
        let facts = world.captured_facts().await;
        assert!(matches!(facts.as_slice(), [fact] if fact.amount.minor == minor && !fact.late), "{facts:?}");
        assert_eq!(facts[0].order_id, order_of(payment), "ordering reviews it");
        let view = serde_json::to_value(world.view(payment).await).unwrap();
        assert_eq!((&view["status"], &view["captured"]["minor"]), (&"quarantined".into(), &minor.into()));
        assert_eq!(view["captures"][0]["kind"], kind);
        assert_eq!(world.alerts().await, ["payment_amount_differs"]);
        let items = listed(&world, LIST).await;
        assert_eq!((words(&items, "kind"), words(&items, "source")), (vec![kind], vec!["capture"]));
        assert_eq!(
            (&items[0]["asked"]["minor"], &items[0]["found"]["minor"]),
            (&AMOUNT.into(), &minor.into())
        );
        assert_eq!(items[0]["returned"]["minor"], 0);
        // Nothing new is begun, and it is not closed as if nothing had come.
        world.post_attempt(payment, BUYER, "k", PAGE_BODY).await.is_problem(409, "payment.in_review");
        assert_eq!(world.close(payment).await.outcome(), Outcome::Captured);
        // All of it can go back, and then there is nothing left to decide.
        world.refund(payment, refund_id(1), attempt_id, minor).await.unwrap();
        world.pass(Duration::from_secs(1)).await;
        assert_eq!(world.gateway.refunded(attempt_id), minor);
        let items = listed(&world, LIST).await;
        assert_eq!((&items[0]["state"], &items[0]["returned"]["minor"]), (&"resolved".into(), &minor.into()));
        assert!(items[0]["resolution"].get("account_id").is_none(), "nobody did it");
        assert_eq!(words(&listed(&world, ALERTS).await, "state"), ["resolved"]);
        world.finish_drained().await;
    }
}

async fn double_money_that_went_back_has_settled_itself(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    let (page, url) = world.start(order(1)).await;
    let (qr, code) = world.start_qr(order(1)).await;
    world.gateway.visit(&url);
    world.gateway.scan(&code);
    assert!(world.gateway.pay(page) && world.gateway.pay(qr));
    world.notified(page).await;
    world.notified(qr).await;
    let items = listed(&world, &format!("{LIST}?kind=double")).await;
    assert_eq!((items.len(), &items[0]["attempt_id"]), (1, &json!(qr)));
    assert_eq!(items[0]["state"], "open");
    for (number, minor, state) in [(1, 999, "open"), (2, 1_000, "resolved")] {
        world.refund(order(1), refund_id(number), qr, minor).await.unwrap();
        world.pass(Duration::from_secs(4)).await;
        assert_eq!(listed(&world, LIST).await[0]["state"], state, "after {minor}");
        assert_eq!(listed(&world, ALERTS).await[0]["state"], state);
    }
    world.finish_drained().await;
}

async fn a_person_resolves_an_alert_once_and_it_is_told_who_and_why(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    let wrong = world.gateway.fields(attempt_id).with("total_amount", "0.01");
    world.notify(world.gateway.signed(wrong)).await;
    let alert = listed(&world, &format!("{ALERTS}?state=open")).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("{ALERTS}/{alert}/resolution");
    let said = r#"{"reason":"  A test of Alipay's, by their support  "}"#;
    for role in [Role::Customer, Role::Support, Role::Warehouse] {
        world.act(&path, STAFF, role, "k", said).await.is_problem(403, "request.forbidden");
    }
    world
        .act(&path, STAFF, Role::Operator, "k0", r#"{"reason":" "}"#)
        .await
        .is_problem(400, "request.invalid");
    let done = world.act(&path, STAFF, Role::Operator, "k", said).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let told = done.json();
    assert_eq!((&told["id"], &told["state"]), (&json!(alert), &json!("resolved")));
    assert_eq!(told["resolution"]["reason"], "A test of Alipay's, by their support");
    assert_eq!(told["resolution"]["account_id"], AccountId::from_bits(STAFF).to_string());
    let again = world.act(&path, STAFF, Role::Operator, "k", said).await;
    assert_eq!((again.status, &again.text), (done.status, &done.text));
    world.act(&path, STAFF, Role::Operator, "k2", said).await.is_problem(409, "payment.alert_resolved");
    let absent = format!("{ALERTS}/alr_00000000000000000000000009/resolution");
    world.act(&absent, STAFF, Role::Operator, "k3", said).await.is_problem(404, "payment.alert_unknown");
    // What is in quarantine under it is resolved with it; the record of the staff has it once.
    assert_eq!(words(&listed(&world, LIST).await, "state"), ["resolved"]);
    assert!(listed(&world, &format!("{ALERTS}?state=open")).await.is_empty());
    assert_eq!(listed(&world, &format!("{ALERTS}?state=resolved")).await.len(), 1);
    let acted = world.acted().await;
    assert_eq!(acted.len(), 1);
    assert_eq!((acted[0].action.as_str(), &acted[0].object), ("payment.alert_resolved", &alert));
    assert_eq!(acted[0].actor, AccountId::from_bits(STAFF));
    assert_eq!(acted[0].reason.as_deref(), Some("A test of Alipay's, by their support"));
    assert_eq!(acted[0].detail["kind"], "payment_notification_quarantined");
    // The same news again is the same alert: somebody has looked into it.
    let wrong = world.gateway.fields(attempt_id).with("total_amount", "0.01");
    world.notify(world.gateway.signed(wrong)).await;
    assert!(listed(&world, &format!("{ALERTS}?state=open")).await.is_empty());
    world.finish().await;
}

async fn a_person_resolves_what_is_in_quarantine(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    let foreign = world.gateway.fields(attempt_id).with("out_trade_no", "SOMEBODYELSES1");
    world.notify(world.gateway.signed(foreign)).await;
    let item = listed(&world, LIST).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("{LIST}/{item}/resolution");
    let said = r#"{"reason":"Another shop's order; told them"}"#;
    world.act(&path, STAFF, Role::Support, "k", said).await.is_problem(403, "request.forbidden");
    let done = world.act(&path, STAFF, Role::Administrator, "k", said).await;
    assert_eq!((done.status.as_u16(), &done.json()["state"]), (200, &json!("resolved")), "{}", done.text);
    let again = world.act(&path, STAFF, Role::Administrator, "k", said).await;
    assert_eq!(again.text, done.text);
    world.act(&path, STAFF, Role::Administrator, "k2", said).await.is_problem(409, "payment.alert_resolved");
    let absent = format!("{LIST}/qtn_00000000000000000000000009/resolution");
    let unknown = world.act(&absent, STAFF, Role::Administrator, "k3", said).await;
    unknown.is_problem(404, "payment.quarantine_unknown");
    assert_eq!(words(&listed(&world, ALERTS).await, "state"), ["resolved"], "its alert with it");
    let acted = world.acted().await;
    assert_eq!((acted.len(), acted[0].action.as_str()), (1, "payment.quarantine_resolved"));
    assert_eq!(acted[0].detail["kind"], "foreign");
    world.finish().await;
}

async fn late_money_is_listed_without_an_alert(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    assert_eq!(world.close(order(1)).await.outcome(), Outcome::Closed);
    world.gateway.pay_closed(attempt_id);
    world.notified(attempt_id).await;
    assert!(world.alerts().await.is_empty(), "it goes back by itself");
    let items = listed(&world, LIST).await;
    assert_eq!((words(&items, "kind"), words(&items, "state")), (vec!["late"], vec!["open"]));
    world.refund(order(1), refund_id(1), attempt_id, AMOUNT).await.unwrap();
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(words(&listed(&world, LIST).await, "state"), ["resolved"]);
    world.finish_drained().await;
}

async fn alerts_about_refunds_settle_when_the_money_goes_back(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.paid(order(1)).await;
    world.gateway.ledger().down = true;
    world.refund(order(1), refund_id(1), attempt_id, 700).await.unwrap();
    world.pass(Duration::from_secs(120)).await;
    let open = format!("{ALERTS}?state=open&kind=payment_refund_stuck");
    assert_eq!(listed(&world, &open).await.len(), 1);
    world.gateway.ledger().down = false;
    world.pass(Duration::from_secs(600)).await;
    assert!(listed(&world, &open).await.is_empty());
    assert_eq!(listed(&world, ALERTS).await[0]["resolution"]["reason"], "The money went back.");
    // One that was refused stays open until somebody mends it.
    world.gateway.trouble([Trouble::Refused("ACQ.TRADE_HAS_FINISHED")]);
    world.refund(order(1), refund_id(2), attempt_id, 100).await.unwrap();
    world.pass(Duration::from_secs(1)).await;
    let open = listed(&world, &format!("{ALERTS}?state=open")).await;
    assert_eq!(words(&open, "kind"), ["payment_refund_failed"]);
    world.finish_drained().await;
}

async fn lists_are_paged_and_narrowed(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    for fen in 1..=5 {
        let fields = world.gateway.fields(attempt_id).with("total_amount", format!("0.0{fen}"));
        world.notify(world.gateway.signed(fields)).await;
    }
    let page = world.get(&format!("{LIST}?limit=3"), STAFF, Role::Support).await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("{LIST}?limit=3&cursor={cursor}"), STAFF, Role::Support).await.json();
    assert_eq!(rest["items"].as_array().unwrap().len(), 2);
    assert!(rest.get("next_cursor").is_none());
    let of = |query: String| format!("{LIST}?{query}");
    assert_eq!(listed(&world, &of(format!("payment_id={}", order(1)))).await.len(), 5);
    assert!(listed(&world, &of(format!("payment_id={}", order(2)))).await.is_empty());
    assert!(listed(&world, &of("kind=over".to_owned())).await.is_empty());
    for wrong in ["cursor=x", "limit=0", "limit=101", "state=done", "sort=kind", "payment_id=x"] {
        world.get(&of(wrong.to_owned()), STAFF, Role::Support).await.is_problem(400, "request.invalid");
    }
    world.finish().await;
}
