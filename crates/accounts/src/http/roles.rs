//! Roles and the permission matrix.

use axum::{extract::State as Shared, response::Response};
use http::StatusCode;
use merx_http::{
    Access, Answer, Caller, Idempotency, IdempotencyKey, IfMatch, Json, Owner, Path, Route, Versioned, answer,
};
use merx_kernel::{Permission, RoleName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Desk, Reason};
use crate::{
    State,
    commands::{
        make_role::{MakeRole, make_role},
        set_role::set_role,
    },
    queries,
    store::roles::RoleRow,
    telling::Actor,
};

/// What each role may do.
#[derive(Serialize, Deserialize, JsonSchema)]
struct MatrixView {
    /// Every permission there is, and what it opens.
    permissions: Vec<PermissionView>,
    /// Every role.
    items: Vec<RoleView>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct PermissionView {
    /// The permission.
    name: Permission,
    /// What it opens.
    opens: String,
}

/// A role.
#[derive(Serialize, Deserialize, JsonSchema)]
struct RoleView {
    /// Its name.
    name: RoleName,
    /// What it may do.
    permissions: Vec<Permission>,
    /// Every shop has it.
    built_in: bool,
    /// For `If-Match`.
    version: i64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewRoleBody {
    /// Unique.
    name: RoleName,
    /// What it may do.
    permissions: Vec<Permission>,
    /// Why, for the record.
    #[serde(default)]
    reason: Option<Reason>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RoleBody {
    /// What it may do from now on.
    permissions: Vec<Permission>,
    /// Why, for the record.
    reason: Reason,
}

fn view(row: RoleRow) -> RoleView {
    RoleView {
        name: row.name,
        permissions: row.permissions.iter().collect(),
        built_in: row.built_in,
        version: row.version,
    }
}

fn versioned(row: RoleRow) -> Versioned<RoleView> {
    Versioned { version: row.version, body: view(row) }
}

async fn list(Shared(state): Shared<State>) -> Answer<Json<MatrixView>> {
    let permission = |name: &Permission| PermissionView { name: *name, opens: name.opens().to_owned() };
    let items = queries::roles(&state).await?.into_iter().map(view).collect();
    Ok(Json(MatrixView { permissions: Permission::ALL.iter().map(permission).collect(), items }))
}

async fn get(Shared(state): Shared<State>, Path(role): Path<RoleName>) -> Answer<Versioned<RoleView>> {
    Ok(versioned(queries::role(&state, role).await?))
}

async fn make(
    Shared(desk): Shared<Desk>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Json(body): Json<NewRoleBody>,
) -> Answer<Response> {
    let command = MakeRole {
        name: body.name,
        permissions: body.permissions.into_iter().collect(),
        reason: body.reason.map(Reason::into_string),
    };
    let saved = answer(StatusCode::CREATED, &view(command.row()))?;
    let begun = make_role(&desk.state, Actor::from(&caller), command, key, saved.clone()).await?;
    desk.answer(&key, begun, || Ok(saved)).await
}

async fn put(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    Path(role): Path<RoleName>,
    seen: IfMatch,
    Json(body): Json<RoleBody>,
) -> Answer<Versioned<RoleView>> {
    let permissions = body.permissions.into_iter().collect();
    let reason = Some(body.reason.into_string());
    Ok(versioned(set_role(&state, Actor::from(&caller), role, permissions, seen, reason).await?))
}

pub(super) fn routes(desk: &Desk) -> Vec<Route> {
    let state = &desk.state;
    let owner = Owner::None("roles are the shop's");
    let read = Access::Permission { permission: Permission::StaffWrite, owner };
    let write = Access::SessionPermission { permission: Permission::StaffWrite, owner };
    vec![
        Route::get("/v1/roles", read, list, state)
            .id("listRoles")
            .summary("The permission matrix: what each role may do")
            .response::<MatrixView>(200),
        Route::post("/v1/roles", write, make, desk)
            .id("makeRole")
            .summary("Make a further role")
            .description("It can be given no permission that who makes it has not.")
            .body::<NewRoleBody>()
            .response::<RoleView>(201)
            .errors(&["accounts.role_taken", "accounts.role_limit", "accounts.grant_above_own"])
            .idempotency(Idempotency::Required),
        Route::get("/v1/roles/{role}", read, get, state)
            .id("getRole")
            .summary("One role, with its version as the ETag")
            .param::<RoleName>("role")
            .response::<RoleView>(200)
            .errors(&["accounts.role_not_found"]),
        Route::put("/v1/roles/{role}", write, put, state)
            .id("changeRole")
            .summary("Change what a role may do")
            .description(
                "It counts from the next request on for everybody who has the role. No permission is given or taken \
                 that who asks has not. The administrator keeps what he may do; customer and guest may shop and no more.",
            )
            .param::<RoleName>("role")
            .if_match()
            .body::<RoleBody>()
            .response::<RoleView>(200)
            .errors(&["accounts.role_not_found", "accounts.role_fixed", "accounts.grant_above_own"]),
    ]
}
