//! Webhooks: what is told, how it is signed, and what follows when it is not taken.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use libtest_mimic::Trial;
use merx_contracts::events::{notification::WebhookDisabled, payment::PaymentCaptured};
use merx_http::outbound::OutboundFailure;
use merx_kernel::{Id, Role, Timestamp};
use merx_notification::{domain::schedule::DELAYS, sending};
use serde_json::{Value, json};

use crate::{
    bench::{Bench, Received, on_every_mode},
    facts,
    routes::{acts, api},
};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("webhooks: endpoints are told of the facts they want, signed, once", told),
        on_every_mode(
            "webhooks: an endpoint that is down for a day gets every fact under its first id, on schedule",
            down_for_a_day,
        ),
        on_every_mode(
            "webhooks: ten attempts, then failed; a replay begins anew under the same id",
            exhausted,
        ),
        on_every_mode("webhooks: 410 disables at once, and what happens meanwhile can be replayed", gone),
        on_every_mode("webhooks: five days of failures disable, with an alert and a fact", failing),
        on_every_mode(
            "webhooks: during a rotation both secrets sign, a day later the new one alone",
            rotation,
        ),
        on_every_mode("webhooks: a replay of a time sends what lies in it, once for a key", replay),
        on_every_mode("webhooks: a test event goes to the one endpoint", test_event),
        on_every_mode("webhooks: a slow endpoint holds up nobody else and has no more than its lane", slow),
        on_every_mode(
            "webhooks: what an endpoint answers is kept, bounded, and redirects are failures",
            answers,
        ),
        on_every_mode("webhooks: an attempt a crash cut off is made again under the same id", cut_off),
        on_every_mode("webhooks: old deliveries are forgotten", pruned),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Makes an endpoint; answers its id and secret.
async fn make(bench: &Bench, host: &str, types: &[&str], signature: &str) -> (String, String) {
    let body = json!({ "url": format!("https://{host}/hook"), "types": types, "signature": signature });
    let made = api(bench, Role::Operator).post_as(host, "/v1/admin/webhooks", body).await.expect(201);
    (made.text_at("/id"), made.text_at("/secret"))
}

fn captured(payment: u128) -> PaymentCaptured {
    PaymentCaptured {
        payment_id: Id::from_bits(payment),
        order_id: Id::from_bits(payment),
        attempt_id: Id::from_bits(3),
        amount: facts::yuan(100),
        provider: "alipay".to_owned(),
        provider_trade_no: "2026112022001400001".to_owned(),
        late: false,
    }
}

/// Whether one of the signatures is right under `secret`, computed here and not by our own code.
fn verified(received: &Received, secret: &str) -> bool {
    let content = format!(
        "{}.{}.{}",
        received.header("webhook-id"),
        received.header("webhook-timestamp"),
        received.body
    );
    let all = received.header("webhook-signature").split(' ').map(|s| s.split_once(',').unwrap());
    if let Some(public) = secret.strip_prefix("whpk_") {
        let key = BASE64.decode(public).unwrap();
        let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, key);
        return all
            .filter(|(v, _)| *v == "v1a")
            .any(|(_, s)| key.verify(content.as_bytes(), &BASE64.decode(s).unwrap()).is_ok());
    }
    let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
    all.filter(|(v, _)| *v == "v1")
        .any(|(_, s)| aws_lc_rs::hmac::verify(&key, content.as_bytes(), &BASE64.decode(s).unwrap()).is_ok())
}

/// The deliveries of an endpoint, newest first.
async fn deliveries(bench: &Bench, id: &str) -> Vec<Value> {
    let page = api(bench, Role::Support).get(&format!("/v1/admin/webhooks/{id}/deliveries?limit=100")).await;
    page.expect(200).body["items"].as_array().unwrap().clone()
}

async fn webhook(bench: &Bench, id: &str) -> Value {
    api(bench, Role::Support).get(&format!("/v1/admin/webhooks/{id}")).await.expect(200).body
}

fn time(value: &Value) -> Timestamp {
    Timestamp::parse_rfc3339(value.as_str().unwrap()).unwrap()
}

