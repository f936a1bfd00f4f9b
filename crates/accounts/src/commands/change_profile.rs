//! What a person says of himself.

use merx_contracts::ids::AccountId;
use merx_http::IfMatch;
use merx_kernel::{BoundedText, Result};

use crate::{
    State,
    commands::set_staff::account_not_found,
    domain::person::{Locale, Status},
    store::accounts::{self, AccountRow},
};

/// Sets name and language.
///
/// # Errors
/// `accounts.account_not_found`, `request.version_stale`.
pub async fn change_profile(
    state: &State,
    account: AccountId,
    name: BoundedText<1, 80>,
    locale: Locale,
    seen: IfMatch,
) -> Result<AccountRow> {
    let name = name.into_string();
    state
        .db
        .write("accounts.change_profile", move |tx| {
            let found = accounts::account(tx, account)?
                .filter(|row| row.status == Status::Active)
                .ok_or_else(account_not_found)?;
            seen.check(found.version)?;
            if !accounts::set_profile(tx, account, found.version, &name, locale)? {
                return Err(IfMatch::stale());
            }
            Ok(AccountRow { name: name.clone(), locale, version: found.version + 1, ..found })
        })
        .await
}
