//! Receipts and adjustments: what staff and the demo loader tell of the shelves.

use merx_contracts::ids::{Sku, WarehouseId};
use merx_kernel::{Error, Result};
use merx_platform::DomainEvent as _;
use merx_sql::{NewEvent, Tx};
use serde_json::json;

use super::{
    Act,
    move_units::{Moved, move_units, tell_low},
};
use crate::{
    State,
    domain::{
        Movement, StockCommand, StockEvent, StockLevel,
        stock::{self, StockEntry, StockEntryId},
    },
    log::stock_stream,
    store::{self, Effect},
};

/// A delivery for the first warehouse, outside HTTP.
#[derive(Clone, Debug)]
pub struct StockReceipt {
    /// The effect identity, chosen before the first attempt: the same receipt counts once.
    pub entry: StockEntryId,
    /// The SKU.
    pub sku: Sku,
    /// Units.
    pub quantity: i64,
    /// What the ledger says of it.
    pub reason: Option<String>,
}

/// Receives stock into the first warehouse: for the demo loader and imports. Again, nothing more happens.
///
/// # Errors
/// As [`receive_stock_in`].
pub async fn receive_stock(state: &State, receipt: StockReceipt) -> Result<()> {
    let first = state.warehouse(None).await?.id;
    receive_stock_in(state, first, receipt).await
}

/// Receives stock into a warehouse: for the demo loader and imports. Again, nothing more happens.
///
/// # Errors
/// `Invalid` naming the limit; `inventory.warehouse_closed`.
pub async fn receive_stock_in(state: &State, warehouse: WarehouseId, receipt: StockReceipt) -> Result<()> {
    let command = StockCommand::Receive(StockEntry {
        entry: receipt.entry,
        sku: receipt.sku,
        warehouse,
        quantity: receipt.quantity,
        reason: receipt.reason,
        by: None,
    });
    let act = Act::new(state, None);
    state.db.write("inventory.receive", move |tx| enter(tx, &act, &command).map(drop)).await
}

/// Enters a receipt or an adjustment; answers the level after it. An entry that was made before changes nothing.
///
/// # Errors
/// `Invalid` naming the limit; `inventory.adjustment_too_large`, `inventory.warehouse_closed`.
pub fn enter(tx: &mut Tx<'_>, act: &Act, command: &StockCommand) -> Result<StockLevel> {
    let entry = command.entry();
    let movement = Movement::of_command(command);
    let effect = Effect::of_staff(entry.entry, act.at);
    let fresh = store::insert_movement(tx, effect, &movement)?.is_new();
    if !fresh {
        return Ok(store::level(tx, &entry.sku, entry.warehouse)?.unwrap_or_default());
    }
    if movement.change().available > 0 {
        use_warehouse(tx, entry.warehouse)?;
    }
    let found = store::level(tx, &entry.sku, entry.warehouse)?;
    let level = found.unwrap_or_default();
    let event = stock::decide(&level, command)?;
    let there = found.is_some() || store::insert_stock(tx, &entry.sku, entry.warehouse)?.is_new();
    let moved = if there { move_units(tx, &movement, None)? } else { Moved::No };
    match moved {
        // The guard refuses what an order has taken since the level was read: read it again, then decide.
        Moved::No => return Err(merx_sql::contention("the stock moved on while it was read")),
        Moved::Yes => {}
        Moved::Low(low) => tell_low(tx, &act.store, effect, act.traceparent.as_deref(), &[low])?,
    }
    append(tx, act, &event, (&entry.sku, entry.warehouse), level.version)?;
    let action = match command {
        StockCommand::Receive(_) => "inventory.stock_received",
        StockCommand::Adjust(..) => "inventory.stock_adjusted",
    };
    let detail = json!({
        "id": entry.entry, "warehouse_id": entry.warehouse, "kind": movement.kind, "quantity": entry.quantity,
    });
    act.tell(tx, action, entry.sku.to_string(), entry.reason.clone(), detail)?;
    // On MySQL orders may have moved the row between the reading and the update; now it is ours.
    Ok(store::level(tx, &entry.sku, entry.warehouse)?.unwrap_or(level))
}

/// Makes sure that a warehouse stays active until this transaction ends.
///
/// # Errors
/// `inventory.warehouse_closed`.
pub fn use_warehouse(tx: &mut Tx<'_>, warehouse: WarehouseId) -> Result<()> {
    if store::use_warehouse(tx, warehouse)? {
        return Ok(());
    }
    Err(Error::rejected("inventory.warehouse_closed", "The warehouse is closed; it takes no stock in."))
}

/// Appends an event of a stock item that was decided on `version` of its stream.
///
/// # Errors
/// What the database answers.
pub fn append(
    tx: &mut Tx<'_>,
    act: &Act,
    event: &StockEvent,
    (sku, warehouse): (&Sku, WarehouseId),
    version: i64,
) -> Result<()> {
    let new = NewEvent { name: event.name(), schema: event.schema(), body: event.encode()? };
    act.store.events.append(tx, stock_stream(sku, warehouse), version, &[new], act.at)?;
    Ok(())
}
