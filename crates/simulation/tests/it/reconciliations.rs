//! The day's bill against payments and ledger in the whole shop: a day on which nothing is wrong, and one on which one thing
//! of each kind is.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    body::Body,
    http::{Request, header},
};
use merx_alipay::BillDate;
use merx_contracts::ids::AttemptId;
use merx_kernel::{Currency, Money, Role};
use merx_payment::{commands::Report, domain::ProviderName};
use merx_simulation::world::{Attempt, Order, TEA, World};
use merx_testkit::request;
use serde_json::{Value, json};

const PATH: &str = "/v1/admin/reconciliations";

/// Orders something, pays it, and sends it back when it is told to.
async fn bought(world: &World, and_cancelled: bool) -> (Order, Attempt) {
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let attempt = buyer.pay(world, &order).await;
    world.settle().await;
    assert_eq!(buyer.status(&order).await, "paid");
    if and_cancelled {
        assert!(buyer.cancel(&order).await.status.is_success());
        world.pass(Duration::from_secs(60)).await;
        world.settle().await;
    }
    (order, attempt)
}

/// Makes something wrong with a bill, by the double's control API.
async fn change(world: &World, date: BillDate, change: Value) {
    let ask =
        Request::post(format!("/bills/{date}/changes")).header(header::CONTENT_TYPE, "application/json");
    request(&world.pages, ask.body(Body::from(change.to_string())).unwrap()).await.expect(201);
}

/// The number of the refund of a capture, as Alipay has it.
async fn refund_of(world: &World, attempt: &Attempt) -> String {
    let ledger = world.ledger().await;
    let of =
        |e: &&merx_alipay_sandbox::Entry| e.out_trade_no == attempt.number && !e.out_request_no.is_empty();
    ledger.iter().find(of).expect("it went back").out_request_no.clone()
}

/// The shop rests until the morning after the day is over, and does then what it would have done by itself.
async fn morning_after(world: World, date: BillDate) -> World {
    let morning = date.end().plus(Duration::from_secs(10 * 3_600 + 60));
    let span = morning.since(world.time());
    let world = world.rested(span, &[]).await;
    world.pass(Duration::from_secs(5)).await;
    world.settle().await;
    world
}

async fn cases(world: &World, query: &str) -> Vec<Value> {
    let staff = world.staff(Role::Operator).await;
    let page = staff.get(&format!("{PATH}/cases?limit=100{query}")).await.expect(200).body;
    page["items"].as_array().unwrap().clone()
}

fn kinds(cases: &[Value]) -> BTreeMap<&str, usize> {
    let mut kinds = BTreeMap::new();
    for case in cases {
        *kinds.entry(case["kind"].as_str().unwrap()).or_default() += 1;
    }
    kinds
}

/// What a reconciliation of the day told, by itself.
async fn told(world: &World, date: BillDate) -> Value {
    let listed = world.staff(Role::Operator).await.get(PATH).await.expect(200).body;
    let of_day = |r: &&Value| r["date"] == date.to_string();
    listed["items"].as_array().unwrap().iter().find(of_day).expect("it was reconciled").clone()
}

/// A fee as Alipay rounds it: half a fen up.
fn fee(fen: i64) -> i64 {
    (fen * 60 + 5_000) / 10_000
}

