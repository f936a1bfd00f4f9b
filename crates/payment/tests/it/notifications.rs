//! What Alipay tells us, and what only looks as if it did (T14, T15, T16).

use crate::{everywhere, inline, modes::Mode};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use libtest_mimic::Trial;
use merx_alipay::Params;
use merx_kernel::Role;

use crate::{
    gateway::APP_ID,
    world::{AMOUNT, BUYER, Reply, World, order},
};

pub fn trials() -> Vec<Trial> {
    let mut trials = everywhere!["notifications":
        a_capture_is_eight_statements_and_one_fact,
        the_same_notification_a_hundred_times_at_once_is_one_payment,
        what_alipay_did_not_sign_counts_for_nothing_and_is_not_kept,
        what_alipay_signed_but_does_not_fit_is_quarantined,
        staff_reads_the_alerts_and_nobody_else_does,
        later_notifications_of_a_paid_trade_change_nothing,
        a_trade_that_pays_one_attempt_does_not_pay_another,
        a_closed_trade_is_believed_where_alipay_says_it_again,
    ];
    trials.extend(inline!["notifications":
        a_flood_of_unsigned_notifications_is_counted_and_one_a_second_is_logged,
    ]);
    trials
}

const QUARANTINED: &str = "payment_notification_quarantined";

#[track_caller]
fn failed(reply: &Reply) {
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (400, "fail"));
}

async fn a_capture_is_eight_statements_and_one_fact(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    world.gateway.pay(attempt_id);
    let before = world.stats();
    world.notified(attempt_id).await;
    let cost = world.stats().since(&before);
    assert_eq!(cost.labels["payment.capture"].write_statements, 8, "{cost:?}");
    assert_eq!((cost.total().write_txs, cost.total().statements()), (1, 9), "one more to find the attempt");
    let facts = world.captured_facts().await;
    assert_eq!(facts.len(), 1);
    assert_eq!((facts[0].attempt_id, facts[0].amount.minor, facts[0].late), (attempt_id, AMOUNT, false));
    assert_eq!(facts[0].provider, "alipay");
    assert_eq!(facts[0].provider_trade_no, world.gateway.trade(attempt_id).trade_no);
    assert!(world.alerts().await.is_empty());
    world.finish_drained().await;
}

