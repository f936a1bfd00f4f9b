//! What the edge does for every request.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Request;
use merx_http::Limits;
use merx_kernel::{Clock, Role};

use crate::kit::{Kit, ORDER, START, json_post, principal};

fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path)
}
fn empty(builder: http::request::Builder) -> Request<Body> {
    builder.body(Body::empty()).unwrap()
}
fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test(start_paused = true)]
async fn every_refusal_is_a_problem() {
    let kit = Kit::new();
    kit.get("/nowhere").await.is_problem(404, "request.no_route");
    let wrong = kit.ask(empty(request("DELETE", "/v1/hello"))).await;
    wrong.is_problem(405, "request.method_not_allowed");
    assert_eq!(wrong.header("allow"), "GET,HEAD");
    kit.ask(empty(request("BREW", "/v1/hello"))).await.is_problem(405, "request.method_not_allowed");
    kit.send("x".repeat(65 * 1024)).await.is_problem(413, "request.body_too_large");
    let xml =
        Request::post("/v1/public").header("content-type", "text/xml").body(Body::from("<a/>")).unwrap();
    kit.ask(xml).await.is_problem(415, "request.unsupported_media_type");
    kit.get(&format!("/v1/hello?{}", "x".repeat(9_000))).await.is_problem(414, "request.uri_too_long");
    kit.get("/v1/sold-out").await.is_problem(409, "shop.sold_out");
    let item = kit.get("/v1/items/abc").await;
    item.is_problem(400, "request.invalid");
    assert_eq!(item.pointers(), ["item"]);
    let account = kit.get("/v1/accounts/ord_1").await;
    account.is_problem(400, "request.invalid");
    assert_eq!(account.pointers(), ["account"]);
    kit.get("/v1/items/%ff").await.is_problem(400, "request.invalid");
}

#[tokio::test(start_paused = true)]
async fn a_get_answers_head_too() {
    let reply = Kit::new().ask(empty(request("HEAD", "/v1/hello"))).await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, ""));
}

#[tokio::test(start_paused = true)]
async fn internals_stay_inside() {
    let kit = Kit::new();
    let reply = kit.get("/v1/fail").await;
    reply.is_problem(500, "internal");
    assert!(!reply.text.contains("secret") && !reply.text.contains("hunter2"), "{}", reply.text);
    let reply = kit.get("/v1/explode").await;
    reply.is_problem(500, "internal");
    assert!(!reply.text.contains("boom"));
    kit.ask(empty(request("DELETE", "/v1/explode"))).await.is_problem(500, "internal");
    assert!(kit.metrics.render().unwrap().contains("http_handler_panics_total 2"));
}

