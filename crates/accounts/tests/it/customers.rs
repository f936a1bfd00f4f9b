//! What staff may do with the accounts of customers, and with no other.

use merx_kernel::Role;
use serde_json::{Value, json};

use crate::kit::{PASSWORD, World, delete, get, post};

fn id(of: &Value) -> &str {
    of["account_id"].as_str().unwrap()
}

async fn sessions_of_a_customer_are_seen_and_ended() {
    let world = World::new().await;
    let support = world.staff("s@example.com", &[Role::Support]).await;
    let phone = world.customer("a@example.com").await;
    let laptop = world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is(201);
    let path = format!("/v1/admin/accounts/{}/sessions", id(&phone));
    let seen = world.ask(get(&path).token(&support)).await.is(200);
    assert_eq!(seen["items"].as_array().unwrap().len(), 2);
    let one = format!("{path}/{}", phone["session_id"].as_str().unwrap());
    world.ask(delete(&one).token(&support)).await.is(204);
    world.ask(delete(&one).token(&support)).await.is(204);
    world.ask(get("/v1/me").token(&phone)).await.is_problem(401, "request.token_revoked");
    world.ask(get("/v1/me").token(&laptop)).await.is(200);
    world.ask(delete(&path).token(&support)).await.is(204);
    world.ask(get("/v1/me").token(&laptop)).await.is_problem(401, "request.token_revoked");
    let acts = world.facts_of("accounts.staff_acted.v1").await;
    assert_eq!(acts.len(), 2, "what changed nothing is not told: {acts:?}");
    assert_eq!(acts[0]["object"], id(&phone));
    // Of another customer.
    let other = world.customer("b@example.com").await;
    let foreign = format!("{path}/{}", other["session_id"].as_str().unwrap());
    world.ask(delete(foreign).token(&support)).await.is_problem(404, "accounts.session_not_found");
    world.ask(get("/v1/me").token(&other)).await.is(200);
}

async fn who_looks_after_customers_does_not_look_after_staff() {
    let world = World::new().await;
    let admin = world.admin().await;
    let support = world.staff("s@example.com", &[Role::Support]).await;
    let path = format!("/v1/admin/accounts/{}", id(&admin));
    let why = json!({ "reason": "asked by mail" });
    for ask in [
        get(&path),
        get(format!("{path}/sessions")),
        delete(format!("{path}/sessions")),
        delete(format!("{path}/sessions/{}", admin["session_id"].as_str().unwrap())),
        post(format!("{path}/export"), why.clone()),
        post(format!("{path}/erasure"), why.clone()).key("k"),
    ] {
        world.ask(ask.token(&support)).await.is_problem(404, "accounts.account_not_found");
    }
    world.ask(get("/v1/me").token(&admin)).await.is(200);
    let customer = world.customer("a@example.com").await;
    let own = format!("/v1/admin/accounts/{}", id(&customer));
    for ask in [get("/v1/admin/accounts"), get(&own), delete(format!("{own}/sessions"))] {
        world.ask(ask.token(&customer)).await.is_problem(403, "request.forbidden");
    }
    let without = post(format!("{own}/erasure"), json!({})).token(&support).key("w");
    world.ask(without).await.is_problem(400, "request.invalid");
}

async fn customers_are_found_by_their_address() {
    let world = World::new().await;
    let support = world.staff("s@example.com", &[Role::Support]).await;
    let member = world.customer("a@example.com").await;
    world.customer("b@example.com").await;
    let guest = world.ask(post("/v1/guests", json!({}))).await.is(201);
    let contact = json!({ "email": "a@example.com", "locale": "en" });
    world.ask(crate::kit::put("/v1/guests/me", contact).token(&guest)).await.is(200);
    let ids = async |query: &str| {
        let page = world.ask(get(format!("/v1/admin/accounts?{query}")).token(&support)).await.is(200);
        page["items"].as_array().unwrap().iter().map(|i| i["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids("email=A%40example.com").await, [member["account_id"].clone()]);
    assert_eq!(ids("kind=guest&email=a%40example.com").await, [guest["account_id"].clone()]);
    assert_eq!(ids("kind=guest").await.len(), 1);
    assert_eq!(ids("").await.len(), 2);
    assert_eq!(ids("email=s%40example.com").await, Vec::<Value>::new(), "staff are not listed");
    let why = json!({ "reason": "asked by mail" });
    let export = post(format!("/v1/admin/accounts/{}/export", id(&member)), why);
    let all = world.ask(export.token(&support)).await.is(200);
    assert_eq!(all["account"]["email"], "a@example.com");
    let acts = world.facts_of("accounts.staff_acted.v1").await;
    assert_eq!(
        (&acts[0]["action"], &acts[0]["reason"]),
        (&json!("accounts.person_exported"), &json!("asked by mail"))
    );
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    crate::trials!("customers": ; waiting sessions_of_a_customer_are_seen_and_ended,
        who_looks_after_customers_does_not_look_after_staff, customers_are_found_by_their_address)
}
