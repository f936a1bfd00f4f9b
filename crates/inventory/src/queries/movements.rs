//! The ledger of a SKU.

use merx_contracts::ids::Sku;
use merx_kernel::{Id, PageRequest, Result, Timestamp};
use merx_sql::Reader;

use super::{bad_cursor, cut, stock::unknown};
use crate::{
    State,
    store::{self, LedgerCursor, LedgerFilter, LedgerLine},
};

/// One page of the ledger of a SKU, newest first, and where the next begins.
///
/// # Errors
/// `Invalid` for a bad limit or cursor; `inventory.sku_unknown`.
pub async fn movements(
    state: &State,
    sku: Sku,
    filter: LedgerFilter,
    page: &PageRequest,
) -> Result<(Vec<LedgerLine>, Option<String>)> {
    let limit = page.checked_limit()?;
    let cursor = page.cursor.as_deref().map(parse_cursor).transpose()?;
    let asked = sku.clone();
    let read = move |q: &mut Reader<'_>| {
        let lines = store::movements(q, &asked, &filter, cursor.as_ref(), limit + 1)?;
        // An empty page of a SKU that has stock is an answer; of one that never had any it is a mistake.
        let known = !lines.is_empty() || !store::levels(q, &asked)?.is_empty();
        Ok((lines, known))
    };
    let (lines, known) = state.db.read("inventory.movements", read).await?;
    if !known {
        return Err(unknown(&sku));
    }
    let (lines, more) = cut(lines, limit);
    let next = lines.last().filter(|_| more).map(format_cursor);
    Ok((lines, next))
}

fn format_cursor(line: &LedgerLine) -> String {
    let LedgerLine { reference, kind, warehouse, at, .. } = line;
    format!("{}.{}.{}.{}", at.as_millis(), reference.bare(), kind.name(), warehouse.bare())
}

fn parse_cursor(text: &str) -> Result<LedgerCursor> {
    let parts: Vec<&str> = text.split('.').collect();
    let parsed = match parts.as_slice() {
        [at, reference, kind, warehouse] => (|| {
            Some(LedgerCursor {
                at: Timestamp::from_millis(at.parse().ok()?),
                reference: Id::parse_bare(reference).ok()?,
                kind: (*kind).to_owned(),
                warehouse: Id::parse_bare(warehouse).ok()?,
            })
        })(),
        _ => None,
    };
    parsed.ok_or_else(bad_cursor)
}
