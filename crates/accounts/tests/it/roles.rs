//! Roles are data: changed, made, and in effect at once.

use merx_kernel::Role;
use serde_json::{Value, json};

use crate::{
    kit::{Reply, World, get, post, put},
    modes::on_every_mode,
};

async fn set(world: &World, by: &Value, role: &str, version: i64, permissions: &[&str]) -> Reply {
    let body = json!({ "permissions": permissions, "reason": "as the owners decided" });
    world.ask(put(format!("/v1/roles/{role}"), body).token(by).version(version)).await
}

async fn a_change_counts_from_the_next_request_on() {
    let world = World::new().await;
    let admin = world.admin().await;
    let operator = world.staff("op@example.com", &[Role::Operator]).await;
    world.ask(get("/v1/admin/audit").token(&operator)).await.is(200);
    let role = world.ask(get("/v1/roles/operator").token(&admin)).await;
    assert_eq!(role.headers["etag"], "\"1\"");
    let changed = set(&world, &admin, "operator", 1, &["orders_read"]).await;
    assert_eq!(changed.headers["etag"], "\"2\"");
    assert_eq!(changed.is(200)["permissions"], json!(["orders_read"]));
    // The token is the same; what it may do is not.
    world.ask(get("/v1/admin/audit").token(&operator)).await.is_problem(403, "request.forbidden");
    let me = world.ask(get("/v1/me").token(&operator)).await.is(200);
    assert_eq!((&me["roles"], &me["permissions"]), (&json!(["operator"]), &json!(["orders_read"])));
    set(&world, &admin, "operator", 2, &["audit_read"]).await.is(200);
    world.ask(get("/v1/admin/audit").token(&operator)).await.is(200);
    let again = world.restarted().await;
    again.ask(get("/v1/admin/audit").token(&operator)).await.is(200);
    let told = world.facts_of("accounts.staff_acted.v1").await;
    assert_eq!(told.len(), 2);
    assert_eq!(told[1]["action"], "accounts.role_changed");
    assert_eq!(told[1]["object"], "role:operator");
    assert_eq!(told[1]["detail"], json!({ "before": ["orders_read"], "after": ["audit_read"] }));
}

async fn a_change_names_the_version_it_saw() {
    let world = World::new().await;
    let admin = world.admin().await;
    let body = json!({ "permissions": ["orders_read"], "reason": "x" });
    world.ask(put("/v1/roles/support", body).token(&admin)).await.is_problem(428, "request.version_missing");
    set(&world, &admin, "support", 7, &["orders_read"]).await.is_problem(412, "request.version_stale");
    set(&world, &admin, "nobody", 1, &["orders_read"]).await.is_problem(404, "accounts.role_not_found");
    set(&world, &admin, "support", 1, &["root"]).await.is_problem(400, "request.invalid");
    assert!(world.facts().await.is_empty(), "nothing changed, nothing is told");
}

async fn some_roles_cannot_become_anything() {
    let world = World::new().await;
    let admin = world.admin().await;
    for (role, permissions) in
        [("customer", "audit_read"), ("guest", "orders_read"), ("administrator", "operate")]
    {
        set(&world, &admin, role, 1, &[permissions]).await.is_problem(409, "accounts.role_fixed");
    }
    set(&world, &admin, "customer", 1, &[]).await.is(200);
}

