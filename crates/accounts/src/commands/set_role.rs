//! What a role may do.

use merx_http::IfMatch;
use merx_kernel::{Error, Permissions, Result, RoleName};
use serde_json::json;

use crate::{
    State,
    commands::make_role::names,
    domain::grants,
    store::roles::{self, RoleRow},
    telling::{Actor, Telling},
};

/// Sets what the role may do. It counts from the next request on, for everybody who has it.
///
/// # Errors
/// `accounts.role_not_found`, `accounts.role_fixed`, `accounts.grant_above_own`, `request.version_stale`.
pub async fn set_role(
    state: &State,
    by: Actor,
    role: RoleName,
    permissions: Permissions,
    seen: IfMatch,
    reason: Option<String>,
) -> Result<RoleRow> {
    let now = state.clock.now();
    let telling = Telling::new(state, by, "accounts.role_changed", format!("role:{role}"), reason);
    let own = state.clone();
    let set = state
        .write_rights("accounts.set_role", move |tx| {
            let found = roles::role(tx, &role)?.ok_or_else(not_found)?;
            seen.check(found.version)?;
            grants::role_change(&role, found.permissions, permissions, by.may)?;
            if found.permissions == permissions {
                return Ok(found);
            }
            if !roles::set_role(tx, &role, found.version, permissions, now)? {
                return Err(IfMatch::stale());
            }
            let detail = json!({ "before": names(found.permissions), "after": names(permissions) });
            telling.tell(&own, tx, detail)?;
            Ok(RoleRow { permissions, version: found.version + 1, ..found })
        })
        .await?;
    state.roles.set(set.name.clone(), set.permissions, set.version);
    Ok(set)
}

/// There is no such role.
pub(crate) fn not_found() -> Error {
    Error::not_found("accounts.role_not_found", "There is no such role.")
}
