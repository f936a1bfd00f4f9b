//! What is read.

use merx_contracts::ids::{AccountId, AddressId};
use merx_kernel::{Error, Guard, Result, RoleName, Timestamp};
use merx_sql::Query;

use crate::{
    State,
    commands::{end_session::customer, set_role, set_staff::account_not_found},
    domain::{
        code::{self, Purpose},
        email::Email,
        person::{Kind, Status},
    },
    store::{
        accounts::{self, AccountRow},
        addresses::{self, AddressRow},
        api_keys::{self, KeyRow},
        codes, guests,
        roles::{self, RoleRow},
        sessions::{self, SessionRow},
    },
};

/// Versions of addresses in an export.
const EXPORTED_ADDRESSES_MAX: i64 = 1_000;

/// An account that is open.
pub(crate) async fn account(state: &State, id: AccountId) -> Result<AccountRow> {
    let found = state.db.read("accounts.me", move |q| accounts::account(q, id)).await?;
    found.filter(|row| row.status == Status::Active).ok_or_else(account_not_found)
}

/// The open sessions of an account.
pub(crate) async fn sessions(state: &State, account: AccountId) -> Result<Vec<SessionRow>> {
    let now = state.clock.now();
    state.db.read("accounts.sessions", move |q| sessions::open_sessions(q, account, now)).await
}

/// The open sessions of a customer, for staff.
pub(crate) async fn customer_sessions(state: &State, account: AccountId) -> Result<Vec<SessionRow>> {
    let now = state.clock.now();
    state
        .db
        .read("accounts.customer_sessions", move |q| {
            customer(q, account)?;
            sessions::open_sessions(q, account, now)
        })
        .await
}

/// A customer, for staff.
pub(crate) async fn customer_account(state: &State, id: AccountId) -> Result<AccountRow> {
    state.db.read("accounts.customer", move |q| customer(q, id)).await
}

/// The accounts of a kind, or the one of an e-mail address, the youngest first.
pub(crate) async fn accounts_of(
    state: &State,
    kind: Kind,
    email: Option<Email>,
    before: AccountId,
    limit: i64,
) -> Result<Vec<AccountRow>> {
    state
        .db
        .read("accounts.list", move |q| match &email {
            Some(email) => {
                let found = match kind {
                    Kind::Guest => guests::by_email(q, email, before, limit)?,
                    _ => accounts::account_by_email(q, email)?
                        .into_iter()
                        .filter(|row| row.id < before)
                        .collect(),
                };
                Ok(found.into_iter().filter(|row| row.kind == kind).collect())
            }
            None => accounts::of_kind(q, kind, before, limit),
        })
        .await
}

/// An account of staff, and until when its invitation is good.
pub(crate) async fn staff(state: &State, id: AccountId) -> Result<(AccountRow, Option<Timestamp>)> {
    let now = state.clock.now();
    state
        .db
        .read("accounts.staff", move |q| {
            let found = accounts::account(q, id)?
                .filter(|row| row.kind == Kind::Staff && row.status != Status::Erased)
                .ok_or_else(account_not_found)?;
            let code = match found.status {
                Status::Invited => codes::code_of(q, id, Purpose::StaffInvitation)?,
                _ => None,
            };
            let alive = code.filter(|c| code::is_alive(c.used, c.guesses, c.expires_at, now));
            Ok((found, alive.map(|c| c.expires_at)))
        })
        .await
}

/// Every role.
pub(crate) async fn roles(state: &State) -> Result<Vec<RoleRow>> {
    state.db.read("accounts.roles", |q| roles::roles(q)).await
}

/// One role.
pub(crate) async fn role(state: &State, name: RoleName) -> Result<RoleRow> {
    let found = state.db.read("accounts.role", move |q| roles::role(q, &name)).await?;
    found.ok_or_else(set_role::not_found)
}

/// The keys of an account.
pub(crate) async fn keys(state: &State, account: AccountId) -> Result<Vec<KeyRow>> {
    state.db.read("accounts.keys", move |q| api_keys::keys(q, account)).await
}

/// The active addresses of an account.
pub(crate) async fn addresses(state: &State, account: AccountId) -> Result<Vec<AddressRow>> {
    state.db.read("accounts.addresses", move |q| addresses::addresses(q, account)).await
}

/// One address of an account, retired or not.
pub(crate) async fn address(state: &State, account: AccountId, id: AddressId) -> Result<AddressRow> {
    state.db.read("accounts.address", move |q| address_of(q, account, id)).await
}

/// One address of the account; another's is as absent as one that never was.
pub(crate) fn address_of(q: &mut impl Query, account: AccountId, id: AddressId) -> Result<AddressRow> {
    addresses::address(q, id)?
        .filter(|row| row.account == account || !Guard::Owner.on())
        .ok_or_else(|| Error::not_found("accounts.address_not_found", "You have no such address."))
}

/// Everything accounts keeps about a person.
pub(crate) struct Everything {
    pub account: AccountRow,
    pub addresses: Vec<AddressRow>,
    pub sessions: Vec<SessionRow>,
    pub keys: Vec<KeyRow>,
}

/// Everything accounts keeps about a person; `only_customers` for staff, who have no business with each other.
pub(crate) async fn everything(state: &State, id: AccountId, only_customers: bool) -> Result<Everything> {
    let now = state.clock.now();
    state
        .db
        .read("accounts.export", move |q| {
            let account = if only_customers {
                customer(q, id)?
            } else {
                accounts::account(q, id)?.ok_or_else(account_not_found)?
            };
            Ok(Everything {
                account,
                addresses: addresses::all_addresses(q, id, EXPORTED_ADDRESSES_MAX)?,
                sessions: sessions::open_sessions(q, id, now)?,
                keys: api_keys::keys(q, id)?,
            })
        })
        .await
}
