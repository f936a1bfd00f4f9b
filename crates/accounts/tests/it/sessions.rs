//! Sessions: refresh, reuse, log-out, restart.

use std::time::Duration;

use merx_accounts::{Settings, commands::prune::prune};
use merx_kernel::Role;
use merx_sql::{Query, params};
use serde_json::{Value, json};

use crate::kit::{PASSWORD, Reply, World, delete, get, post, put};

async fn refresh(world: &World, tokens: &Value) -> Reply {
    world.ask(post("/v1/sessions/refresh", json!({ "refresh_token": tokens["refresh_token"] }))).await
}

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

async fn of_two_refreshes_at_once_one_wins_and_the_session_ends() {
    let world = World::new().await;
    let tokens = world.customer("a@example.com").await;
    let (a, b) = tokio::join!(refresh(&world, &tokens), refresh(&world, &tokens));
    let mut statuses = [a.status.as_u16(), b.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    world.ask(get("/v1/me").token(&tokens)).await.is_problem(401, "request.token_revoked");
}

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

async fn all_sessions_but_this_one_are_ended() {
    let world = World::new().await;
    let mut others = vec![world.customer("a@example.com").await];
    for _ in 0..3 {
        others.push(world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is(201));
    }
    let here = world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is(201);
    let stranger = world.customer("b@example.com").await;
    world.ask(delete("/v1/sessions/elsewhere").token(&here)).await.is(204);
    for other in &others {
        world.ask(get("/v1/me").token(other)).await.is_problem(401, "request.token_revoked");
        refresh(&world, other).await.is_problem(401, "accounts.refresh_token_invalid");
    }
    world.ask(get("/v1/me").token(&stranger)).await.is(200);
    let left = world.ask(get("/v1/sessions").token(&here)).await.is(200);
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    world.ask(delete("/v1/sessions/elsewhere").token(&here)).await.is(204);
}

/// Fixation: whatever a client brings along, a log-in makes a session of its own.
async fn a_log_in_takes_over_no_session_a_client_was_given() {
    let world = World::new().await;
    let planted = world.customer("attacker@example.com").await;
    world.account("victim@example.com", &[Role::Customer]).await;
    let body = json!({ "email": "victim@example.com", "password": PASSWORD });
    let ask = post("/v1/sessions", body.clone()).token(&planted);
    let ask = ask.header("cookie", &format!("session={}", planted["session_id"].as_str().unwrap()));
    let victim = world.ask(ask).await.is(201);
    assert_ne!(victim["session_id"], planted["session_id"]);
    assert_ne!(victim["refresh_token"], planted["refresh_token"]);
    let attacker = world.ask(get("/v1/me").token(&planted)).await.is(200);
    assert_eq!(
        attacker["account_id"], planted["account_id"],
        "the planted session is still the attacker's own"
    );
    for property in ["session_id", "id", "access_token", "account_id"] {
        let mut body = body.clone();
        body[property] = planted["session_id"].clone();
        world.ask(post("/v1/sessions", body)).await.is_problem(400, "request.invalid");
    }
}

/// Forgery across sites: a browser sends cookies and forms by itself, and neither is worth anything here.
async fn what_a_browser_sends_by_itself_is_no_credential() {
    let world = World::new().await;
    let me = world.customer("a@example.com").await;
    let token = me["access_token"].as_str().unwrap();
    let cookie = |ask: crate::kit::Ask| {
        ask.header("cookie", &format!("access_token={token}; authorization=Bearer {token}"))
            .header("origin", "https://evil.example")
    };
    world.ask(cookie(get("/v1/me"))).await.is_problem(401, "request.unauthenticated");
    world.ask(cookie(delete("/v1/sessions/current"))).await.is_problem(401, "request.unauthenticated");
    let erase = cookie(post("/v1/account/erasure", json!({ "password": PASSWORD })));
    world.ask(erase).await.is_problem(401, "request.unauthenticated");
    world.ask(get(format!("/v1/me?access_token={token}"))).await.is_problem(401, "request.unauthenticated");
    // The media types of forms are not read, and no answer invites other origins.
    for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let form = crate::kit::ask(http::Method::POST, "/v1/sessions").header("content-type", media);
        world.ask(form).await.is_problem(415, "request.unsupported_media_type");
    }
    let reply = world.ask(get("/v1/me").token(&me).header("origin", "https://evil.example")).await;
    assert!(reply.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
    assert!(!reply.headers.contains_key("set-cookie"));
}

/// Of two processes on one database each hears within a second of what the other did, and neither lets anybody in on
/// older knowledge.
async fn another_process_hears_within_a_second() {
    let shared = || Settings { several_processes: true, ..Settings::default() };
    let one = World::with(shared()).await;
    let two = one.started_with(shared()).await;
    let admin = one.admin().await;
    let me = one.staff("op@example.com", &[Role::Operator]).await;
    let laptop = one.log_in("op@example.com", PASSWORD, "192.0.2.1").await.is(201);
    let key = json!({ "name": "k", "scopes": ["audit_read"] });
    let key = one.ask(post("/v1/api-keys", key).token(&me).key("k")).await.is(201);
    let secret = key["secret"].as_str().unwrap().to_owned();
    let audit = || get("/v1/admin/audit");
    two.ask(audit().token(&me)).await.is(200);
    two.ask(audit().token(&laptop)).await.is(200);
    two.ask(audit().bearer(&secret)).await.is(200);

    one.ask(delete("/v1/sessions/current").token(&laptop)).await.is(204);
    let other = json!({ "permissions": ["orders_read", "accounts_read"], "reason": "x" });
    one.ask(put("/v1/roles/operator", other).token(&admin).version(1)).await.is(200);
    one.pass(Duration::from_secs(1)).await;
    two.ask(audit().token(&laptop)).await.is_problem(401, "request.token_revoked");
    two.ask(audit().token(&me)).await.is_problem(403, "request.forbidden");
    two.ask(audit().bearer(&secret)).await.is_problem(403, "request.forbidden");
    let path = format!("/v1/staff/{}/status", me["account_id"].as_str().unwrap());
    let shut = json!({ "status": "deactivated", "reason": "x" });
    one.ask(put(path, shut).token(&admin).version(1)).await.is(200);
    one.pass(Duration::from_secs(1)).await;
    two.ask(get("/v1/me").token(&me)).await.is_problem(401, "request.token_revoked");
    two.ask(audit().bearer(&secret)).await.is_problem(401, "request.api_key_invalid");

    one.deps.db.close().await;
    one.pass(Duration::from_secs(2)).await;
    two.ask(get("/v1/me").token(&admin)).await.is_problem(503, "request.revocations_unknown");
    two.ask(audit().bearer(&secret)).await.is_problem(503, "request.revocations_unknown");
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    crate::trials!("sessions": ; waiting tokens_are_refreshed, an_old_refresh_token_kills_its_family, of_two_refreshes_at_once_one_wins_and_the_session_ends, log_out_is_immediate_and_survives_a_restart, sessions_are_listed_and_ended_from_another_device, a_foreign_session_is_as_absent_as_none, an_account_has_fifty_sessions_at_most, a_session_expires_when_it_is_not_used_and_is_removed_later, no_token_passes_before_the_revocations_are_loaded, all_sessions_but_this_one_are_ended, a_log_in_takes_over_no_session_a_client_was_given, what_a_browser_sends_by_itself_is_no_credential, another_process_hears_within_a_second)
}
