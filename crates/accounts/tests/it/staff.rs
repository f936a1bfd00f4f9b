//! The life of an account of staff.

use std::time::Duration;

use merx_accounts::{
    commands::first_administrator::invite_first_administrator,
    domain::{email::Email, person::Locale},
};
use merx_contracts::accounts::v1::CodeRequest;
use merx_kernel::{BoundedText, Role};
use serde_json::{Value, json};

use crate::{
    kit::{PASSWORD, Reply, World, delete, get, post, put},
    modes::on_every_mode,
};

pub const INVITED: &str = "new@example.com";

/// Invites; answers the account's id.
pub async fn invite(world: &World, by: &Value, roles: &[&str]) -> String {
    let body = json!({ "email": INVITED, "name": "李雷", "roles": roles, "locale": "en", "reason": "hired" });
    let made = world.ask(post("/v1/staff", body).token(by).key("invite")).await.is(201);
    made["id"].as_str().unwrap().to_owned()
}

/// The code in the last mail.
pub async fn code(world: &World) -> String {
    let asked = world.facts_of("accounts.code_requested.v1").await;
    let code_id = asked.last().unwrap()["code_id"].as_str().unwrap().to_owned();
    world.asks().code(CodeRequest { code_id }).await.unwrap().into_inner().code
}

pub async fn accept(world: &World, email: &str, code: &str) -> Reply {
    let body = json!({ "email": email, "code": code, "password": PASSWORD });
    world.ask(post("/v1/invitations/acceptance", body)).await
}

async fn put_status(world: &World, by: &Value, id: &str, version: i64, status: &str) -> Reply {
    let body = json!({ "status": status, "reason": "left the house" });
    world.ask(put(format!("/v1/staff/{id}/status"), body).token(by).version(version)).await
}

async fn from_invitation_to_the_door(world: std::sync::Arc<World>) {
    let admin = world.admin().await;
    let id = invite(&world, &admin, &["support"]).await;
    let again =
        json!({ "email": INVITED, "name": "李雷", "roles": ["support"], "locale": "en", "reason": "hired" });
    let again = world.ask(post("/v1/staff", again).token(&admin).key("invite")).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let read = world.ask(get(format!("/v1/staff/{id}")).token(&admin)).await;
    assert_eq!(again.headers["etag"], read.headers["etag"]);
    assert_eq!(again.is(201), read.is(200), "the whole account, as it is");
    assert_eq!(world.facts_of("accounts.code_requested.v1").await.len(), 1, "one mail");
    let text = format!("{:?}", world.facts().await);
    assert!(!text.contains(INVITED) && !text.contains("李雷"), "no personal data in facts: {text}");
    world.log_in(INVITED, PASSWORD, "192.0.2.7").await.is_problem(401, "accounts.credentials_wrong");
    let seen = world.ask(get(format!("/v1/staff/{id}")).token(&admin)).await.is(200);
    assert_eq!((&seen["status"], &seen["roles"]), (&json!("invited"), &json!(["support"])));
    assert!(seen["invitation_expires_at"].is_string());

    let mailed = code(&world).await;
    accept(&world, INVITED, &mailed.to_lowercase().replace('-', " ")).await.is(204);
    accept(&world, INVITED, &mailed).await.is_problem(401, "accounts.code_wrong");
    assert_eq!(code(&world).await, "", "a used code is not mailed again");
    let tokens = world.log_in(INVITED, PASSWORD, "192.0.2.7").await.is(201);
    let me = world.ask(get("/v1/me").token(&tokens)).await.is(200);
    assert_eq!(me["roles"], json!(["support"]));
    world.ask(get("/v1/admin/accounts").token(&tokens)).await.is(200);

    // Other roles: the same token may do other things at once.
    let body = json!({ "roles": ["warehouse", "warehouse"], "reason": "moved" });
    let set = world.ask(put(format!("/v1/staff/{id}/roles"), body).token(&admin).version(2)).await.is(200);
    assert_eq!((&set["roles"], &set["version"]), (&json!(["warehouse"]), &json!(3)));
    world.ask(get("/v1/admin/accounts").token(&tokens)).await.is_problem(403, "request.forbidden");
    let restarted = world.restarted().await;
    restarted.ask(get("/v1/admin/accounts").token(&tokens)).await.is_problem(403, "request.forbidden");

    // Closed: out at once, and not in again.
    let key = json!({ "name": "scanner", "scopes": ["inventory_read"] });
    let key = world.ask(post("/v1/api-keys", key).token(&tokens).key("key")).await.is(201);
    put_status(&world, &admin, &id, 3, "deactivated").await.is(200);
    world.ask(get("/v1/me").token(&tokens)).await.is_problem(401, "request.token_revoked");
    let refresh = json!({ "refresh_token": tokens["refresh_token"] });
    world.ask(post("/v1/sessions/refresh", refresh)).await.is_problem(401, "accounts.refresh_token_invalid");
    world.log_in(INVITED, PASSWORD, "192.0.2.7").await.is_problem(401, "accounts.credentials_wrong");
    put_status(&world, &admin, &id, 4, "active").await.is(200);
    let back = world.log_in(INVITED, PASSWORD, "192.0.2.7").await.is(201);
    let secret = key["secret"].as_str().unwrap();
    world.ask(get("/v1/admin/audit").bearer(secret)).await.is_problem(401, "request.api_key_invalid");

    world.ask(delete(format!("/v1/staff/{id}/sessions")).token(&admin)).await.is(204);
    world.ask(get("/v1/me").token(&back)).await.is_problem(401, "request.token_revoked");
    let acts: Vec<_> =
        world.facts_of("accounts.staff_acted.v1").await.iter().map(|act| act["action"].clone()).collect();
    let expected = [
        "accounts.staff_invited",
        "accounts.staff_roles_changed",
        "accounts.api_key_made",
        "accounts.staff_deactivated",
        "accounts.staff_reactivated",
        "accounts.staff_sessions_ended",
    ];
    let mut seen: Vec<_> = acts.iter().map(|a| a.as_str().unwrap().to_owned()).collect();
    seen.sort();
    let mut wanted: Vec<_> = expected.iter().map(|s| (*s).to_owned()).collect();
    wanted.sort();
    assert_eq!(seen, wanted);
}