async fn nobody_gives_or_takes_what_he_has_not() {
    let world = World::new().await;
    let admin = world.admin().await;
    let made = json!({ "name": "people", "permissions": ["staff_write", "orders_read"] });
    let key = |ask: crate::kit::Ask| ask.key("people");
    let first = world.ask(key(post("/v1/roles", made.clone()).token(&admin))).await;
    let again = world.ask(key(post("/v1/roles", made.clone()).token(&admin))).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let read = world.ask(get("/v1/roles/people").token(&admin)).await;
    for answer in [&first, &again] {
        assert_eq!(answer.headers["etag"], read.headers["etag"]);
    }
    let whole = read.is(200);
    assert_eq!((first.is(201), again.is(201)), (whole.clone(), whole), "the whole role, each time");
    world
        .ask(post("/v1/roles", made).token(&admin).key("other"))
        .await
        .is_problem(409, "accounts.role_taken");

    // Somebody who may keep staff and read orders, and nothing else.
    let keeper = world.staff("keeper@example.com", &[Role::Support]).await;
    let id = keeper["account_id"].as_str().unwrap().to_owned();
    let roles = json!({ "roles": ["people"], "reason": "keeps the list of staff" });
    world.ask(put(format!("/v1/staff/{id}/roles"), roles).token(&admin).version(1)).await.is(200);

    let above = "accounts.grant_above_own";
    let bigger = json!({ "name": "bigger", "permissions": ["operate"] });
    world.ask(post("/v1/roles", bigger).token(&keeper).key("1")).await.is_problem(403, above);
    set(&world, &keeper, "people", 1, &["staff_write", "orders_read", "audit_read"])
        .await
        .is_problem(403, above);
    set(&world, &keeper, "support", 1, &["orders_read"]).await.is_problem(403, above);
    let raise = json!({ "roles": ["administrator"], "reason": "me" });
    world
        .ask(put(format!("/v1/staff/{id}/roles"), raise).token(&keeper).version(2))
        .await
        .is_problem(403, above);
    let root = admin["account_id"].as_str().unwrap();
    let shut = json!({ "status": "deactivated", "reason": "me" });
    world
        .ask(put(format!("/v1/staff/{root}/status"), shut).token(&keeper).version(1))
        .await
        .is_problem(403, above);
    let invite = json!({ "email": "new@example.com", "name": "N", "roles": ["operator"] });
    world.ask(post("/v1/staff", invite).token(&keeper).key("2")).await.is_problem(403, above);
    // Of what he has he gives.
    set(&world, &keeper, "people", 1, &["staff_write"]).await.is(200);
    let invite = json!({ "email": "new@example.com", "name": "N", "roles": ["people"] });
    world.ask(post("/v1/staff", invite).token(&keeper).key("3")).await.is(201);
}

/// What is taken from the administrator nobody could give back: nobody gives what he has not.
async fn what_the_administrator_may_do_stays() {
    let world = World::new().await;
    let admin = world.admin().await;
    let all: Vec<&str> = merx_kernel::Permission::ALL.iter().map(|p| p.name()).collect();
    let without = |left: &str| all.iter().copied().filter(|name| *name != left).collect::<Vec<_>>();
    for left in &all {
        set(&world, &admin, "administrator", 1, &without(left)).await.is_problem(409, "accounts.role_fixed");
    }
    // Nor does somebody with less, who has the one permission himself.
    let made = json!({ "name": "keeper", "permissions": ["staff_write", "audit_read"] });
    world.ask(post("/v1/roles", made).token(&admin).key("keeper")).await.is(201);
    let keeper = world.staff("keeper@example.com", &[Role::Support]).await;
    let id = keeper["account_id"].as_str().unwrap();
    let roles = json!({ "roles": ["keeper"], "reason": "keeps the list of staff" });
    world.ask(put(format!("/v1/staff/{id}/roles"), roles).token(&admin).version(1)).await.is(200);
    set(&world, &keeper, "administrator", 1, &without("audit_read"))
        .await
        .is_problem(409, "accounts.role_fixed");
    set(&world, &admin, "administrator", 1, &all).await.is(200);
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    let mut trials = crate::trials!("roles": ; waiting what_the_administrator_may_do_stays, a_change_counts_from_the_next_request_on,
        a_change_names_the_version_it_saw, some_roles_cannot_become_anything, nobody_gives_or_takes_what_he_has_not);
    trials.extend(on_every_mode("roles: of many changes of one version one counts", |world| async move {
        let admin = world.admin().await;
        let sets = (0..8).map(|n| {
            let permissions = if n % 2 == 0 { vec!["orders_read"] } else { vec!["audit_read"] };
            let (world, admin) = (world.clone(), admin.clone());
            async move { set(&world, &admin, "support", 1, &permissions).await.status.as_u16() }
        });
        let statuses = futures_util::future::join_all(sets).await;
        assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|s| [200, 412].contains(s)), "{statuses:?}");
    }));
    trials
}
