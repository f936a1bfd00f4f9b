//! A case by its routes, on every engine: rows, facts, timers, lists, races, repetitions.

use std::{sync::Arc, time::Duration};

use http::Method;
use libtest_mimic::Trial;
use merx_contracts::{
    events::{
        accounts::PersonErased,
        ordering::{Line, OrderCancelledV2},
        payment::PaymentRefunded,
        shipping::{ShipmentDispatchedV2, ShipmentReturned},
    },
    ids::AccountId,
};
use merx_kernel::{Currency, Id, Money, Quantity, Role};
use merx_sql::{Query as _, params};
use serde_json::json;

use crate::{
    bench::{Bench, ORDER, on_every_mode},
    neighbours::{BUYER, refund_of},
    rules::{CUP, TEA, sku},
};

const DAY: Duration = Duration::from_secs(86_400);

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode(
            "cases::a_return_from_the_request_to_the_money",
            a_return_from_the_request_to_the_money,
        ),
        on_every_mode("cases::an_exchange_from_the_request_to_the_parcel", an_exchange_to_the_parcel),
        on_every_mode("cases::a_unit_is_won_once", a_unit_is_won_once),
        on_every_mode("cases::deadlines_are_kept_by_timers", deadlines_are_kept_by_timers),
        on_every_mode("cases::lists_are_filtered_in_pages", lists_are_filtered_in_pages),
        on_every_mode("cases::an_order_that_ends_ends_its_cases", an_order_that_ends_ends_its_cases),
        on_every_mode("cases::bad_input_is_named", bad_input_is_named),
        on_every_mode("cases::who_may_do_what", who_may_do_what),
        on_every_mode("cases::words_go_with_the_person", words_go_with_the_person),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn line(sku: &str, quantity: i64) -> serde_json::Value {
    json!({"lines": [{"sku": sku, "quantity": quantity}]})
}
fn found(sku: &str, restocked: i64, written_off: i64) -> serde_json::Value {
    json!({"lines": [{"sku": sku, "restocked": restocked, "written_off": written_off}]})
}
async fn paid(bench: &Bench, case: &str, minor: i64) {
    let amount = Money::new(minor, Currency::CNY);
    let (payment_id, refund_id) = (ORDER.cast(), refund_of(case));
    bench.hand_over(&PaymentRefunded { payment_id, order_id: ORDER, refund_id, amount }).await;
}

async fn a_return_from_the_request_to_the_money(bench: Arc<Bench>) {
    let asked = bench.ask("return", &[(TEA, 2)]).await.expect(201);
    let case = asked.text_at("/id");
    assert_eq!((&asked.body["status"], &asked.body["lines"][0]["asked"]), (&json!("requested"), &json!(2)));
    assert_eq!(asked.body["words"], json!([]), "what is kept for repetitions has no words");
    assert_eq!(bench.look(&case).await["words"][0]["text"], "蓋が合わない");
    // The same key again is the same case.
    let body = json!({"kind": "return", "reason": "quality", "lines": [{"sku": CUP, "quantity": 1}]});
    let path = format!("/v1/orders/{ORDER}/after-sales");
    let first = bench.buyer().send(Method::POST, &path, Some(body.clone()), Some("k")).await.expect(201);
    let again = bench.buyer().send(Method::POST, &path, Some(body), Some("k")).await.expect(201);
    assert_eq!(first.body["id"], again.body["id"]);
    bench
        .buyer()
        .post(&format!("/v1/after-sales/{}/withdrawal", first.text_at("/id")), json!({}))
        .await
        .expect(200);

    let freight = json!({"freight": {"minor": 200, "currency": "CNY"}, "text": "好的"});
    bench.decide(Role::Support, &case, "approval", freight).await.expect(200);
    let by = json!({"carrier": "YTO", "tracking_number": "YT1"});
    let sent = format!("/v1/after-sales/{case}/return-shipment");
    bench.buyer().post(&sent, by).await.expect(200);
    let right = json!({"carrier": "YTO", "tracking_number": "YT2"});
    bench.buyer().post(&sent, right).await.expect(200);
    let seen = bench.look(&case).await;
    let words: Vec<&str> =
        seen["words"].as_array().unwrap().iter().map(|word| word["text"].as_str().unwrap()).collect();
    assert_eq!(words, ["好的", "YTO", "蓋が合わない", "YT2"], "by topic");
    bench.decide(Role::Warehouse, &case, "receipt", line(TEA, 2)).await.expect(200);
    let due = bench.decide(Role::Warehouse, &case, "inspection", found(TEA, 1, 1)).await.expect(200);
    assert_eq!(
        (&due.body["status"], &due.body["refund"]["minor"]),
        (&json!("refunding"), &json!(6_667 + 200))
    );
    bench.run_sagas().await;
    {
        let world = bench.neighbours.world();
        assert_eq!(world.refunds.values().copied().collect::<Vec<_>>(), [6_867]);
        assert_eq!(world.stock[TEA], 6, "one of the two can be sold again");
    }
    paid(&bench, &case, 6_867).await;
    let ended = bench.look(&case).await;
    assert_eq!((&ended["status"], &ended["due_at"]), (&json!("refunded"), &json!(null)));
    let names: Vec<&str> =
        ended["history"].as_array().unwrap().iter().map(|h| h["name"].as_str().unwrap()).collect();
    let life = [
        "CaseRequested",
        "CaseApproved",
        "ReturnSent",
        "ReturnReceived",
        "ReturnInspected",
        "RefundDue",
        "RefundGranted",
        "RefundPaid",
    ];
    assert_eq!(names, life);
    let (statuses, staff) = bench.told().await;
    let mut expected = vec!["requested"; 2];
    expected.extend(["approved", "sent", "received", "refunding", "refunded", "withdrawn"]);
    expected.sort_unstable();
    assert_eq!(statuses, expected);
    assert_eq!(staff, ["aftersale.approved", "aftersale.inspected", "aftersale.received"]);
    assert_eq!(bench.fire_timers().await, 0);
    bench.clock.advance(400 * DAY);
    assert_eq!(bench.fire_timers().await, 0, "an ended case has no timer");
    bench.rows_are_the_events().await;
}

