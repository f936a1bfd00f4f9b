//! What buyers ask once an order is paid: money, returns, exchanges, in parts, with everybody's deadlines.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, header},
};
use merx_aftersale::Policy;
use merx_alipay_sandbox::EntryKind;
use merx_kernel::Role;
use merx_server::shop::{Settings, Topology};
use merx_testkit::{Answer, TestApi};
use serde_json::{Value, json};

use merx_simulation::world::{Buyer, CUP, Ground, Order, TEA, World, story};

async fn bought(world: &World, lines: &[(&str, i64)]) -> (Buyer, Order) {
    let buyer = world.buyer().await;
    let order = buyer.order(lines).await;
    buyer.pay(world, &order).await;
    (buyer, order)
}

pub async fn arrived(world: &World, lines: &[(&str, i64)]) -> (Buyer, Order) {
    let (buyer, order) = bought(world, lines).await;
    world.ship(&order).await;
    for shipment in world.shipments(&order).await {
        world.deliver(shipment["id"].as_str().unwrap()).await;
    }
    (buyer, order)
}

pub fn lines(lines: &[(&str, i64)]) -> Value {
    lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect()
}

async fn try_ask(buyer: &Buyer, order: &Order, kind: &str, of: &[(&str, i64)]) -> Answer {
    let body = json!({"kind": kind, "reason": "damaged", "text": "它碎了", "lines": lines(of)});
    buyer.api.post(&format!("/v1/orders/{}/after-sales", order.id), body).await
}
pub async fn ask(buyer: &Buyer, order: &Order, kind: &str, of: &[(&str, i64)]) -> String {
    let asked = try_ask(buyer, order, kind, of).await.expect(201);
    assert_eq!(asked.body["status"], "requested");
    asked.text_at("/id")
}

/// What somebody does with a case; it may be refused.
pub async fn act(world: &World, role: Role, case: &str, what: &str, body: Value) -> Answer {
    let staff = world.staff(role).await;
    let answer = staff.post(&format!("/v1/admin/after-sales/{case}/{what}"), body).await;
    money_is_back(world).await;
    answer
}
/// Two refunds of one trade are seconds apart.
pub async fn money_is_back(world: &World) {
    world.settle().await;
    world.pass(Duration::from_secs(10)).await;
    world.settle().await;
}
pub async fn approve(world: &World, case: &str) -> Answer {
    act(world, Role::Support, case, "approval", json!({})).await
}
pub async fn comes_back(world: &World, case: &str, of: &[(&str, i64)]) {
    act(world, Role::Warehouse, case, "receipt", json!({"lines": lines(of)})).await.expect(200);
}
/// (SKU, restocked, written off)
pub async fn inspected(world: &World, case: &str, found: &[(&str, i64, i64)]) -> Answer {
    let line = |(sku, restocked, written_off): &(&str, i64, i64)| json!({"sku": sku, "restocked": restocked, "written_off": written_off});
    let body = json!({"lines": found.iter().map(line).collect::<Vec<_>>(), "text": "opened"});
    act(world, Role::Warehouse, case, "inspection", body).await
}
pub async fn sent(buyer: &Buyer, case: &str) -> Answer {
    let by = json!({"carrier": "YTO", "tracking_number": "YT9"});
    buyer.api.post(&format!("/v1/after-sales/{case}/return-shipment"), by).await
}
pub async fn look(api: &TestApi, case: &str) -> Value {
    api.get(&format!("/v1/after-sales/{case}")).await.expect(200).body
}
/// As staff see it.
async fn read(api: &TestApi, case: &str) -> Value {
    api.get(&format!("/v1/admin/after-sales/{case}")).await.expect(200).body
}
pub async fn status(buyer: &Buyer, case: &str) -> String {
    look(&buyer.api, case).await["status"].as_str().unwrap().to_owned()
}
/// The axes of payment and after-sale.
pub async fn axes(buyer: &Buyer, order: &Order) -> [String; 2] {
    let seen = buyer.look(order).await;
    ["payment", "after_sale"].map(|axis| seen["axes"][axis].as_str().unwrap().to_owned())
}
pub async fn refunded(world: &World) -> Vec<i64> {
    let moved = world.moved().await;
    moved.into_iter().filter(|(kind, _)| *kind == EntryKind::Refund).map(|(_, minor)| minor.abs()).collect()
}

