//! Paying by a QR code, and changing one's mind about how to pay.

use std::time::Duration;

use futures_util::future::join_all;
use libtest_mimic::Trial;
use merx_contracts::payment::v1::{OpenRequest, close_reply::Outcome};
use merx_kernel::Role;
use merx_payment::{commands::AttemptView, domain::Method};

use crate::{
    everywhere,
    gateway::{Status, Trouble},
    inline,
    modes::Mode,
    world::{AMOUNT, BUYER, PAGE_BODY, QR_BODY, World, money, order, refund_id},
};

pub fn trials() -> Vec<Trial> {
    let mut trials = everywhere!["qr":
        a_code_is_made_by_the_provider_and_paid_by_scanning,
        whoever_asks_however_often_there_is_one_code,
        the_code_is_drawn_for_its_buyer_while_it_can_be_paid,
        another_way_closes_what_the_buyer_has_begun,
        another_way_takes_the_place_of_what_nobody_has_begun,
        an_earlier_request_repeated_does_not_undo_a_later_choice,
    ];
    trials.extend(inline!["qr":
        a_doubt_about_a_code_is_resolved_and_asked_again,
        a_provider_that_is_down_leaves_the_attempt_for_the_next_request,
        a_code_that_never_left_our_hands_does_not_hold_up_a_close,
        a_refused_way_to_pay_ends_its_attempt_with_one_alert,
        a_way_to_pay_that_is_refused_another_day_is_told_again,
        doubt_about_the_earlier_attempt_is_not_passed_over,
        money_that_overtakes_the_change_wins,
        money_by_both_ways_goes_back_once,
    ]);
    trials
}

const PRECREATE: &str = "alipay.trade.precreate";

async fn a_code_is_made_by_the_provider_and_paid_by_scanning(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    let reply = world.post_attempt(order(1), BUYER, "k", QR_BODY).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let view: AttemptView = serde_json::from_str(&reply.text).unwrap();
    assert_eq!((view.method, view.amount), (Method::AlipayQr, money(AMOUNT)));
    assert_eq!(view.expires_at, world.deadline().minus(Duration::from_secs(60)));
    assert_eq!(view.pay_url, None);
    assert!(view.qr_svg_url.unwrap().ends_with("/qr.svg"));
    let code = view.qr_code.unwrap();
    assert_eq!(world.gateway.calls(PRECREATE), 1);
    assert!(world.gateway.ledger().trades.is_empty(), "no trade exists until it is scanned");
    world.gateway.scan(&code);
    assert!(world.gateway.pay(view.id));
    world.notified(view.id).await;
    let seen = serde_json::to_value(world.view(order(1)).await).unwrap();
    assert_eq!((&seen["status"], &seen["captured"]["minor"]), (&"captured".into(), &AMOUNT.into()));
    assert_eq!(seen["attempts"][0]["method"], "alipay_qr");
    assert_eq!(seen["attempts"][0]["state"], "captured");
    assert_eq!(seen["captures"][0]["kind"], "owed");
    assert_eq!(world.captured_facts().await.len(), 1);
    // What came by a code goes back like any other money.
    world.refund(order(1), refund_id(1), view.id, AMOUNT).await.unwrap();
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.gateway.refunded(view.id), AMOUNT);
    world.finish_drained().await;
}

async fn whoever_asks_however_often_there_is_one_code(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    let same = join_all((0..20).map(|_| world.post_attempt(order(1), BUYER, "same", QR_BODY))).await;
    let first = same[0].text.clone();
    assert!(same.iter().all(|r| r.status == 201 && r.text == first), "{same:?}");
    let keys: Vec<String> = (0..20).map(|n| format!("other-{n}")).collect();
    let others = join_all(keys.iter().map(|key| world.post_attempt(order(1), BUYER, key, QR_BODY))).await;
    assert!(others.iter().all(|r| r.status == 201 && r.text == first));
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_attempts").await, 1);
    let prepared = "SELECT COUNT(*) FROM payment_events WHERE name = 'AttemptPrepared'";
    assert_eq!(world.count(prepared).await, 1, "the first code stays");
    let other = world.post_attempt(order(1), BUYER, "same", PAGE_BODY).await;
    other.is_problem(422, "request.idempotency_key_reused");
    world.deps.db.close().await;
}