async fn an_exchange_to_the_parcel(bench: Arc<Bench>) {
    let case = bench.ask("exchange", &[(CUP, 1)]).await.expect(201).text_at("/id");
    bench.decide(Role::Support, &case, "approval", json!({})).await.expect(200);
    bench.decide(Role::Warehouse, &case, "receipt", line(CUP, 1)).await.expect(200);
    bench.decide(Role::Warehouse, &case, "inspection", found(CUP, 0, 1)).await.expect(200);
    bench.run_sagas().await;
    let shipment = bench.look(&case).await["replacement_shipment_ids"][0].as_str().unwrap().to_owned();
    {
        let world = bench.neighbours.world();
        assert!(world.replacements.contains(&case));
        assert_eq!((world.shipments[&shipment][CUP], world.stock[CUP]), (1, 4));
    }
    let fact = |shipment: &str, case: Option<&str>| ShipmentDispatchedV2 {
        shipment_id: shipment.parse().unwrap(),
        order_id: ORDER,
        case_id: case.map(|case| case.parse().unwrap()),
        carrier: "SF".to_owned(),
        tracking_number: "SF1".to_owned(),
        lines: vec![Line { sku: sku(CUP), quantity: Quantity::new(1).unwrap() }],
    };
    let own = ORDER.cast::<merx_contracts::ids::ShipmentKind>().to_string();
    bench.hand_over(&fact(&own, None)).await;
    assert_eq!(bench.look(&case).await["status"], "replacing", "that was another parcel");
    bench.hand_over(&fact(&shipment, Some(&case))).await;
    assert_eq!(bench.look(&case).await["status"], "exchanged");
    let (shipment_id, case_id) = (shipment.parse().unwrap(), case.parse().ok());
    bench.hand_over(&ShipmentReturned { shipment_id, order_id: ORDER, case_id }).await;
    assert_eq!(bench.deps.metrics.alerts("aftersale_replacement_returned"), 1, "the buyer has neither");
    assert!(bench.neighbours.world().refunds.is_empty());
    bench.rows_are_the_events().await;
}