/// Once more by hand: nothing more is opened. Then people settle what there is.
async fn settled_by_hand(world: &World, day: BillDate, report: &Value, found: &[Value]) {
    let staff = world.staff(Role::Operator).await;
    let again = staff.post(PATH, json!({"date": day.to_string()})).await.expect(200).body;
    assert_eq!((&again["cases_opened"], &again["runs"]), (&report["cases_opened"], &json!(2)), "{again}");
    for case in found {
        let path = format!("{PATH}/cases/{}/resolution", case["id"].as_str().unwrap());
        staff.post(&path, json!({"reason": "Alipay was asked."})).await.expect(200);
    }
    assert!(cases(world, "&state=open").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_seeded_day_is_found_out_and_nothing_else_is() {
    let world = World::new().await;
    let day = BillDate::of(world.time());
    let mut all = Vec::new();
    for cancelled in [true, true, true, false, false, false, false, false] {
        all.push(bought(&world, cancelled).await);
    }
    let number = |place: usize| all[place].1.number.clone();
    let refunds = [refund_of(&world, &all[0].1).await, refund_of(&world, &all[1].1).await];
    for wrong in [
        json!({"change": "add", "kind": "capture", "out_trade_no": "somebody_elses", "amount": "8.88"}),
        json!({"change": "add", "kind": "refund", "out_trade_no": number(3), "out_request_no": "nobodys", "amount": "0.01"}),
        json!({"change": "drop", "out_trade_no": number(0), "out_request_no": refunds[0]}),
        json!({"change": "amount", "out_trade_no": number(1), "out_request_no": refunds[1], "amount": "1.00"}),
        json!({"change": "drop", "out_trade_no": number(4)}),
        json!({"change": "amount", "out_trade_no": number(5), "amount": "0.50"}),
        json!({"change": "fee", "out_trade_no": number(6), "fee": "9.99"}),
        json!({"change": "trade_no", "out_trade_no": number(7), "trade_no": "2000000000000000000000000666"}),
    ] {
        change(&world, day, wrong).await;
    }
    let world = morning_after(world, day).await;
    let report = told(&world, day).await;
    println!("{report:#}");
    assert_eq!(report["status"], "done");
    let found = cases(&world, "").await;
    for case in &found {
        println!("{case}");
    }
    // Another amount has another fee too; the line that was made up has none.
    let expected: BTreeMap<&str, usize> = [
        ("capture_unknown_here", 1),
        ("capture_missing_there", 1),
        ("capture_amount_differs", 1),
        ("refund_unknown_here", 1),
        ("refund_missing_there", 1),
        ("refund_amount_differs", 1),
        ("fee_differs", 3),
        ("trade_number_differs", 1),
    ]
    .into();
    assert_eq!(kinds(&found), expected, "{found:#?}");
    let of_fee = found.iter().filter(|case| case["kind"] == "fee_differs");
    let mut of_fee: Vec<&str> = of_fee.map(|case| case["order_number"].as_str().unwrap()).collect();
    of_fee.sort_unstable();
    let mut wrong = vec![number(1), number(5), number(6)];
    wrong.sort_unstable();
    assert_eq!(of_fee, wrong);
    println!(
        "PROOF | reconciliation | a seeded day: one difference of each kind | size=8 | {} cases, nothing else | seed=1",
        found.len()
    );

    settled_by_hand(&world, day, &report, &found).await;

    // The next day is as it should be.
    let next = BillDate::of(world.time());
    bought(&world, true).await;
    let world = morning_after(world, next).await;
    let report = told(&world, next).await;
    assert_eq!((&report["status"], &report["cases_opened"]), (&json!("done"), &json!(0)), "{report}");
    let alerts = ["payment_reconciliation_differs"].repeat(found.len());
    world.finish_alarmed(&alerts).await;
}

#[tokio::test(start_paused = true)]
async fn the_books_of_some_days_are_those_of_alipay() {
    let mut world = World::new().await;
    let first = BillDate::of(world.time());
    let mut day = first;
    for n in 0..3 {
        bought(&world, n % 2 == 0).await;
        world = morning_after(world, day).await;
        day = BillDate::of(day.end());
    }
    assert!(cases(&world, "").await.is_empty());
    let fees: i64 = world
        .ledger()
        .await
        .iter()
        .filter(|e| e.at < day.start())
        .map(|e| if e.out_request_no.is_empty() { fee(e.amount.minor) } else { -fee(e.amount.minor) })
        .sum();
    let moved: i64 = world
        .ledger()
        .await
        .iter()
        .map(|e| if e.out_request_no.is_empty() { e.amount.minor } else { -e.amount.minor })
        .sum();
    let balance =
        world.staff(Role::Operator).await.get("/v1/admin/ledger/trial-balance").await.expect(200).body;
    assert_eq!(balance["is_balanced"], true, "{balance:#}");
    let of = |name: &str| {
        let accounts = balance["accounts"].as_array().unwrap();
        accounts.iter().find(|a| a["account"] == name).map_or(0, |a| a["balance"]["minor"].as_i64().unwrap())
    };
    assert_eq!(of("clearing:alipay"), moved - fees, "{balance:#}");
    assert_eq!(of("fees"), fees);
    assert_eq!(of("receivable"), 0);
    // Freight of an order that is not cancelled stays earned.
    let kept = -of("revenue") - of("freight") - of("refunds");
    assert_eq!(kept, moved, "what was earned is what was kept: {balance:#}");
    world.finish().await;
}

/// The balances that are not zero, in minor units.
async fn balances(world: &World) -> BTreeMap<String, i64> {
    let told = world.staff(Role::Operator).await.get("/v1/admin/ledger/trial-balance").await.expect(200).body;
    assert_eq!(told["is_balanced"], true, "{told:#}");
    let accounts = told["accounts"].as_array().unwrap().iter();
    accounts
        .map(|a| (a["account"].as_str().unwrap().to_owned(), a["balance"]["minor"].as_i64().unwrap()))
        .filter(|(_, minor)| *minor != 0)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn too_much_money_is_a_deposit_until_somebody_accepts_it() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let number = buyer.attempt(&order).await.number;
    // The double cannot be paid too much: the shop is told so behind its back, and nobody looks at the books of the two.
    let report = Report {
        attempt_id: AttemptId::parse_bare(&number).unwrap(),
        provider: ProviderName::Alipay,
        amount: Money::new(order.total_minor + 500, Currency::CNY),
        provider_trade_no: number,
    };
    world.shop.payment.capture(order.payment_id.parse().unwrap(), report, None, None).await.unwrap();
    world.settle().await;
    let held = balances(&world).await;
    assert_eq!((held["deposits"], held["receivable"]), (-order.total_minor - 500, order.total_minor));
    let path = format!("/v1/orders/{}/settlement", order.id);
    let decision = json!({"decision": "accept", "reason": "The buyer meant it."});
    world.staff(Role::Operator).await.post(&path, decision).await.expect(200);
    world.settle().await;
    let kept = balances(&world).await;
    assert_eq!((kept["deposits"], kept.get("receivable")), (-500, None), "what is too much waits to go back");
    world.abandon().await;
}