/// Goes on until nothing waits, or the clock stands at `until`.
async fn run_until(bench: &Bench, id: &str, until: Timestamp) {
    loop {
        bench.send_due().await;
        let all = deliveries(bench, id).await;
        let next = all.iter().filter(|d| !d["next_at"].is_null()).map(|d| time(&d["next_at"])).min();
        match next {
            Some(next) if next < until => bench.clock.set(next),
            _ => break,
        }
    }
    bench.clock.set(until);
}

async fn told(bench: Arc<Bench>) {
    let (all, all_secret) = make(&bench, "all.example", &["ordering", "payment"], "hmac").await;
    let (paid, paid_secret) = make(&bench, "paid.example", &["ordering.order_paid.v2"], "ed25519").await;
    bench.take(facts::envelope(1, &facts::paid())).await;
    bench.take(facts::envelope(1, &facts::paid())).await;
    bench.take(facts::envelope(2, &captured(5))).await;
    bench.take(facts::envelope(3, &facts::code())).await;
    bench.send_due().await;
    bench.send_due().await;
    let received = bench.endpoints.all();
    let of = |host: &str| received.iter().filter(|r| r.url.contains(host)).collect::<Vec<_>>();
    assert_eq!((of("all.example").len(), of("paid.example").len()), (2, 1));
    for received in of("all.example") {
        assert!(verified(received, &all_secret) && !verified(received, &paid_secret));
        assert_eq!(received.header("content-type"), "application/json");
        assert_eq!(received.header("webhook-timestamp"), received.at.as_secs().to_string());
        let mut forged = received.clone();
        forged.body.push(' ');
        assert!(!verified(&forged, &all_secret));
    }
    assert!(verified(of("paid.example")[0], &paid_secret));
    let first = of("paid.example")[0];
    assert_eq!(first.header("webhook-id"), "msg_00000000000000000000000001");
    let body: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!(
        (body["type"].as_str(), body["timestamp"].as_str(), body["data"]["number"].as_str()),
        (Some("ordering.order_paid.v2"), Some("2026-11-20T00:00:00.000Z"), Some(facts::NUMBER))
    );
    let shown = deliveries(&bench, &paid).await;
    assert_eq!((shown.len(), shown[0]["state"].as_str()), (1, Some("delivered")));
    assert_eq!(webhook(&bench, &all).await["failures"], 0);
    assert!(webhook(&bench, &all).await["last_success_at"].is_string());
}

async fn down_for_a_day(bench: Arc<Bench>) {
    let (id, secret) = make(&bench, "down.example", &["ordering"], "hmac").await;
    let began = bench.clock.present();
    let back = began.plus(Duration::from_secs(24 * 3600));
    bench
        .endpoints
        .answer(move |r| if r.at < back { Err(OutboundFailure::Unreachable) } else { Ok((200, "ok")) });
    bench.take(facts::envelope(1, &facts::placed())).await;
    bench.take(facts::envelope(2, &facts::paid())).await;
    run_until(&bench, &id, back).await;
    let while_down = bench.endpoints.all();
    run_until(&bench, &id, back.plus(Duration::from_secs(12 * 3600))).await;
    let received = bench.endpoints.all();
    let ids: BTreeSet<_> = received.iter().map(|r| r.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 2, "a retry came under another id: {ids:?}");
    for message in &ids {
        let times: Vec<_> = received
            .iter()
            .filter(|r| r.header("webhook-id") == message)
            .map(|r| r.at.since(began))
            .collect();
        // At once, after 5 s, 5 min, 30 min, 2 h, 5 h and 10 h more it is down; 14 h more and it is back.
        assert_eq!((times.len(), times[0]), (8, Duration::ZERO), "{times:?}");
        for (pair, delay) in times.windows(2).zip(DELAYS) {
            let waited = pair[1].checked_sub(pair[0]).unwrap();
            assert!(waited >= *delay && waited <= *delay + *delay / 10, "{waited:?} for {delay:?}");
        }
        let times: BTreeSet<_> = received
            .iter()
            .filter(|r| r.header("webhook-id") == message)
            .map(|r| r.header("webhook-timestamp"))
            .collect();
        assert_eq!(times.len(), 8, "each attempt has a timestamp of its own");
    }
    assert!(while_down.len() == 14 && received.iter().all(|r| verified(r, &secret)));
    assert!(
        deliveries(&bench, &id).await.iter().all(|d| d["state"] == "delivered" && d["attempts_made"] == 8)
    );
    assert_eq!(webhook(&bench, &id).await["state"], "enabled");
    let figure = format!("{0} of {0} signatures verified, schedule met, 0 under a new id", received.len());
    println!(
        "PROOF | T40 | an endpoint down for 24 h of virtual time | size={} | {figure} | seed=-",
        received.len()
    );
}

