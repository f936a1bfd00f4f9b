//! What a person does with his own account.

use std::time::Duration;

use merx_kernel::Role;
use serde_json::json;

use crate::{
    kit::{PASSWORD, World, get, post, put},
    modes::on_every_mode,
};

const NEW: &str = "a better password";

async fn a_profile_is_changed_by_who_has_seen_it() {
    let world = World::new().await;
    let me = world.customer("a@example.com").await;
    let seen = world.ask(get("/v1/account").token(&me)).await;
    assert_eq!(seen.headers["etag"], "\"1\"");
    assert_eq!(seen.is(200)["locale"], "zh-CN");
    let body = json!({ "name": "Li Lei", "locale": "en" });
    world.ask(put("/v1/account", body.clone()).token(&me)).await.is_problem(428, "request.version_missing");
    let set = world.ask(put("/v1/account", body.clone()).token(&me).version(1)).await;
    assert_eq!(set.headers["etag"], "\"2\"");
    let set = set.is(200);
    assert_eq!(
        (&set["name"], &set["locale"], &set["email"]),
        (&json!("Li Lei"), &json!("en"), &json!("a@example.com"))
    );
    world.ask(put("/v1/account", body).token(&me).version(1)).await.is_problem(412, "request.version_stale");
    let foreign = json!({ "name": "x", "locale": "fr" });
    world.ask(put("/v1/account", foreign).token(&me).version(2)).await.is_problem(400, "request.invalid");
    for taken in ["roles", "email", "status", "id", "kind"] {
        let mut body = json!({ "name": "x", "locale": "en" });
        body[taken] = json!("administrator");
        let refused = world.ask(put("/v1/account", body).token(&me).version(2)).await;
        refused.is_problem(400, "request.invalid");
    }
}

async fn guesses_at_the_own_password_are_throttled() {
    let world = World::new().await;
    let me = world.customer("a@example.com").await;
    let change = |old: &str| put("/v1/account/password", json!({ "password": old, "new_password": NEW }));
    for _ in 0..5 {
        world.ask(change("wrong").token(&me)).await.is_problem(403, "accounts.password_wrong");
    }
    world.ask(change(PASSWORD).token(&me)).await.is_problem(429, "accounts.too_many_logins");
    let erase = post("/v1/account/erasure", json!({ "password": PASSWORD }));
    world.ask(erase.token(&me)).await.is_problem(429, "accounts.too_many_logins");
    world.pass(Duration::from_secs(301)).await;
    world.ask(change(PASSWORD).token(&me)).await.is(204);
}

async fn what_is_kept_about_me_is_given_to_me() {
    let world = World::new().await;
    let me = world.customer("a@example.com").await;
    let form = json!({
        "country": "CN", "region": "广东省", "city": "深圳市", "line1": "南山区1号", "recipient": "王小明",
        "phone": "13800138000",
    });
    world.ask(post("/v1/addresses", form).token(&me).key("a")).await.is(201);
    let key = json!({ "name": "till", "scopes": ["shop"] });
    world.ask(post("/v1/api-keys", key).token(&me).key("k")).await.is(201);
    let all = world.ask(post("/v1/account/export", json!({})).token(&me)).await.is(200);
    assert_eq!((&all["account"]["email"], &all["roles"]), (&json!("a@example.com"), &json!(["customer"])));
    assert_eq!(all["addresses"][0]["address"]["recipient"], "王小明");
    assert_eq!((all["sessions"].as_array().unwrap().len(), &all["api_keys"][0]["name"]), (1, &json!("till")));
    assert!(!all.to_string().contains("secret") && !all.to_string().contains("argon2"));
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    let mut trials = crate::trials!("account": ; waiting a_profile_is_changed_by_who_has_seen_it,
        guesses_at_the_own_password_are_throttled, what_is_kept_about_me_is_given_to_me);
    trials.extend(on_every_mode("account: a new password ends every other session", |world| async move {
        world.account("a@example.com", &[Role::Customer]).await;
        let mut others = Vec::new();
        for _ in 0..3 {
            others.push(world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is(201));
        }
        let here = world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is(201);
        let change = |old: &str, new: &str| {
            put("/v1/account/password", json!({ "password": old, "new_password": new })).token(&here)
        };
        world.ask(change(PASSWORD, "short")).await.is_problem(400, "request.invalid");
        // A log-in by the old password at the same time is before the change, and out; or after it, and not in.
        let (changed, beside) = tokio::join!(
            world.ask(change(PASSWORD, NEW)),
            world.log_in("a@example.com", PASSWORD, "192.0.2.1"),
        );
        changed.is(204);
        if beside.status == 201 {
            others.push(beside.json);
        }
        for other in &others {
            world.ask(get("/v1/me").token(other)).await.is_problem(401, "request.token_revoked");
            let refresh = json!({ "refresh_token": other["refresh_token"] });
            let refused = world.ask(post("/v1/sessions/refresh", refresh)).await;
            refused.is_problem(401, "accounts.refresh_token_invalid");
        }
        world.ask(get("/v1/me").token(&here)).await.is(200);
        world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is(401);
        world.log_in("a@example.com", NEW, "192.0.2.1").await.is(201);
    }));
    trials
}
