//! The buyer changes what lies in the cart.

use merx_contracts::{
    catalogue::v1::QuoteRequest,
    common::v1::SkuQuantity,
    ids::{CartId, Sku},
};
use merx_kernel::{Error, Quantity, Result};
use merx_platform::rpc;

use crate::{
    State,
    store::{self, LineSet},
};

/// The most lines of a cart.
pub const LINES_MAX: i64 = 100;

/// Puts `quantity` units of `sku` into the cart, in place of what was there.
///
/// # Errors
/// `cart.sku_not_sellable` when the catalogue does not sell it, `cart.line_limit` when the cart is full.
pub async fn set_line(state: &State, cart: CartId, sku: Sku, quantity: Quantity) -> Result<()> {
    let ask = QuoteRequest { lines: vec![SkuQuantity::new(&sku, quantity)] };
    let quote = rpc::ask(state.catalogue.clone().quote(ask).await)?;
    if !quote.lines.first().is_some_and(|line| line.sellable) {
        return Err(Error::rejected(
            "cart.sku_not_sellable",
            format!("The shop does not sell `{sku}` (any more)."),
        ));
    }
    let fresh = (state.ids.next(), state.clock.now());
    let write = move |tx: &mut merx_sql::Tx<'_>| match store::set(tx, cart, &sku, quantity, fresh, LINES_MAX)?
    {
        LineSet::Done => Ok(()),
        LineSet::Full => {
            Err(Error::rejected("cart.line_limit", format!("A cart has at most {LINES_MAX} lines.")))
        }
    };
    state.db.write("cart.set_line", write).await
}

/// Takes a line out; taking out what is not there changes nothing.
///
/// # Errors
/// The database's.
pub async fn remove_line(state: &State, cart: CartId, sku: Sku) -> Result<()> {
    state.db.write("cart.remove_line", move |tx| store::remove(tx, cart, &sku).map(|_| ())).await
}

/// Takes every line out.
///
/// # Errors
/// The database's.
pub async fn clear(state: &State, cart: CartId) -> Result<()> {
    state.db.write("cart.clear", move |tx| store::clear(tx, cart)).await
}
