//! Money that staff confirms: from the buyer's choice to the refund that is paid back by hand.

use std::time::Duration;

use libtest_mimic::Trial;
use merx_contracts::ids::AttemptId;
use merx_kernel::Role;
use serde_json::{Value, json};

use crate::{
    everywhere, inline,
    modes::Mode,
    world::{AMOUNT, BUYER, World, order, refund_id},
};

const TRANSFER: &str = r#"{"method":"bank_transfer"}"#;
const CASH: &str = r#"{"method":"cash_on_delivery"}"#;
const CLERK: u128 = 50;

pub fn trials() -> Vec<Trial> {
    let mut trials = everywhere!["offline":
        a_transfer_is_paid_once_staff_has_seen_it,
        a_refund_is_through_once_staff_has_paid_it_back,
    ];
    trials.extend(inline!["offline":
        buyers_are_told_how_they_can_pay,
        staff_cannot_speak_for_a_provider_nor_a_buyer_for_staff,
        another_amount_waits_for_a_person_and_late_money_goes_back,
        a_change_of_mind_closes_what_was_begun,
    ]);
    trials
}

async fn begin(world: &World, n: u128, body: &str) -> (AttemptId, Value) {
    world.open(order(n)).await;
    let reply = world.post_attempt(order(n), BUYER, &world.fresh_key(), body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    (reply.json()["id"].as_str().unwrap().parse().unwrap(), reply.json())
}

fn seen(minor: i64) -> String {
    let amount = json!({"minor": minor, "currency": "CNY"});
    json!({"amount": amount, "reference": "slip 4711 of Zhang", "reason": "on the statement of today"})
        .to_string()
}
const PAID_BACK: &str = r#"{"reference":"transfer 12 to Zhang","reason":"by the bank"}"#;

fn place(n: u128, attempt_id: AttemptId) -> String {
    format!("/v1/admin/payments/{}/attempts/{attempt_id}/confirmation", order(n))
}

async fn a_transfer_is_paid_once_staff_has_seen_it(mode: Mode) {
    let world = World::new(mode).await;
    let (attempt_id, told) = begin(&world, 1, TRANSFER).await;
    assert_eq!(told["instructions"], "Bank of Hangzhou, 6222 0000");
    assert_eq!(told["transfer_reference"], attempt_id.bare());
    assert!(told.get("pay_url").is_none() && told.get("qr_code").is_none());
    world.pass(Duration::from_secs(600)).await;
    assert_eq!(world.view(order(1)).await.status, "open", "nobody has seen it");

    let refused =
        world.act(&place(1, attempt_id), CLERK, Role::Support, &world.fresh_key(), &seen(AMOUNT)).await;
    assert_eq!(refused.status, 403, "support may look only");
    let key = world.fresh_key();
    for _ in 0..2 {
        let reply = world.act(&place(1, attempt_id), CLERK, Role::Operator, &key, &seen(AMOUNT)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json()["kind"], "owed");
    }
    let again =
        world.act(&place(1, attempt_id), CLERK, Role::Operator, &world.fresh_key(), &seen(AMOUNT)).await;
    again.is_problem(409, "payment.already_captured");
    let view = world.view(order(1)).await;
    assert_eq!((view.status.as_str(), view.captured.minor), ("captured", AMOUNT));
    let told = world.captured_facts().await;
    assert_eq!((told.len(), told[0].provider.as_str(), told[0].late), (1, "offline", false));
    let acted = world.acted().await;
    assert_eq!(acted.len(), 1);
    assert_eq!(
        (acted[0].action.as_str(), acted[0].object.as_str()),
        ("payment.money_confirmed", attempt_id.to_string().as_str())
    );
    assert_eq!(acted[0].reason.as_deref(), Some("on the statement of today"));
    // What a person wrote about the transfer stays in the row that can be erased.
    for sql in [
        "SELECT COUNT(*) FROM payment_events WHERE body LIKE '%4711%'",
        "SELECT COUNT(*) FROM payment_outbox WHERE envelope LIKE '%4711%'",
    ] {
        assert_eq!(world.count(sql).await, 0, "{sql}");
    }
    world.pass(Duration::from_secs(7_200)).await;
    assert_eq!(world.next_timer().await, None);
    world.finish().await;
}

async fn a_refund_is_through_once_staff_has_paid_it_back(mode: Mode) {
    let world = World::new(mode).await;
    let (attempt_id, _) = begin(&world, 1, CASH).await;
    world.act(&place(1, attempt_id), CLERK, Role::Operator, &world.fresh_key(), &seen(AMOUNT)).await;
    world.refund(order(1), refund_id(7), attempt_id, 500).await.unwrap();
    world.pass(Duration::from_secs(5)).await;
    assert_eq!(world.alerts().await, ["payment_refund_by_hand"], "staff is told at once, once");
    world.pass(Duration::from_secs(3_600)).await;
    assert_eq!(world.alerts().await.len(), 1);
    assert_eq!(world.view(order(1)).await.refunds[0].status, "requested");
    let path = format!("/v1/payment-refunds/{}/confirmation", refund_id(7));
    let key = world.fresh_key();
    for _ in 0..2 {
        let reply = world.act(&path, CLERK, Role::Operator, &key, PAID_BACK).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["status"]),
            (200, &json!("succeeded")),
            "{}",
            reply.text
        );
    }
    // Under another key it is so already.
    assert_eq!(world.act(&path, CLERK, Role::Operator, &world.fresh_key(), PAID_BACK).await.status, 200);
    let view = world.view(order(1)).await;
    assert_eq!((view.refunds[0].status.as_str(), view.refunded.minor), ("succeeded", 500));
    assert_eq!(world.refunded_facts().await.len(), 1, "told once");
    let open = "SELECT COUNT(*) FROM payment_alerts WHERE resolved_at IS NULL";
    assert_eq!(world.count(open).await, 0, "the alert has settled itself");
    world.pass(Duration::from_secs(7 * 24 * 3_600)).await;
    assert_eq!(world.next_timer().await, None);
    world.finish().await;
}