async fn a_second_invitation_makes_the_first_code_worthless() {
    let world = World::new().await;
    let admin = world.admin().await;
    let id = invite(&world, &admin, &["support"]).await;
    let first = code(&world).await;
    let path = format!("/v1/staff/{id}/invitation");
    for key in ["again", "again"] {
        world.ask(post(&path, json!({})).token(&admin).key(key)).await.is(202);
    }
    assert_eq!(world.facts_of("accounts.code_requested.v1").await.len(), 2, "one mail more");
    let second = code(&world).await;
    assert_ne!(first, second);
    accept(&world, INVITED, &first).await.is_problem(401, "accounts.code_wrong");
    accept(&world, INVITED, &second).await.is(204);
    world.ask(post(&path, json!({})).token(&admin).key("late")).await.is_problem(409, "accounts.not_invited");
}

async fn who_is_closed_before_accepting_is_invited_again_when_opened() {
    let world = World::new().await;
    let admin = world.admin().await;
    let id = invite(&world, &admin, &["support"]).await;
    let first = code(&world).await;
    put_status(&world, &admin, &id, 1, "deactivated").await.is(200);
    accept(&world, INVITED, &first).await.is_problem(401, "accounts.code_wrong");
    let open = put_status(&world, &admin, &id, 2, "active").await.is(200);
    assert_eq!(open["status"], "invited");
    accept(&world, INVITED, &first).await.is_problem(401, "accounts.code_wrong");
    world.ask(post(format!("/v1/staff/{id}/invitation"), json!({})).token(&admin).key("k")).await.is(202);
    accept(&world, INVITED, &code(&world).await).await.is(204);
}