async fn the_code_is_drawn_for_its_buyer_while_it_can_be_paid(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    let (attempt_id, _) = world.start_qr(order(1)).await;
    let path = format!("/v1/payments/{}/attempts/{attempt_id}/qr.svg", order(1));
    let drawn = world.get(&path, BUYER, Role::Customer).await;
    assert_eq!(drawn.status, 200, "{}", drawn.text);
    assert_eq!(drawn.headers["content-type"], "image/svg+xml");
    assert_eq!(drawn.headers["cache-control"], "no-store");
    assert!(drawn.text.contains("<svg") && !drawn.text.contains("<script"), "{}", drawn.text);
    world.get(&path, 12, Role::Customer).await.is_problem(404, "payment.not_found");
    world.get(&path, BUYER, Role::Support).await.is_problem(403, "request.forbidden");
    let absent = format!("/v1/payments/{}/attempts/att_00000000000000000000000009/qr.svg", order(1));
    world.get(&absent, BUYER, Role::Customer).await.is_problem(404, "payment.qr_unavailable");
    let foreign = format!("/v1/payments/{}/attempts/{attempt_id}/qr.svg", order(9));
    world.get(&foreign, BUYER, Role::Customer).await.is_problem(404, "payment.not_found");
    // A page has no code; nor has an attempt that gave way, or ran out.
    world.open(order(2)).await;
    let (page, _) = world.start(order(2)).await;
    let of_page = format!("/v1/payments/{}/attempts/{page}/qr.svg", order(2));
    world.get(&of_page, BUYER, Role::Customer).await.is_problem(404, "payment.qr_unavailable");
    world.step(Duration::from_secs(1_740));
    world.get(&path, BUYER, Role::Customer).await.is_problem(404, "payment.qr_unavailable");
    world.finish_drained().await;
}

async fn another_way_closes_what_the_buyer_has_begun(mode: Mode) {
    let world = World::new(mode).await;
    let page = world.begin(order(1)).await;
    let (qr, code) = world.start_qr(order(1)).await;
    assert_ne!(page, qr);
    assert_eq!(world.gateway.trade(page).status, Status::Closed, "closed at the provider first");
    assert!(!world.gateway.pay(page));
    let view = serde_json::to_value(world.view(order(1)).await).unwrap();
    assert_eq!(view["attempts"][0]["state"], "closed");
    assert_eq!(view["attempts"][0]["end"], "trade_closed");
    assert!(view["attempts"][0]["ended_at"].is_string());
    assert_eq!(view["attempts"][1]["state"], "open");
    // And back again: what was scanned is closed too.
    world.gateway.scan(&code);
    let (again, _) = world.start(order(1)).await;
    assert_eq!(world.gateway.trade(qr).status, Status::Closed);
    assert_eq!(world.view(order(1)).await.attempts.len(), 3);
    assert_ne!(again, page, "every try has its own order number");
    world.finish_drained().await;
}

async fn another_way_takes_the_place_of_what_nobody_has_begun(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    let (page, url) = world.start(order(1)).await;
    let (qr, code) = world.start_qr(order(1)).await;
    let view = serde_json::to_value(world.view(order(1)).await).unwrap();
    assert_eq!(view["attempts"][0]["state"], "superseded");
    assert_eq!(view["attempts"][0]["superseded_by"], qr.to_string());
    // Who goes back to the old page after all is sent away within minutes: one way at a time.
    world.gateway.visit(&url);
    world.pass(Duration::from_secs(300)).await;
    assert_eq!(world.gateway.trade(page).status, Status::Closed);
    world.gateway.scan(&code);
    assert!(world.gateway.pay(qr));
    world.notified(qr).await;
    assert_eq!(world.view(order(1)).await.status, "captured");
    assert!(world.alerts().await.is_empty());
    world.pass(Duration::from_secs(3 * 3600)).await;
    assert_eq!(world.next_timer().await, None);
    world.finish_drained().await;
}

