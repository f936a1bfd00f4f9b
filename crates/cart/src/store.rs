//! Every SQL text of cart.

use merx_contracts::ids::{CartId, Sku};
use merx_kernel::{Error, Id, IdKind, Quantity, Result, Timestamp};
use merx_sql::{Inserted, Query, Tx, params};

const LINES: &str = "SELECT sku, quantity, filling FROM cart_lines WHERE cart = ? ORDER BY added_at, sku";
const INSERT: &str = "INSERT INTO cart_lines (cart, sku, quantity, filling, added_at) VALUES (?, ?, ?, ?, ?)";
const SET: &str = "UPDATE cart_lines SET quantity = ? WHERE cart = ? AND sku = ?";
const REMOVE: &str = "DELETE FROM cart_lines WHERE cart = ? AND sku = ?";
const REMOVE_ALL: &str = "DELETE FROM cart_lines WHERE cart = ?";
const REMOVE_UP_TO: &str = "DELETE FROM cart_lines WHERE cart = ? AND sku = ? AND quantity <= ?";
const TAKE: &str = "UPDATE cart_lines SET quantity = quantity - ?, filling = ? WHERE cart = ? AND sku = ?";
const FIRST_LINE: &str = "INSERT INTO cart_carts (cart, line_count) VALUES (?, 1)";
const ONE_MORE: &str = "UPDATE cart_carts SET line_count = line_count + 1 WHERE cart = ? AND line_count < ?";
const ONE_LESS: &str = "UPDATE cart_carts SET line_count = line_count - 1 WHERE cart = ?";
const NONE_LEFT: &str = "UPDATE cart_carts SET line_count = 0 WHERE cart = ?";

/// What became of setting a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineSet {
    /// The line has the quantity.
    Done,
    /// The cart has as many lines as it may have.
    Full,
}

/// Marks fillings.
pub enum FillingKind {}
impl IdKind for FillingKind {
    const PREFIX: &'static str = "fil";
}
/// One putting-in of a line: another one each time it is put in again after it was taken out.
pub type FillingId = Id<FillingKind>;

/// A line as it lies in the cart.
pub struct CartLine {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// Since which putting-in.
    pub filling: FillingId,
}

/// The lines of a cart in the order they were first added.
pub fn lines(q: &mut impl Query, cart: CartId) -> Result<Vec<CartLine>> {
    q.query(LINES, params![cart], |row| {
        let sku = Sku::new(row.get::<String>(0)?)
            .map_err(|e| Error::internal(format!("inconsistent cart row: {e}")))?;
        Ok(CartLine { sku, quantity: Quantity::new(row.get(1)?)?, filling: row.get(2)? })
    })
}

/// Sets the quantity of a line that may or may not exist; a cart has at most `lines_max`. The count is a guard row:
/// two requests for the last place touch the same row, and one of them finds it full.
pub fn set(
    tx: &mut Tx<'_>,
    cart: CartId,
    sku: &Sku,
    quantity: Quantity,
    fresh: (FillingId, Timestamp),
    lines_max: i64,
) -> Result<LineSet> {
    if tx.guarded(SET, params![quantity.get(), cart, sku.as_str()])? {
        return Ok(LineSet::Done);
    }
    if !tx.guarded(ONE_MORE, params![cart, lines_max])? && !tx.insert_new(FIRST_LINE, params![cart])?.is_new()
    {
        return Ok(LineSet::Full);
    }
    match tx.insert_new(INSERT, params![cart, sku.as_str(), quantity.get(), fresh.0, fresh.1])? {
        Inserted::New => Ok(LineSet::Done),
        // Another request of the same buyer put the same line in meanwhile: run again, and find it.
        Inserted::Exists => Err(merx_sql::contention("the line was put in by another request")),
    }
}

/// Removes a line; true when there was one.
pub fn remove(tx: &mut Tx<'_>, cart: CartId, sku: &Sku) -> Result<bool> {
    if !tx.guarded(REMOVE, params![cart, sku.as_str()])? {
        return Ok(false);
    }
    tx.execute(ONE_LESS, params![cart])?;
    Ok(true)
}

/// Removes all lines.
pub fn clear(tx: &mut Tx<'_>, cart: CartId) -> Result<()> {
    // The guard row first: whoever adds a line meanwhile waits for it.
    tx.execute(NONE_LEFT, params![cart])?;
    tx.execute(REMOVE_ALL, params![cart]).map(|_| ())
}

/// Takes `quantity` units out of a line; a line left with none goes, one left with some is another `filling`.
pub fn take(tx: &mut Tx<'_>, cart: CartId, sku: &Sku, quantity: Quantity, filling: FillingId) -> Result<()> {
    let units = quantity.get();
    // Most orders take the whole line.
    if tx.guarded(REMOVE_UP_TO, params![cart, sku.as_str(), units])? {
        return tx.execute(ONE_LESS, params![cart]).map(|_| ());
    }
    tx.execute(TAKE, params![units, filling, cart, sku.as_str()]).map(|_| ())
}
