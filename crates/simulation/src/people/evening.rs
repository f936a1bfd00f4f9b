//! When the day is over: nothing hangs, whatever was acknowledged is there, and every buyer's view agrees with what he
//! did and with what Alipay has of his.

use std::collections::{BTreeMap, btree_map};

use merx_alipay_sandbox::{Entry, EntryKind};
use merx_contracts::ids::AttemptId;
use merx_kernel::Role;
use merx_sql::{Query as _, Reader, params};
use merx_testkit::Answer;
use serde_json::Value;

use super::{
    Ask, Client, Town, Who,
    town::{Bought, FIRST_FLUSH, LIMIT},
};
use crate::world::World;

/// Every order has come to where it rests, with its money and its stock.
pub async fn assert_nothing_hangs(world: &World) {
    world.settle().await;
    let open = "SELECT COUNT(*) FROM ordering_orders WHERE order_axis IN ('placed', 'awaiting_payment')";
    assert_eq!(world.count(open).await, 0, "orders hang");
    let held = "SELECT COUNT(*) FROM inventory_reservations WHERE status = 'reserved'";
    assert_eq!(world.count(held).await, 0, "stock hangs");
    let stranded = "SELECT COUNT(*) FROM ordering_orders WHERE order_axis IN ('cancelled', 'rejected') AND paid_minor <> 0";
    assert_eq!(world.count(stranded).await, 0, "money hangs");
    let unfinished = "SELECT COUNT(*) FROM ordering_orders o
        LEFT JOIN ordering_shipments s ON s.order_id = o.order_id
        WHERE o.order_axis = 'confirmed' AND s.shipment_id IS NULL";
    assert_eq!(world.count(unfinished).await, 0, "parcels hang");
    let holds = "SELECT COUNT(*) FROM shipping_holds WHERE status = 'held'";
    assert_eq!(world.count(holds).await, 0, "holds hang");
    let refunding = "SELECT COUNT(*) FROM aftersale_cases WHERE status = 'refunding'";
    assert_eq!(world.count(refunding).await, 0, "money after the sale hangs");
    let counted = "SELECT COALESCE(SUM(bought), 0) FROM ordering_purchases";
    let bought = format!(
        "SELECT COALESCE(SUM(l.quantity), 0) FROM ordering_lines l JOIN ordering_orders o ON o.order_id = l.order_id
        WHERE l.sku = '{FIRST_FLUSH}' AND o.order_axis NOT IN ('rejected', 'cancelled')"
    );
    assert_eq!(world.count(counted).await, world.count(&bought).await, "limits are not given back");
    let over = format!(
        "SELECT COUNT(*) FROM (SELECT o.account_id FROM ordering_lines l
        JOIN ordering_orders o ON o.order_id = l.order_id
        WHERE l.sku = '{FIRST_FLUSH}' AND o.order_axis NOT IN ('rejected', 'cancelled')
        GROUP BY o.account_id HAVING SUM(l.quantity) > {LIMIT}) AS greedy"
    );
    assert_eq!(world.count(&over).await, 0, "somebody has more than one may have");
}

/// Everything that was acknowledged, looked up by whom it was told to. What was told to somebody who is gone by now is
/// looked up by the staff, where it is the shop's.
pub async fn assert_promises_kept<'a>(town: &'a Town<'a>, auditor: &Client<'a>) {
    let promises = town.take_promises();
    // Many were told of one thing: it is looked up once.
    let mut seen: BTreeMap<(String, String), Option<Answer>> = BTreeMap::new();
    for promise in promises {
        let is_gone = matches!(promise.by, Who::Account(account, _) if town.is_gone(account));
        let is_the_shops = ["/v1/orders/", "/v1/payments/"].iter().any(|path| promise.path.starts_with(path));
        if is_gone && !is_the_shops {
            continue;
        }
        let by = if is_gone { auditor.who.clone() } else { promise.by.clone() };
        let at = (format!("{by:?}"), promise.path.clone());
        if !seen.contains_key(&at) {
            let looked = auditor.elsewhere(by, "looks").ask(Ask::get(promise.path.clone())).await;
            seen.insert(at.clone(), looked);
        }
        let looked = seen[&at].as_ref().unwrap_or_else(|| panic!("nobody answers about {}", promise.path));
        let is_kept = looked.status == 200 && (promise.holds)(looked);
        assert!(is_kept, "{} was acknowledged, and at {} is {}", promise.what, promise.path, looked.text);
    }
}