async fn exhausted(bench: Arc<Bench>) {
    let (id, _) = make(&bench, "broken.example", &["ordering"], "hmac").await;
    let operator = api(&bench, Role::Operator);
    bench.endpoints.answer(|_| Ok((500, "broken")));
    bench.take(facts::envelope(1, &facts::paid())).await;
    run_until(&bench, &id, bench.clock.present().plus(Duration::from_secs(4 * 86_400))).await;
    let failed = &deliveries(&bench, &id).await[0];
    assert_eq!((failed["state"].as_str(), failed["attempts_made"].as_i64()), (Some("failed"), Some(10)));
    let message = failed["message_id"].as_str().unwrap().to_owned();
    bench.endpoints.answer(|_| Ok((204, "")));
    let body = json!({ "message_id": message });
    let again = operator.post(&format!("/v1/admin/webhooks/{id}/replay"), body.clone()).await.expect(202);
    assert_eq!(again.body["count"], 1);
    bench.send_due().await;
    let one = operator.get(&format!("/v1/admin/webhooks/{id}/deliveries/{message}")).await.expect(200);
    assert_eq!(
        (one.text_at("/state"), one.body["attempts"].as_array().unwrap().len()),
        ("delivered".to_owned(), 11)
    );
    assert_eq!(
        (one.body["attempts"][0]["status"].as_i64(), one.body["attempts"][0]["number"].as_i64()),
        (Some(204), Some(11))
    );
    let ids: BTreeSet<_> = bench.endpoints.all().iter().map(|r| r.header("webhook-id").to_owned()).collect();
    assert_eq!(ids, BTreeSet::from([message]), "the same id through every retry and replay");
    let absent = json!({ "message_id": "msg_00000000000000000000000009" });
    operator
        .post(&format!("/v1/admin/webhooks/{id}/replay"), absent)
        .await
        .expect_problem(404, "notification.delivery_not_found");
    for wrong in [
        json!({}),
        json!({ "message_id": "msg_00000000000000000000000001", "from": "2026-11-20T00:00:00Z" }),
        json!({ "from": "2026-11-20T00:00:00Z", "to": "2026-11-20T00:00:00Z" }),
    ] {
        operator
            .post(&format!("/v1/admin/webhooks/{id}/replay"), wrong)
            .await
            .expect_problem(400, "request.invalid");
    }
}

