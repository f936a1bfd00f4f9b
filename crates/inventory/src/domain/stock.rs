//! A stock item: one SKU in one warehouse. Its own stream tells what came in and what was corrected; what orders
//! take is told by the streams of the reservations.

use merx_contracts::ids::{AccountId, Sku, WarehouseId};
use merx_kernel::{Error, Id, IdKind, Result};
use serde::{Deserialize, Serialize};

/// Marks the identities of receipts and adjustments.
pub enum StockEntryKind {}
impl IdKind for StockEntryKind {
    const PREFIX: &'static str = "ste";
}
/// One receipt or adjustment, chosen before the first attempt: the same entry counts once.
pub type StockEntryId = Id<StockEntryKind>;

/// The figures of a stock row, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockLevel {
    /// Free to be reserved.
    pub available: i64,
    /// Set aside for orders that are not paid for yet.
    pub reserved: i64,
    /// Sold, net of returns.
    pub sold: i64,
    /// Ever received.
    pub received: i64,
    /// Sum of corrections; may be negative.
    pub adjusted: i64,
    /// Version of the item's own stream.
    pub version: i64,
}

/// One receipt or adjustment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockEntry {
    /// The effect identity.
    pub entry: StockEntryId,
    /// The SKU.
    pub sku: Sku,
    /// Where.
    pub warehouse: WarehouseId,
    /// Units; a correction downwards is negative.
    pub quantity: i64,
    /// Staff's words; no personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The member of staff; absent for the demo loader and imports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<AccountId>,
}

/// What staff may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StockCommand {
    /// Units came in: 1 to [`UNITS_MAX`].
    Receive(StockEntry),
    /// The count was wrong: not zero, at most [`UNITS_MAX`] either way.
    Adjust(StockEntry),
}

impl StockCommand {
    /// What is to be entered.
    pub const fn entry(&self) -> &StockEntry {
        match self {
            Self::Receive(entry) | Self::Adjust(entry) => entry,
        }
    }
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StockEvent {
    /// Units came in.
    StockReceived(StockEntry),
    /// The count was corrected.
    StockAdjusted(StockEntry),
}

/// The most units of one receipt or adjustment.
pub const UNITS_MAX: i64 = 1_000_000;

/// The rule: counts stay within limits, and a correction takes no more than what is available (what is reserved
/// belongs to an order).
///
/// # Errors
/// `Invalid` naming the limit; `inventory.adjustment_too_large`.
pub fn decide(level: &StockLevel, command: &StockCommand) -> Result<StockEvent> {
    let quantity = command.entry().quantity;
    match command {
        StockCommand::Receive(entry) => {
            if !(1..=UNITS_MAX).contains(&quantity) {
                return Err(Error::invalid(
                    "/quantity",
                    format!("must be a whole number from 1 to {UNITS_MAX}"),
                ));
            }
            Ok(StockEvent::StockReceived(entry.clone()))
        }
        StockCommand::Adjust(entry) => {
            if quantity == 0 || !(-UNITS_MAX..=UNITS_MAX).contains(&quantity) {
                let rule = format!("must be a whole number from -{UNITS_MAX} to {UNITS_MAX}, not 0");
                return Err(Error::invalid("/delta", rule));
            }
            if level.available + quantity < 0 {
                return Err(Error::rejected(
                    "inventory.adjustment_too_large",
                    format!(
                        "{} of {} are available; a correction can take no more, what is reserved belongs to orders.",
                        level.available, entry.sku
                    ),
                ));
            }
            Ok(StockEvent::StockAdjusted(entry.clone()))
        }
    }
}
