//! The books over HTTP: balanced, in pages, as of a moment, and as CSV that no spreadsheet takes for formulas.

use std::time::Duration;

use http::StatusCode;
use libtest_mimic::Trial;
use merx_kernel::Role;
use merx_payment::queries::ledger::csv_cell;
use merx_sql::params;
use serde_json::Value;

use crate::{
    everywhere, inline,
    modes::Mode,
    world::{AMOUNT, FREIGHT, World, money, order, refund_id},
};

pub fn trials() -> Vec<Trial> {
    [
        everywhere!["ledger":
            a_life_is_booked_account_by_account,
            what_does_not_balance_is_told,
            postings_come_in_pages_and_as_csv,
        ],
        inline!["ledger": only_finance_reads_the_books, a_cell_is_never_a_formula],
    ]
    .into_iter()
    .flatten()
    .collect()
}

const STAFF: u128 = 90;
const BALANCE: &str = "/v1/admin/ledger/trial-balance";

async fn json(world: &World, path: &str) -> Value {
    let reply = world.get(path, STAFF, Role::Operator).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    reply.json()
}

/// The balances by account, in minor units.
async fn balances(world: &World, path: &str) -> Vec<(String, i64)> {
    let told = json(world, path).await;
    assert_eq!(told["is_balanced"], true, "{told}");
    let accounts = told["accounts"].as_array().unwrap().iter();
    accounts
        .map(|a| (a["account"].as_str().unwrap().to_owned(), a["balance"]["minor"].as_i64().unwrap()))
        .filter(|(_, minor)| *minor != 0)
        .collect()
}

async fn a_life_is_booked_account_by_account(mode: Mode) {
    let world = World::new(mode).await;
    let goods = AMOUNT - FREIGHT;
    let is = |balances: Vec<(String, i64)>, expected: &[(&str, i64)]| {
        let expected: Vec<_> = expected.iter().map(|(name, minor)| ((*name).to_owned(), *minor)).collect();
        assert_eq!(balances, expected);
    };
    world.open(order(1)).await;
    let sold = [("freight", -FREIGHT), ("receivable", AMOUNT), ("revenue", -goods)];
    is(balances(&world, BALANCE).await, &sold);
    let before = world.now();
    world.step(Duration::from_secs(1));
    let (attempt, url) = world.start(order(1)).await;
    world.gateway.visit(&url);
    assert!(world.gateway.pay(attempt));
    world.notified(attempt).await;
    is(
        balances(&world, BALANCE).await,
        &[("clearing:alipay", AMOUNT), ("freight", -FREIGHT), ("revenue", -goods)],
    );
    is(balances(&world, &format!("{BALANCE}?as_of={before}")).await, &sold);
    // A part goes back, then the rest: shared between goods and freight so that it comes out even.
    world.refund(order(1), refund_id(1), attempt, 333).await.unwrap();
    world.pass(Duration::from_secs(1)).await;
    let share = money(333).split(&[goods.unsigned_abs(), FREIGHT.unsigned_abs()]).unwrap();
    let part = [
        ("clearing:alipay", AMOUNT - 333),
        ("freight", share[1].minor - FREIGHT),
        ("refunds", share[0].minor),
        ("revenue", -goods),
    ];
    is(balances(&world, BALANCE).await, &part);
    world.refund(order(1), refund_id(2), attempt, AMOUNT - 333).await.unwrap();
    world.pass(Duration::from_secs(10)).await;
    is(balances(&world, BALANCE).await, &[("refunds", goods), ("revenue", -goods)]);
    // An order that nobody pays was no sale; money that comes all the same is a deposit until it goes back.
    let late = world.begin(order(2)).await;
    world.close(order(2)).await;
    world.gateway.pay_closed(late);
    world.notified(late).await;
    let held = [("clearing:alipay", AMOUNT), ("deposits", -AMOUNT), ("refunds", goods), ("revenue", -goods)];
    is(balances(&world, BALANCE).await, &held);
    world.refund(order(2), refund_id(3), late, AMOUNT).await.unwrap();
    world.pass(Duration::from_secs(10)).await;
    is(balances(&world, BALANCE).await, &[("refunds", goods), ("revenue", -goods)]);
    world.finish_drained().await;
}

