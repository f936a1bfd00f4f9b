//! Who may give whom what.

use merx_kernel::{Error, ErrorKind, Permission, Permissions, Result, Role, RoleName};

/// Roles of one account.
pub const ROLES_OF_ACCOUNT_MAX: usize = 10;
/// Roles of a shop.
pub const ROLES_MAX: usize = 100;
/// Accounts of staff.
pub const STAFF_MAX: i64 = 1_000;

/// Nobody grants, takes away or rules over what he may not do himself.
///
/// # Errors
/// `accounts.grant_above_own` naming the permissions.
pub fn within_own(own: Permissions, touched: Permissions) -> Result<()> {
    let above = touched.without(own);
    if above == Permissions::NONE {
        return Ok(());
    }
    let names = above.iter().map(Permission::name).collect::<Vec<_>>().join(", ");
    let message = format!("This is about permissions you do not have yourself: {names}.");
    Err(Error::new(ErrorKind::Forbidden, "accounts.grant_above_own", message))
}

/// What a role may be set to by somebody who may do `own`.
///
/// # Errors
/// `accounts.role_fixed` for a set that role can never have; `accounts.grant_above_own`.
pub fn role_change(role: &RoleName, from: Permissions, to: Permissions, own: Permissions) -> Result<()> {
    let fixed = |message: &str| Err(Error::rejected("accounts.role_fixed", message.to_owned()));
    if *role == Role::Administrator && from.without(to) != Permissions::NONE {
        return fixed("The administrator keeps what he may do: nobody else could give it back.");
    }
    let buys = *role == Role::Customer || *role == Role::Guest;
    if buys && !to.is_within([Permission::Shop].into_iter().collect()) {
        return fixed("Everybody can be a customer or a guest: these roles may shop and nothing else.");
    }
    within_own(own, from.without(to).or(to.without(from)))
}

/// The roles of an account of staff: some, each once, none of them a guest's.
///
/// # Errors
/// `Invalid` naming the rule.
pub fn staff_roles(roles: &[RoleName]) -> Result<Vec<RoleName>> {
    let mut sorted = roles.to_vec();
    sorted.sort();
    sorted.dedup();
    if sorted.is_empty() || sorted.len() > ROLES_OF_ACCOUNT_MAX {
        return Err(Error::invalid("/roles", format!("must name 1 to {ROLES_OF_ACCOUNT_MAX} roles")));
    }
    if sorted.iter().any(|role| *role == Role::Guest) {
        return Err(Error::invalid("/roles", "must not name `guest`, which is for those without a password"));
    }
    if sorted.iter().all(|role| *role == Role::Customer) {
        return Err(Error::invalid("/roles", "must name a role besides `customer`"));
    }
    Ok(sorted)
}
