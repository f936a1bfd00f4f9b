//! How often one client may ask.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use merx_http::{Limits, RateLimiter};
use merx_kernel::{Clock, Role};

use crate::kit::{Kit, START};

#[test]
fn a_burst_then_a_steady_rate() {
    let limiter = RateLimiter::new(60, 3, 10);
    let verdicts: Vec<_> = (0..5).map(|_| limiter.take(&"a", START)).collect();
    assert_eq!(verdicts.iter().map(|v| v.allowed).collect::<Vec<_>>(), [true, true, true, false, false]);
    assert_eq!(verdicts.iter().map(|v| v.remaining).collect::<Vec<_>>(), [2, 1, 0, 0, 0]);
    assert_eq!(verdicts[3].retry_after, Duration::from_secs(1));
    assert_eq!(verdicts[2].reset, Duration::from_secs(3));
    assert!(limiter.take(&"b", START).allowed, "another client is not touched");
    let later = START.plus(Duration::from_millis(999));
    assert!(!limiter.take(&"a", later).allowed);
    assert!(limiter.take(&"a", START.plus(Duration::from_secs(1))).allowed);
    assert!(!limiter.take(&"a", START.plus(Duration::from_secs(1))).allowed);
    assert_eq!(limiter.take(&"a", START.plus(Duration::from_secs(60))).remaining, 2, "rested fully");
}

#[test]
fn the_number_of_clients_remembered_is_bounded() {
    let limiter = RateLimiter::new(60, 1, 100);
    for client in 0..10_000u32 {
        assert!(limiter.take(&client, START).allowed);
    }
    assert!(!limiter.take(&9_999, START).allowed, "the latest is remembered");
    assert!(limiter.take(&0, START).allowed, "the one that rested longest was forgotten");
}

#[test]
fn a_clock_that_jumps_back_locks_nobody_out_for_longer_than_the_burst() {
    let limiter = RateLimiter::new(60, 3, 100);
    for _ in 0..3 {
        limiter.take(&"a", START);
    }
    let before = START.minus(Duration::from_secs(1));
    assert!(limiter.take(&"a", before).retry_after <= Duration::from_secs(5));
}

#[test]
fn a_clock_that_is_set_back_refuses_nobody_who_was_not_refused_before() {
    let limiter = RateLimiter::new(60, 3, 100);
    assert!(limiter.take(&"a", START).allowed);
    let before = START.minus(Duration::from_secs(3_600));
    for _ in 0..3 {
        assert!(limiter.take(&"a", before).allowed);
    }
    assert!(!limiter.take(&"a", before).allowed, "the rate holds by the new time too");
}

#[tokio::test(start_paused = true)]
async fn clients_are_told_and_refused() {
    let kit =
        Kit::with(Limits { client_requests_per_minute_max: 60, client_burst_max: 2, ..Limits::default() });
    let first = kit.get("/v1/hello").await;
    assert_eq!(first.header("ratelimit-policy"), "\"client\";q=60;w=60");
    assert_eq!(first.header("ratelimit"), "\"client\";r=1;t=1");
    assert_eq!(kit.get("/v1/hello").await.status, 200);
    let refused = kit.get("/v1/hello").await;
    refused.is_problem(429, "request.rate_limited");
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit")), ("1", "\"client\";r=0;t=2"));
    // An account is counted by itself, wherever it asks from.
    let token = kit.token(1, &[Role::Customer]);
    let me = || {
        Request::get("/v1/me").header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap()
    };
    assert_eq!(kit.ask(me()).await.status, 200);
    // Who guesses tokens is counted by address.
    let guess = Request::get("/v1/me").header("authorization", "Bearer guess").body(Body::empty()).unwrap();
    kit.ask(guess).await.is_problem(429, "request.rate_limited");
    // Probes are not counted.
    assert_eq!(kit.get("/livez").await.status, 200);
    kit.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(kit.get("/v1/hello").await.status, 200);
    assert!(kit.metrics.render().unwrap().contains("http_requests_rate_limited_total 2"));
}

/// Guests are to be had for the asking: a fresh one is no fresh rate.
#[tokio::test(start_paused = true)]
async fn guests_of_one_network_are_counted_together() {
    let kit =
        Kit::with(Limits { client_requests_per_minute_max: 60, client_burst_max: 3, ..Limits::default() });
    let ask = |account| {
        let token = kit.token(account, &[Role::Guest]);
        let me = Request::get("/v1/me").header("authorization", format!("Bearer {token}"));
        kit.ask(me.body(Body::empty()).unwrap())
    };
    for guest in 1..=3 {
        assert_eq!(ask(guest).await.status, 200, "guest {guest}");
    }
    ask(4).await.is_problem(429, "request.rate_limited");
    kit.get("/v1/hello").await.is_problem(429, "request.rate_limited");
}

#[tokio::test(start_paused = true)]
async fn machines_that_sign_have_a_rate_of_their_own() {
    let limits = Limits {
        client_requests_per_minute_max: 60,
        client_burst_max: 1,
        signed_requests_per_minute_max: 600,
        ..Limits::default()
    };
    let kit = Kit::with(limits);
    let notify = || {
        let form = Request::post("/v1/notify").header("content-type", "application/x-www-form-urlencoded");
        kit.ask(form.body(Body::from("text=a")).unwrap())
    };
    for _ in 0..60 {
        assert_eq!(notify().await.status, 200);
    }
    let refused = notify().await;
    refused.is_problem(429, "request.rate_limited");
    assert_eq!(refused.header("ratelimit-policy"), "\"client\";q=600;w=60");
    assert_eq!(kit.get("/v1/hello").await.status, 200, "the same network's other requests are not touched");
    kit.clock.sleep(Duration::from_millis(100)).await;
    assert_eq!(notify().await.status, 200);
}
