//! Money that staff confirms: from the buyer's choice to the refund that is paid back by hand.

use std::time::Duration;

use libtest_mimic::Trial;
use merx_contracts::{events::accounts::PersonErased, ids::AttemptId};
use merx_kernel::{Id, Role};
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
        a_second_transfer_is_money_of_its_own,
        what_staff_wrote_goes_with_the_person,
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
    seen_as(minor, "slip 4711 of Zhang")
}
fn seen_as(minor: i64, reference: &str) -> String {
    let amount = json!({"minor": minor, "currency": "CNY"});
    json!({"amount": amount, "reference": reference, "reason": "on the statement of today"}).to_string()
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
        assert!(!reply.text.contains("4711"), "the answer is kept for repetitions: {}", reply.text);
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

async fn a_second_transfer_is_money_of_its_own(mode: Mode) {
    let world = World::new(mode).await;
    let (first, _) = begin(&world, 1, TRANSFER).await;
    let confirm = async |n: u128, attempt_id, key: &str, body: String| {
        world.act(&place(n, attempt_id), CLERK, Role::Operator, key, &body).await
    };
    let reply = confirm(1, first, "first", seen_as(1_200, "slip 1")).await;
    assert_eq!(reply.json()["kind"], "under", "{}", reply.text);
    // The buyer sends what is missing, with the same words in his transfer; the bank has another number for it.
    let rest = seen_as(AMOUNT - 1_200, "slip 2");
    let reply = confirm(1, first, "second", rest.clone()).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["kind"]), (200, &json!("double")), "{}", reply.text);
    let second: AttemptId = reply.json()["attempt_id"].as_str().unwrap().parse().unwrap();
    assert_ne!(second, first, "it is an attempt of its own");
    assert_eq!(confirm(1, first, "second", rest.clone()).await.text, reply.text, "the same request");
    // The same slip is the same money, whichever of the two it is said of.
    for (attempt_id, body) in [(first, seen_as(1_200, "slip 1")), (first, rest.clone()), (second, rest)] {
        let reply = confirm(1, attempt_id, &world.fresh_key(), body).await;
        reply.is_problem(409, "payment.already_captured");
    }
    let dollars = r#"{"amount":{"minor":1,"currency":"USD"},"reference":"x","reason":"y"}"#.to_owned();
    confirm(1, first, "dollars", dollars).await.is_problem(409, "payment.amount_not_payable");
    let view = world.view(order(1)).await;
    assert_eq!((view.status.as_str(), view.captured.minor), ("quarantined", AMOUNT));
    assert!(view.attempts.iter().all(|a| a.end.is_none()), "nothing is open and nothing was closed");
    let told = world.captured_facts().await;
    let told: Vec<_> = told.iter().map(|fact| (fact.attempt_id, fact.amount.minor, fact.late)).collect();
    assert_eq!(told, [(first, 1_200, false), (second, AMOUNT - 1_200, true)]);
    assert_eq!(world.alerts().await, ["payment_amount_differs", "payment_duplicate"]);
    let in_review = "SELECT COUNT(DISTINCT attempt_id) FROM payment_quarantine";
    assert_eq!(world.count(in_review).await, 2, "each under its own number");
    let deposits = "SELECT COALESCE(-SUM(minor), 0) FROM payment_postings WHERE account = 'deposits'";
    assert_eq!(world.count(deposits).await, AMOUNT, "all of it waits");
    // Each part can go back, and no more than it.
    world.refund(order(1), refund_id(1), second, AMOUNT - 1_200).await.unwrap();
    assert!(world.refund(order(1), refund_id(2), second, 1).await.is_err());
    let path = format!("/v1/payment-refunds/{}/confirmation", refund_id(1));
    let reply = world.act(&path, CLERK, Role::Operator, "back", PAID_BACK).await;
    assert_eq!(reply.json()["status"], "succeeded", "{}", reply.text);
    assert_eq!(world.count(deposits).await, 1_200);

    // Beside money that was owed, and beside money that came late.
    let (paid, _) = begin(&world, 2, TRANSFER).await;
    assert_eq!(confirm(2, paid, "paid", seen_as(AMOUNT, "slip 3")).await.json()["kind"], "owed");
    assert_eq!(confirm(2, paid, "twice", seen_as(AMOUNT, "slip 4")).await.json()["kind"], "double");
    assert_eq!(world.view(order(2)).await.status, "captured");
    let (late, _) = begin(&world, 3, TRANSFER).await;
    world.close(order(3)).await;
    assert_eq!(confirm(3, late, "late", seen_as(AMOUNT, "slip 5")).await.json()["kind"], "late");
    assert_eq!(confirm(3, late, "later", seen_as(AMOUNT, "slip 6")).await.json()["kind"], "late");
    assert_eq!(world.view(order(3)).await.status, "closed");
    world.pass(Duration::from_secs(7_200)).await;
    assert_eq!(world.next_timer().await, None, "nobody is asked about them");
    world.finish().await;
}

async fn what_staff_wrote_goes_with_the_person(mode: Mode) {
    let world = World::new(mode).await;
    let (paid, _) = begin(&world, 1, TRANSFER).await;
    let (later, _) = begin(&world, 2, TRANSFER).await;
    let (back, open) = (refund_id(7), refund_id(8));
    world.act(&place(1, paid), CLERK, Role::Operator, "paid", &seen(AMOUNT)).await;
    for refund in [back, open] {
        world.refund(order(1), refund, paid, 500).await.unwrap();
    }
    world.pass(Duration::from_secs(5)).await;
    let path = |refund| format!("/v1/payment-refunds/{refund}/confirmation");
    world.act(&path(back), CLERK, Role::Operator, "back", PAID_BACK).await;
    let words = "SELECT (SELECT COUNT(*) FROM payment_offline_trades WHERE reference IS NOT NULL OR reason IS NOT NULL)
                 + (SELECT COUNT(*) FROM payment_offline_refunds WHERE reference IS NOT NULL OR reason IS NOT NULL)";
    assert_eq!(world.count(words).await, 2);
    world.hand_over(&PersonErased { account_id: Id::from_bits(BUYER + 1) }).await;
    assert_eq!(world.count(words).await, 2, "another's");
    world.hand_over(&PersonErased { account_id: Id::from_bits(BUYER) }).await;
    assert_eq!(world.count(words).await, 0);
    // Money goes on; what is written of it from now on is not kept.
    let reply = world.act(&path(open), CLERK, Role::Operator, "open", PAID_BACK).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let reply = world.act(&place(2, later), CLERK, Role::Operator, "later", &seen(AMOUNT)).await;
    assert_eq!(reply.json()["kind"], "owed", "{}", reply.text);
    assert_eq!(world.count(words).await, 0);
    // Which slip it was nobody knows any more: said again, it is not booked again.
    let again = world.act(&place(2, later), CLERK, Role::Operator, "again", &seen(AMOUNT)).await;
    again.is_problem(409, "payment.already_captured");
    let view = world.view(order(1)).await;
    assert_eq!((view.captured.minor, view.refunded.minor), (AMOUNT, 1_000), "the money is as it was");
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
