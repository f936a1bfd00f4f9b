//! Roles: what each may do.

use merx_kernel::{Permissions, Result, RoleName, Timestamp};
use merx_sql::{Inserted, Query, Row, Tx, params};

use super::{permissions_of, permissions_text};

const ROLES: &str = "SELECT name, permissions, built_in, version FROM accounts_roles ORDER BY name";
const ROLE: &str = "SELECT name, permissions, built_in, version FROM accounts_roles WHERE name = ?";
const INSERT_ROLE: &str =
    "INSERT INTO accounts_roles (name, permissions, built_in, version, changed_at) VALUES (?, ?, 0, 1, ?)";
const SET_ROLE: &str = "UPDATE accounts_roles SET permissions = ?, version = version + 1, changed_at = ? \
    WHERE name = ? AND version = ?";

/// A role.
#[derive(Clone, Debug)]
pub struct RoleRow {
    pub name: RoleName,
    pub permissions: Permissions,
    pub built_in: bool,
    pub version: i64,
}

fn role_row(row: &Row<'_>) -> Result<RoleRow> {
    let name: String = row.get(0)?;
    Ok(RoleRow {
        name: RoleName::new(&name).map_err(merx_kernel::Error::internal)?,
        permissions: permissions_of(&row.get::<String>(1)?),
        built_in: row.get(2)?,
        version: row.get(3)?,
    })
}

/// Every role.
pub fn roles(q: &mut impl Query) -> Result<Vec<RoleRow>> {
    q.query(ROLES, params![], role_row)
}

/// One role.
pub fn role(q: &mut impl Query, name: &RoleName) -> Result<Option<RoleRow>> {
    q.query_opt(ROLE, params![name.as_str()], role_row)
}

/// Adds a role; false when there is one of that name.
pub fn insert_role(
    tx: &mut Tx<'_>,
    name: &RoleName,
    permissions: Permissions,
    at: Timestamp,
) -> Result<bool> {
    let values = params![name.as_str(), permissions_text(permissions), at];
    Ok(tx.insert_new(INSERT_ROLE, values)? == Inserted::New)
}

/// Sets what a role may do; false when the version is another.
pub fn set_role(
    tx: &mut Tx<'_>,
    name: &RoleName,
    version: i64,
    permissions: Permissions,
    at: Timestamp,
) -> Result<bool> {
    tx.guarded(SET_ROLE, params![permissions_text(permissions), at, name.as_str(), version])
}
