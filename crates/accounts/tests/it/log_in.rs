//! Log-in.

use std::time::Duration;

use merx_accounts::{
    Password, Settings,
    commands::create_account::{CreateAccount, create_account},
    domain::email::Email,
};
use merx_kernel::{BoundedText, Role};
use serde_json::json;

use crate::kit::{PASSWORD, World, get, post};

async fn a_session_begins() {
    let world = World::new().await;
    let account = world.account("Wang@Example.COM", &[Role::Customer]).await;
    let tokens = world.log_in(" wang@example.com", PASSWORD, "192.0.2.1").await.is(201);
    assert_eq!(tokens["account_id"], account.to_string());
    assert_eq!((tokens["token_type"].as_str(), tokens["expires_in"].as_u64()), (Some("Bearer"), Some(600)));
    let me = world.ask(get("/v1/me").token(&tokens)).await.is(200);
    assert_eq!(me["email"], "wang@example.com");
    assert_eq!(me["roles"], json!(["customer"]));
    assert_eq!(me["session_id"], tokens["session_id"]);
    world.pass(Duration::from_secs(600)).await;
    world.ask(get("/v1/me").token(&tokens)).await.is_problem(401, "request.token_expired");
}

async fn authentication_costs_no_statement() {
    let world = World::new().await;
    let tokens = world.customer("a@example.com").await;
    let before = world.deps.db.stats();
    world.ask(get("/v1/me").token(&tokens)).await.is(200);
    let spent = world.deps.db.stats().since(&before).total();
    assert_eq!((spent.statements(), spent.write_txs), (1, 0), "only what the route itself reads");
    let before = world.deps.db.stats();
    for _ in 0..100 {
        world.ask(get("/v1/me").header("authorization", "Bearer x.y.z")).await.is(401);
    }
    assert_eq!(world.deps.db.stats().since(&before).total().statements(), 0);
}

async fn an_unknown_account_is_answered_like_a_wrong_password() {
    let world = World::new().await;
    world.account("known@example.com", &[Role::Customer]).await;
    let mut seen = Vec::new();
    for email in ["known@example.com", "unknown@example.com"] {
        let (stats, hashed) = (world.deps.db.stats(), world.passwords_evaluated());
        let reply = world.log_in(email, "wrong password", "192.0.2.1").await;
        reply.is_problem(401, "accounts.credentials_wrong");
        let spent = world.deps.db.stats().since(&stats).total();
        let mut body = reply.json;
        body["instance"] = json!(null);
        let headers: Vec<_> = reply.headers.keys().cloned().collect();
        seen.push((body, headers, spent.statements(), spent.write_txs, world.passwords_evaluated() - hashed));
    }
    assert_eq!(seen[0], seen[1], "same answer, same statements, same work");
    assert_eq!(seen[0].4, 1, "one hash each");
}

async fn bad_input_is_named() {
    let world = World::new().await;
    let long = "x".repeat(129);
    for (body, pointer) in [
        (json!({"email": "a@example.com", "password": long}), "/password"),
        (json!({"email": "nobody", "password": "x"}), "/email"),
        (json!({"email": "a@example.com"}), ""),
        (json!({"email": "a@example.com", "password": "x", "roles": ["administrator"]}), "/roles"),
        (json!({"email": ["a@example.com"], "password": "x"}), "/email"),
    ] {
        let reply = world.ask(post("/v1/sessions", body)).await;
        reply.is_problem(400, "request.invalid");
        assert_eq!(reply.pointers(), [pointer]);
        assert!(!reply.json.to_string().contains(&"x".repeat(100)), "a password is not sent back");
    }
}

async fn ten_guesses_at_an_account_are_evaluated_in_five_minutes() {
    let world = World::new().await;
    world.account("victim@example.com", &[Role::Customer]).await;
    // The owner has logged in from home before.
    world.log_in("victim@example.com", PASSWORD, "198.51.100.7").await.is(201);
    let before = world.passwords_evaluated();
    let attackers = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"];
    for round in 0..50 {
        for network in attackers {
            let reply = world.log_in("victim@example.com", &format!("guess {round}"), network).await;
            assert!(matches!(reply.status.as_u16(), 401 | 429), "{reply:?}");
        }
    }
    assert_eq!(world.passwords_evaluated() - before, 7, "strangers share seven guesses");
    let refused = world.log_in("victim@example.com", "guess", attackers[0]).await;
    refused.is_problem(429, "accounts.too_many_logins");
    assert_eq!(refused.headers["retry-after"], "300");
    // Even the right password is not tried for a stranger, and the owner at home is not locked out.
    world.log_in("victim@example.com", PASSWORD, attackers[1]).await.is(429);
    world.log_in("victim@example.com", PASSWORD, "198.51.100.7").await.is(201);
    for _ in 0..10 {
        world.log_in("victim@example.com", "forgotten", "198.51.100.7").await;
    }
    assert_eq!(world.passwords_evaluated() - before, 7 + 1 + 3, "three wrong ones from home make ten");
    world.pass(Duration::from_secs(300)).await;
    world.log_in("victim@example.com", PASSWORD, attackers[2]).await.is(201);
}