async fn an_earlier_request_repeated_does_not_undo_a_later_choice(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    let first = world.post_attempt(order(1), BUYER, "first", PAGE_BODY).await;
    let second = world.post_attempt(order(1), BUYER, "second", QR_BODY).await;
    let again = world.post_attempt(order(1), BUYER, "first", PAGE_BODY).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert!(again.headers.contains_key("idempotency-replayed"));
    let again = world.post_attempt(order(1), BUYER, "second", QR_BODY).await;
    assert_eq!(again.text, second.text);
    world
        .post_attempt(order(1), BUYER, "first", QR_BODY)
        .await
        .is_problem(422, "request.idempotency_key_reused");
    assert_eq!(world.view(order(1)).await.attempts.len(), 2);
    world.finish().await;
}

async fn a_doubt_about_a_code_is_resolved_and_asked_again(mode: Mode) {
    let doubts = [
        Trouble::LostCall,
        Trouble::LostAnswer,
        Trouble::UnknownBefore,
        Trouble::UnknownAfter,
        Trouble::HalfAnswer,
        Trouble::WrongSignature,
        Trouble::InProgress,
        Trouble::Refused("ACQ.SYSTEM_ERROR"),
    ];
    for doubt in doubts {
        let world = World::new(mode).await;
        world.open(order(1)).await;
        world.gateway.trouble([doubt]);
        let (attempt_id, code) = world.start_qr(order(1)).await;
        assert!(code.ends_with(&attempt_id.bare()), "{doubt:?}: {code} is of another");
        let calls = world.gateway.ledger().calls.clone();
        assert_eq!(calls, [PRECREATE, "alipay.trade.query", PRECREATE], "{doubt:?}");
        assert_eq!(world.view(order(1)).await.attempts.len(), 1, "under the same order number");
        world.finish_drained().await;
    }
}

async fn a_provider_that_is_down_leaves_the_attempt_for_the_next_request(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    world.gateway.ledger().down = true;
    let reply = world.post_attempt(order(1), BUYER, "k", QR_BODY).await;
    reply.is_problem(503, "payment.provider_unavailable");
    let begun = world.view(order(1)).await.attempts;
    assert_eq!(begun.len(), 1, "it was recorded before the call");
    world.gateway.ledger().down = false;
    // The same key and another one are both that attempt, and now there is a code.
    let same = world.post_attempt(order(1), BUYER, "k", QR_BODY).await;
    assert_eq!(same.status, 201, "{}", same.text);
    let (attempt_id, code) = world.start_qr(order(1)).await;
    assert_eq!(attempt_id, begun[0].id);
    assert_eq!(same.json()["qr_code"], code);
    world.finish_drained().await;
}

async fn a_code_that_never_left_our_hands_does_not_hold_up_a_close(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    world.gateway.ledger().down = true;
    world.post_attempt(order(1), BUYER, "k", QR_BODY).await.is_problem(503, "payment.provider_unavailable");
    world.gateway.ledger().down = false;
    assert_eq!(world.close(order(1)).await.outcome(), Outcome::Closed, "nobody can have scanned it");
    let view = serde_json::to_value(world.view(order(1)).await).unwrap();
    assert_eq!(view["attempts"][0]["end"], "not_offered");
    world.post_attempt(order(1), BUYER, "k", QR_BODY).await.is_problem(409, "payment.attempt_ended");
    // A code that was handed out does: it may be scanned until it ends.
    world.open(order(2)).await;
    world.start_qr(order(2)).await;
    assert_eq!(world.close(order(2)).await.outcome(), Outcome::Pending);
    world.pass(Duration::from_secs(1_800)).await;
    assert_eq!(world.close(order(2)).await.outcome(), Outcome::Closed);
    world.finish_drained().await;
}

