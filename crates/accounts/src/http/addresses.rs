//! Addresses.

use axum::{extract::State as Shared, response::Response};
use http::StatusCode;
use merx_contracts::ids::AddressId;
use merx_http::{Access, Answer, Caller, Idempotency, IdempotencyKey, Json, Owner, Path, Route};
use merx_kernel::{Error, Permission, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Desk;
use crate::{
    State,
    commands::{
        add_address::{AddressMade, add_address},
        replace_address::replace_address,
        retire_address::retire_address,
    },
    domain::address::{Address, AddressForm},
    queries,
    store::addresses::AddressRow,
};

/// One version of an address.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct AddressView {
    /// The version.
    pub id: AddressId,
    /// The address.
    pub address: AddressForm,
    /// The lines of a shipping label.
    pub label: Vec<String>,
    /// When this version was made.
    pub created_at: Timestamp,
    /// It was deleted or replaced; orders placed with it keep it, new ones may not use it.
    pub retired: bool,
    /// The version that replaced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<AddressId>,
}

/// The active addresses, the newest first.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct AddressesView {
    /// The addresses.
    pub items: Vec<AddressView>,
}

/// An erased address is nobody's.
pub(super) fn view(row: AddressRow) -> Option<AddressView> {
    let address = row.address?;
    Some(AddressView {
        id: row.id,
        label: address.label(),
        address: address.form().clone(),
        created_at: row.created_at,
        retired: row.retired,
        replaced_by: row.replaced_by,
    })
}

async fn list(Shared(state): Shared<State>, Caller(caller): Caller) -> Answer<Json<AddressesView>> {
    let rows = queries::addresses(&state, caller.account).await?;
    Ok(Json(AddressesView { items: rows.into_iter().filter_map(view).collect() }))
}

async fn get(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    Path(id): Path<AddressId>,
) -> Answer<Json<AddressView>> {
    let found = view(queries::address(&state, caller.account, id).await?);
    let gone = || Error::not_found("accounts.address_not_found", "You have no such address.");
    Ok(Json(found.ok_or_else(gone)?))
}

async fn add(
    Shared(desk): Shared<Desk>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Json(form): Json<AddressForm>,
) -> Answer<Response> {
    let (id, begun) = add_address(&desk.state, caller.account, Address::new(form)?, key).await?;
    desk.answer(&key, begun, || AddressMade::saved(id)).await
}

async fn replace(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    Path(id): Path<AddressId>,
    Json(form): Json<AddressForm>,
) -> Answer<Json<AddressMade>> {
    let id = replace_address(&state, caller.account, id, Address::new(form)?).await?;
    Ok(Json(AddressMade { id }))
}

async fn retire(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    Path(id): Path<AddressId>,
) -> Answer<StatusCode> {
    retire_address(&state, caller.account, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn routes(desk: &Desk) -> Vec<Route> {
    let state = &desk.state;
    let owner = Owner::Account("only addresses of the caller's account are found");
    // Personal data: a key that shops names addresses by their ids, and never reads or writes one.
    let own = Access::SessionPermission { permission: Permission::Shop, owner };
    let one = |route: Route| route.param::<AddressId>("address").errors(&["accounts.address_not_found"]);
    vec![
        Route::get("/v1/addresses", own, list, state)
            .id("listAddresses")
            .summary("My addresses")
            .response::<AddressesView>(200),
        Route::post("/v1/addresses", own, add, desk)
            .id("addAddress")
            .summary("Add an address")
            .body::<AddressForm>()
            .response::<AddressMade>(201)
            .errors(&["accounts.address_limit", "accounts.account_not_found"])
            .idempotency(Idempotency::Required),
        one(Route::get("/v1/addresses/{address}", own, get, state))
            .id("getAddress")
            .summary("One version of an address, retired or not")
            .response::<AddressView>(200),
        one(Route::put("/v1/addresses/{address}", own, replace, state))
            .id("replaceAddress")
            .summary("Edit an address")
            .description("Makes a new version with an id of its own; orders placed with the old one keep it.")
            .body::<AddressForm>()
            .response::<AddressMade>(200)
            .errors(&["accounts.address_retired"]),
        one(Route::delete("/v1/addresses/{address}", own, retire, state))
            .id("deleteAddress")
            .summary("Delete an address; orders placed with it keep it")
            .empty_response(204),
    ]
}
