//! Every SQL text of accounts stands in the files below; what they share stands here.

pub mod accounts;
pub mod addresses;
pub mod api_keys;
pub mod audit;
pub mod codes;
pub mod erasures;
pub mod guests;
pub mod roles;
pub mod sessions;

use merx_kernel::{Error, Permission, Permissions, Result, RoleName};
use merx_sql::{Migration, Row};

/// The tables of this context.
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration::same(100, "accounts", include_str!("../migrations/0100_accounts.sql")),
        Migration::same(101, "sessions", include_str!("../migrations/0101_sessions.sql")),
        Migration::same(102, "addresses", include_str!("../migrations/0102_addresses.sql")),
        Migration::same(103, "people", include_str!("../migrations/0103_people.sql")),
        Migration::same(104, "roles", include_str!("../migrations/0104_roles.sql")),
        Migration::same(105, "codes", include_str!("../migrations/0105_codes.sql")),
        Migration::same(106, "api keys", include_str!("../migrations/0106_api_keys.sql")),
        Migration::same(107, "audit", include_str!("../migrations/0107_audit.sql")),
        Migration::same(108, "erasures", include_str!("../migrations/0108_erasures.sql")),
        // What a shop made of its roles stays; the administrator may do all.
        Migration::same(
            109,
            "after-sale and ledger",
            include_str!("../migrations/0109_after_sale_and_ledger.sql"),
        ),
    ]
}

fn roles_text(roles: &[RoleName]) -> String {
    roles.iter().map(RoleName::as_str).collect::<Vec<_>>().join(",")
}
fn roles_of(text: &str) -> Result<Vec<RoleName>> {
    let role = |name: &str| RoleName::new(name).map_err(Error::internal);
    text.split(',').filter(|name| !name.is_empty()).map(role).collect()
}
fn permissions_text(permissions: Permissions) -> String {
    permissions.iter().map(Permission::name).collect::<Vec<_>>().join(",")
}
/// A permission this program does not know was written by a later one; nothing here asks for it.
fn permissions_of(text: &str) -> Permissions {
    text.split(',').filter_map(Permission::from_name).collect()
}
fn hash_of(row: &Row<'_>, index: usize) -> Result<[u8; 32]> {
    let bytes: Vec<u8> = row.get(index)?;
    bytes.try_into().map_err(|_| Error::internal("a hash in the database is not 32 bytes"))
}
