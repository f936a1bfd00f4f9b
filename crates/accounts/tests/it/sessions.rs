//! Sessions: refresh, reuse, log-out, restart.

use std::time::Duration;

use merx_accounts::commands::prune::prune;
use merx_kernel::Role;
use merx_sql::{Query, params};
use serde_json::{Value, json};

use crate::kit::{PASSWORD, Reply, World, delete, get, post};

async fn refresh(world: &World, tokens: &Value) -> Reply {
    world.ask(post("/v1/sessions/refresh", json!({ "refresh_token": tokens["refresh_token"] }))).await
}

#[tokio::test(start_paused = true)]
async fn tokens_are_refreshed() {
    let world = World::new().await;
    let first = world.customer("a@example.com").await;
    world.pass(Duration::from_secs(700)).await;
    let second = refresh(&world, &first).await.is(200);
    assert_eq!(second["session_id"], first["session_id"]);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    world.ask(get("/v1/me").token(&second)).await.is(200);
    let third = refresh(&world, &second).await.is(200);
    world.ask(get("/v1/me").token(&third)).await.is(200);
    refresh(&world, &json!({ "refresh_token": "mrt_rubbish" }))
        .await
        .is_problem(401, "accounts.refresh_token_invalid");
}

#[tokio::test(start_paused = true)]
async fn an_old_refresh_token_kills_its_family() {
    let world = World::new().await;
    let first = world.customer("a@example.com").await;
    let other = world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is(201);
    let second = refresh(&world, &first).await.is(200);
    let third = refresh(&world, &second).await.is(200);
    refresh(&world, &first).await.is_problem(401, "accounts.refresh_token_reused");
    for token in [&first, &second, &third] {
        world.ask(get("/v1/me").token(token)).await.is_problem(401, "request.token_revoked");
        refresh(&world, token).await.is_problem(401, "accounts.refresh_token_invalid");
    }
    world.ask(get("/v1/me").token(&other)).await.is(200);
}

#[tokio::test(start_paused = true)]
async fn of_two_refreshes_at_once_one_wins_and_the_session_ends() {
    let world = World::new().await;
    let tokens = world.customer("a@example.com").await;
    let (a, b) = tokio::join!(refresh(&world, &tokens), refresh(&world, &tokens));
    let mut statuses = [a.status.as_u16(), b.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    world.ask(get("/v1/me").token(&tokens)).await.is_problem(401, "request.token_revoked");
}

#[tokio::test(start_paused = true)]
async fn log_out_is_immediate_and_survives_a_restart() {
    let world = World::new().await;
    let tokens = world.customer("a@example.com").await;
    let other = world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is(201);
    world.ask(delete("/v1/sessions/current").token(&tokens)).await.is(204);
    world.ask(get("/v1/me").token(&tokens)).await.is_problem(401, "request.token_revoked");
    refresh(&world, &tokens).await.is_problem(401, "accounts.refresh_token_invalid");
    let again = world.restarted().await;
    again.ask(get("/v1/me").token(&tokens)).await.is_problem(401, "request.token_revoked");
    again.ask(get("/v1/me").token(&other)).await.is(200);
}

#[tokio::test(start_paused = true)]
async fn sessions_are_listed_and_ended_from_another_device() {
    let world = World::new().await;
    let phone = world.customer("a@example.com").await;
    world.pass(Duration::from_secs(1)).await;
    let login = post("/v1/sessions", json!({ "email": "a@example.com", "password": PASSWORD }));
    let laptop = world.ask(login.header("user-agent", "Laptop/1.0")).await.is(201);
    let list = world.ask(get("/v1/sessions").token(&laptop)).await.is(200);
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(
        (items[0]["client"].as_str(), items[0]["current"].as_bool()),
        (Some("Laptop/1.0"), Some(true))
    );
    assert_eq!(items[1]["id"], phone["session_id"]);
    let path = format!("/v1/sessions/{}", phone["session_id"].as_str().unwrap());
    world.ask(delete(&path).token(&laptop)).await.is(204);
    world.ask(delete(&path).token(&laptop)).await.is(204);
    world.ask(get("/v1/me").token(&phone)).await.is_problem(401, "request.token_revoked");
    assert_eq!(
        world.ask(get("/v1/sessions").token(&laptop)).await.is(200)["items"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_foreign_session_is_as_absent_as_none() {
    let world = World::new().await;
    let mine = world.customer("a@example.com").await;
    let theirs = world.customer("b@example.com").await;
    let path = format!("/v1/sessions/{}", theirs["session_id"].as_str().unwrap());
    let foreign = world.ask(delete(path).token(&mine)).await;
    foreign.is_problem(404, "accounts.session_not_found");
    let absent = world.ask(delete("/v1/sessions/ses_00000000000000000000000001").token(&mine)).await;
    absent.is_problem(404, "accounts.session_not_found");
    assert_eq!(foreign.json["detail"], absent.json["detail"]);
    world.ask(get("/v1/me").token(&theirs)).await.is(200);
}

#[tokio::test(start_paused = true)]
async fn an_account_has_fifty_sessions_at_most() {
    let world = World::new().await;
    let first = world.customer("a@example.com").await;
    for _ in 0..50 {
        world.pass(Duration::from_millis(1)).await;
        world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is(201);
    }
    world.ask(get("/v1/me").token(&first)).await.is_problem(401, "request.token_revoked");
    let last = world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is(201);
    assert_eq!(
        world.ask(get("/v1/sessions").token(&last)).await.is(200)["items"].as_array().unwrap().len(),
        50
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_expires_when_it_is_not_used_and_is_removed_later() {
    let world = World::new().await;
    let tokens = world.customer("a@example.com").await;
    let day = Duration::from_secs(24 * 3600);
    world.pass(29 * day).await;
    let kept = refresh(&world, &tokens).await.is(200);
    world.pass(29 * day).await;
    let kept = refresh(&world, &kept).await.is(200);
    world.pass(30 * day).await;
    refresh(&world, &kept).await.is_problem(401, "accounts.refresh_token_invalid");
    world.pass(31 * day).await;
    // The hourly loop has been at work; nothing is left to remove.
    assert_eq!(prune(&world.state).await.unwrap(), 0);
    let rows = |q: &mut merx_sql::Reader<'_>| {
        let sessions: i64 = q.query_one("SELECT COUNT(*) FROM accounts_sessions", params![], |r| r.get(0))?;
        let tokens: i64 =
            q.query_one("SELECT COUNT(*) FROM accounts_refresh_tokens", params![], |r| r.get(0))?;
        Ok((sessions, tokens))
    };
    assert_eq!(world.deps.db.read("test.rows", rows).await.unwrap(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn no_token_passes_before_the_revocations_are_loaded() {
    let world = World::new().await;
    let account = world.account("a@example.com", &[Role::Customer]).await;
    let tokens = world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is(201);
    let deps =
        merx_platform::Deps { metrics: merx_platform::telemetry::Metrics::new(), ..world.deps.clone() };
    let key = merx_kernel::Secret::new(vec![5; 32]);
    let fresh = merx_accounts::State::new(&deps, merx_accounts::Settings::default(), &key).unwrap();
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(fresh.verifier().verify(token).unwrap_err().code(), "request.revocations_unknown");
    merx_accounts::start(&fresh, &deps).await.unwrap();
    assert_eq!(fresh.verifier().verify(token).unwrap().account, account);
}
