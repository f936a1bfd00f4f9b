//! Puts lines in, changes and removes them.

use merx_contracts::{
    catalogue::v1::QuoteRequest,
    common::v1::SkuQuantity,
    ids::{CartId, Sku},
};
use merx_kernel::{Error, Money, Quantity, Result};
use merx_platform::rpc;

use crate::{
    State,
    domain::Limit,
    store::{self, LineSet, Put},
};

/// The most lines of a cart.
pub const LINES_MAX: i64 = 100;

/// Puts `quantity` units of `sku` into the cart, in place of what was there. `guest`: who does it has not registered.
///
/// # Errors
/// `cart.sku_not_sellable` when the catalogue does not sell it, `cart.limit_exceeded` when it sells not that many to one
/// order or buyer, `cart.line_limit` when the cart is full.
pub async fn set_line(state: &State, cart: CartId, sku: Sku, quantity: Quantity, guest: bool) -> Result<()> {
    let ask = QuoteRequest { lines: vec![SkuQuantity::new(&sku, quantity)] };
    let quote = rpc::ask(state.catalogue.clone().quote(ask).await)?;
    let Some(quoted) = quote.lines.into_iter().next().filter(|line| line.sellable) else {
        let detail = format!("The shop does not sell `{sku}` (any more).");
        return Err(Error::rejected("cart.sku_not_sellable", detail));
    };
    Limit::of(&quoted).check(&sku, quantity)?;
    let put = Put {
        quantity,
        unit_price: quoted.unit_price.map(Money::try_from).transpose()?,
        filling: state.ids.next(),
        at: state.clock.now(),
        guest,
    };
    let write = move |tx: &mut merx_sql::Tx<'_>| match store::set(tx, cart, &sku, &put, LINES_MAX)? {
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
    let at = state.clock.now();
    state.db.write("cart.remove_line", move |tx| store::remove(tx, cart, &sku, at).map(|_| ())).await
}

/// Takes every line out.
///
/// # Errors
/// The database's.
pub async fn clear(state: &State, cart: CartId) -> Result<()> {
    let at = state.clock.now();
    state.db.write("cart.clear", move |tx| store::clear(tx, cart, at)).await
}

/// Forgets the notices of a cart: its owner has read them.
///
/// # Errors
/// The database's.
pub async fn acknowledge(state: &State, cart: CartId) -> Result<()> {
    state.db.write("cart.acknowledge", move |tx| store::forget_notices(tx, cart)).await
}
