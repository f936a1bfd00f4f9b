//! Deleting an address retires it; orders that were placed with it keep it.

use merx_contracts::ids::{AccountId, AddressId};
use merx_kernel::Result;

use crate::{State, queries::address_of, store::addresses};

/// Retires the address. Doing it again changes nothing.
///
/// # Errors
/// `accounts.address_not_found`, also when it is another's.
pub async fn retire_address(state: &State, account: AccountId, id: AddressId) -> Result<()> {
    let now = state.clock.now();
    state
        .db
        .write("accounts.retire_address", move |tx| {
            let found = address_of(tx, account, id)?;
            if addresses::retire_address(tx, id, None, now)? {
                addresses::uncount_address(tx, found.account)?;
            }
            Ok(())
        })
        .await
}
