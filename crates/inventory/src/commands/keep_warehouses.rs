//! Opens, changes and closes warehouses.

use merx_http::IfMatch;
use merx_kernel::{Error, Result};
use merx_sql::Tx;
use serde_json::{Value, json};

use super::Act;
use crate::{
    State,
    store::{self, Warehouse},
};

/// The most warehouses of a shop.
pub const WAREHOUSES_MAX: usize = 50;

fn shown(warehouse: &Warehouse) -> Value {
    let Warehouse { code, name, priority, active, .. } = warehouse;
    json!({"code": code, "name": name, "priority": priority, "active": active})
}

fn code_taken(code: &str) -> Error {
    Error::conflict("inventory.warehouse_code_taken", format!("Another warehouse has the code {code}."))
        .with_field("/code", "is another warehouse's")
}

/// Opens a warehouse.
///
/// # Errors
/// `inventory.warehouse_code_taken`, `inventory.warehouse_limit`.
pub fn open_warehouse(tx: &mut Tx<'_>, act: &Act, warehouse: &Warehouse) -> Result<Warehouse> {
    if store::warehouses(tx)?.len() >= WAREHOUSES_MAX {
        return Err(Error::rejected(
            "inventory.warehouse_limit",
            format!("A shop has at most {WAREHOUSES_MAX} warehouses."),
        ));
    }
    if !store::insert_warehouse(tx, warehouse)?.is_new() {
        return Err(code_taken(&warehouse.code));
    }
    let detail = json!({"after": shown(warehouse)});
    act.tell(tx, "inventory.warehouse_opened", warehouse.id.to_string(), None, detail)?;
    Ok(warehouse.clone())
}

/// Opens a warehouse outside HTTP: for the demo loader and imports. Again, nothing more happens.
///
/// # Errors
/// As [`open_warehouse`].
pub async fn add_warehouse(state: &State, warehouse: Warehouse) -> Result<()> {
    let act = Act::new(state, None);
    let open = move |tx: &mut Tx<'_>| match store::warehouse(tx, warehouse.id)? {
        Some(_) => Ok(()),
        None => open_warehouse(tx, &act, &warehouse).map(drop),
    };
    state.db.write("inventory.add_warehouse", open).await?;
    state.read_warehouses().await.map(drop)
}

/// Changes a warehouse that still has the version `seen`.
///
/// # Errors
/// `request.version_stale`; `inventory.warehouse_not_found`, `inventory.warehouse_code_taken`, `inventory.warehouse_in_use`.
pub fn change_warehouse(tx: &mut Tx<'_>, act: &Act, wanted: &Warehouse, seen: IfMatch) -> Result<Warehouse> {
    let before = store::warehouse(tx, wanted.id)?.ok_or_else(not_found)?;
    seen.check(before.version)?;
    // The row first: whoever brings stock in bumps it too, so that from here on nothing comes in unseen.
    match store::update_warehouse(tx, wanted)? {
        None => return Err(code_taken(&wanted.code)),
        Some(false) => return Err(merx_sql::contention("the warehouse was changed while it was read")),
        Some(true) => {}
    }
    let closes = before.active && !wanted.active;
    if closes && let Some(what) = store::warehouse_in_use(tx, wanted.id)? {
        return Err(Error::rejected(
            "inventory.warehouse_in_use",
            format!("The warehouse cannot be closed: {what}."),
        ));
    }
    let after = Warehouse { version: before.version + 1, ..wanted.clone() };
    let action = if closes { "inventory.warehouse_closed" } else { "inventory.warehouse_changed" };
    let detail = json!({"before": shown(&before), "after": shown(&after)});
    act.tell(tx, action, wanted.id.to_string(), None, detail)?;
    Ok(after)
}

/// The refusal for a warehouse there is none of.
pub fn not_found() -> Error {
    Error::not_found("inventory.warehouse_not_found", "There is no such warehouse.")
}