async fn buyers_are_told_how_they_can_pay(mode: Mode) {
    let world = World::new(mode).await;
    let path = format!("/v1/payments/{}/methods", order(1));
    world.get(&path, BUYER, Role::Customer).await.is_problem(404, "payment.not_found");
    world.open(order(1)).await;
    world.get(&path, BUYER + 1, Role::Customer).await.is_problem(404, "payment.not_found");
    let told = world.get(&path, BUYER, Role::Customer).await.json();
    let kinds: Vec<_> = told["methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["method"].as_str().unwrap(), m["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("alipay_page", "redirect"),
            ("alipay_qr", "qr_code"),
            ("alipay_wap", "redirect"),
            ("alipay_app", "app_order"),
            ("bank_transfer", "instructions"),
            ("cash_on_delivery", "instructions"),
        ]
    );
    assert_eq!(told["payable"], true);
    for (n, method, has) in [(2, "alipay_wap", "pay_url"), (3, "alipay_app", "app_order")] {
        let (_, told) = begin(&world, n, &json!({ "method": method }).to_string()).await;
        assert!(told[has].as_str().unwrap().contains("sign="), "{told}");
    }
    world.paid(order(4)).await;
    let told = world.get(&format!("/v1/payments/{}/methods", order(4)), BUYER, Role::Customer).await.json();
    assert_eq!((&told["payable"], &told["methods"]), (&json!(false), &json!([])));
    world.finish().await;
}

