//! Warehouses.

use axum::{extract::State as FromState, response::Response};
use http::StatusCode;
use merx_contracts::ids::WarehouseId;
use merx_http::{Answer, Caller, Idempotency, IdempotencyKey, IfMatch, Json, Path, Route, Versioned};
use merx_kernel::{BoundedText, Error, Page, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{READ, Staff, WRITE, views::WarehouseView};
use crate::{
    commands::keep_warehouses::{change_warehouse, not_found, open_warehouse},
    store::{self, Warehouse},
};

/// The highest priority number.
const PRIORITY_MAX: i64 = 1_000_000;

/// A new warehouse.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OpenWarehouse {
    /// What staff call it; no other has it.
    code: BoundedText<1, 32>,
    /// What staff read.
    name: BoundedText<1, 64>,
    /// Lower serves first; among equals the older one.
    #[schemars(range(min = 0, max = 1_000_000))]
    priority: i64,
}

/// A warehouse as it is to be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChangeWarehouse {
    /// What staff call it; no other has it.
    code: BoundedText<1, 32>,
    /// What staff read.
    name: BoundedText<1, 64>,
    /// Lower serves first; among equals the older one.
    #[schemars(range(min = 0, max = 1_000_000))]
    priority: i64,
    /// Whether it serves orders and takes stock in; only an empty one can be closed.
    active: bool,
}

fn checked_priority(priority: i64) -> Result<i64> {
    if (0..=PRIORITY_MAX).contains(&priority) {
        return Ok(priority);
    }
    Err(Error::invalid("/priority", format!("must be a whole number from 0 to {PRIORITY_MAX}")))
}

pub(super) fn routes(staff: &Staff) -> Vec<Route> {
    vec![
        Route::get("/v1/warehouses", READ, list, staff)
            .id("listWarehouses")
            .summary("Every warehouse, the one that serves first first")
            .response::<Page<WarehouseView>>(200),
        Route::post("/v1/warehouses", WRITE, open, staff)
            .id("openWarehouse")
            .summary("Opens a warehouse")
            .body::<OpenWarehouse>()
            .response::<WarehouseView>(201)
            .errors(&["inventory.warehouse_code_taken", "inventory.warehouse_limit"])
            .idempotency(Idempotency::Required),
        Route::get("/v1/warehouses/{warehouse_id}", READ, get, staff)
            .id("getWarehouse")
            .summary("One warehouse, with its version as ETag")
            .param::<WarehouseId>("warehouse_id")
            .response::<WarehouseView>(200)
            .errors(&["inventory.warehouse_not_found"]),
        Route::put("/v1/warehouses/{warehouse_id}", WRITE, change, staff)
            .id("changeWarehouse")
            .summary("Changes a warehouse, opens it again or closes it")
            .description(
                "A warehouse with stock in it, on the way from or to it, or with an open count cannot be closed. A \
                 closed one serves no order and takes nothing in, but what comes back of its sales lies there again.",
            )
            .param::<WarehouseId>("warehouse_id")
            .body::<ChangeWarehouse>()
            .response::<WarehouseView>(200)
            .errors(&[
                "inventory.warehouse_not_found",
                "inventory.warehouse_code_taken",
                "inventory.warehouse_in_use",
            ])
            .if_match(),
    ]
}

async fn list(FromState(staff): FromState<Staff>) -> Answer<Json<Page<WarehouseView>>> {
    let all = staff.state.read_warehouses().await?;
    let items = all.iter().cloned().map(WarehouseView::from).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

async fn get(
    FromState(staff): FromState<Staff>,
    Path(id): Path<WarehouseId>,
) -> Answer<Versioned<WarehouseView>> {
    let read = move |q: &mut merx_sql::Reader<'_>| store::warehouse(q, id);
    let found = staff.state.db.read("inventory.warehouse", read).await?.ok_or_else(not_found)?;
    Ok(Versioned { version: found.version, body: found.into() })
}

async fn open(
    FromState(staff): FromState<Staff>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<OpenWarehouse>,
) -> Answer<Response> {
    let act = staff.act(&caller);
    let warehouse = Warehouse {
        id: staff.state.ids.next(),
        code: body.code.into_string(),
        name: body.name.into_string(),
        priority: checked_priority(body.priority)?,
        active: true,
        version: 1,
    };
    let effect = warehouse.id;
    let answered = staff
        .once("inventory.open_warehouse", key, effect, StatusCode::CREATED, move |tx| {
            open_warehouse(tx, &act, &warehouse).map(WarehouseView::from)
        })
        .await?;
    staff.state.read_warehouses().await?;
    Ok(answered)
}

async fn change(
    FromState(staff): FromState<Staff>,
    caller: Caller,
    seen: IfMatch,
    Path(id): Path<WarehouseId>,
    Json(body): Json<ChangeWarehouse>,
) -> Answer<Versioned<WarehouseView>> {
    let act = staff.act(&caller);
    let wanted = Warehouse {
        id,
        code: body.code.into_string(),
        name: body.name.into_string(),
        priority: checked_priority(body.priority)?,
        active: body.active,
        version: seen.0,
    };
    let write = move |tx: &mut merx_sql::Tx<'_>| change_warehouse(tx, &act, &wanted, seen);
    let changed = staff.state.db.write("inventory.change_warehouse", write).await?;
    staff.state.read_warehouses().await?;
    Ok(Versioned { version: changed.version, body: changed.into() })
}
