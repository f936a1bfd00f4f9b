//! A new address.

use std::sync::Arc;

use http::StatusCode;
use merx_contracts::ids::{AccountId, AddressId};
use merx_http::{Begun, IdempotencyKey, answer};
use merx_kernel::{Error, Result};
use merx_platform::store::Saved;
use merx_sql::Query;
use serde::{Deserialize, Serialize};

use crate::{
    State,
    commands::set_staff::account_not_found,
    domain::{
        address::{ADDRESSES_MAX, Address},
        person::Status,
    },
    store::{accounts, addresses},
};

/// The answer: an id and nothing personal, because it is kept with the idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AddressMade {
    /// The new address.
    pub id: AddressId,
}

impl AddressMade {
    /// The answer to keep.
    pub(crate) fn saved(id: AddressId) -> Result<Saved> {
        answer(StatusCode::CREATED, &Self { id })
    }
}

/// Adds the address, once for the key. In a repetition the answer is the first one's.
///
/// # Errors
/// `accounts.address_limit`; `accounts.account_not_found` when the person was erased meanwhile.
pub async fn add_address(
    state: &State,
    account: AccountId,
    address: Address,
    key: IdempotencyKey,
) -> Result<(AddressId, Begun<merx_contracts::ids::AddressKind>)> {
    let (id, now, keys, address) =
        (state.ids.next(), state.clock.now(), state.store.idempotency, Arc::new(address));
    let begun = state
        .db
        .write("accounts.add_address", move |tx| {
            let begun = key.begin(keys, tx, id, now)?;
            if matches!(begun, Begun::Fresh) {
                if !addresses::count_address(tx, account)? {
                    return Err(refused(tx, account)?);
                }
                addresses::insert_address(tx, id, account, &address, now)?;
                key.complete(keys, tx, id, &AddressMade::saved(id)?)?;
            }
            Ok(begun)
        })
        .await?;
    Ok((id, begun))
}

/// A request that was let in before its person was erased finds nobody: nothing may come back.
fn refused(q: &mut impl Query, account: AccountId) -> Result<Error> {
    if accounts::account(q, account)?.is_none_or(|row| row.status != Status::Active) {
        return Ok(account_not_found());
    }
    let message = format!("You have {ADDRESSES_MAX} addresses; delete one first.");
    Ok(Error::rejected("accounts.address_limit", message))
}