async fn gone(bench: Arc<Bench>) {
    let (id, _) = make(&bench, "gone.example", &["ordering"], "hmac").await;
    let operator = api(&bench, Role::Operator);
    bench.endpoints.answer(|_| Ok((410, "gone")));
    bench.take(facts::envelope(1, &facts::placed())).await;
    bench.send_due().await;
    let shown = webhook(&bench, &id).await;
    assert_eq!(
        (shown["state"].as_str(), shown["disabled_because"].as_str()),
        (Some("disabled"), Some("gone"))
    );
    bench.take(facts::envelope(2, &facts::paid())).await;
    bench.clock.advance(Duration::from_secs(86_400));
    bench.send_due().await;
    assert_eq!(bench.endpoints.all().len(), 1, "a disabled endpoint was told");
    assert!(deliveries(&bench, &id).await.iter().all(|d| d["state"] == "held" && d["next_at"].is_null()));
    let disabled: Vec<_> =
        bench.facts().await.iter().filter_map(|f| f.fact::<WebhookDisabled>().ok()).collect();
    assert_eq!((disabled.len(), disabled[0].reason.as_str()), (1, "gone"));
    assert_eq!(bench.deps.metrics.alerts("webhook_disabled"), 1);
    let span = json!({ "from": "2026-11-20T00:00:00Z", "to": "2026-11-22T00:00:00Z" });
    operator
        .post(&format!("/v1/admin/webhooks/{id}/replay"), span.clone())
        .await
        .expect_problem(409, "notification.webhook_disabled");
    bench.endpoints.answer(|_| Ok((200, "ok")));
    operator.post(&format!("/v1/admin/webhooks/{id}/enable"), json!({})).await.expect(200);
    bench.send_due().await;
    assert_eq!(bench.endpoints.all().len(), 1, "enabling sends nothing old by itself");
    let replayed = operator.post(&format!("/v1/admin/webhooks/{id}/replay"), span).await.expect(202);
    assert_eq!(replayed.body["count"], 2);
    bench.send_due().await;
    assert_eq!(bench.endpoints.all().len(), 3);
}

async fn failing(bench: Arc<Bench>) {
    let (id, _) = make(&bench, "failing.example", &["ordering"], "hmac").await;
    bench.endpoints.answer(|_| Ok((503, "no")));
    let began = bench.clock.present();
    // One fact a day: each is tried for three days, so that the endpoint never rests.
    for day in 0..5_u64 {
        let mut fact = facts::paid();
        fact.order_id = Id::from_bits(day.into());
        bench.take(facts::envelope(u128::from(day) + 1, &fact)).await;
        run_until(&bench, &id, began.plus(Duration::from_secs((day + 1) * 86_400))).await;
        assert_eq!(webhook(&bench, &id).await["state"], "enabled", "day {day}");
    }
    run_until(&bench, &id, began.plus(Duration::from_secs(6 * 86_400))).await;
    let shown = webhook(&bench, &id).await;
    assert_eq!(
        (shown["state"].as_str(), shown["disabled_because"].as_str()),
        (Some("disabled"), Some("failing"))
    );
    let last = bench.endpoints.all().last().unwrap().at.since(began);
    assert!(last >= Duration::from_secs(5 * 86_400), "given up after {last:?}");
    assert_eq!(bench.deps.metrics.alerts("webhook_disabled"), 1);
    assert!(
        acts(&bench).await.iter().all(|a| a.action == "notification.webhook_created"),
        "nobody of the staff did it"
    );
    assert!(bench.facts().await.iter().any(|f| f.kind == "notification.webhook_disabled.v1"));
}

async fn rotation(bench: Arc<Bench>) {
    let (id, old) = make(&bench, "turn.example", &["ordering"], "hmac").await;
    let path = format!("/v1/admin/webhooks/{id}/secret-rotation");
    let new = api(&bench, Role::Operator)
        .post(&path, json!({ "reason": "a leak" }))
        .await
        .expect(200)
        .text_at("/secret");
    bench.take(facts::envelope(1, &facts::paid())).await;
    bench.send_due().await;
    let received = bench.endpoints.all();
    assert!(verified(&received[0], &old) && verified(&received[0], &new));
    assert_eq!(received[0].header("webhook-signature").split(' ').count(), 2);
    bench.clock.advance(Duration::from_secs(86_400));
    bench.take(facts::envelope(2, &facts::completed())).await;
    bench.send_due().await;
    let received = bench.endpoints.all();
    assert!(!verified(&received[1], &old) && verified(&received[1], &new));
    assert_eq!(received[1].header("webhook-signature").split(' ').count(), 1);
    // A further rotation drops what has ended.
    api(&bench, Role::Operator).post(&path, json!({})).await.expect(200);
    assert_eq!(bench.count("SELECT COUNT(*) FROM notification_webhook_secrets").await, 2);
}

