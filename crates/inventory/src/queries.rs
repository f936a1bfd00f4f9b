//! The read side.

use merx_contracts::ids::Sku;
use merx_kernel::{Error, Id, PageRequest, Result, Timestamp};

use crate::{
    State,
    domain::StockLevel,
    store::{self, LedgerCursor, LedgerLine, Warehouse},
};

/// The most SKUs one availability ask may name.
pub const SKUS_MAX: usize = 100;

/// The longest line each SKU can be ordered in now, in the order asked; zero for unknown ones. A line is served
/// by one warehouse, so this is the most that lies in one, not the sum.
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

/// The figures of a SKU by warehouse, the first asked first.
///
/// # Errors
/// `inventory.sku_unknown` when it never had stock.
pub async fn stock(state: &State, sku: Sku) -> Result<Vec<(Warehouse, StockLevel)>> {
    let asked = sku.clone();
    let levels = state.db.read("inventory.stock", move |q| store::levels(q, &asked)).await?;
    if levels.is_empty() {
        return Err(unknown(&sku));
    }
    let warehouses = state.warehouses().await?;
    let of = |w: &Warehouse| levels.iter().find(|(id, _)| *id == w.id).map(|(_, level)| (w.clone(), *level));
    Ok(warehouses.iter().filter_map(of).collect())
}

fn unknown(sku: &Sku) -> Error {
    Error::not_found("inventory.sku_unknown", format!("{sku} never had any stock."))
}

/// One page of the ledger of a SKU, newest first, and where the next begins.
///
/// # Errors
/// `Invalid` for a bad limit or cursor; `inventory.sku_unknown`.
pub async fn movements(
    state: &State,
    sku: Sku,
    page: &PageRequest,
) -> Result<(Vec<LedgerLine>, Option<String>)> {
    let limit = page.checked_limit()?;
    let first = page.cursor.is_none();
    let cursor = page.cursor.as_deref().map_or_else(|| Ok(newest()), parse_cursor)?;
    let asked = sku.clone();
    let read = move |q: &mut merx_sql::Reader<'_>| store::movements(q, &asked, &cursor, limit + 1);
    let mut lines = state.db.read("inventory.movements", read).await?;
    if lines.is_empty() && first {
        return Err(unknown(&sku));
    }
    let count = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = lines.len() > count;
    lines.truncate(count);
    let next = if more { lines.last().map(format_cursor) } else { None };
    Ok((lines, next))
}

/// Before every line: later than any clock.
fn newest() -> LedgerCursor {
    LedgerCursor {
        at: Timestamp::from_millis(i64::MAX),
        reference: Id::from_bits(u128::MAX),
        kind: String::new(),
    }
}

fn format_cursor(line: &LedgerLine) -> String {
    format!("{}.{}.{}", line.at.as_millis(), line.reference.bare(), line.kind.name())
}

fn parse_cursor(text: &str) -> Result<LedgerCursor> {
    let parts: Vec<&str> = text.split('.').collect();
    let parsed = match parts.as_slice() {
        [at, reference, kind] => {
            at.parse().ok().zip(Id::parse_bare(reference).ok()).map(|(at, reference)| LedgerCursor {
                at: Timestamp::from_millis(at),
                reference,
                kind: (*kind).to_owned(),
            })
        }
        _ => None,
    };
    parsed.ok_or_else(|| Error::invalid("cursor", "is not a cursor of this list"))
}
