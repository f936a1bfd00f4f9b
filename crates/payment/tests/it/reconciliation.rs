//! Bills held against payments and ledger: every difference found, once, and nothing else.

use std::{
    collections::BTreeMap,
    io::{Cursor, Write as _},
    time::Duration,
};

use encoding_rs::GBK;
use http::StatusCode;
use libtest_mimic::Trial;
use merx_alipay::{BillColumns, BillDate};
use merx_contracts::ids::AttemptId;
use merx_kernel::{Role, Timestamp};
use merx_payment::{
    ReconciliationConfig,
    domain::{BillKind, BillLine, Difference, DifferenceKind, FeeRate, Ours, ProviderName, judge},
};
use serde_json::{Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    everywhere,
    gateway::{SELLER_ID, yuan},
    modes::Mode,
    plain,
    world::{AMOUNT, START, World, money, order, refund_id},
};

pub fn trials() -> Vec<Trial> {
    [
        everywhere!["reconciliation":
            a_day_that_agrees_opens_no_case_and_books_its_fees_once,
            every_difference_is_a_case_once,
            what_agrees_later_settles_itself,
            what_is_booked_after_its_bill_is_judged_again,
            a_line_on_two_bills_waits_for_a_person,
            a_bill_that_is_not_whole_counts_for_nothing,
            the_day_before_is_reconciled_every_morning,
            only_finance_reconciles,
        ],
        plain!["reconciliation":
            a_line_is_judged_by_all_it_says,
            morning_is_beijing_time,
        ],
    ]
    .into_iter()
    .flatten()
    .collect()
}

const STAFF: u128 = 90;
const PATH: &str = "/v1/admin/reconciliations";
const CASES: &str = "/v1/admin/reconciliations/cases";
const DAY: Duration = Duration::from_secs(86_400);

/// A line: kind, our number, refund's number, fen, fee as a cost, the provider's number.
type Line = (bool, String, String, i64, i64, String);

fn bill(date: BillDate, lines: &[Line]) -> Vec<u8> {
    let mut text = format!(
        "#支付宝业务明细查询\r\n#账号：[{SELLER_ID}0156]\r\n#起始日期：[{} 00:00:00]   终止日期：[x]\r\n{}\r\n{}\r\n",
        {
            let day = date.to_string();
            format!("{}年{}月{}日", &day[..4], &day[5..7], &day[8..])
        },
        BillColumns::LIST_BEGINS,
        BillColumns::NAMES.join(",")
    );
    let at = date.start().to_beijing_string();
    let signed = |fen: i64| if fen < 0 { format!("-{}", yuan(-fen)) } else { yuan(fen) };
    for (back, order, request, fen, fee, trade) in lines {
        let kind = if *back { "退款" } else { "交易" };
        let amount = signed(if *back { -fen } else { *fen });
        text.push_str(&format!(
            "{trade}\t,{order}\t,{kind}\t,茶,{at},{at},\t,\t,\t,\t,*张,{amount},{amount},0.00,0.00,0.00,0.00,0.00,,0.00\t,\
             0.00,{request}\t,{},0.00,\r\n",
            signed(-fee)
        ));
    }
    let sum = |back: bool| {
        let of = lines.iter().filter(|line| line.0 == back);
        of.fold((0, 0), |(count, fen), line| (count + 1, fen + line.3))
    };
    let ((trades, paid), (refunds, returned)) = (sum(false), sum(true));
    text.push_str(&format!(
        "{}\r\n#交易合计：{trades}笔，商家实收共{}元，商家优惠共0.00元\r\n#退款合计：{refunds}笔，商家实收退款共{}元，商家优惠退款共0.00元\r\n",
        BillColumns::LIST_ENDS,
        yuan(paid),
        signed(-returned)
    ));
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("业务明细.csv", SimpleFileOptions::default()).unwrap();
    writer.write_all(&GBK.encode(&text).0).unwrap();
    writer.finish().unwrap().into_inner()
}

fn fee(fen: i64) -> i64 {
    (fen * 60 + 5_000) / 10_000
}

