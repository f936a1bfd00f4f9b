//! What became of a line since it was put in. Told, never acted upon.

use merx_kernel::{Money, Quantity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limit::Limit;

/// Stock up to this is low: the number is shown.
pub const LOW_STOCK_MAX: i64 = 5;

/// One thing a buyer should know of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineChange {
    /// It costs more than when it was put in.
    PriceRaised,
    /// It costs less than when it was put in.
    PriceLowered,
    /// None is left.
    SoldOut,
    /// Few are left, or fewer than the line has; `available` says how many.
    OnlyNLeft,
    /// The shop does not sell it any more.
    Delisted,
    /// The line has more than one may buy; `limit` says how many.
    Limit,
}

/// What is true of a SKU now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present {
    /// The price of one; nothing when it is not sold.
    pub unit_price: Option<Money>,
    /// How many can be had.
    pub available: i64,
    /// How many one may buy.
    pub limit: Limit,
}

/// What a buyer should know of a line that was put in at `price_when_added`; nothing is known of lines older than this
/// memory.
pub fn changes(quantity: Quantity, price_when_added: Option<Money>, now: &Present) -> Vec<LineChange> {
    let Some(price) = now.unit_price else {
        return vec![LineChange::Delisted];
    };
    let mut changes = Vec::new();
    match price_when_added {
        // Two currencies are neither more nor less.
        Some(before) if before.currency == price.currency && before.minor < price.minor => {
            changes.push(LineChange::PriceRaised);
        }
        Some(before) if before.currency == price.currency && before.minor > price.minor => {
            changes.push(LineChange::PriceLowered);
        }
        _ => {}
    }
    if now.available <= 0 {
        changes.push(LineChange::SoldOut);
    } else if now.available <= LOW_STOCK_MAX || now.available < quantity.get() {
        changes.push(LineChange::OnlyNLeft);
    }
    if now.limit.most().is_some_and(|most| quantity.get() > most) {
        changes.push(LineChange::Limit);
    }
    changes
}

/// How many can be had, when that is few or fewer than wanted: how much lies in the warehouse is nobody else's business.
pub fn shown_available(quantity: Quantity, available: i64) -> Option<i64> {
    (available <= LOW_STOCK_MAX || available < quantity.get()).then_some(available.max(0))
}
