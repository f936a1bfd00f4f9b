//! Stock figures.

use std::collections::BTreeMap;

use merx_contracts::ids::{Sku, WarehouseId};
use merx_kernel::{Error, Id, PageRequest, Result, Timestamp};
use merx_sql::Reader;

use super::{SKUS_MAX, bad_cursor, cut};
use crate::{
    State,
    domain::{StockChange, StockLevel},
    store::{self, StockCursor, StockFilter, StockRow, Warehouse},
};

/// How many of each SKU can be had now, over all active warehouses, in the order asked; zero for unknown ones.
///
/// # Errors
/// `Invalid` for more than [`SKUS_MAX`].
pub async fn availability(state: &State, skus: Vec<Sku>) -> Result<Vec<(Sku, i64)>> {
    if skus.len() > SKUS_MAX {
        return Err(Error::invalid("/skus", format!("at most {SKUS_MAX} SKUs")));
    }
    let asked = skus.clone();
    let found = state.db.read("inventory.availability", move |q| store::availability(q, &asked)).await?;
    Ok(skus.into_iter().map(|sku| (sku.clone(), found.get(&sku).copied().unwrap_or(0))).collect())
}

/// The figures of a SKU by warehouse, the first serves first.
///
/// # Errors
/// `inventory.sku_unknown` when it never had stock.
pub async fn stock(state: &State, sku: Sku) -> Result<Vec<(Warehouse, StockLevel)>> {
    let asked = sku.clone();
    let read = move |q: &mut Reader<'_>| Ok((store::levels(q, &asked)?, store::warehouses(q)?));
    let (levels, warehouses) = state.db.read("inventory.stock", read).await?;
    by_warehouse(&sku, levels, &warehouses)
}

/// The figures of a SKU by warehouse as they were at `at`, summed up from the ledger. Thresholds are not in it.
///
/// # Errors
/// `inventory.sku_unknown` when it had no stock until then.
pub async fn stock_at(state: &State, sku: Sku, at: Timestamp) -> Result<Vec<(Warehouse, StockLevel)>> {
    let asked = sku.clone();
    let read = move |q: &mut Reader<'_>| Ok((store::sums_until(q, &asked, at)?, store::warehouses(q)?));
    let (sums, warehouses) = state.db.read("inventory.stock_at", read).await?;
    let mut levels: BTreeMap<WarehouseId, StockLevel> = BTreeMap::new();
    for (warehouse, kind, quantity) in sums {
        let level = levels.entry(warehouse).or_default();
        let StockChange { available, reserved, sold, received, adjusted, .. } = kind.change(quantity);
        let StockChange { returned, written_off, in_transit, transferred, .. } = kind.change(quantity);
        // Sums, not steps: within one moment the order of lines is not the order of what happened.
        level.available += available;
        level.reserved += reserved;
        level.sold += sold;
        level.received += received;
        level.adjusted += adjusted;
        level.returned += returned;
        level.written_off += written_off;
        level.in_transit += in_transit;
        level.transferred += transferred;
    }
    by_warehouse(&sku, levels.into_iter().collect(), &warehouses)
}

fn by_warehouse(
    sku: &Sku,
    levels: Vec<(WarehouseId, StockLevel)>,
    warehouses: &[Warehouse],
) -> Result<Vec<(Warehouse, StockLevel)>> {
    if levels.is_empty() {
        return Err(unknown(sku));
    }
    let of = |w: &Warehouse| levels.iter().find(|(id, _)| *id == w.id).map(|(_, level)| (w.clone(), *level));
    Ok(warehouses.iter().filter_map(of).collect())
}

pub(super) fn unknown(sku: &Sku) -> Error {
    Error::not_found("inventory.sku_unknown", format!("{sku} never had any stock."))
}

/// One page of stock rows by SKU and warehouse, and where the next begins.
///
/// # Errors
/// `Invalid` for a bad limit or cursor.
pub async fn stock_page(
    state: &State,
    filter: StockFilter,
    page: &PageRequest,
) -> Result<(Vec<StockRow>, Option<String>)> {
    let limit = page.checked_limit()?;
    let cursor = page.cursor.as_deref().map(parse_cursor).transpose()?;
    let read =
        move |q: &mut Reader<'_>| store::stock_page(q, &filter, cursor.as_ref(), limit.saturating_add(1));
    let (rows, more) = cut(state.db.read("inventory.levels", read).await?, limit);
    let next = rows.last().filter(|_| more).map(|row| format!("{}.{}", row.sku, row.warehouse.bare()));
    Ok((rows, next))
}

fn parse_cursor(text: &str) -> Result<StockCursor> {
    let parsed = text.rsplit_once('.').and_then(|(sku, warehouse)| {
        Some(StockCursor { sku: Sku::new(sku).ok()?, warehouse: Id::parse_bare(warehouse).ok()? })
    });
    parsed.ok_or_else(bad_cursor)
}
