//! Receipts and adjustments: what staff and the demo loader tell of the shelves.

use merx_contracts::ids::Sku;
use merx_kernel::{Result, Timestamp};
use merx_platform::{DomainEvent as _, Store};
use merx_sql::{NewEvent, Tx};

use crate::{
    State,
    domain::{
        Movement, StockCommand, StockEvent, StockLevel,
        stock::{self, StockEntry, StockEntryId},
    },
    log::stock_stream,
    store,
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

/// Receives stock: for the demo loader and imports. Again, nothing more happens.
///
/// # Errors
/// `Invalid` naming the limit.
pub async fn receive_stock(state: &State, receipt: StockReceipt) -> Result<()> {
    let warehouse = state.warehouse(None).await?;
    let command = StockCommand::Receive(StockEntry {
        entry: receipt.entry,
        sku: receipt.sku,
        warehouse: warehouse.id,
        quantity: receipt.quantity,
        reason: receipt.reason,
        by: None,
    });
    let (store, at) = (state.store.clone(), state.clock.now());
    state.db.write("inventory.receive", move |tx| enter(tx, &store, &command, at).map(|_| ())).await
}

/// Enters a receipt or an adjustment; answers the level after it. An entry that was made before changes nothing.
///
/// # Errors
/// `Invalid` naming the limit; `inventory.adjustment_too_large`.
pub fn enter(tx: &mut Tx<'_>, store: &Store, command: &StockCommand, at: Timestamp) -> Result<StockLevel> {
    let entry = command.entry();
    let movement = Movement::of_command(command);
    let fresh = store::insert_movement(tx, entry.entry.cast(), &movement, at)?.is_new();
    let found = store::level(tx, &entry.sku, entry.warehouse)?;
    let level = found.unwrap_or_default();
    if !fresh {
        return Ok(level);
    }
    let event = stock::decide(&level, command)?;
    let there = found.is_some() || store::insert_stock(tx, &entry.sku, entry.warehouse)?.is_new();
    // The guard refuses what an order has taken since the level was read: read it again, then decide.
    if !there || !store::change_stock(tx, &movement)? {
        return Err(merx_sql::contention("the stock moved on while it was read"));
    }
    append(tx, store, &event, level.version, at)?;
    Ok(level.after(&movement).unwrap_or(level))
}

fn append(tx: &mut Tx<'_>, store: &Store, event: &StockEvent, version: i64, at: Timestamp) -> Result<()> {
    let (StockEvent::StockReceived(entry) | StockEvent::StockAdjusted(entry)) = event;
    let new = NewEvent { name: event.name(), schema: event.schema(), body: event.encode()? };
    store.events.append(tx, stock_stream(&entry.sku, entry.warehouse), version, &[new], at)?;
    Ok(())
}