#[tokio::test(start_paused = true)]
async fn money_goes_back_without_the_goods() {
    let world = World::new().await;
    let (buyer, order) = bought(&world, &[(TEA, 1), (CUP, 2)]).await;
    let case = ask(&buyer, &order, "refund", &[(CUP, 1)]).await;
    world.settle().await;
    assert_eq!(axes(&buyer, &order).await, ["captured", "requested"]);
    let early = try_ask(&buyer, &order, "return", &[(TEA, 1)]).await;
    early.expect_problem(409, "aftersale.not_arrived");
    let approved = approve(&world, &case).await.expect(200);
    assert_eq!(approved.body["refund"]["minor"], 3_900);
    assert_eq!((status(&buyer, &case).await, refunded(&world).await), ("refunded".to_owned(), vec![3_900]));
    assert_eq!(axes(&buyer, &order).await, ["part_refunded", "closed"]);
    let seen = buyer.look(&order).await;
    assert_eq!(seen["amounts"]["refunded"]["minor"], 3_900);
    assert_eq!(seen["amounts"]["paid"]["minor"], order.total_minor - 3_900);
    // The goods go on to the buyer, and the order to its end.
    world.ship(&order).await;
    for shipment in world.shipments(&order).await {
        world.deliver(shipment["id"].as_str().unwrap()).await;
    }
    buyer.receive(&order).await.expect(200);
    // Everything else after the receipt, freight and all.
    let rest = ask(&buyer, &order, "refund", &[(CUP, 1), (TEA, 1)]).await;
    let freight = seen["amounts"]["freight"].clone();
    act(&world, Role::Support, &rest, "approval", json!({"freight": freight})).await.expect(200);
    assert_eq!(axes(&buyer, &order).await, ["refunded", "closed"]);
    assert_eq!(refunded(&world).await.iter().sum::<i64>(), order.total_minor);
    try_ask(&buyer, &order, "refund", &[(CUP, 1)]).await.expect_problem(409, "aftersale.units_claimed");
    let told: Vec<String> = story(&buyer.api, &order)
        .await
        .iter()
        .filter(|entry| entry["name"] == "AfterSaleMoved")
        .map(|entry| entry["detail"]["status"].as_str().unwrap().to_owned())
        .collect();
    let once = ["requested", "approved", "refunding", "refunded"];
    assert_eq!(told, [once, once].concat());
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn goods_go_back_in_parts_and_their_money_adds_up() {
    let world = World::new().await;
    world.sell("SET-3", 1_667, 100, 7).await;
    let (buyer, order) = arrived(&world, &[("SET-3", 3), (CUP, 1)]).await;
    let before = world.stock("SET-3").await;
    let first = ask(&buyer, &order, "return", &[("SET-3", 1)]).await;
    let second = ask(&buyer, &order, "return", &[("SET-3", 2)]).await;
    try_ask(&buyer, &order, "exchange", &[("SET-3", 1)]).await.expect_problem(409, "aftersale.units_claimed");
    for case in [&first, &second] {
        approve(&world, case).await.expect(200);
    }
    sent(&buyer, &first).await.expect(200);
    sent(&buyer, &first).await.expect(200);
    buyer
        .api
        .post(&format!("/v1/after-sales/{first}/withdrawal"), json!({}))
        .await
        .expect_problem(409, "aftersale.not_in_this_state");
    world.settle().await;
    assert_eq!(axes(&buyer, &order).await, ["captured", "approved"]);
    comes_back(&world, &first, &[("SET-3", 1)]).await;
    inspected(&world, &first, &[("SET-3", 0, 2)]).await.expect(400);
    inspected(&world, &first, &[("SET-3", 1, 0)]).await.expect(200);
    assert_eq!(axes(&buyer, &order).await, ["part_refunded", "approved"]);
    // One of the two never came: it may be asked for again.
    comes_back(&world, &second, &[("SET-3", 1)]).await;
    inspected(&world, &second, &[("SET-3", 0, 1)]).await.expect(200);
    let third = ask(&buyer, &order, "return", &[("SET-3", 1)]).await;
    approve(&world, &third).await.expect(200);
    comes_back(&world, &third, &[("SET-3", 1)]).await;
    inspected(&world, &third, &[("SET-3", 1, 0)]).await.expect(200);
    assert_eq!(refunded(&world).await.iter().sum::<i64>(), 3 * 1_667);
    assert_eq!(axes(&buyer, &order).await, ["part_refunded", "closed"]);
    // Two can be sold again; what was written off stays sold.
    let after = world.stock("SET-3").await;
    assert_eq!([after[0] - before[0], after[2] - before[2]], [2, -2]);
    let listed = buyer.api.get(&format!("/v1/orders/{}/after-sales", order.id)).await.expect(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 3);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn only_what_arrived_of_a_parted_order_goes_back() {
    let world = World::new().await;
    let (buyer, order) = bought(&world, &[(TEA, 3)]).await;
    let whole = world.shipments(&order).await[0]["id"].as_str().unwrap().to_owned();
    world.split(&whole, TEA, 1).await.expect(201);
    world.dispatch(&whole).await.expect(200);
    world.settle().await;
    world.deliver(&whole).await;
    try_ask(&buyer, &order, "return", &[(TEA, 3)]).await.expect_problem(409, "aftersale.not_arrived");
    let case = ask(&buyer, &order, "return", &[(TEA, 2)]).await;
    approve(&world, &case).await.expect(200);
    comes_back(&world, &case, &[(TEA, 2)]).await;
    inspected(&world, &case, &[(TEA, 2, 0)]).await.expect(200);
    assert_eq!(refunded(&world).await, [2 * 16_800]);
    // The rest goes on.
    world.ship(&order).await;
    assert_eq!(axes(&buyer, &order).await, ["part_refunded", "closed"]);
    world.finish().await;
}

/// A shop where what takes days elsewhere takes minutes.
async fn hasty() -> World {
    let policy = Policy {
        answer_within_s: 600,
        send_within_s: 1_800,
        return_window_s: 3 * 3_600,
        ..Policy::default()
    };
    let tune = move |settings: &mut Settings| settings.aftersale = policy;
    World::on(Ground::virtual_time(1), Topology::Local, tune).await
}

#[tokio::test(start_paused = true)]
async fn whoever_is_late_is_told_of_or_lets_go() {
    let world = hasty().await;
    let (buyer, order) = arrived(&world, &[(TEA, 2)]).await;
    let slow = ask(&buyer, &order, "return", &[(TEA, 1)]).await;
    world.pass(Duration::from_secs(660)).await;
    world.settle().await;
    let late = world.staff(Role::Support).await.get("/v1/admin/after-sales?escalated=true").await.expect(200);
    assert_eq!(late.body["items"][0]["id"], slow.as_str());
    approve(&world, &slow).await.expect(200);
    assert_eq!(look(&buyer.api, &slow).await["escalated"], false);
    world.pass(Duration::from_secs(1_860)).await;
    world.settle().await;
    assert_eq!(status(&buyer, &slow).await, "expired");
    // Those units are free; what is withdrawn or refused is too.
    for end in ["withdrawal", "refusal"] {
        let case = ask(&buyer, &order, "return", &[(TEA, 2)]).await;
        if end == "withdrawal" {
            buyer.api.post(&format!("/v1/after-sales/{case}/withdrawal"), json!({})).await.expect(200);
        } else {
            act(&world, Role::Support, &case, "refusal", json!({"reason": "不行"})).await.expect(200);
            assert_eq!(look(&buyer.api, &case).await["words"][0]["text"], "不行");
        }
    }
    world.pass(Duration::from_secs(3 * 3_600)).await;
    world.settle().await;
    try_ask(&buyer, &order, "return", &[(TEA, 1)]).await.expect_problem(409, "aftersale.window_closed");
    assert_eq!(axes(&buyer, &order).await, ["captured", "closed"]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_and_a_refund_never_give_the_same_money() {
    let world = World::new().await;
    let (buyer, order) = bought(&world, &[(TEA, 1), (CUP, 1)]).await;
    let granted = ask(&buyer, &order, "refund", &[(CUP, 1)]).await;
    let open = ask(&buyer, &order, "refund", &[(TEA, 1)]).await;
    approve(&world, &granted).await.expect(200);
    buyer.cancel(&order).await;
    money_is_back(&world).await;
    assert_eq!(buyer.status(&order).await, "cancelled");
    assert_eq!([status(&buyer, &granted).await, status(&buyer, &open).await], ["refunded", "cancelled"]);
    assert_eq!(refunded(&world).await.iter().sum::<i64>(), order.total_minor);
    assert_eq!(axes(&buyer, &order).await, ["refunded", "closed"]);
    try_ask(&buyer, &order, "refund", &[(TEA, 1)]).await.expect_problem(409, "ordering.order_ended");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn foreign_cases_are_none() {
    let world = World::new().await;
    let (buyer, order) = arrived(&world, &[(TEA, 1)]).await;
    let stranger = world.buyer().await;
    try_ask(&stranger, &order, "return", &[(TEA, 1)]).await.expect_problem(404, "aftersale.order_not_found");
    let case = ask(&buyer, &order, "return", &[(TEA, 1)]).await;
    let path = format!("/v1/after-sales/{case}");
    stranger.api.get(&path).await.expect_problem(404, "aftersale.case_not_found");
    sent(&stranger, &case).await.expect_problem(404, "aftersale.case_not_found");
    let withdrawn = stranger.api.post(&format!("{path}/withdrawal"), json!({})).await;
    withdrawn.expect_problem(404, "aftersale.case_not_found");
    let none = stranger.api.get(&format!("/v1/orders/{}/after-sales", order.id)).await;
    none.expect_problem(404, "aftersale.order_not_found");
    approve(&world, &case).await.expect(200);
    let again = world.staff(Role::Support).await;
    again
        .post(&format!("/v1/admin/after-sales/{case}/approval"), json!({}))
        .await
        .expect_problem(409, "aftersale.not_in_this_state");
    world.finish().await;
}

/// A PNG of so many pixels a side.
fn picture(side: u32) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(side, side).write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

async fn show(world: &World, api: &TestApi, case: &str, key: &str, bytes: Vec<u8>) -> Answer {
    let ask = Request::post(format!("/v1/after-sales/{case}/pictures"))
        .header(header::AUTHORIZATION, format!("Bearer {}", api.token().unwrap()))
        .header(header::CONTENT_TYPE, "image/png")
        .header("idempotency-key", key)
        .body(Body::from(bytes))
        .unwrap();
    world.knock(ask).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn pictures_are_seen_by_the_buyer_and_staff_and_erased_with_the_person() {
    let world = World::new().await;
    let (buyer, order) = arrived(&world, &[(TEA, 1)]).await;
    let case = ask(&buyer, &order, "return", &[(TEA, 1)]).await;
    show(&world, &buyer.api, &case, "bad", b"GIF89a".to_vec())
        .await
        .expect_problem(409, "aftersale.picture_refused");
    let shown = show(&world, &buyer.api, &case, "one", picture(2_000)).await.expect(201);
    assert_eq!((&shown.body["width"], &shown.body["height"]), (&json!(1_600), &json!(1_600)));
    let again = show(&world, &buyer.api, &case, "one", picture(2_000)).await.expect(201);
    assert_eq!(again.body["id"], shown.body["id"]);
    let path = format!("/v1/after-sales/{case}/pictures/{}", shown.text_at("/id"));
    let any = path.replace("/v1/", "/v1/admin/");
    let support = world.staff(Role::Support).await;
    for (api, path) in [(&buyer.api, &path), (&support, &any)] {
        let seen = api.get(path).await.expect(200);
        assert_eq!(seen.headers[header::CACHE_CONTROL], "private, no-store");
    }
    let stranger = world.buyer().await;
    stranger.api.get(&path).await.expect_problem(404, "aftersale.case_not_found");
    let stolen = show(&world, &stranger.api, &case, "x", picture(8)).await;
    stolen.expect_problem(404, "aftersale.case_not_found");
    for n in 1..9 {
        show(&world, &buyer.api, &case, &format!("k{n}"), picture(8)).await.expect(201);
    }
    show(&world, &buyer.api, &case, "k9", picture(8)).await.expect_problem(409, "aftersale.picture_limit");
    assert_eq!(read(&support, &case).await["pictures"].as_array().unwrap().len(), 9);
    approve(&world, &case).await.expect(200);
    sent(&buyer, &case).await.expect(200);
    show(&world, &buyer.api, &case, "late", picture(8))
        .await
        .expect_problem(409, "aftersale.not_in_this_state");

    let reason = json!({"reason": "asked for by letter"});
    let erase = format!("/v1/admin/accounts/{}/erasure", buyer.account);
    support.post(&erase, reason).await.expect(200);
    world.settle().await;
    let left = read(&support, &case).await;
    assert_eq!((&left["words"], &left["pictures"]), (&json!([]), &json!([])));
    support.get(&any).await.expect_problem(404, "aftersale.picture_not_found");
    assert_eq!(world.count("SELECT COUNT(*) FROM aftersale_words").await, 0);
    // What staff write about them later is not kept either.
    comes_back(&world, &case, &[(TEA, 1)]).await;
    inspected(&world, &case, &[(TEA, 1, 0)]).await.expect(200);
    assert_eq!(world.count("SELECT COUNT(*) FROM aftersale_words").await, 0);
    world.finish().await;
}

/// What is done to the books, and what undoes it.
const WRONGS: &[(&str, &str)] = &[
    ("UPDATE aftersale_lines SET claimed = claimed + 9", "UPDATE aftersale_lines SET claimed = claimed - 9"),
    (
        "UPDATE aftersale_lines SET refunded = refunded + 9",
        "UPDATE aftersale_lines SET refunded = refunded - 9",
    ),
    (
        "UPDATE aftersale_lines SET amount_minor = amount_minor + 1000000",
        "UPDATE aftersale_lines SET amount_minor = amount_minor - 1000000",
    ),
    ("UPDATE aftersale_lines SET bought = bought + 1", "UPDATE aftersale_lines SET bought = bought - 1"),
    (
        "UPDATE aftersale_cases SET refund_minor = refund_minor + 1",
        "UPDATE aftersale_cases SET refund_minor = refund_minor - 1",
    ),
    ("UPDATE aftersale_refunds SET paid = 0", "UPDATE aftersale_refunds SET paid = 1"),
    (
        "UPDATE payment_refunds SET amount_minor = amount_minor + 1",
        "UPDATE payment_refunds SET amount_minor = amount_minor - 1",
    ),
    (
        "UPDATE shipping_shipments SET case_id = (SELECT case_id FROM aftersale_cases)",
        "UPDATE shipping_shipments SET case_id = NULL",
    ),
];

#[tokio::test(start_paused = true)]
async fn the_auditor_sees_what_is_wrong_after_the_sale() {
    let world = World::new().await;
    let (buyer, order) = arrived(&world, &[(TEA, 2)]).await;
    let case = ask(&buyer, &order, "return", &[(TEA, 1)]).await;
    approve(&world, &case).await.expect(200);
    comes_back(&world, &case, &[(TEA, 1)]).await;
    inspected(&world, &case, &[(TEA, 1, 0)]).await.expect(200);
    let violated = async || {
        let ledger = merx_server::shop::provider_entries(world.ledger().await);
        let report = world.shop.audit(Some(ledger), false).run().await.unwrap();
        report.checks.iter().any(|check| check.id == "A5" && !check.violations.is_empty())
    };
    assert!(!violated().await);
    for (wrong, undo) in WRONGS {
        for (sql, seen) in [(*wrong, true), (*undo, false)] {
            let write = move |tx: &mut merx_sql::Tx<'_>| tx.execute(sql, merx_sql::params![]);
            assert_eq!(world.shop.deps.db.write("test.wrong", write).await.unwrap(), 1, "{sql}");
            assert_eq!(violated().await, seen, "{sql}");
        }
    }
    world.finish().await;
}

/// One of two units came back broken and was written off; then the parcel comes back: only the other goes into stock.
#[tokio::test(start_paused = true)]
async fn what_was_written_off_comes_into_no_stock_with_the_parcel() {
    let world = World::new().await;
    let (buyer, order) = arrived(&world, &[(TEA, 2)]).await;
    let before = world.stock(TEA).await;
    let case = ask(&buyer, &order, "return", &[(TEA, 1)]).await;
    approve(&world, &case).await.expect(200);
    comes_back(&world, &case, &[(TEA, 1)]).await;
    inspected(&world, &case, &[(TEA, 0, 1)]).await.expect(200);
    let parcel = world.shipments(&order).await[0]["id"].as_str().unwrap().to_owned();
    world.track(&parcel, "returned").await.expect(200);
    world.settle().await;
    let operator = world.staff(Role::Operator).await;
    let body = json!({"decision": "refund", "reason": "all of it is back"});
    operator.post(&format!("/v1/orders/{}/settlement", order.id), body).await.expect(200);
    money_is_back(&world).await;
    assert_eq!(world.stock(TEA).await[0], before[0] + 1);
    world.finish().await;
}
