//! Keys of programs.

use std::time::Duration;

use merx_accounts::domain::api_key;
use merx_contracts::ids::ApiKeyId;
use merx_kernel::{Id, Role};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    kit::{Reply, World, delete, get, post, put},
    modes::on_every_mode,
};

async fn make(world: &World, by: &Value, key: &str, scopes: &[&str]) -> Reply {
    let body = json!({ "name": "reports", "scopes": scopes });
    world.ask(post("/v1/api-keys", body).token(by).key(key)).await
}

async fn a_key_may_do_what_its_scopes_and_its_owner_may() {
    let world = World::new().await;
    let admin = world.admin().await;
    let operator = world.staff("op@example.com", &[Role::Operator]).await;
    make(&world, &operator, "above", &["operate"]).await.is_problem(403, "accounts.grant_above_own");
    make(&world, &operator, "none", &[]).await.is_problem(400, "request.invalid");
    let made = make(&world, &operator, "k", &["audit_read"]).await.is(201);
    let secret = made["secret"].as_str().unwrap();
    let again = make(&world, &operator, "k", &["audit_read"]).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.is(201), json!({ "id": made["id"] }), "the secret is kept nowhere");
    world.ask(get("/v1/admin/audit").bearer(secret)).await.is(200);
    // In scope, but not the owner's any more; then again.
    let body = json!({ "permissions": ["orders_read"], "reason": "x" });
    world.ask(put("/v1/roles/operator", body).token(&admin).version(1)).await.is(200);
    world.ask(get("/v1/admin/audit").bearer(secret)).await.is_problem(403, "request.forbidden");
    let body = json!({ "permissions": ["audit_read", "staff_write"], "reason": "x" });
    world.ask(put("/v1/roles/operator", body).token(&admin).version(2)).await.is(200);
    world.ask(get("/v1/admin/audit").bearer(secret)).await.is(200);
    // The owner's, but not in scope.
    world.ask(get("/v1/roles").bearer(secret)).await.is_problem(403, "request.forbidden");
}

/// Each key has a rate of its own: whoever could make fresh ones without end would have no rate at all.
async fn keys_are_not_made_without_end() {
    let world = World::new().await;
    let me = world.customer("a@example.com").await;
    let mut made = 0;
    let refused = loop {
        let reply = make(&world, &me, &format!("k{made}"), &["shop"]).await;
        if reply.status != 201 {
            break reply;
        }
        made += 1;
        let id = reply.is(201)["id"].as_str().unwrap().to_owned();
        world.ask(delete(format!("/v1/api-keys/{id}")).token(&me)).await.is(204);
        assert!(made < 1_000, "keys without end");
    };
    refused.is_problem(429, "request.rate_limited");
    assert!(made >= usize::try_from(api_key::KEYS_MAX).unwrap(), "{made}");
    let other = world.customer("b@example.com").await;
    make(&world, &other, "k", &["shop"]).await.is(201);
    world.pass(Duration::from_secs(60)).await;
    make(&world, &me, "later", &["shop"]).await.is(201);
}

async fn a_key_never_acts_for_the_person() {
    let world = World::new().await;
    let admin = world.admin().await;
    let scopes: Vec<&str> = merx_kernel::Permission::ALL.iter().map(|p| p.name()).collect();
    let made = make(&world, &admin, "k", &scopes).await.is(201);
    let secret = made["secret"].as_str().unwrap();
    let id = made["id"].as_str().unwrap();
    let account = admin["account_id"].as_str().unwrap();
    let asks = [
        post("/v1/api-keys", json!({ "name": "x", "scopes": ["shop"] })).key("k"),
        get("/v1/api-keys"),
        delete(format!("/v1/api-keys/{id}")),
        get("/v1/sessions"),
        delete("/v1/sessions/current"),
        delete("/v1/sessions/elsewhere"),
        get("/v1/account"),
        put("/v1/account/password", json!({ "password": "x", "new_password": "12345678" })),
        post("/v1/account/export", json!({})),
        post("/v1/account/erasure", json!({ "password": "x" })),
        post("/v1/staff", json!({ "email": "a@b.cd", "name": "x", "roles": ["support"] })).key("k"),
        get("/v1/staff"),
        put(format!("/v1/staff/{account}/roles"), json!({ "roles": ["support"], "reason": "x" })).version(1),
        put("/v1/roles/support", json!({ "permissions": [], "reason": "x" })).version(1),
        get("/v1/admin/accounts"),
        get("/v1/addresses"),
        put("/v1/guests/me", json!({ "email": "a@b.cd", "locale": "en" })),
    ];
    for ask in asks {
        world.ask(ask.bearer(secret)).await.is_problem(403, "request.session_required");
    }
    world.ask(get("/v1/roles").bearer(secret)).await.is(200);
}