async fn what_does_not_balance_is_told(mode: Mode) {
    let world = World::new(mode).await;
    world.paid(order(1)).await;
    let tamper = |sql: &'static str| {
        let db = world.deps.db.clone();
        async move { db.write("test.tamper", move |tx| tx.execute(sql, params![]).map(drop)).await.unwrap() }
    };
    tamper("UPDATE payment_postings SET minor = minor + 1 WHERE account = 'revenue'").await;
    let told = json(&world, BALANCE).await;
    assert_eq!(told["is_balanced"], false);
    assert_eq!(told["unbalanced"][0]["payment_id"], order(1).to_string());
    tamper("UPDATE payment_postings SET minor = minor - 1 WHERE account = 'revenue'").await;
    assert_eq!(json(&world, BALANCE).await["is_balanced"], true);
    tamper("UPDATE payment_postings SET account = 'pocket' WHERE account = 'revenue'").await;
    let told = json(&world, BALANCE).await;
    assert_eq!(told["is_balanced"], false, "an account of no chart: {told}");
    tamper("UPDATE payment_postings SET account = 'revenue' WHERE account = 'pocket'").await;
    tamper("DELETE FROM payment_shapes").await;
    world.get(BALANCE, STAFF, Role::Operator).await.is_problem(503, "payment.ledger_not_built");
    merx_payment::bring_up_to_date(&world.deps.db).await.unwrap();
    assert_eq!(json(&world, BALANCE).await["is_balanced"], true);
    world.finish().await;
}

async fn postings_come_in_pages_and_as_csv(mode: Mode) {
    let world = World::new(mode).await;
    for n in 1..=5 {
        world.paid(order(n)).await;
        world.step(Duration::from_secs(1));
    }
    let path = "/v1/admin/ledger/accounts/receivable/postings?limit=3";
    let (mut all, mut next) = (Vec::new(), path.to_owned());
    let pages = loop {
        let page = json(&world, &next).await;
        all.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("{path}&cursor={cursor}"),
            None => break all.len().div_ceil(3),
        }
    };
    assert_eq!((all.len(), pages), (10, 4));
    let minors: Vec<i64> = all.iter().map(|p| p["amount"]["minor"].as_i64().unwrap()).collect();
    assert_eq!(minors, [AMOUNT, -AMOUNT].repeat(5), "oldest first, each once");
    assert_eq!((&all[0]["kind"], &all[1]["kind"]), (&"sale".into(), &"capture".into()));
    world
        .get("/v1/admin/ledger/accounts/pocket/postings", STAFF, Role::Operator)
        .await
        .is_problem(404, "payment.account_unknown");
    world.get(&format!("{path}&cursor=x"), STAFF, Role::Operator).await.is_problem(400, "request.invalid");

    let reply = world.get("/v1/admin/ledger/postings.csv", STAFF, Role::Operator).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.headers["content-type"].to_str().unwrap().starts_with("text/csv"));
    let lines: Vec<&str> = reply.text.lines().collect();
    assert_eq!(lines.len(), 1 + 5 * (3 + 2), "a head, three postings a sale and two a capture");
    let debits: i64 = cents(&lines, 2);
    assert_eq!((debits, cents(&lines, 3)), (10 * AMOUNT, 10 * AMOUNT));
    assert!(lines[1].contains(",freight,,5.00,CNY,sale,pay_"), "{}", lines[1]);
    let one = world.get("/v1/admin/ledger/postings.csv?account=freight", STAFF, Role::Operator).await;
    assert_eq!(one.text.lines().count(), 6);
    world
        .get("/v1/admin/ledger/postings.csv?account=pocket", STAFF, Role::Operator)
        .await
        .is_problem(404, "payment.account_unknown");
    world.finish().await;
}

fn cents(lines: &[&str], column: usize) -> i64 {
    let cells = lines[1..].iter().map(|line| line.split(',').nth(column).unwrap().replace('.', ""));
    cells.filter(|cell| !cell.is_empty()).map(|cell| cell.parse::<i64>().unwrap()).sum()
}

async fn only_finance_reads_the_books(mode: Mode) {
    let world = World::new(mode).await;
    for path in [BALANCE, "/v1/admin/ledger/accounts/fees/postings", "/v1/admin/ledger/postings.csv"] {
        for role in [Role::Customer, Role::Support, Role::Warehouse, Role::ProductManager] {
            assert_eq!(world.get(path, STAFF, role).await.status, StatusCode::FORBIDDEN, "{path} {role:?}");
        }
        assert_eq!(world.get(path, STAFF, Role::Operator).await.status, StatusCode::OK, "{path}");
    }
    world.finish().await;
}

#[allow(clippy::unused_async, reason = "as its neighbours")]
async fn a_cell_is_never_a_formula(_: Mode) {
    for (text, cell) in [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
        ("-19.99", "-19.99"),
        ("a,b", "\"a,b\""),
        ("pay_1", "pay_1"),
    ] {
        assert_eq!(csv_cell(text), cell);
    }
}