async fn staff_are_listed_and_customers_are_none() {
    let world = World::new().await;
    let admin = world.admin().await;
    for n in 0..4 {
        world.account(&format!("s{n}@example.com"), &[Role::Support]).await;
        world.pass(Duration::from_millis(2)).await;
    }
    let customer = world.customer("c@example.com").await;
    let page = world.ask(get("/v1/staff?limit=3").token(&admin)).await.is(200);
    let rest = format!("/v1/staff?limit=3&cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = world.ask(get(rest).token(&admin)).await.is(200);
    assert_eq!((page["items"].as_array().unwrap().len(), rest["items"].as_array().unwrap().len()), (3, 2));
    assert_eq!(page["items"][0]["email"], "s3@example.com");
    let id = customer["account_id"].as_str().unwrap();
    world
        .ask(get(format!("/v1/staff/{id}")).token(&admin))
        .await
        .is_problem(404, "accounts.account_not_found");
    put_status(&world, &admin, id, 1, "deactivated").await.is_problem(404, "accounts.account_not_found");
    world.ask(get("/v1/staff").token(&customer)).await.is_problem(403, "request.forbidden");
    world.ask(get("/v1/staff?cursor=x").token(&admin)).await.is_problem(400, "request.invalid");
}

async fn roles_that_do_not_fit_are_named() {
    let world = World::new().await;
    let admin = world.admin().await;
    let cases: [(Value, u16, &str); 5] = [
        (json!([]), 400, "request.invalid"),
        (json!(["guest", "support"]), 400, "request.invalid"),
        (json!(["customer"]), 400, "request.invalid"),
        (json!(["nobody"]), 404, "accounts.role_not_found"),
        (json!(["Support"]), 400, "request.invalid"),
    ];
    for (roles, status, code) in cases {
        let body = json!({ "email": INVITED, "name": "N", "roles": roles });
        let key = roles.to_string().replace('"', "");
        world
            .ask(post("/v1/staff", body).token(&admin).key(&format!("k{key}")))
            .await
            .is_problem(status, code);
    }
    world.customer("c@example.com").await;
    let taken = json!({ "email": "C@example.com", "name": "N", "roles": ["support"] });
    world.ask(post("/v1/staff", taken).token(&admin).key("k")).await.is_problem(409, "accounts.email_taken");
}

async fn a_shop_without_an_administrator_gets_its_first() {
    let world = World::new().await;
    let email = || Email::new("first@example.com").unwrap();
    let invite = async |email| {
        let name = BoundedText::new("First").unwrap();
        invite_first_administrator(&world.state, email, name, Locale::En).await
    };
    let (id, lost) = invite(email()).await.unwrap();
    let (again, code) = invite(email()).await.unwrap();
    assert_eq!(id, again);
    world.customer("c@example.com").await;
    let taken = invite(Email::new("c@example.com").unwrap()).await.unwrap_err();
    assert_eq!(taken.code(), "accounts.email_taken");
    accept(&world, "first@example.com", lost.expose()).await.is_problem(401, "accounts.code_wrong");
    accept(&world, "first@example.com", code.expose()).await.is(204);
    let tokens = world.log_in("first@example.com", PASSWORD, "192.0.2.1").await.is(201);
    world.ask(get("/v1/staff").token(&tokens)).await.is(200);
    assert_eq!(invite(email()).await.unwrap_err().code(), "accounts.administrator_exists");
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    let mut trials = crate::trials!("staff": ; waiting a_second_invitation_makes_the_first_code_worthless,
        who_is_closed_before_accepting_is_invited_again_when_opened, staff_are_listed_and_customers_are_none,
        roles_that_do_not_fit_are_named, a_shop_without_an_administrator_gets_its_first);
    trials.extend(on_every_mode("staff: from invitation to the door", from_invitation_to_the_door));
    trials.extend(on_every_mode("staff: there is always an administrator", |world| async move {
        let one = world.admin().await;
        let two = world.staff("two@example.com", &[Role::Administrator]).await;
        let id = |of: &Value| of["account_id"].as_str().unwrap().to_owned();
        let lower = json!({ "roles": ["support"], "reason": "x" });
        let demote = put(format!("/v1/staff/{}/roles", id(&one)), lower.clone()).token(&two).version(1);
        let second = id(&two);
        let (a, b) = tokio::join!(put_status(&world, &one, &second, 1, "deactivated"), world.ask(demote));
        let statuses = [a.status.as_u16(), b.status.as_u16()];
        assert!(statuses.contains(&200), "{statuses:?}");
        assert!(statuses.iter().any(|s| *s != 200), "one is left: {statuses:?}");
        // Whoever is left cannot go either.
        let left = if a.status == 200 { &one } else { &two };
        let own = put_status(&world, left, &id(left), 1, "deactivated").await;
        own.is_problem(409, "accounts.last_administrator");
        let own = put(format!("/v1/staff/{}/roles", id(left)), lower).token(left).version(1);
        world.ask(own).await.is_problem(409, "accounts.last_administrator");
        let erase = post("/v1/account/erasure", json!({ "password": PASSWORD })).token(left);
        world.ask(erase).await.is_problem(409, "accounts.last_administrator");
    }));
    trials
}