async fn a_key_ends_when_it_is_revoked_or_its_time_is_over() {
    let world = World::new().await;
    let one = world.staff("op@example.com", &[Role::Operator]).await;
    let other = world.staff("other@example.com", &[Role::Operator]).await;
    let made = make(&world, &one, "k", &["audit_read"]).await.is(201);
    let secret = made["secret"].as_str().unwrap();
    world.ask(get("/v1/admin/audit").bearer(secret)).await.is(200);
    let path = format!("/v1/api-keys/{}", made["id"].as_str().unwrap());
    world.ask(delete(&path).token(&other)).await.is_problem(404, "accounts.api_key_not_found");
    world.ask(get("/v1/admin/audit").bearer(secret)).await.is(200);
    world.ask(delete(&path).token(&one)).await.is(204);
    world.ask(delete(&path).token(&one)).await.is(204);
    world.ask(get("/v1/admin/audit").bearer(secret)).await.is_problem(401, "request.api_key_invalid");
    assert_eq!(world.ask(get("/v1/api-keys").token(&one)).await.is(200)["items"], json!([]));

    let at = "2027-01-15T09:00:00Z";
    let short = json!({ "name": "short", "scopes": ["audit_read"], "expires_at": at });
    let made = world.ask(post("/v1/api-keys", short).token(&one).key("s")).await.is(201);
    let secret = made["secret"].as_str().unwrap();
    world.ask(get("/v1/admin/audit").bearer(secret)).await.is(200);
    world.pass(Duration::from_secs(3600)).await;
    world.ask(get("/v1/admin/audit").bearer(secret)).await.is_problem(401, "request.api_key_invalid");
    let over = json!({ "name": "over", "scopes": ["audit_read"], "expires_at": "2020-01-01T00:00:00Z" });
    let one = world.log_in("op@example.com", crate::kit::PASSWORD, "192.0.2.1").await.is(201);
    world.ask(post("/v1/api-keys", over).token(&one).key("o")).await.is_problem(400, "request.invalid");
    let guest = world.ask(post("/v1/guests", json!({}))).await.is(201);
    make(&world, &guest, "g", &["shop"]).await.is_problem(403, "request.forbidden");
}

async fn a_known_key_costs_no_look_and_its_use_is_noted() {
    let world = World::new().await;
    let one = world.staff("op@example.com", &[Role::Operator]).await;
    let secret =
        make(&world, &one, "k", &["audit_read"]).await.is(201)["secret"].as_str().unwrap().to_owned();
    let used = async || {
        let keys = world.ask(get("/v1/api-keys").token(&one)).await.is(200);
        keys["items"][0]["used_at"].clone()
    };
    assert_eq!(used().await, Value::Null);
    world.ask(get("/v1/admin/audit").bearer(&secret)).await.is(200);
    world.pass(Duration::from_secs(1)).await;
    let first = used().await;
    assert!(first.is_string());
    let before = world.deps.db.stats();
    for _ in 0..50 {
        world.ask(get("/v1/admin/audit").bearer(&secret)).await.is(200);
    }
    let spent = world.deps.db.stats().since(&before).total();
    assert_eq!((spent.statements(), spent.write_txs), (50, 0), "only what the route itself reads");
    assert_eq!(used().await, first);
    world.pass(Duration::from_secs(60)).await;
    world.ask(get("/v1/admin/audit").bearer(&secret)).await.is(200);
    world.pass(Duration::from_secs(1)).await;
    assert_ne!(used().await, first);
}

