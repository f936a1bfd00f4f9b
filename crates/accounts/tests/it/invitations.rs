//! Guessing at codes.

use std::time::Duration;

use merx_accounts::domain::code;
use merx_contracts::accounts::v1::CodeRequest;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    kit::{PASSWORD, Reply, World, post},
    staff::{INVITED, accept, code, invite},
};

async fn accept_from(world: &World, email: &str, code: &str, network: &'static str) -> Reply {
    let body = json!({ "email": email, "code": code, "password": PASSWORD });
    world.ask(post("/v1/invitations/acceptance", body).from(network)).await
}

fn wrong(code: &str) -> String {
    let other = if code.starts_with('0') { '1' } else { '0' };
    format!("{other}{}", &code[1..])
}

async fn five_wrong_guesses_kill_a_code() {
    let world = World::new().await;
    let admin = world.admin().await;
    invite(&world, &admin, &["support"]).await;
    let code = code(&world).await;
    for _ in 0..5 {
        accept(&world, INVITED, &wrong(&code)).await.is_problem(401, "accounts.code_wrong");
        world.pass(Duration::from_secs(301)).await;
    }
    accept(&world, INVITED, &code).await.is_problem(401, "accounts.code_wrong");
    let asked = world.facts_of("accounts.code_requested.v1").await;
    let code_id = asked[0]["code_id"].as_str().unwrap().to_owned();
    let mail = world.asks().code(CodeRequest { code_id }).await.unwrap().into_inner();
    assert_eq!((mail.code.as_str(), mail.email.as_str()), ("", INVITED), "a dead code is not mailed");
}

async fn a_guess_costs_the_same_at_nobody() {
    let world = World::new().await;
    let admin = world.admin().await;
    invite(&world, &admin, &["support"]).await;
    world.customer("member@example.com").await;
    let mut seen = Vec::new();
    for email in [INVITED, "nobody@example.com", "member@example.com"] {
        let before = world.deps.db.stats();
        let reply = accept(&world, email, "0000-0000").await;
        reply.is_problem(401, "accounts.code_wrong");
        let spent = world.deps.db.stats().since(&before).total();
        let mut body = reply.json;
        body["instance"] = Value::Null;
        seen.push((body, spent.statements(), spent.write_txs));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

async fn guesses_are_throttled_like_log_ins() {
    let world = World::new().await;
    for _ in 0..5 {
        accept_from(&world, INVITED, "0000-0000", "203.0.113.1").await.is(401);
    }
    let refused = accept_from(&world, INVITED, "0000-0000", "203.0.113.1").await;
    refused.is_problem(429, "accounts.too_many_logins");
    assert!(refused.headers.contains_key("retry-after"));
}

async fn an_invitation_is_good_for_three_days() {
    let world = World::new().await;
    let admin = world.admin().await;
    invite(&world, &admin, &["support"]).await;
    let code = code(&world).await;
    world.pass(Duration::from_secs(72 * 3600)).await;
    accept(&world, INVITED, &code).await.is_problem(401, "accounts.code_wrong");
}

async fn what_cannot_be_a_password_costs_no_guess() {
    let world = World::new().await;
    let admin = world.admin().await;
    invite(&world, &admin, &["support"]).await;
    let code = code(&world).await;
    let body = json!({ "email": INVITED, "code": code, "password": "short" });
    let reply = world.ask(post("/v1/invitations/acceptance", body)).await;
    reply.is_problem(400, "request.invalid");
    assert_eq!(reply.pointers(), ["/password"]);
    accept(&world, INVITED, &code).await.is(204);
}

proptest! {
    fn what_is_shown_is_read_back(bytes in any::<[u8; 5]>()) {
        let shown = code::shown(bytes);
        prop_assert_eq!(shown.len(), 9);
        let sloppy = shown.to_lowercase().replace('0', "o").replace('1', "l");
        for typed in [shown.clone(), shown.replace('-', ""), format!(" {shown} "), sloppy] {
            prop_assert_eq!(code::typed(&typed), Some(code::expected(bytes)));
        }
        prop_assert_eq!(code::typed(&shown[1..]), None);
    }
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    crate::trials!("invitations": what_is_shown_is_read_back; waiting five_wrong_guesses_kill_a_code,
        a_guess_costs_the_same_at_nobody, guesses_are_throttled_like_log_ins, an_invitation_is_good_for_three_days,
        what_cannot_be_a_password_costs_no_guess)
}
