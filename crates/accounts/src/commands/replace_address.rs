//! Editing an address makes a new version and retires the old, so that what an order was sent to stays as it was.

use std::sync::Arc;

use merx_contracts::ids::{AccountId, AddressId};
use merx_kernel::{Error, Result};

use crate::{State, domain::address::Address, queries::address_of, store::addresses};

/// Replaces the address; answers the id of the new version. Saying it again answers the same id.
///
/// # Errors
/// `accounts.address_not_found`, also when it is another's; `accounts.address_retired` when it was deleted or
/// replaced by something else.
pub async fn replace_address(
    state: &State,
    account: AccountId,
    old: AddressId,
    address: Address,
) -> Result<AddressId> {
    let (new, now, address) = (state.ids.next(), state.clock.now(), Arc::new(address));
    state
        .db
        .write("accounts.replace_address", move |tx| {
            let found = address_of(tx, account, old)?;
            if !found.retired && found.address.as_ref() == Some(&*address) {
                return Ok(old);
            }
            if addresses::retire_address(tx, old, Some(new), now)? {
                addresses::insert_address(tx, new, found.account, &address, now)?;
                return Ok(new);
            }
            // A repetition whose first answer was lost: the successor is what is asked for.
            if let Some(successor) = address_of(tx, account, old)?.replaced_by
                && address_of(tx, account, successor)?.address.as_ref() == Some(&*address)
            {
                return Ok(successor);
            }
            let message = "This address was deleted or replaced; look at your addresses again.";
            Err(Error::conflict("accounts.address_retired", message))
        })
        .await
}