async fn what_is_no_key_costs_no_look_and_guessing_is_slow() {
    let world = World::new().await;
    let one = world.staff("op@example.com", &[Role::Operator]).await;
    let secret =
        make(&world, &one, "k", &["audit_read"]).await.is(201)["secret"].as_str().unwrap().to_owned();
    let mut flipped = secret.clone().into_bytes();
    flipped[40] = if flipped[40] == b'0' { b'1' } else { b'0' };
    let flipped = String::from_utf8(flipped).unwrap();
    let before = world.deps.db.stats();
    for wrong in ["merx_", "merx_x", &flipped, &secret[..secret.len() - 1], &format!("{secret}0")] {
        world.ask(get("/v1/admin/audit").bearer(wrong)).await.is_problem(401, "request.api_key_invalid");
    }
    assert_eq!(world.deps.db.stats().since(&before).total().statements(), 0);
    // With a right checksum: the right id and another secret, and ids nobody has.
    let id = api_key::id_of(&secret).unwrap();
    world.ask(get("/v1/admin/audit").bearer(&api_key::secret(id, [7; 20]))).await.is(401);
    let mut limited = 0;
    for n in 0..200 {
        let forged = api_key::secret(Id::from_bits(n), [7; 20]);
        let reply = world.ask(get("/v1/admin/audit").bearer(&forged)).await;
        limited += u32::from(reply.status == 429);
    }
    assert!(limited >= 90, "{limited}");
    // Who is known goes on.
    world.ask(get("/v1/admin/audit").bearer(&secret)).await.is(200);
}

proptest! {
    fn a_secret_names_its_key(bits in any::<u128>(), random in any::<[u8; 20]>(), at in 5usize..70, with in 0u8..32) {
        let id: ApiKeyId = Id::from_bits(bits);
        let secret = api_key::secret(id, random);
        prop_assert_eq!(secret.len(), 70);
        prop_assert_eq!(api_key::id_of(&secret), Some(id));
        let mut changed = secret.clone().into_bytes();
        let symbol = b"0123456789abcdefghjkmnpqrstvwxyz"[usize::from(with)];
        if changed[at] != symbol {
            changed[at] = symbol;
            prop_assert_eq!(api_key::id_of(std::str::from_utf8(&changed).unwrap()), None, "one symbol is wrong");
        }
    }
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    let mut trials = crate::trials!("api_keys": a_secret_names_its_key; waiting
        a_key_may_do_what_its_scopes_and_its_owner_may, a_key_never_acts_for_the_person,
        a_key_ends_when_it_is_revoked_or_its_time_is_over, a_known_key_costs_no_look_and_its_use_is_noted,
        keys_are_not_made_without_end, what_is_no_key_costs_no_look_and_guessing_is_slow);
    trials.extend(on_every_mode("api_keys: twenty at most, however many at once", |world| async move {
        let one = world.customer("a@example.com").await;
        let asks = (0..26).map(|n| {
            let (world, one) = (world.clone(), one.clone());
            async move { make(&world, &one, &format!("k{n}"), &["shop"]).await.status.as_u16() }
        });
        let statuses = futures_util::future::join_all(asks).await;
        assert_eq!(statuses.iter().filter(|s| **s == 201).count(), 20, "{statuses:?}");
        make(&world, &one, "one-more", &["shop"]).await.is_problem(409, "accounts.api_key_limit");
        let keys = world.ask(get("/v1/api-keys").token(&one)).await.is(200);
        let id = keys["items"][0]["id"].as_str().unwrap();
        world.ask(delete(format!("/v1/api-keys/{id}")).token(&one)).await.is(204);
        make(&world, &one, "after-one-less", &["shop"]).await.is(201);
    }));
    trials
}