/// What went in and out for each trade at Alipay, in minor units.
fn moved(ledger: &[Entry]) -> BTreeMap<&str, (i64, i64)> {
    let mut moved: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for entry in ledger {
        let (taken, back) = moved.entry(&entry.out_trade_no).or_default();
        match entry.kind {
            EntryKind::Capture => *taken += entry.amount.minor,
            EntryKind::Refund => *back += entry.amount.minor,
        }
    }
    moved
}

/// What staff has confirmed of each attempt, in minor units: what came is what the buyer handed over, no less and no more.
async fn by_hand(town: &Town<'_>) -> Vec<(String, i64, i64)> {
    let sql =
        "SELECT t.attempt_id, t.amount_minor, COALESCE(SUM(r.amount_minor), 0) FROM payment_offline_trades t
         LEFT JOIN payment_offline_refunds r ON r.attempt_id = t.attempt_id AND r.confirmed_at IS NOT NULL
         WHERE t.receipt_id IS NOT NULL GROUP BY t.attempt_id, t.amount_minor";
    let read = |q: &mut Reader<'_>| {
        q.query(sql, params![], |row| Ok((row.get::<AttemptId>(0)?.bare(), row.get(1)?, row.get(2)?)))
    };
    let all: Vec<(String, i64, i64)> = town.world.shop.deps.db.read("evening.by_hand", read).await.unwrap();
    for (attempt, taken, back) in &all {
        assert_eq!(town.handed_over(attempt), Some(*taken), "{attempt}: another sum was confirmed");
        assert!(back <= taken, "{attempt}: {back} of {taken} was paid back");
    }
    all
}

/// Each order is what its buyer was told, costs what it was to cost, and has exactly the money that Alipay took for it
/// and did not give back.
pub async fn assert_accounts_agree<'a>(town: &'a Town<'a>, auditor: &Client<'a>) {
    let ledger = town.world.ledger().await;
    let by_hand = by_hand(town).await;
    let mut moved = moved(&ledger);
    moved.extend(by_hand.iter().map(|(attempt, taken, back)| (attempt.as_str(), (*taken, *back))));
    let mut lists: BTreeMap<_, Option<Vec<Value>>> = BTreeMap::new();
    for bought in town.bought() {
        let is_gone = town.is_gone(bought.by);
        let who = if is_gone { auditor.who.clone() } else { Who::Account(bought.by, bought.role) };
        let buyer = auditor.elsewhere(who, "for a buyer");
        let order = get(&buyer, format!("/v1/orders/{}", bought.id)).await;
        // Who gave up before it was arranged never learned of it.
        let payment = match order.text_at("/payment_id").as_str() {
            "" => None,
            payment => Some(get(&buyer, format!("/v1/payments/{payment}")).await),
        };
        let known = order.text_at("/payment_id");
        assert!(bought.payment_id.is_empty() || bought.payment_id == known, "{}", order.text);
        let payment = payment.filter(|payment| payment.status == 200);
        let after_sale = given_back_after_sale(auditor, &bought).await;
        assert_order(town, (&bought, after_sale), &order, payment.as_ref(), &moved);
        if !is_gone {
            if let btree_map::Entry::Vacant(unknown) = lists.entry(bought.by) {
                let statuses = "placing,rejected,awaiting_payment,payment_in_review,paid,part_shipped,shipped,\
                                delivered,completed,cancelled";
                let listed = get(&buyer, format!("/v1/orders?limit=100&status={statuses}")).await;
                unknown.insert(listed.body["items"].as_array().cloned());
            }
            let listed = lists[&bought.by].iter().flatten().find(|listed| listed["id"] == *bought.id);
            let listed = listed.unwrap_or_else(|| panic!("{} is not in its buyer's list", bought.id));
            for field in ["status", "amounts", "axes", "lines", "number"] {
                assert_eq!(listed[field], order.body[field], "{field} in the list of the buyer");
            }
        }
    }
}