async fn a_refused_way_to_pay_ends_its_attempt_with_one_alert(mode: Mode) {
    let world = World::new(mode).await;
    for n in 1..=2 {
        world.open(order(n)).await;
        world.gateway.trouble([Trouble::Refused("ACQ.ACCESS_FORBIDDEN")]);
        let reply = world.post_attempt(order(n), BUYER, &format!("k{n}"), QR_BODY).await;
        reply.is_problem(409, "payment.method_refused");
        // The page still works.
        world.start(order(n)).await;
    }
    assert_eq!(world.alerts().await, ["payment_method_refused"], "once, not for every buyer");
    world.finish_drained().await;
}

async fn a_way_to_pay_that_is_refused_another_day_is_told_again(mode: Mode) {
    let world = World::new(mode).await;
    for n in 1..=2 {
        let deadline = world.now().plus(Duration::from_secs(1_800)).as_millis();
        world.ask_open(OpenRequest { deadline, ..world.open_request(order(n)) }).await.unwrap();
        world.gateway.trouble([Trouble::Refused("ACQ.ACCESS_FORBIDDEN")]);
        let reply = world.post_attempt(order(n), BUYER, &format!("k{n}"), QR_BODY).await;
        reply.is_problem(409, "payment.method_refused");
        world.pass(Duration::from_secs(24 * 3600)).await;
    }
    assert_eq!(world.alerts().await, ["payment_method_refused"; 2]);
    world.finish_drained().await;
}

async fn doubt_about_the_earlier_attempt_is_not_passed_over(mode: Mode) {
    let world = World::new(mode).await;
    let page = world.begin(order(1)).await;
    for trouble in [Trouble::LostCall, Trouble::UnknownBefore, Trouble::HalfAnswer, Trouble::WrongSignature] {
        world.gateway.trouble([trouble]);
        let reply = world.post_attempt(order(1), BUYER, &world.fresh_key(), QR_BODY).await;
        reply.is_problem(503, "payment.provider_unavailable");
        assert_eq!(world.view(order(1)).await.attempts.len(), 1, "{trouble:?}");
    }
    // The query answers and the close does not.
    world.gateway.trouble([Trouble::InProgress, Trouble::LostAnswer]);
    let reply = world.post_attempt(order(1), BUYER, &world.fresh_key(), QR_BODY).await;
    reply.is_problem(503, "payment.provider_unavailable");
    let (qr, _) = world.start_qr(order(1)).await;
    assert_ne!(qr, page);
    assert_eq!(world.gateway.trade(page).status, Status::Closed);
    world.finish_drained().await;
}

async fn money_that_overtakes_the_change_wins(mode: Mode) {
    let world = World::new(mode).await;
    let page = world.begin(order(1)).await;
    assert!(world.gateway.pay(page));
    // The notification is still on its way; the question before the change finds the money.
    let reply = world.post_attempt(order(1), BUYER, "k", QR_BODY).await;
    reply.is_problem(409, "payment.already_captured");
    assert_eq!((world.captures().await, world.gateway.calls(PRECREATE)), (1, 0));
    world.notified(page).await;
    assert_eq!(world.captures().await, 1);
    world.finish_drained().await;
}

async fn money_by_both_ways_goes_back_once(mode: Mode) {
    let world = World::new(mode).await;
    world.open(order(1)).await;
    let (page, url) = world.start(order(1)).await;
    let (qr, code) = world.start_qr(order(1)).await;
    // Two people pay at once: one at the old page, one by the code.
    world.gateway.visit(&url);
    world.gateway.scan(&code);
    assert!(world.gateway.pay(page) && world.gateway.pay(qr));
    world.notified(page).await;
    world.notified(qr).await;
    let facts = world.captured_facts().await;
    let told: Vec<_> = facts.iter().map(|f| (f.attempt_id, f.late)).collect();
    assert_eq!(told, [(page, false), (qr, true)]);
    assert_eq!(world.alerts().await, ["payment_duplicate"]);
    world.refund(order(1), refund_id(1), qr, AMOUNT).await.unwrap();
    world.pass(Duration::from_secs(10)).await;
    assert_eq!((world.gateway.refunded(page), world.gateway.refunded(qr)), (0, AMOUNT));
    world.finish_drained().await;
}