async fn an_account_that_does_not_exist_is_throttled_like_one_that_does() {
    let world = World::new().await;
    world.account("known@example.com", &[Role::Customer]).await;
    let mut statuses = [Vec::new(), Vec::new()];
    for _ in 0..8 {
        for (email, seen) in ["known@example.com", "unknown@example.com"].iter().zip(&mut statuses) {
            seen.push(world.log_in(email, "guess", "203.0.113.1").await.status.as_u16());
        }
    }
    assert_eq!(statuses[0], statuses[1]);
    assert_eq!(statuses[0], [401, 401, 401, 401, 401, 429, 429, 429]);
}

async fn right_passwords_are_not_counted() {
    let world = World::new().await;
    world.account("a@example.com", &[Role::Customer]).await;
    for _ in 0..20 {
        world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is(201);
    }
}

async fn one_network_logs_in_so_often_only() {
    let world =
        World::with(Settings { logins_per_minute_max: 60, login_burst_max: 3, ..Settings::default() }).await;
    for number in 0..3 {
        world.log_in(&format!("{number}@example.com"), "x", "203.0.113.1").await.is(401);
    }
    let refused = world.log_in("4@example.com", "x", "203.0.113.1").await;
    refused.is_problem(429, "accounts.too_many_logins");
    assert_eq!(refused.headers["retry-after"], "1");
    world.log_in("4@example.com", "x", "203.0.113.2").await.is(401);
    for (number, network) in ["2001:db8::1", "2001:db8::2", "2001:db8::3"].into_iter().enumerate() {
        world.log_in(&format!("v6-{number}@example.com"), "x", network).await.is(401);
    }
    world.log_in("v6@example.com", "x", "2001:db8::4").await.is(429);
}

async fn a_flood_of_log_ins_is_shed() {
    let settings = Settings {
        password_workers: 1,
        password_queue_max: 2,
        logins_per_minute_max: 6_000,
        login_burst_max: 6_000,
        ..Settings::default()
    };
    let world = World::with(settings).await;
    let emails: Vec<String> = (0..20).map(|n| format!("{n}@example.com")).collect();
    let asked = emails.iter().map(|email| world.log_in(email, "x", "203.0.113.1"));
    let replies = futures_util::future::join_all(asked).await;
    let shed =
        replies.iter().filter(|r| r.status == 503).inspect(|r| r.is_problem(503, "accounts.login_busy"));
    assert_eq!(shed.count(), 17);
    assert_eq!(replies.iter().filter(|r| r.status == 401).count(), 3);
}

async fn accounts_are_made_once() {
    let world = World::new().await;
    world.account("a@example.com", &[Role::Customer]).await;
    let command = |email: &str, password: &str, roles: &[Role]| CreateAccount {
        email: Email::new(email).unwrap(),
        name: BoundedText::new("x").unwrap(),
        password: Password::new(password).unwrap(),
        roles: roles.to_vec(),
    };
    let refused =
        |command| async { create_account(&world.state, command).await.unwrap_err().code().to_owned() };
    assert_eq!(refused(command("A@EXAMPLE.com", PASSWORD, &[Role::Customer])).await, "accounts.email_taken");
    assert_eq!(refused(command("b@example.com", "short", &[Role::Customer])).await, "request.invalid");
    assert_eq!(refused(command("b@example.com", PASSWORD, &[])).await, "request.invalid");
}

async fn an_owner_at_a_new_place_is_let_in_while_others_guess() {
    let world = World::new().await;
    world.account("victim@example.com", &[Role::Customer]).await;
    let attackers: Vec<&'static str> =
        (0..40).map(|n| -> &'static str { format!("203.0.113.{n}").leak() }).collect();
    let mut waited = Duration::ZERO;
    loop {
        for network in &attackers {
            world.log_in("victim@example.com", "guess", network).await;
        }
        let reply = world.log_in("victim@example.com", PASSWORD, "198.51.100.7").await;
        if reply.status == 201 {
            break;
        }
        reply.is_problem(429, "accounts.too_many_logins");
        let wait = Duration::from_secs(reply.headers["retry-after"].to_str().unwrap().parse().unwrap());
        waited += wait;
        world.pass(wait).await;
    }
    assert!(waited <= Duration::from_secs(15 * 60), "{waited:?}");
    world.log_in("victim@example.com", PASSWORD, "198.51.100.7").await.is(201);
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    crate::trials!("log_in": ; waiting a_session_begins, authentication_costs_no_statement, an_unknown_account_is_answered_like_a_wrong_password, bad_input_is_named, ten_guesses_at_an_account_are_evaluated_in_five_minutes, an_account_that_does_not_exist_is_throttled_like_one_that_does, right_passwords_are_not_counted, one_network_logs_in_so_often_only, a_flood_of_log_ins_is_shed, accounts_are_made_once, an_owner_at_a_new_place_is_let_in_while_others_guess)
}
