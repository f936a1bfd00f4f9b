//! A stock item: one SKU in one warehouse. Its own stream tells what came in, what was corrected and what there
//! should be at least; what orders take is told by the streams of the reservations, what moves between warehouses by
//! those of the transfers.

use merx_contracts::ids::{AccountId, Sku, WarehouseId};
use merx_kernel::{Error, Id, IdKind, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::movement::MovementKind;

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
    /// Ever sold, what came back included.
    pub sold: i64,
    /// Ever received.
    pub received: i64,
    /// Sum of corrections; may be negative.
    pub adjusted: i64,
    /// Ever taken back from sales.
    pub returned: i64,
    /// Ever written off: damaged, stolen, lost on the way, gone otherwise.
    pub written_off: i64,
    /// Sent from here and not yet arrived.
    pub in_transit: i64,
    /// Came from other warehouses, less what went there; may be negative.
    pub transferred: i64,
    /// Version of the item's own stream.
    pub version: i64,
    /// How many should be available at least; 0 for no such wish.
    pub threshold: i64,
    /// How often the threshold was set.
    pub threshold_version: i64,
}

impl StockLevel {
    /// Units on the shelf: what a person who counts finds there.
    pub const fn on_hand(self) -> i64 {
        self.available + self.reserved
    }
    /// Whether less is available than there should be.
    pub const fn is_low(self) -> bool {
        self.available < self.threshold
    }
}

/// Why staff correct a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdjustmentKind {
    /// The figure was wrong, up or down.
    Correction,
    /// Units turned up.
    Found,
    /// Units are spoilt.
    Damage,
    /// Units were stolen.
    Theft,
    /// Units are gone for another reason: expired, given away, used up.
    WriteOff,
}

impl AdjustmentKind {
    /// Every kind.
    pub const ALL: &'static [Self] =
        &[Self::Correction, Self::Found, Self::Damage, Self::Theft, Self::WriteOff];

    /// What the ledger calls it.
    pub const fn movement(self) -> MovementKind {
        match self {
            Self::Correction => MovementKind::Adjusted,
            Self::Found => MovementKind::Found,
            Self::Damage => MovementKind::Damaged,
            Self::Theft => MovementKind::Stolen,
            Self::WriteOff => MovementKind::WrittenOff,
        }
    }
    /// Whether units are lost by it.
    pub const fn is_loss(self) -> bool {
        matches!(self, Self::Damage | Self::Theft | Self::WriteOff)
    }
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
    /// The figure is wrong: not zero, at most [`UNITS_MAX`] either way.
    Adjust(StockEntry, AdjustmentKind),
}

impl StockCommand {
    /// What is to be entered.
    pub const fn entry(&self) -> &StockEntry {
        match self {
            Self::Receive(entry) | Self::Adjust(entry, _) => entry,
        }
    }
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StockEvent {
    /// Units came in.
    StockReceived(StockEntry),
    /// The figure was corrected.
    StockAdjusted(StockEntry, AdjustmentKind),
    /// There should be this many from now on.
    ThresholdSet {
        /// The SKU.
        sku: Sku,
        /// Where.
        warehouse: WarehouseId,
        /// Units; 0 for no such wish.
        threshold: i64,
        /// The member of staff.
        by: Option<AccountId>,
    },
}

/// The most units of one receipt, adjustment, transfer line or count, and the highest threshold.
pub const UNITS_MAX: i64 = 1_000_000;

/// The rule: figures stay within limits, and a correction takes no more than what is available (what is reserved
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
        StockCommand::Adjust(entry, kind) => {
            if quantity == 0 || !(-UNITS_MAX..=UNITS_MAX).contains(&quantity) {
                let rule = format!("must be a whole number from -{UNITS_MAX} to {UNITS_MAX}, not 0");
                return Err(Error::invalid("/delta", rule));
            }
            if kind.is_loss() && quantity > 0 {
                return Err(Error::invalid("/delta", "must be negative: units are lost"));
            }
            if *kind == AdjustmentKind::Found && quantity < 0 {
                return Err(Error::invalid("/delta", "must be positive: units were found"));
            }
            if level.available + quantity < 0 {
                return Err(too_large(&entry.sku, level.available));
            }
            Ok(StockEvent::StockAdjusted(entry.clone(), *kind))
        }
    }
}

/// The refusal of a correction that takes more than is available.
pub fn too_large(sku: &Sku, available: i64) -> Error {
    Error::rejected(
        "inventory.adjustment_too_large",
        format!(
            "{available} of {sku} are available; a correction can take no more, what is reserved belongs to orders."
        ),
    )
}

/// The rule of thresholds: 0 to [`UNITS_MAX`].
///
/// # Errors
/// `Invalid` naming the limit.
pub fn check_threshold(threshold: i64) -> Result<i64> {
    if (0..=UNITS_MAX).contains(&threshold) {
        return Ok(threshold);
    }
    Err(Error::invalid("/threshold", format!("must be a whole number from 0 to {UNITS_MAX}")))
}
