//! Sets how many of a SKU should be available in a warehouse at least.

use merx_contracts::{
    events::inventory::StockLow,
    ids::{Sku, WarehouseId},
};
use merx_http::IfMatch;
use merx_kernel::Result;
use merx_sql::Tx;
use serde_json::json;

use super::{Act, enter_stock::append, move_units::tell_low};
use crate::{
    domain::{
        StockEvent, StockLevel,
        stock::{StockEntryId, check_threshold},
    },
    store::{self, Effect},
};

/// What is to be set.
#[derive(Clone, Debug)]
pub struct SetThreshold {
    /// The effect identity.
    pub id: StockEntryId,
    /// The SKU.
    pub sku: Sku,
    /// Where.
    pub warehouse: WarehouseId,
    /// Units; 0 for no such wish.
    pub threshold: i64,
    /// How often it had been set when it was read.
    pub seen: IfMatch,
}

/// Sets the threshold if nobody has since `seen`. A level that is too low already is told.
///
/// # Errors
/// `Invalid` naming the limit; `request.version_stale`.
pub fn set_threshold(tx: &mut Tx<'_>, act: &Act, set: &SetThreshold) -> Result<StockLevel> {
    let threshold = check_threshold(set.threshold)?;
    let (sku, warehouse) = (&set.sku, set.warehouse);
    let before = match store::level(tx, sku, warehouse)? {
        Some(level) => level,
        None if store::insert_stock(tx, sku, warehouse)?.is_new() => StockLevel::default(),
        None => return Err(merx_sql::contention("the stock row was made meanwhile")),
    };
    set.seen.check(before.threshold_version)?;
    let event = StockEvent::ThresholdSet { sku: sku.clone(), warehouse, threshold, by: act.by };
    // The stream's version guards what was read: who sets it at the same time loses and reads again.
    append(tx, act, &event, (sku, warehouse), before.version)?;
    store::set_threshold(tx, sku, warehouse, threshold)?;
    let level = store::level(tx, sku, warehouse)?.unwrap_or(before);
    if level.is_low() && !before.is_low() {
        let low =
            StockLow { sku: sku.clone(), warehouse_id: warehouse, available: level.available, threshold };
        tell_low(tx, &act.store, Effect::of_staff(set.id, act.at), act.traceparent.as_deref(), &[low])?;
    }
    let detail = json!({"warehouse_id": warehouse, "before": before.threshold, "after": threshold});
    act.tell(tx, "inventory.threshold_set", sku.to_string(), None, detail)?;
    Ok(level)
}
