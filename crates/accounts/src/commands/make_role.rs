//! A further role.

use std::sync::Arc;

use merx_http::{Begun, IdempotencyKey};
use merx_kernel::{Error, IdKind, Permission, Permissions, Result, RoleName};
use merx_platform::store::Saved;
use serde_json::json;

use crate::{
    State,
    domain::grants::{self, ROLES_MAX},
    store::{
        accounts::{GuardRow, pass_guard},
        roles::{self, RoleRow},
    },
    telling::{Actor, Telling},
};

/// Marks the effects of making roles; they have no id of their own.
pub(crate) enum RoleMade {}
impl IdKind for RoleMade {
    const PREFIX: &'static str = "rol";
}

/// What to make.
#[derive(Clone, Debug)]
pub struct MakeRole {
    /// Unique.
    pub name: RoleName,
    /// What it may do.
    pub permissions: Permissions,
    /// Why.
    pub reason: Option<String>,
}

impl MakeRole {
    /// What it will be.
    pub(crate) fn row(&self) -> RoleRow {
        let (name, permissions) = (self.name.clone(), self.permissions);
        RoleRow { name, permissions, built_in: false, version: 1 }
    }
}

/// Makes the role, once for the key, which keeps the answer.
///
/// # Errors
/// `accounts.role_taken`, `accounts.role_limit`, `accounts.grant_above_own`.
pub(crate) async fn make_role(
    state: &State,
    by: Actor,
    command: MakeRole,
    key: IdempotencyKey,
    answer: Saved,
) -> Result<Begun<RoleMade>> {
    grants::within_own(by.may, command.permissions)?;
    let (effect, now, keys) = (state.ids.next::<RoleMade>(), state.clock.now(), state.store.idempotency);
    let telling = Telling::new(
        state,
        by,
        "accounts.role_made",
        format!("role:{}", command.name),
        command.reason.clone(),
    );
    let (own, new) = (state.clone(), Arc::new(command));
    let made = new.clone();
    let begun = state
        .db
        .write("accounts.make_role", move |tx| {
            let begun = key.begin(keys, tx, effect, now)?;
            if matches!(begun, Begun::Fresh) {
                pass_guard(tx, GuardRow::Roles)?;
                if roles::roles(tx)?.len() >= ROLES_MAX {
                    let message = format!("There are {ROLES_MAX} roles; change one of them.");
                    return Err(Error::rejected("accounts.role_limit", message));
                }
                if !roles::insert_role(tx, &new.name, new.permissions, now)? {
                    let message = "There is a role of this name; change it instead.";
                    return Err(Error::conflict("accounts.role_taken", message));
                }
                telling.tell(&own, tx, json!({ "after": names(new.permissions) }))?;
                key.complete(keys, tx, effect, &answer)?;
            }
            Ok(begun)
        })
        .await?;
    if matches!(begun, Begun::Fresh) {
        state.roles.set(made.name.clone(), made.permissions, 1);
    }
    Ok(begun)
}

/// For what is told.
pub(crate) fn names(permissions: Permissions) -> Vec<&'static str> {
    permissions.iter().map(Permission::name).collect()
}
