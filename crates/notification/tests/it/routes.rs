//! The routes for staff: answers, rows, facts, keys, permissions.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request};
use libtest_mimic::Trial;
use merx_contracts::events::staff::StaffActed;
use merx_http::Limits;
use merx_kernel::{Id, Role};
use merx_notification::domain::Outcome;
use merx_testkit::{Answer, TestApi, request, router, signer};
use serde_json::{Value, json};

use crate::{
    bench::{Bench, on_every_mode},
    facts,
};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("routes: mails are listed, filtered, paged and shown", mails),
        on_every_mode(
            "routes: a dead mail is sent again once for a key, and it is told who did it",
            redelivery,
        ),
        on_every_mode("routes: an endpoint is made, changed under its version, and removed", endpoints),
        on_every_mode("routes: a secret is shown once and lies in no key", secrets),
        on_every_mode("routes: what is wrong with an endpoint is named", wrong_endpoints),
        on_every_mode("routes: who may not, may not; what is not there is a 404", permissions),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The API as somebody of a role.
pub fn api(bench: &Bench, role: Role) -> TestApi {
    let routes = merx_notification::module(&bench.state, &Limits::default()).routes;
    assert_eq!(merx_http::Route::check(&routes), Vec::<String>::new());
    let router = router(&bench.deps, routes, &signer());
    TestApi::new(router, signer(), bench.clock.clone()).as_account(Id::from_bits(9), role)
}

/// A PUT under a version.
pub async fn put(api: &TestApi, path: &str, version: Option<&str>, body: Value) -> Answer {
    let mut builder = Request::builder()
        .method(Method::PUT)
        .uri(path)
        .header("authorization", format!("Bearer {}", api.token().unwrap()))
        .header("content-type", "application/json");
    if let Some(version) = version {
        builder = builder.header("if-match", version);
    }
    request(api.router(), builder.body(Body::from(body.to_string())).unwrap()).await
}

/// What staff did, from the outbox.
pub async fn acts(bench: &Bench) -> Vec<StaffActed> {
    let facts = bench.facts().await;
    facts
        .iter()
        .filter(|f| f.kind == "notification.staff_acted.v1")
        .map(|f| StaffActed::of(f).unwrap())
        .collect()
}

