//! A database of the first release, which knew no quarantined payments, is brought up to date.

use libtest_mimic::Trial;
use merx_contracts::ids::{AccountId, AttemptId};
use merx_kernel::{Id, Result, Role};
use merx_platform::Store;
use merx_sql::{NewEvent, Query as _, Tx, params};
use serde_json::json;

use crate::{
    everywhere,
    modes::Mode,
    world::{AMOUNT, BUYER, START, World, money, order, order_of},
};

pub fn trials() -> Vec<Trial> {
    everywhere!["upgrade":
        money_that_was_not_what_was_asked_is_quarantined_in_the_rows_too,
    ]
}

const PAYMENT: &str = "INSERT INTO payment_payments (payment_id, order_id, buyer, amount_minor, currency, deadline,
     subject, status, captured_minor, refunded_minor, opened_at) VALUES (?, ?, ?, ?, 'CNY', ?, 's', 'captured', ?, 0, ?)";
const ATTEMPT: &str =
    "INSERT INTO payment_attempts (attempt_id, payment_id, provider, amount_minor, currency,
     started_at, expires_at, closed_at) VALUES (?, ?, 'alipay', ?, 'CNY', ?, ?, NULL)";
const POSTINGS: &str =
    "INSERT INTO payment_postings (payment_id, version, account, minor, currency, attempt_id,
     refund_id, provider_trade_no, posted_at) VALUES";

/// One payment of the first release that was paid with `minor`.
fn write_paid(tx: &mut Tx<'_>, store: &Store, n: u128, minor: i64) -> Result<()> {
    let (payment_id, attempt_id) = (order(n), AttemptId::from_bits(n));
    let (buyer, trade_no) = (AccountId::from_bits(BUYER), format!("trade-{n}"));
    let order_id = order_of(payment_id);
    let event = |name, body: serde_json::Value| NewEvent { name, schema: 1, body: body.to_string() };
    let events = [
        event(
            "PaymentOpened",
            json!({ "order_id": order_id, "buyer": buyer, "amount": money(AMOUNT), "deadline": START, "subject": "s" }),
        ),
        event(
            "AttemptStarted",
            json!({ "attempt_id": attempt_id, "provider": "alipay", "amount": money(AMOUNT), "started_at": START,
                    "expires_at": START }),
        ),
        event(
            "PaymentCaptured",
            json!({ "attempt_id": attempt_id, "amount": money(minor), "provider": "alipay",
                    "provider_trade_no": trade_no, "late": false, "duplicate": false }),
        ),
    ];
    store.events.append(tx, payment_id, 0, &events, START)?;
    tx.execute(PAYMENT, params![payment_id, order_id, buyer, AMOUNT, START, minor, START])?;
    tx.execute(ATTEMPT, params![attempt_id, payment_id, AMOUNT, START, START])?;
    let posting = |account: &str, minor: i64| {
        params![payment_id, 3i64, account, minor, "CNY", attempt_id, None::<Id<()>>, trade_no.as_str(), START]
    };
    tx.insert_rows(POSTINGS, 9, vec![posting("alipay", minor), posting("buyers", -minor)])
}

async fn money_that_was_not_what_was_asked_is_quarantined_in_the_rows_too(mode: Mode) {
    let world = World::upgraded(mode, |tx, store| {
        write_paid(tx, store, 1, AMOUNT)?;
        write_paid(tx, store, 2, AMOUNT - 500)
    })
    .await;
    let reply = world.get("/v1/admin/payments?status=quarantined", 1, Role::Operator).await;
    let items = reply.json()["items"].clone();
    let ids: Vec<_> = items.as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
    assert_eq!(ids, [json!(order(2))], "{}", reply.text);
    // The ledger is built from the events: the sales, the money that was owed, and the money that was not.
    let of = |account: &'static str| {
        let world = &world;
        async move {
            let sql = "SELECT COALESCE(SUM(minor), 0) FROM payment_postings WHERE account = ?";
            let read =
                move |q: &mut merx_sql::Reader<'_>| q.query_one(sql, params![account], |row| row.get(0));
            world.deps.db.read("test.balance", read).await.unwrap()
        }
    };
    let balances: [i64; 4] =
        [of("clearing:alipay").await, of("receivable").await, of("revenue").await, of("deposits").await];
    assert_eq!(balances, [2 * AMOUNT - 500, AMOUNT, -2 * AMOUNT, -(AMOUNT - 500)]);
    assert_eq!(of("alipay").await + of("buyers").await, 0i64, "nothing is left of the old chart");
    world.finish().await;
}
