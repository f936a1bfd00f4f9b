//! Accounts of staff.

use axum::{
    extract::State as Shared,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use merx_contracts::ids::AccountId;
use merx_http::{
    Access, Answer, Begun, Caller, Idempotency, IdempotencyKey, IfMatch, Json, Owner, Path, Query, Route,
    Versioned, replayed,
};
use merx_kernel::{BoundedText, Page, PageRequest, Permission, RoleName, Timestamp, principal::AccountKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Desk, Reason, before, page};
use crate::{
    State,
    commands::{
        invite_staff::{InviteStaff, invite_again, invite_staff},
        set_staff::{end_staff_sessions, set_staff_roles, set_staff_status},
    },
    domain::{
        email::Email,
        person::{Kind, Locale, Status},
    },
    queries,
    store::accounts::AccountRow,
    telling::Actor,
};

/// Somebody of the staff.
#[derive(Serialize, Deserialize, JsonSchema)]
struct StaffView {
    /// The account.
    id: AccountId,
    /// The log-in name.
    email: String,
    /// How the person is called.
    name: String,
    /// What the account may be.
    roles: Vec<RoleName>,
    /// `active`, `invited` or `deactivated`.
    status: Status,
    /// The language the person is written to in.
    locale: Locale,
    /// Until when the mailed code is good; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invitation_expires_at: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
    /// For `If-Match`.
    version: i64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InviteBody {
    /// The log-in name; where the code is mailed to.
    email: Email,
    /// How the person is called.
    name: BoundedText<1, 80>,
    /// What the account may be: 1 to 10 roles.
    #[schemars(length(min = 1, max = 10))]
    roles: Vec<RoleName>,
    /// The language of the mail.
    #[serde(default)]
    locale: Locale,
    /// Why, for the record.
    #[serde(default)]
    reason: Option<Reason>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InviteAgainBody {
    /// Why, for the record.
    #[serde(default)]
    reason: Option<Reason>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RolesBody {
    /// What the account may be from now on: 1 to 10 roles.
    #[schemars(length(min = 1, max = 10))]
    roles: Vec<RoleName>,
    /// Why, for the record.
    reason: Reason,
}

/// Whether an account of staff is open.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Door {
    /// It can log in, or be invited.
    Active,
    /// It cannot.
    Deactivated,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StatusBody {
    /// `active` or `deactivated`.
    status: Door,
    /// Why, for the record.
    reason: Reason,
}

fn view(row: AccountRow, invitation_expires_at: Option<Timestamp>) -> StaffView {
    StaffView {
        id: row.id,
        email: row.email().to_owned(),
        name: row.name,
        roles: row.roles,
        status: row.status,
        locale: row.locale,
        invitation_expires_at,
        created_at: row.created_at,
        version: row.version,
    }
}

fn versioned(row: AccountRow) -> Versioned<StaffView> {
    Versioned { version: row.version, body: view(row, None) }
}

async fn list(
    Shared(state): Shared<State>,
    Query(asked): Query<PageRequest>,
) -> Answer<Json<Page<StaffView>>> {
    let (limit, before) = (asked.checked_limit()?, before(asked.cursor.as_deref())?);
    let rows = queries::accounts_of(&state, Kind::Staff, None, before, limit).await?;
    Ok(Json(page(rows, limit, |row| view(row, None))))
}

async fn get(Shared(state): Shared<State>, Path(id): Path<AccountId>) -> Answer<Versioned<StaffView>> {
    let (row, invited_until) = queries::staff(&state, id).await?;
    Ok(Versioned { version: row.version, body: view(row, invited_until) })
}

/// Who was invited, as the account is now: a name is not kept with the idempotency key.
async fn invited(
    state: &State,
    id: AccountId,
    begun: Begun<AccountKind>,
    status: StatusCode,
) -> Answer<Response> {
    let (id, repeated) = match begun {
        Begun::Fresh => (id, false),
        Begun::Repeated { effect, .. } => (effect, true),
    };
    let (row, invited_until) = queries::staff(state, id).await?;
    let shown = Versioned { version: row.version, body: view(row, invited_until) };
    let response = (status, shown).into_response();
    Ok(if repeated { replayed(response) } else { response })
}

async fn invite(
    Shared(desk): Shared<Desk>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Json(body): Json<InviteBody>,
) -> Answer<Response> {
    let command = InviteStaff {
        email: body.email,
        name: body.name,
        roles: body.roles,
        locale: body.locale,
        reason: body.reason.map(Reason::into_string),
    };
    let (id, begun) = invite_staff(&desk.state, Actor::from(&caller), command, key).await?;
    invited(&desk.state, id, begun, StatusCode::CREATED).await
}

async fn again(
    Shared(desk): Shared<Desk>,
    Caller(caller): Caller,
    Path(id): Path<AccountId>,
    key: IdempotencyKey,
    Json(body): Json<InviteAgainBody>,
) -> Answer<Response> {
    let reason = body.reason.map(Reason::into_string);
    let begun = invite_again(&desk.state, Actor::from(&caller), id, reason, key).await?;
    invited(&desk.state, id, begun, StatusCode::ACCEPTED).await
}

async fn set_roles(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    Path(id): Path<AccountId>,
    seen: IfMatch,
    Json(body): Json<RolesBody>,
) -> Answer<Versioned<StaffView>> {
    let reason = Some(body.reason.into_string());
    Ok(versioned(set_staff_roles(&state, Actor::from(&caller), id, body.roles, seen, reason).await?))
}

async fn set_status(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    Path(id): Path<AccountId>,
    seen: IfMatch,
    Json(body): Json<StatusBody>,
) -> Answer<Versioned<StaffView>> {
    let (open, reason) = (body.status == Door::Active, Some(body.reason.into_string()));
    Ok(versioned(set_staff_status(&state, Actor::from(&caller), id, open, seen, reason).await?))
}

async fn end_sessions(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    Path(id): Path<AccountId>,
) -> Answer<StatusCode> {
    end_staff_sessions(&state, Actor::from(&caller), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn routes(desk: &Desk) -> Vec<Route> {
    let state = &desk.state;
    let owner = Owner::None("staff are the shop's");
    let write = Access::SessionPermission { permission: Permission::StaffWrite, owner };
    let one = |route: Route| {
        route
            .param::<AccountId>("account")
            .errors(&["accounts.account_not_found", "accounts.grant_above_own"])
    };
    vec![
        Route::get("/v1/staff", write, list, state)
            .id("listStaff")
            .summary("The accounts of staff, the youngest first")
            .query::<PageRequest>()
            .response::<Page<StaffView>>(200),
        Route::post("/v1/staff", write, invite, desk)
            .id("inviteStaff")
            .summary("Invite somebody of the staff: an account without a password, and a code by mail")
            .description(
                "Nobody gives roles that may do what he may not do himself. The code is good for 72 hours.",
            )
            .body::<InviteBody>()
            .response::<StaffView>(201)
            .errors(&["accounts.email_taken", "accounts.staff_limit"])
            .errors(&["accounts.role_not_found", "accounts.grant_above_own"])
            .idempotency(Idempotency::Required),
        one(Route::get("/v1/staff/{account}", write, get, state))
            .id("getStaff")
            .summary("One account of staff, with its version as the ETag")
            .response::<StaffView>(200),
        one(Route::post("/v1/staff/{account}/invitation", write, again, desk))
            .id("inviteStaffAgain")
            .summary("Mail a fresh code to somebody who was invited; the old one is good for nothing")
            .body::<InviteAgainBody>()
            .response::<StaffView>(202)
            .errors(&["accounts.not_invited"])
            .idempotency(Idempotency::Required),
        one(Route::put("/v1/staff/{account}/roles", write, set_roles, state))
            .id("changeStaffRoles")
            .summary("Change the roles of somebody of the staff; they count from the next request on")
            .if_match()
            .body::<RolesBody>()
            .response::<StaffView>(200)
            .errors(&["accounts.role_not_found", "accounts.last_administrator"]),
        one(Route::put("/v1/staff/{account}/status", write, set_status, state))
            .id("changeStaffStatus")
            .summary("Close an account of staff, or open it again")
            .description("Closed, its sessions end at once and its API keys are revoked for good.")
            .if_match()
            .body::<StatusBody>()
            .response::<StaffView>(200)
            .errors(&["accounts.last_administrator"]),
        one(Route::delete("/v1/staff/{account}/sessions", write, end_sessions, state))
            .id("endStaffSessions")
            .summary("End all sessions of somebody of the staff")
            .empty_response(204),
    ]
}