async fn replay(bench: Arc<Bench>) {
    let (id, _) = make(&bench, "again.example", &["ordering"], "hmac").await;
    let operator = api(&bench, Role::Operator);
    for message in 1..=6_u128 {
        let mut fact = facts::paid();
        fact.order_id = Id::from_bits(message);
        bench.take(facts::envelope(message, &fact)).await;
        bench.send_due().await;
        bench.clock.advance(Duration::from_secs(3600));
    }
    let before = bench.endpoints.all().len();
    let path = format!("/v1/admin/webhooks/{id}/replay");
    let span =
        json!({ "from": "2026-11-20T01:00:00Z", "to": "2026-11-20T04:00:00Z", "reason": "their outage" });
    for _ in 0..2 {
        assert_eq!(operator.post_as("replay", &path, span.clone()).await.expect(202).body["count"], 3);
    }
    bench.send_due().await;
    let again: Vec<_> = bench.endpoints.all()[before..]
        .iter()
        .map(|r| r.header("webhook-id").to_owned())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(
        again,
        [
            "msg_00000000000000000000000002",
            "msg_00000000000000000000000003",
            "msg_00000000000000000000000004"
        ]
    );
    assert_eq!(bench.endpoints.all().len(), before + 3);
    let acts = acts(&bench).await;
    let replayed: Vec<_> = acts.iter().filter(|a| a.action == "notification.webhook_replayed").collect();
    assert_eq!((replayed.len(), replayed[0].reason.as_deref()), (1, Some("their outage")));
    // Pages of the list are whole.
    let first = operator.get(&format!("/v1/admin/webhooks/{id}/deliveries?limit=4")).await.expect(200);
    let cursor = first.text_at("/next_cursor");
    let rest = operator
        .get(&format!("/v1/admin/webhooks/{id}/deliveries?limit=4&cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(
        (first.body["items"].as_array().unwrap().len(), rest.body["items"].as_array().unwrap().len()),
        (4, 2)
    );
}

async fn test_event(bench: Arc<Bench>) {
    let (id, secret) = make(&bench, "one.example", &["shipping"], "hmac").await;
    make(&bench, "other.example", &["shipping"], "hmac").await;
    let operator = api(&bench, Role::Operator);
    let path = format!("/v1/admin/webhooks/{id}/test");
    let sent = operator.post_as("test", &path, json!({})).await.expect(202);
    operator.post_as("test", &path, json!({})).await.expect(202);
    bench.send_due().await;
    let received = bench.endpoints.all();
    assert_eq!((received.len(), received[0].url.as_str()), (1, "https://one.example/hook"));
    assert_eq!(received[0].header("webhook-id"), sent.text_at("/message_id"));
    assert!(verified(&received[0], &secret) && received[0].body.contains("notification.test.v1"));
}

async fn slow(bench: Arc<Bench>) {
    let (slow, _) = make(&bench, "slow.example", &["ordering"], "hmac").await;
    make(&bench, "quick.example", &["ordering"], "hmac").await;
    bench.endpoints.answer(|r| Ok(if r.url.contains("slow") { (0, "") } else { (200, "ok") }));
    for message in 1..=20_u128 {
        let mut fact = facts::paid();
        fact.order_id = Id::from_bits(message);
        bench.take(facts::envelope(message, &fact)).await;
    }
    let tasks = &bench.deps.tasks;
    merx_notification::start(&bench.state, tasks);
    let of = |host: &'static str| bench.endpoints.all().iter().filter(|r| r.url.contains(host)).count();
    // Its lane may fill up after the others are done.
    while of("quick") < 20 || of("slow") < 4 || bench.post.taken.letters().len() < 20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(of("slow"), 4, "one endpoint has more than its lane");
    assert!(deliveries(&bench, &slow).await.iter().all(|d| d["state"] != "delivered"));
    // What hangs is cut off by the end of the test; the shutdown waits for nobody for long.
    drop(tasks.shutdown(Duration::from_millis(50)).await);
}

async fn answers(bench: Arc<Bench>) {
    let (id, _) = make(&bench, "odd.example", &["ordering"], "hmac").await;
    type Told = Result<(u16, &'static str), OutboundFailure>;
    let rows: [(Told, bool); 9] = [
        (Ok((200, "fine")), true),
        (Ok((299, "")), true),
        (Ok((199, "")), false),
        (Ok((301, "elsewhere")), false),
        (Ok((404, "<h1>not\u{7} here</h1>")), false),
        (Ok((429, "retry-after 7200")), false),
        (Err(OutboundFailure::Timeout), false),
        (Err(OutboundFailure::Refused("leads to an address that is private".to_owned())), false),
        (Err(OutboundFailure::Unresolved), false),
    ];
    for (message, (answer, delivered)) in (1_u128..).zip(rows) {
        let told = answer.clone();
        bench.endpoints.answer(move |_| told.clone());
        let mut fact = facts::paid();
        fact.order_id = Id::from_bits(message);
        let envelope = facts::envelope(message, &fact);
        let id_of = envelope.id.to_string();
        bench.take(envelope).await;
        bench.send_due().await;
        let one = api(&bench, Role::Support)
            .get(&format!("/v1/admin/webhooks/{id}/deliveries/{id_of}"))
            .await
            .expect(200);
        let attempt = &one.body["attempts"][0];
        assert_eq!(one.text_at("/state") == "delivered", delivered, "{answer:?}: {}", one.text);
        match &answer {
            Ok((status, text)) => {
                assert_eq!(attempt["status"].as_u64(), Some(u64::from(*status)));
                let kept = attempt["answer"].as_str().unwrap_or_default();
                assert_eq!(kept, text.replace('\u{7}', ""), "{answer:?}");
            }
            Err(failure) => {
                assert!(
                    attempt["status"].is_null()
                        && attempt["problem"].as_str().unwrap().starts_with(failure.name())
                );
            }
        }
        if matches!(answer, Ok((429, _))) {
            let wait = time(&one.body["next_at"]).since(time(&attempt["began_at"]));
            assert_eq!(wait, Duration::from_secs(7_200), "what the receiver asks for is heard");
        }
    }
    assert_eq!(webhook(&bench, &id).await["failures"], 7);
}

async fn cut_off(bench: Arc<Bench>) {
    let (id, _) = make(&bench, "cut.example", &["ordering"], "hmac").await;
    bench.take(facts::envelope(1, &facts::paid())).await;
    let webhook_id = id.parse().unwrap();
    let until = bench.clock.present().plus(Duration::from_secs(180));
    // The process dies after it has taken the delivery up; whether it was received nobody knows.
    let claim = move |tx: &mut merx_sql::Tx<'_>| {
        let due = merx_notification::store::deliveries::due(tx, webhook_id, until, 1)?;
        merx_notification::store::deliveries::claim(tx, &due[0], until)
    };
    assert!(bench.deps.db.write("test", claim).await.unwrap());
    bench.send_due().await;
    assert!(bench.endpoints.all().is_empty());
    bench.clock.set(until);
    sending::send_due(&bench.state).await.unwrap();
    let received = bench.endpoints.all();
    assert_eq!((received.len(), received[0].header("webhook-id")), (1, "msg_00000000000000000000000001"));
}

async fn pruned(bench: Arc<Bench>) {
    make(&bench, "old.example", &["ordering"], "hmac").await;
    bench.take(facts::envelope(1, &facts::paid())).await;
    bench.send_due().await;
    bench.clock.advance(Duration::from_secs(29 * 86_400));
    bench.take(facts::envelope(2, &facts::completed())).await;
    bench.send_due().await;
    let now = bench.clock.present();
    let before = now.minus(Duration::from_secs(20 * 86_400));
    let prune = move |tx: &mut merx_sql::Tx<'_>| merx_notification::store::deliveries::prune(tx, before, 100);
    assert_eq!(bench.deps.db.write("test", prune).await.unwrap(), 3, "attempt, delivery, message");
    assert_eq!(bench.deps.db.write("test", prune).await.unwrap(), 0);
    for table in ["messages", "deliveries", "attempts"] {
        let sql: &'static str =
            Box::leak(format!("SELECT COUNT(*) FROM notification_webhook_{table}").into_boxed_str());
        assert_eq!(bench.count(sql).await, 1, "{table}");
    }
}
