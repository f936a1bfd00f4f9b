//! Addresses.

use axum::{extract::State as Shared, response::Response};
use http::StatusCode;
use merx_contracts::ids::AddressId;
use merx_http::{
    Access, Answer, Begun, Caller, Idempotency, IdempotencyKey, Idempotent, Json, Limits, Owner, Path, Route,
    respond,
};
use merx_kernel::{Permission, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    State,
    commands::{
        add_address::{AddressMade, add_address},
        replace_address::replace_address,
        retire_address::retire_address,
    },
    domain::address::{Address, AddressForm},
    queries,
    store::AddressRow,
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

#[derive(Clone)]
struct Desk {
    state: State,
    idempotent: Idempotent,
}

fn view(row: AddressRow) -> AddressView {
    AddressView {
        id: row.id,
        label: row.address.label(),
        address: row.address.form().clone(),
        created_at: row.created_at,
        retired: row.retired,
        replaced_by: row.replaced_by,
    }
}

async fn list(Shared(state): Shared<State>, Caller(caller): Caller) -> Answer<Json<AddressesView>> {
    let rows = queries::addresses(&state, caller.account).await?;
    Ok(Json(AddressesView { items: rows.into_iter().map(view).collect() }))
}

async fn get(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    Path(id): Path<AddressId>,
) -> Answer<Json<AddressView>> {
    Ok(Json(view(queries::address(&state, caller.account, id).await?)))
}

async fn add(
    Shared(desk): Shared<Desk>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Json(form): Json<AddressForm>,
) -> Answer<Response> {
    let (id, begun) = add_address(&desk.state, caller.account, Address::new(form)?, key).await?;
    match begun {
        Begun::Fresh => Ok(respond(AddressMade::saved(id)?)),
        Begun::Repeated { effect, saved } => {
            let rebuild = |id| async move { AddressMade::saved(id).map(Some) };
            desk.idempotent.repeat(&key, effect, saved, rebuild).await
        }
    }
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

pub(super) fn routes(state: &State, limits: &Limits) -> Vec<Route> {
    let owner = Owner::Account("only addresses of the caller's account are found");
    let own = Access::Permission { permission: Permission::Shop, owner };
    let keys = state.store.idempotency;
    let idempotent = Idempotent::new(state.db.clone(), keys, state.clock.clone(), limits);
    let desk = Desk { state: state.clone(), idempotent };
    let one = |route: Route| route.param::<AddressId>("address").errors(&["accounts.address_not_found"]);
    vec![
        Route::get("/v1/addresses", own, list, state)
            .id("listAddresses")
            .summary("My addresses")
            .response::<AddressesView>(200),
        Route::post("/v1/addresses", own, add, &desk)
            .id("addAddress")
            .summary("Add an address")
            .body::<AddressForm>()
            .response::<AddressMade>(201)
            .errors(&["accounts.address_limit"])
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