/// T14 and the guard `capture-once`.
async fn the_same_notification_a_hundred_times_at_once_is_one_payment(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    world.gateway.pay(attempt_id);
    let form = world.gateway.notification(attempt_id);
    let replies = join_all((0..100).map(|_| world.notify(form.clone()))).await;
    assert!(replies.iter().all(|r| r.status == 200 && r.text == "success"), "every one is answered success");
    assert_eq!(world.captures().await, 1);
    assert_eq!(world.captured_facts().await.len(), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_notifications").await, 1);
    let view = world.view(order(1)).await;
    assert_eq!((view.status.as_str(), view.captured.minor), ("captured", AMOUNT));
    println!(
        "PROOF | T14 | payment alone on {mode:?}: the same notification 100 × at once | size=100 | 1 capture, 1 fact, 100 replies \
         `success` | seed=-"
    );
    world.finish_drained().await;
}

/// T15 at the door; the mutations themselves are tested in `merx-alipay`. Guard `notification-signature`.
async fn what_alipay_did_not_sign_counts_for_nothing_and_is_not_kept(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    let mut paid = world.gateway.fields(attempt_id);
    paid.set("trade_status", "TRADE_SUCCESS");
    let genuine = world.gateway.signed(paid.clone());
    let sign = Params::from_form(genuine.as_bytes()).unwrap().get("sign").unwrap().to_owned();
    let with = |name: &str, value: &str| {
        let signed = Params::from_form(genuine.as_bytes()).unwrap();
        signed.with(name, value).to_form()
    };
    let forged = [
        paid.to_form(),
        paid.clone().with("sign_type", "RSA2").with("sign", "AAAA").to_form(),
        with("total_amount", "0.01"),
        with("sign_type", "RSA"),
        with("extra", "1"),
        with("trade_status", "TRADE_FINISHED"),
        with("sign", &sign.replace('A', "B")),
        format!("{genuine}&trade_status=TRADE_SUCCESS"),
        String::new(),
        "%".to_owned(),
        "a=%ff".to_owned(),
    ];
    for form in forged {
        let reply = world.notify(form.clone()).await;
        assert!(reply.status.is_client_error() && reply.text != "success", "{form}: {reply:?}");
    }
    assert_eq!(world.captures().await, 0);
    assert!(world.alerts().await.is_empty(), "junk is not stored");
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_notifications").await, 0);
    world.finish().await;
}

/// T16 and the guard `notification-fields`.
async fn what_alipay_signed_but_does_not_fit_is_quarantined(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    let base = || world.gateway.fields(attempt_id).with("trade_status", "TRADE_SUCCESS");
    let unknown = merx_contracts::ids::AttemptId::from_bits(77).bare();
    let wrong = [
        base().with("total_amount", "19.98"),
        base().with("total_amount", "1999.00"),
        base().with("total_amount", "0.01"),
        base().with("app_id", "2021000000000002"),
        base().with("seller_id", "2088000000000002"),
        base().with("out_trade_no", unknown.as_str()),
        base().with("out_trade_no", "SOMEBODYELSES1"),
        base().with("trans_currency", "USD"),
        base().with("trans_currency", "XXX"),
        base().with("trade_status", "TRADE_CLOSED"),
        base().with("trade_status", "WAIT_BUYER_PAY"),
        base().with("trade_status", "PAID"),
        base().with("refund_fee", "19.99"),
    ];
    for (number, fields) in wrong.iter().enumerate() {
        failed(&world.notify(world.gateway.signed(fields.clone())).await);
        assert_eq!(world.captures().await, 0, "{fields:?}");
        assert_eq!(world.alerts().await.len(), number + 1, "{fields:?}");
    }
    assert!(world.alerts().await.iter().all(|kind| kind == QUARANTINED));
    assert_eq!(world.deps.metrics.alerts(QUARANTINED), wrong.len() as u64);
    assert_eq!(world.view(order(1)).await.status, "open");
    // The same one again is the same alert.
    failed(&world.notify(world.gateway.signed(wrong[0].clone())).await);
    assert_eq!(world.alerts().await.len(), wrong.len());
    // And what fits still counts.
    world.gateway.pay(attempt_id);
    world.notified(attempt_id).await;
    assert_eq!(world.captures().await, 1);
    println!(
        "PROOF | T16 | payment alone on {mode:?}: validly signed, wrong in one field | size={0} | 0 captured, {0} alerts of {0} | seed=-",
        wrong.len()
    );
    world.finish_drained().await;
}

async fn staff_reads_the_alerts_and_nobody_else_does(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    for fen in 1..=5 {
        let fields = world.gateway.fields(attempt_id).with("total_amount", format!("0.0{fen}"));
        failed(&world.notify(world.gateway.signed(fields)).await);
    }
    world.get("/v1/admin/payments/alerts", BUYER, Role::Customer).await.is_problem(403, "request.forbidden");
    let page = world.get("/v1/admin/payments/alerts?limit=3", 1, Role::Support).await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    assert_eq!(page["items"][0]["kind"], QUARANTINED);
    assert_eq!(page["items"][0]["payment_id"], order(1).to_string());
    assert_eq!(page["items"][0]["detail"]["app_id"], APP_ID);
    assert_eq!(page["items"][0]["detail"]["problem"][0]["field"], "total_amount");
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = world
        .get(&format!("/v1/admin/payments/alerts?limit=3&cursor={cursor}"), 1, Role::Support)
        .await
        .json();
    assert_eq!(rest["items"].as_array().unwrap().len(), 2);
    assert!(rest.get("next_cursor").is_none());
    world
        .get("/v1/admin/payments/alerts?cursor=x", 1, Role::Support)
        .await
        .is_problem(400, "request.invalid");
    world
        .get("/v1/admin/payments/alerts?limit=101", 1, Role::Support)
        .await
        .is_problem(400, "request.invalid");
    world.finish().await;
}

async fn later_notifications_of_a_paid_trade_change_nothing(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.paid(order(1)).await;
    let finished = world.gateway.fields(attempt_id).with("trade_status", "TRADE_FINISHED");
    let reply = world.notify(world.gateway.signed(finished)).await;
    assert_eq!(reply.text, "success");
    assert_eq!(world.captures().await, 1);
    assert_eq!(world.captured_facts().await.len(), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_notifications").await, 2);
    // Another trade under our number would be money we did not ask for.
    let other = world.gateway.fields(attempt_id).with("trade_no", "2026112099");
    failed(&world.notify(world.gateway.signed(other)).await);
    assert_eq!(world.alerts().await, ["payment_capture_refused"]);
    world.finish_drained().await;
}

async fn a_trade_that_pays_one_attempt_does_not_pay_another(mode: Mode) {
    let world = World::new(mode).await;
    let first = world.paid(order(1)).await;
    let second = world.begin(order(2)).await;
    let trade_no = world.gateway.trade(first).trade_no;
    let stolen =
        world.gateway.fields(second).with("trade_status", "TRADE_SUCCESS").with("trade_no", trade_no);
    failed(&world.notify(world.gateway.signed(stolen)).await);
    assert_eq!(world.captures().await, 1);
    assert_eq!(world.alerts().await, ["payment_capture_refused"]);
    world.finish_drained().await;
}

async fn a_closed_trade_is_believed_where_alipay_says_it_again(mode: Mode) {
    let world = World::new(mode).await;
    let attempt_id = world.begin(order(1)).await;
    world.gateway.ledger().trades.get_mut(&attempt_id.bare()).unwrap().status =
        crate::gateway::Status::Closed;
    world.notified(attempt_id).await;
    assert_eq!(world.gateway.calls("alipay.trade.query"), 1, "a status alone decides nothing");
    world.notified(attempt_id).await;
    let view = serde_json::to_value(world.view(order(1)).await).unwrap();
    assert_eq!(view["attempts"][0]["state"], "closed");
    assert!(world.alerts().await.is_empty());
    world.finish_drained().await;
}

/// Counts the warnings of payment itself on this thread.
struct Warnings(Arc<AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN && metadata.target().starts_with("merx_payment")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

async fn a_flood_of_unsigned_notifications_is_counted_and_one_a_second_is_logged(mode: Mode) {
    let world = World::new(mode).await;
    let lines = Arc::new(AtomicUsize::new(0));
    let _here = tracing::subscriber::set_default(Warnings(lines.clone()));
    for second in 1..=3 {
        for _ in 0..50 {
            failed(&world.notify("trade_status=TRADE_SUCCESS&sign=AAAA&sign_type=RSA2".to_owned()).await);
        }
        assert_eq!(lines.load(Ordering::SeqCst), second);
        world.step(Duration::from_secs(1));
    }
    let metrics = world.deps.metrics.render().unwrap();
    assert!(metrics.contains("merx_payment_unsigned_notifications_total 150"), "{metrics}");
    world.finish().await;
}
