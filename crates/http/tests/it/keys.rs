//! Programs that come by a key.

use axum::body::Body;
use http::Request;
use merx_http::Limits;
use merx_kernel::Role;

use crate::kit::{KEY, Kit, ORDER, Reply, json_post};

async fn get(kit: &Kit, path: &str, secret: &str) -> Reply {
    let request = Request::get(path).header("authorization", format!("Bearer {secret}"));
    kit.ask(request.body(Body::empty()).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn a_key_does_what_it_may_and_nothing_in_person() {
    let kit = Kit::new();
    assert_eq!(get(&kit, "/v1/stock", KEY).await.status, 200);
    get(&kit, "/v1/stock", "merx_other").await.is_problem(401, "request.api_key_invalid");
    get(&kit, "/v1/me", KEY).await.is_problem(403, "request.session_required");
    let order = json_post("/v1/orders").header("authorization", format!("Bearer {KEY}"));
    let order = order.header("idempotency-key", "k").body(Body::from(ORDER)).unwrap();
    kit.ask(order).await.is_problem(403, "request.forbidden");
}

#[tokio::test(start_paused = true)]
async fn a_key_has_a_rate_of_its_own() {
    let limits = Limits { client_requests_per_minute_max: 60, client_burst_max: 1, ..Limits::default() };
    let kit = Kit::with(limits);
    assert_eq!(get(&kit, "/v1/stock", KEY).await.status, 200);
    get(&kit, "/v1/stock", KEY).await.is_problem(429, "request.rate_limited");
    let owner = kit.token(5, &[Role::Warehouse]);
    assert_eq!(get(&kit, "/v1/stock", &owner).await.status, 200, "its owner is counted apart");
}

#[tokio::test(start_paused = true)]
async fn the_description_says_who_may_come_by_a_key() {
    let kit = Kit::new();
    let api = kit.get("/openapi.json").await.json();
    let of = |path: &str| api["paths"][path]["get"].clone();
    assert_eq!(of("/v1/stock")["security"].as_array().unwrap().len(), 2);
    assert_eq!(of("/v1/me")["security"].as_array().unwrap().len(), 1);
    assert_eq!(of("/v1/me")["x-merx-access"]["session_only"], true);
}