async fn staff_cannot_speak_for_a_provider_nor_a_buyer_for_staff(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    let by_staff = |path: String, body: String| {
        let world = &world;
        async move { world.act(&path, CLERK, Role::Operator, &world.fresh_key(), &body).await }
    };
    by_staff(place(1, attempt_id), seen(AMOUNT)).await.is_problem(409, "payment.not_offline");
    by_staff(place(9, attempt_id), seen(AMOUNT)).await.is_problem(404, "payment.not_found");
    by_staff(place(1, AttemptId::from_bits(5)), seen(AMOUNT))
        .await
        .is_problem(404, "payment.attempt_unknown");
    let (transfer, _) = begin(&world, 2, TRANSFER).await;
    by_staff(place(2, transfer), seen(0)).await.is_problem(409, "payment.amount_not_payable");
    by_staff(
        place(2, transfer),
        r#"{"amount":{"minor":1,"currency":"USD"},"reference":"x","reason":"y"}"#.to_owned(),
    )
    .await
    .is_problem(409, "payment.amount_not_payable");
    let buyer =
        world.act(&place(2, transfer), BUYER, Role::Customer, &world.fresh_key(), &seen(AMOUNT)).await;
    assert_eq!(buyer.status, 403, "{}", buyer.text);
    let bare = r#"{"amount":{"minor":1999,"currency":"CNY"},"reference":"x","reason":" "}"#;
    let reply = by_staff(place(2, transfer), bare.to_owned()).await;
    assert!(reply.status == 400 || reply.status == 422, "a reason is needed: {}", reply.text);
    assert_eq!(world.view(order(2)).await.status, "open");
    // The refund of a provider's money is the provider's.
    world.gateway.pay(attempt_id);
    world.notified(attempt_id).await;
    world.refund(order(1), refund_id(1), attempt_id, 1).await.unwrap();
    let path = format!("/v1/payment-refunds/{}/confirmation", refund_id(1));
    by_staff(path, PAID_BACK.to_owned()).await.is_problem(409, "payment.not_offline");
    world.pass(Duration::from_secs(60)).await;
    world.finish().await;
}

async fn another_amount_waits_for_a_person_and_late_money_goes_back(mode: Mode) {
    let world = World::new(mode).await;
    let (short, _) = begin(&world, 1, TRANSFER).await;
    let reply =
        world.act(&place(1, short), CLERK, Role::Operator, &world.fresh_key(), &seen(AMOUNT - 1)).await;
    assert_eq!(reply.json()["kind"], "under", "{}", reply.text);
    assert_eq!(world.view(order(1)).await.status, "quarantined");
    assert_eq!(world.alerts().await, ["payment_amount_differs"]);

    let (late, _) = begin(&world, 2, TRANSFER).await;
    let closed = world.close(order(2)).await;
    assert_eq!(world.view(order(2)).await.status, "closed", "{closed:?}: nothing has to be waited for");
    let reply = world.act(&place(2, late), CLERK, Role::Operator, &world.fresh_key(), &seen(AMOUNT)).await;
    assert_eq!(reply.json()["kind"], "late", "{}", reply.text);
    assert!(world.captured_facts().await.iter().any(|fact| fact.late && fact.attempt_id == late));
    world.finish().await;
}

async fn a_change_of_mind_closes_what_was_begun(mode: Mode) {
    let world = World::new(mode).await;
    let (transfer, _) = begin(&world, 1, TRANSFER).await;
    let (page, url) = world.start(order(1)).await;
    let view = world.view(order(1)).await;
    let open: Vec<_> = view.attempts.iter().filter(|a| a.end.is_none()).map(|a| a.id).collect();
    assert_eq!(open, [page], "one is open");
    world.gateway.visit(&url);
    assert!(world.gateway.pay(page));
    world.notified(page).await;
    // The transfer had been on its way: it is there a second time, and told as such.
    let reply =
        world.act(&place(1, transfer), CLERK, Role::Operator, &world.fresh_key(), &seen(AMOUNT)).await;
    assert_eq!(reply.json()["kind"], "double", "{}", reply.text);
    assert_eq!(world.alerts().await, ["payment_duplicate"]);
    world.finish().await;
}