async fn a_unit_is_won_once(bench: Arc<Bench>) {
    // Three of tea, asked for by twelve requests at once, two units each: one of them can have them.
    let asks = (0..12).map(|_| {
        let bench = bench.clone();
        let tasks = bench.deps.tasks.clone();
        tasks.spawn("ask", async move { bench.ask("refund", &[(TEA, 2)]).await.status.as_u16() })
    });
    let mut answers = Vec::new();
    for ask in asks.collect::<Vec<_>>() {
        answers.push(ask.await.unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers, [vec![201], vec![409; 11]].concat());
    let sum = "SELECT SUM(claimed) FROM aftersale_lines";
    let claimed = bench.deps.db.read("test", move |q| q.query_one(sum, params![], |row| row.get::<i64>(0)));
    assert_eq!(claimed.await.unwrap(), 2);
    bench.rows_are_the_events().await;
}

async fn deadlines_are_kept_by_timers(bench: Arc<Bench>) {
    let late = bench.ask("return", &[(TEA, 1)]).await.expect(201).text_at("/id");
    let lazy = bench.ask("return", &[(CUP, 1)]).await.expect(201).text_at("/id");
    bench.decide(Role::Support, &lazy, "approval", json!({})).await.expect(200);
    bench.clock.advance(2 * DAY - Duration::from_millis(1));
    assert_eq!(bench.fire_timers().await, 0);
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(bench.fire_timers().await, 1);
    let seen = bench.look(&late).await;
    assert_eq!((&seen["escalated"], &seen["status"]), (&json!(true), &json!("requested")));
    bench.clock.advance(5 * DAY);
    assert_eq!(bench.fire_timers().await, 1);
    assert_eq!(bench.look(&lazy).await["status"], "expired");
    assert_eq!(bench.fire_timers().await, 0);
    bench.decide(Role::Support, &late, "refusal", json!({"reason": "too late"})).await.expect(200);
    assert_eq!(bench.look(&late).await["escalated"], false);
    bench.rows_are_the_events().await;
}

async fn lists_are_filtered_in_pages(bench: Arc<Bench>) {
    let mut cases = Vec::new();
    for (kind, lines) in [("return", (TEA, 1)), ("refund", (TEA, 1)), ("exchange", (CUP, 1))] {
        cases.push(bench.ask(kind, &[lines]).await.expect(201).text_at("/id"));
        bench.clock.advance(Duration::from_secs(1));
    }
    bench.decide(Role::Support, &cases[0], "approval", json!({})).await.expect(200);
    let ids = async |query: &str| {
        let path = format!("/v1/admin/after-sales?{query}");
        let page = bench.staff(Role::Support).get(&path).await.expect(200);
        let items = page.body["items"].as_array().unwrap().clone();
        let ids: Vec<String> = items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        (ids, page.body["next_cursor"].as_str().map(str::to_owned))
    };
    assert_eq!(ids("").await.0, cases);
    assert_eq!(ids("status=requested").await.0, cases[1..]);
    assert_eq!(ids("kind=exchange").await.0, cases[2..]);
    assert_eq!(ids(&format!("order_id={ORDER}&escalated=false")).await.0, cases);
    assert_eq!(ids("escalated=true").await.0, Vec::<String>::new());
    let (first, next) = ids("limit=2").await;
    assert_eq!(first, cases[..2]);
    let (second, end) = ids(&format!("limit=2&cursor={}", next.unwrap())).await;
    assert_eq!((second.as_slice(), end), (&cases[2..], None));
    bench
        .staff(Role::Support)
        .get("/v1/admin/after-sales?cursor=x")
        .await
        .expect_problem(400, "request.invalid");
}

async fn an_order_that_ends_ends_its_cases(bench: Arc<Bench>) {
    let open = bench.ask("return", &[(TEA, 1)]).await.expect(201).text_at("/id");
    let settling = bench.ask("refund", &[(CUP, 1)]).await.expect(201).text_at("/id");
    bench.decide(Role::Support, &settling, "approval", json!({})).await.expect(200);
    bench.run_sagas().await;
    bench.neighbours.world().ended = true;
    let fact = OrderCancelledV2 {
        order_id: ORDER,
        number: "261120-7K3M-9QXA".to_owned(),
        account_id: BUYER,
        reason: "staff".to_owned(),
        paid: true,
    };
    bench.hand_over(&fact).await;
    assert_eq!(bench.look(&open).await["status"], "cancelled");
    assert_eq!(bench.look(&settling).await["status"], "refunding", "its money was set aside before");
    paid(&bench, &settling, 3_900).await;
    assert_eq!(bench.look(&settling).await["status"], "refunded");
    bench.ask("refund", &[(TEA, 1)]).await.expect_problem(409, "ordering.order_ended");
    // A case that is approved while the order ends gives nothing back.
    bench.neighbours.world().ended = false;
    let late = bench.ask("refund", &[(TEA, 1)]).await.expect(201).text_at("/id");
    bench.neighbours.world().ended = true;
    bench.decide(Role::Support, &late, "approval", json!({})).await.expect(200);
    bench.run_sagas().await;
    assert_eq!(bench.look(&late).await["status"], "cancelled");
    assert_eq!(bench.neighbours.world().refunds.len(), 1);
    bench.rows_are_the_events().await;
}

async fn bad_input_is_named(bench: Arc<Bench>) {
    for (kind, lines, pointer) in [
        ("return", &[("SALT", 1)][..], "/lines/0/sku"),
        ("return", &[(TEA, 1), (TEA, 1)], "/lines/1/sku"),
        ("return", &[], "/lines"),
    ] {
        let refused = bench.ask(kind, lines).await.expect(400);
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{}", refused.text);
    }
    let over = bench.ask("return", &[(TEA, 4)]).await;
    over.expect_problem(409, "aftersale.units_claimed");
    let case = bench.ask("return", &[(TEA, 2)]).await.expect(201).text_at("/id");
    let dear = json!({"freight": {"minor": 1_201, "currency": "CNY"}});
    bench
        .decide(Role::Support, &case, "approval", dear)
        .await
        .expect_problem(409, "aftersale.freight_exceeded");
    bench.decide(Role::Support, &case, "refusal", json!({"reason": ""})).await.expect(400);
    bench.decide(Role::Support, &case, "approval", json!({})).await.expect(200);
    bench.decide(Role::Warehouse, &case, "receipt", line(TEA, 3)).await.expect(400);
    bench.decide(Role::Warehouse, &case, "receipt", line(TEA, 2)).await.expect(200);
    bench.decide(Role::Warehouse, &case, "inspection", found(TEA, 1, 0)).await.expect(400);
    let unknown = "afs_00000000000000000000000001";
    bench
        .decide(Role::Support, unknown, "approval", json!({}))
        .await
        .expect_problem(404, "aftersale.case_not_found");
}

async fn who_may_do_what(bench: Arc<Bench>) {
    let case = bench.ask("return", &[(TEA, 1)]).await.expect(201).text_at("/id");
    for (role, what, body) in [
        (Role::Warehouse, "approval", json!({})),
        (Role::Warehouse, "refusal", json!({"reason": "no"})),
        (Role::Support, "receipt", line(TEA, 1)),
        (Role::Support, "inspection", found(TEA, 1, 0)),
        (Role::Customer, "approval", json!({})),
        (Role::ProductManager, "approval", json!({})),
    ] {
        bench.decide(role, &case, what, body).await.expect_problem(403, "request.forbidden");
    }
    let (path, any) = (format!("/v1/after-sales/{case}"), format!("/v1/admin/after-sales/{case}"));
    for role in [Role::Support, Role::Warehouse, Role::Operator] {
        bench.staff(role).get(&any).await.expect(200);
        bench.staff(role).get(&path).await.expect_problem(403, "request.forbidden");
    }
    bench.staff(Role::ProductManager).get(&any).await.expect_problem(403, "request.forbidden");
    let listed = format!("/v1/orders/{ORDER}/after-sales");
    assert_eq!(bench.buyer().get(&listed).await.expect(200).body["items"][0]["id"], case.as_str());
    bench.staff(Role::Customer).get(&listed).await.expect_problem(404, "aftersale.order_not_found");
    bench.staff(Role::Customer).get(&path).await.expect_problem(404, "aftersale.case_not_found");
    let foreign = bench.staff(Role::Customer).post(&format!("{path}/withdrawal"), json!({})).await;
    foreign.expect_problem(404, "aftersale.case_not_found");
    let other = json!({"kind": "refund", "reason": "other", "lines": [{"sku": TEA, "quantity": 1}]});
    let foreign = bench.staff(Role::Customer).post(&format!("/v1/orders/{ORDER}/after-sales"), other).await;
    foreign.expect_problem(404, "aftersale.order_not_found");
}

async fn words_go_with_the_person(bench: Arc<Bench>) {
    let case = bench.ask("return", &[(TEA, 1)]).await.expect(201).text_at("/id");
    bench.decide(Role::Support, &case, "approval", json!({"text": "王小明 可以"})).await.expect(200);
    let stranger: AccountId = Id::from_bits(77);
    bench.hand_over(&PersonErased { account_id: stranger }).await;
    assert_eq!(bench.look(&case).await["words"].as_array().unwrap().len(), 2);
    bench.hand_over(&PersonErased { account_id: BUYER }).await;
    let seen = bench.look(&case).await;
    assert_eq!((&seen["words"], &seen["status"]), (&json!([]), &json!("approved")));
    let kept =
        "SELECT COUNT(*) FROM aftersale_idempotency WHERE body LIKE '%王小明%' OR body LIKE '%蓋が合わない%'";
    let kept = bench.deps.db.read("test", move |q| q.query_one(kept, params![], |row| row.get::<i64>(0)));
    assert_eq!(kept.await.unwrap(), 0, "nor is anything kept with the keys");
    bench.rows_are_the_events().await;
}
