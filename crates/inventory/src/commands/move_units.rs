//! Carries one movement out on its stock row, and notices when what is available falls below its threshold.
//!
//! The guarded update says at no further cost that a threshold was *not* crossed: its condition includes it. Only
//! when the update did not happen is the row read, and only a crossing takes further statements.

use merx_contracts::{Envelope, events::inventory::StockLow, ids::MessageId};
use merx_kernel::Result;
use merx_platform::{Store, saga::derived_id};
use merx_sql::Tx;

use crate::{
    domain::Movement,
    store::{self, Effect, Pass},
};

/// What became of a movement.
#[derive(Clone, Debug)]
pub enum Moved {
    /// It did not happen: too few units, or the row moved on while it was read.
    No,
    /// It happened.
    Yes,
    /// It happened, and less is available now than there should be.
    Low(StockLow),
}

/// Carries `movement` out if the figures allow it, and the sum of corrections is still `adjusted`.
///
/// # Errors
/// What the database answers.
pub fn move_units(tx: &mut Tx<'_>, movement: &Movement, adjusted: Option<i64>) -> Result<Moved> {
    let change = movement.change().available;
    let yes = |done: bool| if done { Moved::Yes } else { Moved::No };
    if change >= 0 {
        return store::change_stock(tx, movement, Pass::Any, adjusted).map(yes);
    }
    if store::change_stock(tx, movement, Pass::Quiet, adjusted)? {
        return Ok(Moved::Yes);
    }
    let (sku, warehouse) = (&movement.sku, movement.warehouse);
    let Some(before) = store::level(tx, sku, warehouse)? else { return Ok(Moved::No) };
    let crosses = !before.is_low() && before.available + change < before.threshold;
    if !crosses || !store::change_stock(tx, movement, Pass::Crossing, adjusted)? {
        return Ok(Moved::No);
    }
    // On MySQL the row may have moved between the reading and the update; now it is ours.
    let after = store::level(tx, sku, warehouse)?.unwrap_or(before);
    let (available, threshold) = (after.available, after.threshold);
    Ok(Moved::Low(StockLow { sku: sku.clone(), warehouse_id: warehouse, available, threshold }))
}

/// Carries a movement up out, making the stock row if there is none.
///
/// # Errors
/// What the database answers.
pub fn add_units(tx: &mut Tx<'_>, movement: &Movement) -> Result<()> {
    if store::change_stock(tx, movement, Pass::Any, None)? {
        return Ok(());
    }
    let made = store::insert_stock(tx, &movement.sku, movement.warehouse)?.is_new();
    if made && store::change_stock(tx, movement, Pass::Any, None)? {
        return Ok(());
    }
    Err(merx_sql::contention("the stock row moved on while it was made"))
}

/// Publishes what an effect made low, in its own transaction. The messages take their identity from the effect, so
/// the path of an order makes none beforehand.
///
/// # Errors
/// What the database answers.
pub fn tell_low(
    tx: &mut Tx<'_>,
    store: &Store,
    effect: Effect,
    traceparent: Option<&str>,
    lows: &[StockLow],
) -> Result<()> {
    if lows.is_empty() {
        return Ok(());
    }
    let envelope = |low: &StockLow| {
        let purpose = format!("stock-low/{}/{}", low.warehouse_id, low.sku);
        let id: MessageId = derived_id(effect.reference, &purpose);
        Envelope::new(id, effect.at, traceparent.map(str::to_owned), low)
    };
    let envelopes = lows.iter().map(envelope).collect::<Result<Vec<_>>>()?;
    store.outbox.publish(tx, &envelopes)
}
