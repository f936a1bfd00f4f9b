//! What is read.

use merx_contracts::ids::{AccountId, AddressId};
use merx_kernel::{Error, Guard, Result, Role};
use merx_sql::Query;

use crate::{
    State,
    store::{self, AddressRow, SessionRow},
};

/// E-mail address, name and roles of an account.
pub(crate) async fn account(state: &State, id: AccountId) -> Result<(String, String, Vec<Role>)> {
    let found = state.db.read("accounts.me", move |q| store::account(q, id)).await?;
    found.ok_or_else(|| Error::not_found("accounts.account_not_found", "There is no such account."))
}

/// The open sessions of an account.
pub(crate) async fn sessions(state: &State, account: AccountId) -> Result<Vec<SessionRow>> {
    let now = state.clock.now();
    state.db.read("accounts.sessions", move |q| store::open_sessions(q, account, now)).await
}

/// The active addresses of an account.
pub(crate) async fn addresses(state: &State, account: AccountId) -> Result<Vec<AddressRow>> {
    state.db.read("accounts.addresses", move |q| store::addresses(q, account)).await
}

/// One address of an account, retired or not.
pub(crate) async fn address(state: &State, account: AccountId, id: AddressId) -> Result<AddressRow> {
    state.db.read("accounts.address", move |q| address_of(q, account, id)).await
}

/// One address of the account; another's is as absent as one that never was.
pub(crate) fn address_of(q: &mut impl Query, account: AccountId, id: AddressId) -> Result<AddressRow> {
    store::address(q, id)?
        .filter(|row| row.account == account || !Guard::Owner.on())
        .ok_or_else(|| Error::not_found("accounts.address_not_found", "You have no such address."))
}
