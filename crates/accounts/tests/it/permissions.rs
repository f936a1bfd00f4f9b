//! The page of permissions, and that the tables say what the code says.

use std::fmt::Write as _;

use merx_kernel::{Permission, Role};
use serde_json::json;

use crate::kit::{World, get};

fn page() -> String {
    let mut text = "# Permissions\n\n\
        What each permission opens, and which roles have it in a fresh shop. Roles are data: `GET /v1/roles` shows the \
        matrix of a running\nshop, `PUT /v1/roles/{role}` changes it, and further roles can be made (see [accounts.md](accounts.md)).\n\n\
        This page is generated from the code: `MERX_REGENERATE=1 cargo test -p merx-accounts permissions::`.\n\n\
        | permission | opens |"
        .to_owned();
    for role in Role::ALL {
        write!(text, " {} |", role.name()).unwrap();
    }
    text.push_str("\n| --- | --- |");
    text.push_str(&" :-: |".repeat(Role::ALL.len()));
    for permission in Permission::ALL {
        write!(text, "\n| `{}` | {} |", permission.name(), permission.opens()).unwrap();
        for role in Role::ALL {
            text.push_str(if role.allows(*permission) { " x |" } else { "   |" });
        }
    }
    text.push('\n');
    text
}

fn every_permission_has_its_row() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/permissions.md");
    if std::env::var("MERX_REGENERATE").is_ok_and(|v| v == "1") {
        std::fs::write(path, page()).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        there,
        page(),
        "docs/permissions.md is not what the code says; MERX_REGENERATE=1 writes it anew"
    );
    for permission in Permission::ALL {
        assert_eq!(Permission::from_name(permission.name()), Some(*permission));
        assert_eq!(json!(permission), permission.name(), "stored and public name agree");
        assert!(there.contains(&format!("| `{}` |", permission.name())));
    }
}

async fn a_fresh_shop_has_the_roles_of_the_code() {
    let world = World::new().await;
    let admin = world.admin().await;
    let matrix = world.ask(get("/v1/roles").token(&admin)).await.is(200);
    assert_eq!(matrix["permissions"].as_array().unwrap().len(), Permission::ALL.len());
    let items = matrix["items"].as_array().unwrap();
    assert_eq!(items.len(), Role::ALL.len());
    for role in Role::ALL {
        let row = items.iter().find(|item| item["name"] == role.name()).unwrap();
        let names: Vec<_> = role.defaults().iter().map(Permission::name).collect();
        assert_eq!((&row["permissions"], &row["built_in"]), (&json!(names), &json!(true)), "{role:?}");
    }
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    crate::trials!("permissions": every_permission_has_its_row; waiting a_fresh_shop_has_the_roles_of_the_code)
}