#[tokio::test(start_paused = true)]
async fn query_parameters_are_named() {
    let kit = Kit::new();
    assert_eq!(kit.get("/v1/list?limit=7").await.json()["text"], "7");
    for (query, pointer) in [("limit=0", "limit"), ("limit=x", "limit"), ("limit=1&limit=2", "limit")] {
        let reply = kit.get(&format!("/v1/list?{query}")).await;
        reply.is_problem(400, "request.invalid");
        assert_eq!(reply.pointers(), [pointer], "{query}");
    }
    let unknown = kit.get("/v1/list?colour=red").await;
    assert!(
        unknown.is_problem(400, "request.invalid")["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("colour")
    );
}

#[tokio::test(start_paused = true)]
async fn tokens_and_permissions_are_checked_before_the_handler() {
    let kit = Kit::new();
    let reply = kit.get("/v1/me").await;
    reply.is_problem(401, "request.unauthenticated");
    assert_eq!(reply.header("www-authenticate"), "Bearer");
    let with = |path: &str, value: &str| empty(request("GET", path).header("authorization", value));
    kit.ask(with("/v1/me", "Basic abc")).await.is_problem(401, "request.unauthenticated");
    kit.ask(with("/v1/me", "Bearer abc")).await.is_problem(401, "request.token_invalid");
    let customer = kit.token(5, &[Role::Customer]);
    let me = kit.ask(with("/v1/me", &bearer(&customer))).await;
    assert_eq!(me.json()["text"], principal(5, &[]).account.to_string());
    kit.ask(with("/v1/stock", &bearer(&customer))).await.is_problem(403, "request.forbidden");
    assert_eq!(kit.ask(with("/v1/stock", &bearer(&kit.token(6, &[Role::Warehouse])))).await.status, 200);
    let twice = request("GET", "/v1/me").header("authorization", bearer(&customer));
    kit.ask(empty(twice.header("authorization", "Bearer x"))).await.is_problem(400, "request.invalid");
    kit.revocations.add(principal(5, &[]).session().unwrap(), START.plus(Duration::from_secs(600)), START);
    kit.ask(with("/v1/me", &bearer(&customer))).await.is_problem(401, "request.token_revoked");
    assert_eq!(
        kit.ask(with("/v1/hello", "Bearer rubbish")).await.status,
        200,
        "public routes look at no token"
    );
}

#[tokio::test(start_paused = true)]
async fn a_required_key_is_demanded_and_checked() {
    let kit = Kit::new();
    let auth = bearer(&kit.token(5, &[Role::Customer]));
    let post = |key: Option<&str>, body: &str| {
        let builder = json_post("/v1/keys").header("authorization", &auth);
        let builder = key.into_iter().fold(builder, |b, k| b.header("idempotency-key", k));
        builder.body(Body::from(body.to_owned())).unwrap()
    };
    kit.ask(post(None, ORDER)).await.is_problem(400, "request.idempotency_key_missing");
    for bad in ["", "a b", &"x".repeat(256)] {
        let reply = kit.ask(post(Some(bad), ORDER)).await;
        reply.is_problem(400, "request.invalid");
        assert_eq!(reply.pointers(), ["Idempotency-Key"]);
    }
    let first = kit.ask(post(Some("k1"), ORDER)).await;
    assert_eq!(
        first.text,
        kit.ask(post(Some("k1"), ORDER)).await.text,
        "same caller, key, body: same hashes"
    );
    let scope = |text: &str| text.split("body_hash").next().unwrap().to_owned();
    let other_body = kit.ask(post(Some("k1"), "{}")).await;
    assert_eq!(scope(&first.text), scope(&other_body.text));
    assert_ne!(first.text, other_body.text);
    assert_ne!(scope(&first.text), scope(&kit.ask(post(Some("k2"), ORDER)).await.text));
    let stranger = bearer(&kit.token(6, &[Role::Customer]));
    let builder = json_post("/v1/keys").header("authorization", stranger).header("idempotency-key", "k1");
    let theirs = kit.ask(builder.body(Body::from(ORDER)).unwrap()).await;
    assert_ne!(scope(&first.text), scope(&theirs.text), "another caller's key is another key");
}

#[tokio::test(start_paused = true)]
async fn a_changing_handler_outlives_its_client_and_its_time_limit() {
    let kit = Kit::new();
    let count = || kit.effects.count();
    // The time limit answers, the work goes on.
    kit.ask(empty(request("POST", "/v1/slow"))).await.is_problem(504, "request.timeout");
    assert_eq!(count(), 0);
    // The client hangs up.
    {
        let asked = kit.ask(empty(request("POST", "/v1/slow")));
        let gone = tokio::time::timeout(Duration::from_secs(1), asked).await;
        assert!(gone.is_err());
    }
    kit.clock.sleep(Duration::from_secs(31)).await;
    assert_eq!(count(), 2);
    // A read is simply dropped.
    kit.get("/v1/slow").await.is_problem(504, "request.timeout");
    kit.clock.sleep(Duration::from_secs(31)).await;
    assert_eq!(count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_slow_and_a_broken_body_are_cut() {
    let kit = Kit::new();
    let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let began = kit.clock.now();
    kit.send(never).await.is_problem(408, "request.body_timeout");
    assert!(kit.clock.now().since(began) <= Duration::from_secs(30));
    let drip = futures_util::stream::repeat(()).then(|()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, std::io::Error>(Bytes::from_static(b"{"))
    });
    kit.send(Body::from_stream(drip)).await.is_problem(408, "request.body_timeout");
    let flood =
        futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1024])));
    kit.send(Body::from_stream(flood)).await.is_problem(413, "request.body_too_large");
    let broken =
        futures_util::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))]);
    kit.send(Body::from_stream(broken)).await.is_problem(400, "request.body_incomplete");
}

#[tokio::test(start_paused = true)]
async fn overload_is_shed() {
    let kit = Kit::with(Limits { requests_in_flight_max: 1, ..Limits::default() });
    let slow = kit.get("/v1/slow");
    let shed = async {
        let reply = kit.get("/v1/hello").await;
        reply.is_problem(503, "request.overloaded");
        assert_eq!(reply.header("retry-after"), "1");
    };
    tokio::join!(biased; slow, shed);
    assert_eq!(kit.get("/v1/hello").await.status, 200);
    assert!(kit.metrics.render().unwrap().contains("http_requests_shed_total 1"));
}

#[tokio::test(start_paused = true)]
async fn who_sends_slowly_keeps_nobody_out() {
    let kit = Kit::with(Limits { requests_in_flight_max: 1, ..Limits::default() });
    let never = || Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let slow = futures_util::future::join_all((0..10).map(|_| kit.send(never())));
    let other = async {
        assert_eq!(kit.get("/v1/hello").await.status, 200);
        assert_eq!(kit.send(ORDER).await.status, 201);
    };
    let (slow, ()) = tokio::join!(biased; slow, other);
    slow.iter().for_each(|reply| drop(reply.is_problem(408, "request.body_timeout")));
}

