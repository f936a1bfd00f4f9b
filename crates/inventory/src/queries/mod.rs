//! The read side.

pub mod movements;
pub mod orphans;
pub mod stock;
pub mod timeline;

use merx_kernel::{Error, Id, PageRequest, Result};

pub use movements::movements;
pub use orphans::orphans;
pub use stock::{availability, stock, stock_at, stock_page};
pub use timeline::timeline;

/// The most SKUs one availability ask may name.
pub const SKUS_MAX: usize = 100;

/// Rows read with one more than the page holds: the page, and whether there is a next one.
pub(crate) fn cut<T>(mut rows: Vec<T>, limit: i64) -> (Vec<T>, bool) {
    let count = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > count;
    rows.truncate(count);
    (rows, more)
}

pub(crate) fn bad_cursor() -> Error {
    Error::invalid("cursor", "is not a cursor of this list")
}

/// A cursor that is the bare id of the last item; `start` for the first page.
pub(crate) fn id_cursor<K>(page: &PageRequest, start: u128) -> Result<Id<K>> {
    let parse = |text: &str| Id::parse_bare(text).map_err(|_| bad_cursor());
    page.cursor.as_deref().map_or(Ok(Id::from_bits(start)), parse)
}
