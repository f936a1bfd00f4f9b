//! The asks accounts answers.

use merx_contracts::{
    accounts::v1::{
        AddressReply, AddressRequest, CodeReply, CodeRequest, ContactReply, ContactRequest, accounts_server,
    },
    ids::{AccountId, AddressId, CodeId},
};
use merx_kernel::{Error, Result};
use merx_platform::rpc;
use tonic::{Request, Response, Status};

use crate::{
    State,
    commands::set_staff::account_not_found,
    domain::{
        address::text,
        code,
        person::{Kind, Status as AccountStatus},
    },
    queries,
    store::{accounts, codes},
};

/// Serves the asks.
pub struct AccountsRpc(pub State);

#[tonic::async_trait]
impl accounts_server::Accounts for AccountsRpc {
    async fn contact(&self, request: Request<ContactRequest>) -> Result<Response<ContactReply>, Status> {
        rpc::answer(contact(&self.0, request.into_inner()).await)
    }
    async fn code(&self, request: Request<CodeRequest>) -> Result<Response<CodeReply>, Status> {
        rpc::answer(code_to_mail(&self.0, request.into_inner()).await)
    }
    async fn address(&self, request: Request<AddressRequest>) -> Result<Response<AddressReply>, Status> {
        rpc::answer(address(&self.0, request.into_inner()).await)
    }
}

async fn contact(state: &State, request: ContactRequest) -> Result<ContactReply> {
    let id: AccountId = request.account_id.parse().map_err(|e| Error::invalid("/account_id", e))?;
    let found = state.db.read("accounts.contact", move |q| accounts::account(q, id)).await?;
    let row = found.ok_or_else(account_not_found)?;
    let erased = row.status == AccountStatus::Erased;
    let guest = row.kind == Kind::Guest;
    let link = guest && !erased && request.with_guest_token;
    Ok(ContactReply {
        account_id: row.id.to_string(),
        email: row.email().to_owned(),
        locale: row.locale.name().to_owned(),
        guest_token: if link { state.secrets.guest_token(row.id) } else { String::new() },
        name: row.name,
        erased,
        guest,
    })
}

async fn code_to_mail(state: &State, request: CodeRequest) -> Result<CodeReply> {
    let id: CodeId = request.code_id.parse().map_err(|e| Error::invalid("/code_id", e))?;
    let read = move |q: &mut merx_sql::Reader<'_>| {
        let Some(code) = codes::code(q, id)? else { return Ok(None) };
        Ok(accounts::account(q, code.account)?.map(|account| (code, account)))
    };
    let found = state.db.read("accounts.code", read).await?;
    let (row, account) =
        found.ok_or_else(|| Error::not_found("accounts.code_not_found", "There is no such code."))?;
    let alive = code::is_alive(row.used, row.guesses, row.expires_at, state.clock.now());
    let shown = || code::shown(state.secrets.code(row.id, row.generation));
    Ok(CodeReply {
        email: account.email().to_owned(),
        locale: account.locale.name().to_owned(),
        name: account.name,
        code: if alive { shown() } else { String::new() },
        purpose: row.purpose.name().to_owned(),
        expires_at: row.expires_at.as_millis(),
    })
}

async fn address(state: &State, request: AddressRequest) -> Result<AddressReply> {
    let id: AddressId = request.address_id.parse().map_err(|e| Error::invalid("/address_id", e))?;
    let account: AccountId = request.account_id.parse().map_err(|e| Error::invalid("/account_id", e))?;
    let row = queries::address(state, account, id).await?;
    let bare =
        AddressReply { address_id: row.id.to_string(), retired: row.retired, ..AddressReply::default() };
    let Some(address) = row.address else { return Ok(AddressReply { erased: true, ..bare }) };
    let form = address.form();
    Ok(AddressReply {
        country: form.country.code().to_owned(),
        region: text(&form.region).to_owned(),
        city: text(&form.city).to_owned(),
        line1: form.line1.as_str().to_owned(),
        line2: text(&form.line2).to_owned(),
        postcode: text(&form.postcode).to_owned(),
        recipient: form.recipient.as_str().to_owned(),
        phone: form.phone.as_str().to_owned(),
        ..bare
    })
}