/// The line the provider owes for a capture, and for a refund of it.
fn captured(world: &World, attempt: AttemptId) -> Line {
    let trade = world.gateway.trade(attempt);
    (false, attempt.bare(), String::new(), trade.fen, fee(trade.fen), trade.trade_no)
}
fn returned(world: &World, attempt: AttemptId, n: u128) -> Line {
    let (refund, trade) = (refund_id(n), world.gateway.trade(attempt));
    let fen = world.gateway.refund_of(attempt, refund).unwrap();
    (true, attempt.bare(), refund.bare(), fen, -fee(fen), trade.trade_no)
}

async fn reconcile(world: &World, date: BillDate) -> Value {
    let body = json!({ "date": date.to_string() }).to_string();
    let reply = world.act(PATH, STAFF, Role::Operator, &world.fresh_key(), &body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    reply.json()
}

async fn cases(world: &World, query: &str) -> Vec<Value> {
    let reply = world.get(&format!("{CASES}?limit=100{query}"), STAFF, Role::Operator).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    reply.json()["items"].as_array().unwrap().clone()
}

/// How many cases of each kind.
fn kinds(cases: &[Value]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for case in cases {
        *kinds.entry(case["kind"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    kinds
}

async fn a_day_that_agrees_opens_no_case_and_books_its_fees_once(mode: Mode) {
    let world = World::new(mode).await;
    let today = BillDate::of(world.now());
    let (first, second) = (world.paid(order(1)).await, world.paid(order(2)).await);
    world.refund(order(1), refund_id(1), first, 500).await.unwrap();
    world.pass(Duration::from_secs(5)).await;
    let early = json!({ "date": today.to_string() }).to_string();
    let reply = world.act(PATH, STAFF, Role::Operator, "early", &early).await;
    reply.is_problem(409, "payment.day_not_over");
    world.pass(DAY).await;
    let lines = [captured(&world, first), captured(&world, second), returned(&world, first, 1)];
    assert_eq!(reconcile(&world, today).await["status"], "no_bill", "money moved, and there is no bill yet");
    assert!(cases(&world, "").await.is_empty());
    world.gateway.ledger().bill = Some(bill(today, &lines));
    let fees = 2 * fee(AMOUNT) - fee(500);
    for run in 2..=3 {
        let told = reconcile(&world, today).await;
        assert_eq!((&told["status"], &told["runs"]), (&json!("done"), &json!(run)), "{told}");
        assert_eq!((&told["captures"], &told["refunds"]), (&json!(2), &json!(1)));
        assert_eq!((&told["captured"]["minor"], &told["fees"]["minor"]), (&json!(2 * AMOUNT), &json!(fees)));
        assert_eq!(told["cases_opened"], 0, "{told}");
        let booked =
            world.count("SELECT COALESCE(SUM(minor), 0) FROM payment_postings WHERE account = 'fees'").await;
        assert_eq!(booked, fees, "each fee once, however often");
    }
    let at_provider =
        "SELECT COALESCE(SUM(minor), 0) FROM payment_postings WHERE account = 'clearing:alipay'";
    assert_eq!(world.count(at_provider).await, world.gateway.balance() - fees);
    assert!(world.alerts().await.is_empty());
    let listed = world.get(PATH, STAFF, Role::Operator).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(world.acted().await.iter().filter(|acted| acted.action == "payment.reconciled").count(), 3);
    world.finish_drained().await;
}

/// A day with one difference of each kind.
async fn wrong_day(world: &World) -> (BillDate, Vec<Line>) {
    let today = BillDate::of(world.now());
    let mut paid = Vec::new();
    for n in 1..=6 {
        paid.push(world.paid(order(n)).await);
    }
    let begun = world.begin(order(7)).await;
    for (n, attempt) in [(1, paid[0]), (2, paid[1]), (3, paid[2])] {
        world.refund(order(n), refund_id(n), attempt, 500).await.unwrap();
    }
    world.pass(Duration::from_secs(30)).await;
    world.pass(DAY).await;
    let mut lines: Vec<Line> = paid.iter().map(|attempt| captured(world, *attempt)).collect();
    lines.push(returned(world, paid[0], 1));
    lines.push(returned(world, paid[1], 2));
    // Paid there and unknown here: of somebody else, and of our own attempt that nobody paid as far as we know.
    lines.push((false, "foreign_1".to_owned(), String::new(), 100, fee(100), "t1".to_owned()));
    lines.push((false, begun.bare(), String::new(), AMOUNT, fee(AMOUNT), "t2".to_owned()));
    // The refund of the third is missing there; of the second another amount went back, and one that nobody asked for.
    (lines[7].3, lines[7].4) = (499, -fee(499));
    lines.push((true, paid[3].bare(), refund_id(9).bare(), 7, 0, lines[3].5.clone()));
    // The fourth is missing there.
    lines.remove(3);
    // Another amount, another fee, another trade, and a line twice.
    (lines[3].3, lines[3].4) = (AMOUNT + 1, fee(AMOUNT + 1));
    lines[4].4 += 1;
    lines[0].5 = "another trade".to_owned();
    lines.push(lines[1].clone());
    (today, lines)
}

fn every_kind() -> BTreeMap<String, usize> {
    [
        ("capture_unknown_here", 2),
        ("capture_missing_there", 1),
        ("capture_amount_differs", 1),
        ("refund_unknown_here", 1),
        ("refund_missing_there", 1),
        ("refund_amount_differs", 1),
        ("fee_differs", 1),
        ("trade_number_differs", 1),
        ("line_repeated", 1),
    ]
    .map(|(kind, count)| (kind.to_owned(), count))
    .into()
}

async fn every_difference_is_a_case_once(mode: Mode) {
    let world = World::new(mode).await;
    let (date, lines) = wrong_day(&world).await;
    world.gateway.ledger().bill = Some(bill(date, &lines));
    let told = reconcile(&world, date).await;
    let found = cases(&world, "").await;
    assert_eq!(kinds(&found), every_kind(), "{found:#?}");
    assert_eq!((&told["cases_opened"], &told["cases_open"]), (&json!(10), &json!(10)), "{told}");
    let again = reconcile(&world, date).await;
    assert_eq!((&again["cases_opened"], &again["cases_open"]), (&json!(10), &json!(10)), "once: {again}");
    let alerts = world.alerts().await;
    assert_eq!(alerts, ["payment_reconciliation_differs"].repeat(10));
    let differs = found.iter().find(|case| case["kind"] == "capture_amount_differs").unwrap();
    assert_eq!(
        (&differs["ours"]["minor"], &differs["theirs"]["minor"]),
        (&json!(AMOUNT), &json!(AMOUNT + 1))
    );
    assert_eq!(differs["payment_id"], order(5).to_string());
    let by_kind = cases(&world, "&kind=fee_differs&state=open").await;
    assert_eq!(by_kind.len(), 1);

    // A person settles one, once, with its alert.
    let id = by_kind[0]["id"].as_str().unwrap();
    let path = format!("{CASES}/{id}/resolution");
    let body = r#"{"reason":"The contract was changed yesterday."}"#;
    let settled = world.act(&path, STAFF, Role::Operator, "settle", body).await;
    assert_eq!((settled.status, &settled.json()["state"]), (StatusCode::OK, &json!("resolved")));
    assert_eq!(world.act(&path, STAFF, Role::Operator, "settle", body).await.text, settled.text, "repeated");
    world.act(&path, STAFF, Role::Operator, "again", body).await.is_problem(409, "payment.alert_resolved");
    let unknown = format!("{CASES}/rcc_{}/resolution", "0".repeat(26));
    world.act(&unknown, STAFF, Role::Operator, "none", body).await.is_problem(404, "payment.case_unknown");
    assert_eq!(world.acted().await.iter().filter(|acted| acted.action == "payment.case_resolved").count(), 1);
    let open = "SELECT COUNT(*) FROM payment_alerts WHERE resolved_at IS NULL";
    assert_eq!(world.count(open).await, 9);
    // And an alert is settled with its case.
    let alert =
        world.get("/v1/admin/payments/alerts?state=open", STAFF, Role::Operator).await.json()["items"][0]
            .clone();
    let path = format!("/v1/admin/payments/alerts/{}/resolution", alert["id"].as_str().unwrap());
    assert_eq!(world.act(&path, STAFF, Role::Operator, "alert", body).await.status, StatusCode::OK);
    assert_eq!(cases(&world, "&state=open").await.len(), 8);
    assert_eq!(reconcile(&world, date).await["cases_opened"], 10, "what was settled is not found again");
    world.finish().await;
}

async fn what_agrees_later_settles_itself(mode: Mode) {
    let world = World::new(mode).await;
    let (date, lines) = wrong_day(&world).await;
    world.gateway.ledger().bill = Some(bill(date, &lines));
    reconcile(&world, date).await;
    // The provider mends its bill, but for the line of somebody else.
    let mut right: Vec<Line> = Vec::new();
    let numbers: Vec<String> = world.gateway.ledger().trades.keys().cloned().collect();
    for number in numbers {
        let attempt = AttemptId::parse_bare(&number).unwrap();
        if world.gateway.trade(attempt).status != crate::gateway::Status::Paid {
            continue;
        }
        right.push(captured(&world, attempt));
        for n in 1..=3 {
            if world.gateway.refund_of(attempt, refund_id(n)).is_some() {
                right.push(returned(&world, attempt, n));
            }
        }
    }
    right.push((false, "foreign_1".to_owned(), String::new(), 100, fee(100), "t1".to_owned()));
    world.gateway.ledger().bill = Some(bill(date, &right));
    let told = reconcile(&world, date).await;
    let open = cases(&world, "&state=open").await;
    // What is on no bill any more cannot be said to agree: a person looks.
    let left: BTreeMap<String, usize> =
        [("capture_unknown_here".to_owned(), 2), ("refund_unknown_here".to_owned(), 1)].into();
    assert_eq!(kinds(&open), left, "{told} {open:#?}");
    world.finish().await;
}

async fn what_is_booked_after_its_bill_is_judged_again(mode: Mode) {
    let world = World::new(mode).await;
    let today = BillDate::of(world.now());
    let (paid, unheard) = (world.paid(order(1)).await, world.begin(order(2)).await);
    world.refund(order(1), refund_id(1), paid, 500).await.unwrap();
    assert!(world.gateway.pay(unheard));
    // The shop stands still until the day is over: it hears of neither.
    world.step(DAY);
    let trade_no = world.gateway.trade(paid).trade_no;
    let back = (true, paid.bare(), refund_id(1).bare(), 500, -fee(500), trade_no);
    let foreign = (false, "foreign_1".to_owned(), String::new(), 100, fee(100), "t1".to_owned());
    let lines = [captured(&world, paid), captured(&world, unheard), back, foreign];
    world.gateway.ledger().bill = Some(bill(today, &lines));
    reconcile(&world, today).await;
    let unknown = kinds(&cases(&world, "&state=open").await);
    let expected = [("capture_unknown_here".to_owned(), 2), ("refund_unknown_here".to_owned(), 1)].into();
    assert_eq!(unknown, expected);
    let fees = "SELECT COALESCE(SUM(minor), 0) FROM payment_postings WHERE account = 'fees'";
    assert_eq!(world.count(fees).await, fee(AMOUNT), "of what was known");
    // Then it does. The next morning's bill has nothing of it, and is late by two hours.
    world.payments.reconcile_daily().await.unwrap();
    let morning = BillDate::of(world.now()).end().plus(Duration::from_secs(10 * 3_600));
    world.gateway.ledger().bill = None;
    world.pass(morning.since(world.now())).await;
    world.gateway.ledger().bill = Some(bill(BillDate::of(world.now()).before(), &[]));
    world.pass(Duration::from_secs(2 * 3_600)).await;
    let open = cases(&world, "&state=open").await;
    assert_eq!(kinds(&open), [("capture_unknown_here".to_owned(), 1)].into(), "of somebody else: {open:#?}");
    assert_eq!(world.count(fees).await, 2 * fee(AMOUNT) - fee(500), "each fee once");
    let alerts = "SELECT COUNT(*) FROM payment_alerts WHERE resolved_at IS NULL";
    assert_eq!(world.count(alerts).await, 1, "alerts are settled with their cases");
    let listed = world.get(PATH, STAFF, Role::Operator).await.json();
    let of_day = listed["items"].as_array().unwrap().iter().find(|r| r["date"] == today.to_string()).unwrap();
    assert_eq!((&of_day["captures"], &of_day["cases_open"]), (&json!(3), &json!(1)), "{of_day}");
    world.pass(DAY).await;
    assert_eq!(world.count(fees).await, 2 * fee(AMOUNT) - fee(500));
    world.finish_drained().await;
}

async fn a_line_on_two_bills_waits_for_a_person(mode: Mode) {
    let world = World::new(mode).await;
    let today = BillDate::of(world.now());
    let paid = world.paid(order(1)).await;
    world.pass(DAY + DAY).await;
    let tomorrow = BillDate::of(today.end());
    let line = captured(&world, paid);
    for date in [today, tomorrow, today] {
        world.gateway.ledger().bill = Some(bill(date, std::slice::from_ref(&line)));
        reconcile(&world, date).await;
    }
    let open = cases(&world, "&state=open").await;
    assert_eq!(kinds(&open), [("line_repeated".to_owned(), 1)].into(), "the earlier bill does not end it");
    assert_eq!(world.alerts().await, ["payment_reconciliation_differs"]);
    let settled = "SELECT COUNT(*) FROM payment_alerts WHERE resolved_at IS NOT NULL";
    assert_eq!(world.count(settled).await, 0);
    world.finish().await;
}

async fn a_bill_that_is_not_whole_counts_for_nothing(mode: Mode) {
    let world = World::new(mode).await;
    let today = BillDate::of(world.now());
    let paid = world.paid(order(1)).await;
    world.pass(DAY).await;
    let whole = bill(today, &[captured(&world, paid)]);
    let other_day = bill(today.before(), &[captured(&world, paid)]);
    let others = GBK.decode(&whole).0.is_empty();
    assert!(!others);
    for wrong in [whole[..whole.len() - 30].to_vec(), b"<html>".to_vec(), other_day] {
        world.gateway.ledger().bill = Some(wrong);
        let body = json!({ "date": today.to_string() }).to_string();
        let reply = world.act(PATH, STAFF, Role::Operator, &world.fresh_key(), &body).await;
        reply.is_problem(503, "payment.bill_unreadable");
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_bill_lines").await, 0);
    assert!(cases(&world, "").await.is_empty());
    for body in [r#"{"date":"2026-13-01"}"#, r#"{"date":"yesterday"}"#, r#"{"date":"2026-1-1"}"#] {
        let reply = world.act(PATH, STAFF, Role::Operator, &world.fresh_key(), body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}: {}", reply.text);
        assert_eq!(reply.json()["errors"][0]["pointer"], "/date", "{}", reply.text);
    }
    world.finish().await;
}

async fn the_day_before_is_reconciled_every_morning(mode: Mode) {
    let world = World::new(mode).await;
    let today = BillDate::of(world.now());
    let paid = world.paid(order(1)).await;
    world.payments.reconcile_daily().await.unwrap();
    world.payments.reconcile_daily().await.unwrap();
    // It is four in the afternoon in Beijing.
    let morning = today.end().plus(Duration::from_secs(10 * 3_600));
    world.pass(morning.since(world.now())).await;
    let status = async |world: &World| {
        let listed = world.get(PATH, STAFF, Role::Operator).await.json();
        listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["status"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // The day before there was no shop, and today's bill is late.
    assert_eq!(status(&world).await, ["no_bill"]);
    world.pass(Duration::from_secs(3_600)).await;
    assert!(world.alerts().await.is_empty(), "a bill may be late");
    world.gateway.ledger().down = true;
    world.pass(DAY + DAY).await;
    world.gateway.ledger().down = false;
    assert_eq!(world.alerts().await, ["payment_bill_missed"], "once, and not for ever");
    world.gateway.ledger().bill = Some(bill(today, &[captured(&world, paid)]));
    world.pass(Duration::from_secs(1_800)).await;
    assert_eq!(status(&world).await[0], "done");
    let open = "SELECT COUNT(*) FROM payment_alerts WHERE resolved_at IS NULL";
    assert_eq!(world.count(open).await, 0, "and the alert is settled");
    world.finish().await;
}

async fn only_finance_reconciles(mode: Mode) {
    let world = World::new(mode).await;
    for role in [Role::Customer, Role::Support, Role::Warehouse] {
        let body = r#"{"date":"2026-11-20"}"#;
        assert_eq!(world.act(PATH, STAFF, role, "k", body).await.status, StatusCode::FORBIDDEN, "{role:?}");
        assert_eq!(world.get(PATH, STAFF, role).await.status, StatusCode::FORBIDDEN);
        assert_eq!(world.get(CASES, STAFF, role).await.status, StatusCode::FORBIDDEN);
    }
    world.finish().await;
}

fn a_line_is_judged_by_all_it_says() {
    let line = BillLine {
        kind: BillKind::Refund,
        order_number: "a".to_owned(),
        request_number: "r".to_owned(),
        trade_no: "t".to_owned(),
        amount: money(500),
        fee: money(-3),
        at: START,
    };
    let ours = Ours {
        payment_id: order(1),
        attempt_id: AttemptId::from_bits(1),
        refund_id: Some(refund_id(1)),
        amount: Some(money(500)),
        trade_no: Some("t".to_owned()),
        ledger_minor: 500,
    };
    let rate = FeeRate { basis_points: 60 };
    let kinds = |line: &BillLine, ours: Option<&Ours>| -> Vec<DifferenceKind> {
        judge(line, ours, rate).into_iter().map(|difference| difference.kind).collect()
    };
    use DifferenceKind::{FeeDiffers, LedgerDiffers, RefundAmountDiffers, RefundUnknownHere};
    assert_eq!(kinds(&line, Some(&ours)), []);
    assert_eq!(kinds(&line, None), [RefundUnknownHere]);
    assert_eq!(kinds(&line, Some(&Ours { amount: None, ..ours.clone() })), [RefundUnknownHere]);
    let ledger = Ours { ledger_minor: 499, ..ours.clone() };
    let told = judge(&line, Some(&ledger), rate);
    assert_eq!(told, [Difference { kind: LedgerDiffers, ours: Some(500), theirs: Some(499) }]);
    let dearer = BillLine { fee: money(3), ..line.clone() };
    assert_eq!(kinds(&dearer, Some(&ours)), [FeeDiffers], "a fee that was not given back");
    let less = BillLine { amount: money(400), ..line };
    assert_eq!(kinds(&less, Some(&ours)), [RefundAmountDiffers, FeeDiffers]);
    for (fen, fee) in [(0, 0), (83, 0), (84, 1), (1_999, 12), (10_000_000_000, 60_000_000)] {
        assert_eq!(rate.of(money(fen)), money(fee), "{fen}");
    }
}

fn morning_is_beijing_time() {
    let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
    let config = ReconciliationConfig::default();
    assert_eq!(config.next_after(at("2026-11-20T01:59:59Z")), Some(at("2026-11-20T02:00:00Z")));
    assert_eq!(config.next_after(at("2026-11-20T02:00:00Z")), Some(at("2026-11-21T02:00:00Z")));
    assert_eq!(config.next_after(at("2026-11-20T23:00:00Z")), Some(at("2026-11-21T02:00:00Z")));
    let never = ReconciliationConfig { daily_at: String::new(), ..config };
    assert_eq!(never.next_after(at("2026-11-20T23:00:00Z")), None);
    assert_eq!(ProviderName::Alipay.as_str(), "alipay");
}