#[tokio::test(start_paused = true)]
async fn a_command_keeps_its_place_when_its_client_hangs_up() {
    let kit = Kit::with(Limits { requests_in_flight_max: 1, ..Limits::default() });
    for method in ["POST", "GET"] {
        let asked = kit.ask(empty(request(method, "/v1/slow")));
        assert!(tokio::time::timeout(Duration::from_secs(1), asked).await.is_err(), "the client hangs up");
        if method == "POST" {
            kit.get("/v1/hello").await.is_problem(503, "request.overloaded");
            for probe in ["/livez", "/readyz", "/metrics"] {
                assert_eq!(kit.get(probe).await.status, 200, "{probe} is not shed");
            }
            kit.clock.sleep(Duration::from_secs(30)).await;
        }
        assert_eq!(kit.get("/v1/hello").await.status, 200, "{method}");
    }
    assert_eq!(kit.effects.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn readiness_is_looked_at_once_a_second() {
    let kit = Kit::new();
    let ask = || futures_util::future::join_all((0..100).map(|_| kit.get("/readyz")));
    for seconds in 1..=3 {
        for reply in ask().await {
            assert_eq!((reply.status.as_u16(), &reply.json()["checks"]["counted"]), (200, &"ok".into()));
        }
        kit.clock.sleep(Duration::from_millis(999)).await;
        ask().await;
        assert_eq!(kit.looked.count(), seconds);
        kit.clock.sleep(Duration::from_millis(1)).await;
    }
    ask().await;
    kit.health.drain();
    assert_eq!(kit.get("/readyz").await.status, 503, "the end is told at once");
    assert_eq!(kit.looked.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_trace_goes_in_and_through() {
    let kit = Kit::new();
    let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for method in ["GET", "PUT"] {
        let reply = kit.ask(empty(request(method, "/v1/trace").header("traceparent", sent))).await;
        let text = reply.json()["text"].as_str().unwrap().to_owned();
        let (inside, id) = text.split_once(' ').unwrap();
        assert_eq!(&inside[..36], &sent[..36], "the same trace");
        assert_ne!(&inside[36..52], &sent[36..52], "a span of our own");
        assert_eq!(reply.header("traceparent"), inside);
        assert_eq!(reply.header("x-request-id"), id);
        assert!(id.starts_with("req_"));
    }
    for bad in ["", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "rubbish"] {
        let reply = kit.ask(empty(request("GET", "/v1/trace").header("traceparent", bad))).await;
        assert_eq!(reply.header("traceparent").len(), 55, "a trace of our own instead of `{bad}`");
    }
    let own = kit.ask(empty(request("GET", "/v1/hello").header("x-request-id", "my-id.1"))).await;
    assert_eq!(own.header("x-request-id"), "my-id.1");
    let odd = kit.ask(empty(request("GET", "/v1/hello").header("x-request-id", "a b\"c"))).await;
    assert!(odd.header("x-request-id").starts_with("req_"));
}

#[tokio::test(start_paused = true)]
async fn health_and_metrics_answer() {
    let kit = Kit::new();
    assert_eq!(kit.get("/livez").await.status, 200);
    assert_eq!(kit.get("/readyz").await.json()["ready"], true);
    kit.health.drain();
    let reply = kit.get("/readyz").await;
    assert_eq!((reply.status.as_u16(), reply.json()["ready"].clone()), (503, false.into()));
    kit.get("/v1/hello").await;
    kit.get("/nowhere").await;
    let text = kit.get("/metrics").await.text;
    assert!(text.contains(r#"merx_http_requests_total{route="hello",status="200"} 1"#), "{text}");
    assert!(text.contains(r#"merx_http_requests_total{route="none",status="404"} 1"#), "{text}");
    assert!(text.contains(r#"merx_http_request_seconds_count{route="hello"} 1"#), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_address_of_a_client_is_believed_from_trusted_proxies_only() {
    let kit = Kit::new();
    for (peer, forwarded, seen) in [
        ("203.0.113.9", "1.1.1.1", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "1.1.1.1, 10.0.0.1", "1.1.1.1"),
        ("10.0.0.1", "rubbish", "10.0.0.1"),
        ("::ffff:10.0.0.1", "1.1.1.1, ::ffff:10.0.0.1", "1.1.1.1"),
        ("::ffff:203.0.113.9", "1.1.1.1", "203.0.113.9"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.2", "1.1.1.1", "1.1.1.1"),
    ] {
        let mut asked = empty(request("GET", "/v1/where").header("x-forwarded-for", forwarded));
        let peer = std::net::SocketAddr::new(peer.parse().unwrap(), 1);
        asked.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        assert_eq!(kit.ask(asked).await.json()["text"], seen);
    }
}
