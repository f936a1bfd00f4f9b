//! Every SQL text of cart.

use merx_contracts::ids::{CartId, Sku};
use merx_kernel::{Error, Quantity, Result, Timestamp};
use merx_sql::{Inserted, Query, Tx, params};

const LINES: &str = "SELECT sku, quantity FROM cart_lines WHERE cart = ? ORDER BY added_at, sku";
const INSERT: &str = "INSERT INTO cart_lines (cart, sku, quantity, added_at) VALUES (?, ?, ?, ?)";
const SET: &str = "UPDATE cart_lines SET quantity = ? WHERE cart = ? AND sku = ?";
const REMOVE: &str = "DELETE FROM cart_lines WHERE cart = ? AND sku = ?";
const REMOVE_ALL: &str = "DELETE FROM cart_lines WHERE cart = ?";
const TAKE: &str =
    "UPDATE cart_lines SET quantity = quantity - ? WHERE cart = ? AND sku = ? AND quantity > ?";

/// The lines of a cart in the order they were first added.
pub fn lines(q: &mut impl Query, cart: CartId) -> Result<Vec<(Sku, Quantity)>> {
    q.query(LINES, params![cart], |row| {
        let sku = Sku::new(row.get::<String>(0)?)
            .map_err(|e| Error::internal(format!("inconsistent cart row: {e}")))?;
        Ok((sku, Quantity::new(row.get(1)?)?))
    })
}

/// Sets the quantity of a line that may or may not exist.
pub fn set(tx: &mut Tx<'_>, cart: CartId, sku: &Sku, quantity: Quantity, at: Timestamp) -> Result<()> {
    if tx.guarded(SET, params![quantity.get(), cart, sku.as_str()])? {
        return Ok(());
    }
    match tx.insert_new(INSERT, params![cart, sku.as_str(), quantity.get(), at])? {
        Inserted::New => Ok(()),
        // Another request of the same buyer inserted it meanwhile: the later one wins.
        Inserted::Exists => tx.guarded(SET, params![quantity.get(), cart, sku.as_str()]).map(|_| ()),
    }
}

/// Removes a line; true when there was one.
pub fn remove(tx: &mut Tx<'_>, cart: CartId, sku: &Sku) -> Result<bool> {
    tx.guarded(REMOVE, params![cart, sku.as_str()])
}

/// Removes all lines.
pub fn clear(tx: &mut Tx<'_>, cart: CartId) -> Result<()> {
    tx.execute(REMOVE_ALL, params![cart]).map(|_| ())
}

/// Takes `quantity` units out of a line; a line left with none goes.
pub fn take(tx: &mut Tx<'_>, cart: CartId, sku: &Sku, quantity: Quantity) -> Result<()> {
    let units = quantity.get();
    if !tx.guarded(TAKE, params![units, cart, sku.as_str(), units])? {
        remove(tx, cart, sku)?;
    }
    Ok(())
}
