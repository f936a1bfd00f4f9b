//! The asks accounts answers.

use merx_contracts::{
    accounts::v1::{AddressReply, AddressRequest, accounts_server},
    ids::{AccountId, AddressId},
};
use merx_kernel::{Error, Result};
use merx_platform::rpc;
use tonic::{Request, Response, Status};

use crate::{State, domain::address::text, queries};

/// Serves the asks.
pub struct AccountsRpc(pub State);

#[tonic::async_trait]
impl accounts_server::Accounts for AccountsRpc {
    async fn contact(
        &self,
        _: Request<merx_contracts::accounts::v1::ContactRequest>,
    ) -> Result<Response<merx_contracts::accounts::v1::ContactReply>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn code(
        &self,
        _: Request<merx_contracts::accounts::v1::CodeRequest>,
    ) -> Result<Response<merx_contracts::accounts::v1::CodeReply>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn address(&self, request: Request<AddressRequest>) -> Result<Response<AddressReply>, Status> {
        rpc::answer(address(&self.0, request.into_inner()).await)
    }
}

async fn address(state: &State, request: AddressRequest) -> Result<AddressReply> {
    let id: AddressId = request.address_id.parse().map_err(|e| Error::invalid("/address_id", e))?;
    let account: AccountId = request.account_id.parse().map_err(|e| Error::invalid("/account_id", e))?;
    let row = queries::address(state, account, id).await?;
    let form = row.address.form();
    Ok(AddressReply {
        address_id: row.id.to_string(),
        country: form.country.code().to_owned(),
        region: text(&form.region).to_owned(),
        city: text(&form.city).to_owned(),
        line1: form.line1.as_str().to_owned(),
        line2: text(&form.line2).to_owned(),
        postcode: text(&form.postcode).to_owned(),
        recipient: form.recipient.as_str().to_owned(),
        phone: form.phone.as_str().to_owned(),
        // Nothing erases an address yet; the rows of an erased account will be told from others by then.
        erased: false,
        retired: row.retired,
    })
}