async fn get(client: &Client<'_>, path: String) -> Answer {
    let answer = client.ask(Ask::get(path.clone())).await;
    answer.unwrap_or_else(|| panic!("nobody answers about {path}"))
}

/// What the cases of an order have given back, in minor units.
async fn given_back_after_sale(auditor: &Client<'_>, bought: &Bought) -> i64 {
    let path = format!("/v1/admin/after-sales?order_id={}&status=refunded&limit=100", bought.id);
    let cases = get(auditor, path).await;
    let cases = cases.body["items"].as_array().into_iter().flatten();
    cases.filter_map(|case| case.pointer("/refund/minor").and_then(Value::as_i64)).sum()
}

fn assert_order(
    town: &Town<'_>,
    (bought, after_sale): (&Bought, i64),
    order: &Answer,
    payment: Option<&Answer>,
    moved: &BTreeMap<&str, (i64, i64)>,
) {
    let number = |body: &Value, pointer: &str| body.pointer(pointer).and_then(Value::as_i64);
    assert_eq!(number(&order.body, "/amounts/total/minor"), Some(bought.total_minor), "{}", order.text);
    let mut lines: Vec<_> = order.body["lines"].as_array().into_iter().flatten().collect();
    lines.sort_by_key(|line| line["sku"].to_string());
    for (line, (sku, units, price)) in lines.iter().zip(&bought.lines) {
        let is = (line["sku"].as_str(), line["quantity"].as_i64(), number(line, "/unit_price/minor"));
        assert_eq!(is, (Some(sku.as_str()), Some(*units), Some(*price)), "{}", order.text);
    }
    assert_eq!(lines.len(), bought.lines.len(), "{}", order.text);
    let Some(payment) = payment else {
        assert_eq!(order.body["axes"]["order"], "rejected", "an order without a payment: {}", order.text);
        return;
    };
    let attempts = payment.body["attempts"].as_array().into_iter().flatten();
    let trades: Vec<&str> =
        attempts.filter_map(|a| a["id"].as_str()?.split_once('_').map(|(_, bare)| bare)).collect();
    let of = |trade: &&str| moved.get(trade).copied().unwrap_or_default();
    let (taken, back) = trades.iter().map(of).fold((0, 0), |(t, b), (taken, back)| (t + taken, b + back));
    assert_eq!(number(&payment.body, "/captured/minor"), Some(taken), "{}", payment.text);
    assert_eq!(number(&payment.body, "/refunded/minor"), Some(back), "{}", payment.text);
    assert_eq!(
        number(&order.body, "/amounts/paid/minor"),
        Some(taken - back),
        "{}\n{}",
        order.text,
        payment.text
    );
    for paid in &bought.paid {
        let known = trades.contains(&paid.as_str()) && moved.contains_key(paid.as_str());
        assert!(known, "{} was paid by trade {paid}, of which nobody knows: {}", bought.id, payment.text);
    }
    let owed = match order.body["axes"]["order"].as_str() {
        Some("confirmed" | "completed") => bought.total_minor - after_sale,
        _ => 0,
    };
    assert_eq!(taken - back, owed, "{}\n{}", order.text, payment.text);
    let status = order.text_at("/status");
    town.tally.count(format!("order ended: {status}"), 1);
}

/// All of it.
pub async fn assert_all_is_well<'a>(town: &'a Town<'a>) {
    assert_nothing_hangs(town.world).await;
    let auditor = town.staff(Role::Administrator, "the auditor").await;
    assert_promises_kept(town, &auditor).await;
    assert_accounts_agree(town, &auditor).await;
}
