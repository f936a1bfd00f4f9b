//! How much of a limited SKU each buyer has bought: one guarded row for each, and only for limited SKUs.

use merx_contracts::ids::{AccountId, Sku};
use merx_kernel::{Error, Quantity, Result};
use merx_sql::{Tx, params};

use crate::domain::OrderPlaced;

const COUNT: &str = "UPDATE ordering_purchases SET bought = bought + ? \
     WHERE account_id = ? AND sku = ? AND bought <= ?";
const FIRST: &str = "INSERT INTO ordering_purchases (account_id, sku, bought) VALUES (?, ?, ?)";
const GIVE_BACK: &str = "UPDATE ordering_purchases SET bought = bought - ? \
     WHERE account_id = ? AND sku = ? AND bought >= ?";

/// What one buyer may buy of a SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuyerLimit {
    /// The SKU.
    pub sku: Sku,
    /// How many this order has.
    pub quantity: Quantity,
    /// The most a buyer may ever have.
    pub limit: i64,
}

/// Counts what an order has of a limited SKU. Two orders at once cannot both have the last unit: the row says whether
/// there was room when it was changed, not when it was looked at.
///
/// # Errors
/// `ordering.limit_exceeded`.
pub fn count(tx: &mut Tx<'_>, account_id: AccountId, wanted: &BuyerLimit) -> Result<()> {
    let BuyerLimit { sku, quantity, limit } = wanted;
    let room = limit - quantity.get();
    let full = || exceeded(sku, *limit);
    if room < 0 {
        return Err(full());
    }
    let values = || params![*quantity, account_id, sku.as_str(), room];
    if tx.guarded(COUNT, values())?
        || tx.insert_new(FIRST, params![account_id, sku.as_str(), *quantity])?.is_new()
        // Another order was the buyer's first, a moment ago.
        || tx.guarded(COUNT, values())?
    {
        return Ok(());
    }
    Err(full())
}

/// The refusal.
pub(crate) fn exceeded(sku: &Sku, limit: i64) -> Error {
    let text =
        "There is a limit to what one buyer may buy of something here; take some of it out of the cart.";
    Error::rejected("ordering.limit_exceeded", text)
        .with_field(format!("/lines/{sku}"), format!("at most {limit}, earlier orders included"))
}

/// Takes back what an order counted that came to nothing: one statement a limited SKU.
pub(crate) fn give_back(tx: &mut Tx<'_>, terms: &OrderPlaced) -> Result<()> {
    for line in terms.lines.iter().filter(|line| terms.limited.contains(&line.sku)) {
        let values = params![line.quantity, terms.account_id, line.sku.as_str(), line.quantity];
        if !tx.guarded(GIVE_BACK, values)? {
            tracing::error!(sku = %line.sku, "a purchase that was counted is not in its row");
        }
    }
    Ok(())
}