async fn mails(bench: Arc<Bench>) {
    let support = api(&bench, Role::Support);
    for n in 0..5_u128 {
        let mut fact = facts::paid();
        (fact.order_id, fact.account_id) = (Id::from_bits(n), Id::from_bits(n % 2));
        bench.take(facts::envelope(n, &fact)).await;
        bench.clock.advance(std::time::Duration::from_millis(1));
    }
    bench.take(facts::envelope(9, &facts::completed())).await;
    bench.post.tell([Outcome::Permanent("smtp 550".to_owned())]);
    bench.send_due().await;
    let mut path = "/v1/admin/mails?limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = support.get(&path).await.expect(200);
        let items = page.body["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|m| m["id"].as_str().unwrap().to_owned()));
        match page.body["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/admin/mails?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    let mut unique = seen.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!((seen.len(), unique.len()), (6, 6));
    let count = |query: String| {
        let support = support.clone();
        async move {
            let page = support.get(&format!("/v1/admin/mails?{query}")).await.expect(200);
            page.body["items"].as_array().unwrap().len()
        }
    };
    assert_eq!(count("template=order_completed".to_owned()).await, 1);
    assert_eq!(count(format!("order_id={}", facts::order())).await, 1);
    assert_eq!(count(format!("account_id={}", facts::buyer())).await, 1);
    assert_eq!(count("account_id=acc_00000000000000000000000001&template=order_paid".to_owned()).await, 2);
    assert_eq!((count("state=dead".to_owned()).await, count("state=queued".to_owned()).await), (1, 0));
    let one = support.get(&format!("/v1/admin/mails/{}", seen[0])).await.expect(200);
    assert_eq!(one.body["attempts"].as_array().unwrap().len(), 1);
    assert!(!one.text.contains("shop.example"), "{}", one.text);
    support.get("/v1/admin/mails?state=lost").await.expect_problem(400, "request.invalid");
    support.get("/v1/admin/mails?cursor=x").await.expect_problem(400, "request.invalid");
    support.get("/v1/admin/mails?limit=101").await.expect_problem(400, "request.invalid");
}

async fn redelivery(bench: Arc<Bench>) {
    let operator = api(&bench, Role::Operator);
    bench.take(facts::envelope(1, &facts::paid())).await;
    let list = operator.get("/v1/admin/mails").await.expect(200);
    let id = list.text_at("/items/0/id");
    let path = format!("/v1/admin/mails/{id}/redelivery");
    operator.post(&path, json!({})).await.expect_problem(409, "notification.mail_under_way");
    bench.post.tell([Outcome::Permanent("smtp 550".to_owned())]);
    bench.send_due().await;
    let body = json!({ "reason": "the buyer mended the mailbox" });
    let first = operator.post_as("again", &path, body.clone()).await.expect(202);
    assert_eq!((first.text_at("/state"), first.body["round"].as_i64()), ("queued".to_owned(), Some(2)));
    let second = operator.post_as("again", &path, body).await.expect(202);
    assert_eq!((first.text, second.headers.get("idempotency-replayed").is_some()), (second.text, true));
    bench.send_due().await;
    assert_eq!(bench.post.taken.letters().len(), 1);
    let acts = acts(&bench).await;
    assert_eq!(acts.len(), 1, "{acts:?}");
    assert_eq!(
        (acts[0].action.as_str(), acts[0].object.as_str(), acts[0].reason.as_deref()),
        ("notification.mail_redelivered", id.as_str(), Some("the buyer mended the mailbox"))
    );
    assert_eq!(acts[0].actor, Id::from_bits(9));
    operator
        .post("/v1/admin/mails/mal_00000000000000000000000001/redelivery", json!({}))
        .await
        .expect_problem(404, "notification.mail_not_found");
}

pub fn endpoint() -> Value {
    json!({ "url": "https://partner.example/hook", "types": ["ordering", "payment.captured.v1"], "description": "ERP" })
}

async fn endpoints(bench: Arc<Bench>) {
    let operator = api(&bench, Role::Operator);
    let made = operator.post("/v1/admin/webhooks", endpoint()).await.expect(201);
    let id = made.text_at("/id");
    let path = format!("/v1/admin/webhooks/{id}");
    let read = operator.get(&path).await.expect(200);
    assert_eq!(read.headers["etag"], "\"1\"");
    assert_eq!(
        (read.body["types"].clone(), read.text_at("/signature"), read.text_at("/state")),
        (json!(["ordering", "payment.captured.v1"]), "hmac".to_owned(), "enabled".to_owned())
    );
    let change = json!({ "url": "https://partner.example/new", "types": ["shipping"], "description": "", "reason": "moved" });
    put(&operator, &path, None, change.clone()).await.expect_problem(428, "request.version_missing");
    let changed = put(&operator, &path, Some("\"1\""), change.clone()).await.expect(200);
    assert_eq!(
        (changed.text_at("/url"), changed.headers["etag"].to_str().unwrap()),
        ("https://partner.example/new".to_owned(), "\"2\"")
    );
    put(&operator, &path, Some("\"1\""), change.clone()).await.expect_problem(412, "request.version_stale");
    let off = operator.post(&format!("{path}/disable"), json!({ "reason": "maintenance" })).await.expect(200);
    assert_eq!(
        (off.text_at("/state"), off.text_at("/disabled_because")),
        ("disabled".to_owned(), "staff".to_owned())
    );
    operator.post(&format!("{path}/disable"), json!({})).await.expect(200);
    operator
        .post(&format!("{path}/test"), json!({}))
        .await
        .expect_problem(409, "notification.webhook_disabled");
    let on = operator.post(&format!("{path}/enable"), json!({})).await.expect(200);
    assert!(on.body.get("disabled_because").is_none(), "{}", on.text);
    assert_eq!(
        operator.get("/v1/admin/webhooks").await.expect(200).body["items"].as_array().unwrap().len(),
        1
    );
    operator.delete(&path).await.expect(204);
    operator.get(&path).await.expect_problem(404, "notification.webhook_not_found");
    operator.delete(&path).await.expect_problem(404, "notification.webhook_not_found");
    assert_eq!(bench.count("SELECT COUNT(*) FROM notification_webhook_secrets").await, 0);
    let acts = acts(&bench).await;
    let told: Vec<_> = acts.iter().map(|a| a.action.as_str()).collect();
    assert_eq!(
        told,
        [
            "notification.webhook_created",
            "notification.webhook_changed",
            "notification.webhook_disabled",
            "notification.webhook_enabled",
            "notification.webhook_deleted"
        ]
    );
    assert!(acts.iter().all(|a| a.object == id));
}

async fn secrets(bench: Arc<Bench>) {
    let operator = api(&bench, Role::Operator);
    let made = operator.post_as("make", "/v1/admin/webhooks", endpoint()).await.expect(201);
    let (id, secret) = (made.text_at("/id"), made.text_at("/secret"));
    assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44, "{secret}");
    let again = operator.post_as("make", "/v1/admin/webhooks", endpoint()).await.expect(201);
    assert_eq!((again.text_at("/id"), again.text_at("/secret")), (id.clone(), secret.clone()));
    assert!(again.headers.get("idempotency-replayed").is_some());
    assert_eq!(bench.count("SELECT COUNT(*) FROM notification_webhooks").await, 1);
    for path in [format!("/v1/admin/webhooks/{id}"), "/v1/admin/webhooks".to_owned()] {
        let shown = operator.get(&path).await.expect(200);
        assert!(!shown.text.contains("secret") && !shown.text.contains("whsec_"), "{}", shown.text);
    }
    let rotated = operator
        .post_as("turn", &format!("/v1/admin/webhooks/{id}/secret-rotation"), json!({}))
        .await
        .expect(200);
    let newer = rotated.text_at("/secret");
    assert!(newer.starts_with("whsec_") && newer != secret);
    assert_eq!(
        operator
            .post_as("turn", &format!("/v1/admin/webhooks/{id}/secret-rotation"), json!({}))
            .await
            .expect(200)
            .text_at("/secret"),
        newer
    );
    assert_eq!(bench.count("SELECT COUNT(*) FROM notification_webhook_secrets").await, 2);
    let pair = operator
        .post(
            "/v1/admin/webhooks",
            json!({ "url": "https://p.example/", "types": ["ordering"], "signature": "ed25519" }),
        )
        .await
        .expect(201);
    assert!(pair.text_at("/secret").starts_with("whpk_"), "only the public key leaves");
    for table in ["notification_idempotency WHERE body", "notification_outbox WHERE envelope"] {
        for canary in ["whsec_", "whsk_", &secret[6..30], &newer[6..30]] {
            let sql: &'static str =
                Box::leak(format!("SELECT COUNT(*) FROM {table} LIKE '%{canary}%'").into_boxed_str());
            assert_eq!(bench.count(sql).await, 0, "{table} {canary}");
        }
    }
}

async fn wrong_endpoints(bench: Arc<Bench>) {
    let operator = api(&bench, Role::Operator);
    let with = |key: &str, value: Value| {
        let mut body = endpoint();
        body[key] = value;
        body
    };
    let rows = [
        (with("url", json!("http://partner.example/")), "/url"),
        (with("url", json!("https://127.0.0.1/")), "/url"),
        (with("url", json!("https://user@partner.example/")), "/url"),
        (with("url", json!("https://169.254.169.254/latest")), "/url"),
        (with("types", json!([])), "/types"),
        (with("types", json!(["accounts.code_requested.v1"])), "/types"),
        (with("types", json!(["orderings"])), "/types"),
        (with("description", json!("x".repeat(201))), "/description"),
        (with("signature", json!("rsa")), "/signature"),
        (with("secret", json!("whsec_mine")), "/secret"),
        (with("state", json!("disabled")), "/state"),
    ];
    for (body, pointer) in rows {
        let refused = operator.post("/v1/admin/webhooks", body.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (400, "request.invalid"),
            "{body}: {}",
            refused.text
        );
        assert!(refused.text.contains(&format!("\"pointer\":\"{pointer}\"")), "{body}: {}", refused.text);
    }
    assert_eq!(bench.count("SELECT COUNT(*) FROM notification_webhooks").await, 0);
    for n in 0..100 {
        operator.post_as(&format!("n{n}"), "/v1/admin/webhooks", endpoint()).await.expect(201);
    }
    operator.post("/v1/admin/webhooks", endpoint()).await.expect_problem(409, "notification.webhook_limit");
}

async fn permissions(bench: Arc<Bench>) {
    let operator = api(&bench, Role::Operator);
    let id = operator.post("/v1/admin/webhooks", endpoint()).await.expect(201).text_at("/id");
    let absent = "whk_00000000000000000000000001";
    let routes = merx_notification::module(&bench.state, &Limits::default()).routes;
    for route in &routes {
        let path = |webhook: &str| {
            route
                .path()
                .replace("{webhook}", webhook)
                .replace("{mail}", "mal_00000000000000000000000001")
                .replace("{message}", "msg_00000000000000000000000001")
        };
        let body = (*route.method() != Method::GET && *route.method() != Method::DELETE).then(|| json!({}));
        let place = format!("{} {}", route.method(), route.path());
        for role in [Role::Customer, Role::Warehouse, Role::ProductManager] {
            let answer =
                api(&bench, role).send(route.method().clone(), &path(&id), body.clone(), Some("k")).await;
            assert_eq!(answer.status.as_u16(), 403, "{place} as {role:?}: {}", answer.text);
        }
        let support = api(&bench, Role::Support)
            .send(route.method().clone(), &path(&id), body.clone(), Some("k"))
            .await;
        assert_eq!(
            support.status.as_u16() == 403,
            *route.method() != Method::GET,
            "{place} as support: {}",
            support.text
        );
        if route.path().contains('{') && *route.method() != Method::PUT && !route.path().ends_with("replay") {
            let answer = operator.send(route.method().clone(), &path(absent), body, Some("k2")).await;
            assert_eq!(answer.status.as_u16(), 404, "{place}: {}", answer.text);
        }
    }
    assert!(routes.len() >= 15, "{} routes", routes.len());
    assert_eq!(bench.clock.present(), crate::bench::START);
}
