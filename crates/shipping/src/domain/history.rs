//! What happened to a shipment, and what it was at any moment.
//!
//! The row of a shipment is its present state; each change is kept beside it under the version it made. What the
//! shipment was at a moment is its present state with the later changes undone, the last first: so a shipment that is
//! older than its history needs no more than its present row.

use std::collections::BTreeMap;

use merx_contracts::ids::{AccountId, MessageId, ShipmentId, Sku};
use merx_kernel::{Quantity, Result, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    shipment::{Dispatch, Shipment, ShipmentLine, ShipmentStatus},
    tracking::TrackingEvent,
};

/// One change of a shipment, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// It was made.
    Opened {
        /// The shipment its goods were in before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        split_from: Option<ShipmentId>,
    },
    /// Some of its goods went into a shipment of their own.
    Split {
        /// Which.
        into: ShipmentId,
        /// What went.
        lines: Vec<ShipmentLine>,
    },
    /// It left.
    Dispatched {
        /// With whom; absent for what left before this was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Dispatch>,
    },
    /// The carrier or its number was set right.
    Corrected {
        /// What was there.
        before: Dispatch,
        /// What is true.
        after: Dispatch,
    },
    /// It was handed over.
    Delivered,
    /// It came back.
    Returned,
    /// Its order was cancelled.
    Cancelled,
}

impl Change {
    /// What happened, for the timeline.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "ShipmentOpened",
            Self::Split { .. } => "ShipmentSplit",
            Self::Dispatched { .. } => "ShipmentDispatched",
            Self::Corrected { .. } => "ShipmentCorrected",
            Self::Delivered => "ShipmentDelivered",
            Self::Returned => "ShipmentReturned",
            Self::Cancelled => "ShipmentCancelled",
        }
    }
}

/// A change with who made it and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The version it made; the first is 1.
    pub version: i64,
    /// When.
    pub recorded_at: Timestamp,
    /// Who; nobody for what another context asked.
    pub actor: Option<AccountId>,
    /// The trace it belongs to.
    pub trace_id: Option<String>,
    /// The fact that told of it.
    pub message: Option<MessageId>,
    /// What.
    pub change: Change,
}

/// A shipment with all that is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The shipment.
    pub shipment: Shipment,
    /// What it holds, by SKU.
    pub lines: Vec<ShipmentLine>,
    /// Its changes, oldest first.
    pub history: Vec<Entry>,
    /// What carriers told, in the order it happened.
    pub tracking: Vec<TrackingEvent>,
}

impl Record {
    /// What was known of it at a moment; `None` when it was not there yet.
    ///
    /// # Errors
    /// `Internal` when the history does not fit the lines.
    pub fn as_of(mut self, at: Timestamp) -> Result<Option<Self>> {
        if self.shipment.opened_at > at {
            return Ok(None);
        }
        let later = |entry: &Entry| entry.recorded_at > at;
        let known = self.history.iter().position(later).unwrap_or(self.history.len());
        for entry in self.history.split_off(known).into_iter().rev() {
            self.undo(entry.change)?;
            self.shipment.version = entry.version - 1;
        }
        self.tracking.retain(|event| event.recorded_at <= at);
        Ok(Some(self))
    }

    /// What it was opened with.
    ///
    /// # Errors
    /// `Internal` when the history does not fit the lines.
    pub fn opened_lines(&self) -> Result<Vec<ShipmentLine>> {
        let gone = self.history.iter().filter_map(|entry| match &entry.change {
            Change::Split { lines, .. } => Some(lines.as_slice()),
            _ => None,
        });
        sum(gone.chain([self.lines.as_slice()]).flatten())
    }

    fn undo(&mut self, change: Change) -> Result<()> {
        match change {
            Change::Opened { .. } => {}
            Change::Split { lines, .. } => self.lines = sum(self.lines.iter().chain(&lines))?,
            Change::Dispatched { .. } => {
                self.shipment.status = ShipmentStatus::Open;
                self.shipment.dispatch = None;
                self.shipment.dispatched_at = None;
            }
            Change::Corrected { before, .. } => self.shipment.dispatch = Some(before),
            Change::Delivered => {
                self.shipment.status = ShipmentStatus::Dispatched;
                self.shipment.delivered_at = None;
            }
            Change::Returned => {
                let arrived = self.shipment.delivered_at.is_some();
                self.shipment.status =
                    if arrived { ShipmentStatus::Delivered } else { ShipmentStatus::Dispatched };
                self.shipment.returned_at = None;
            }
            Change::Cancelled => {
                self.shipment.status = ShipmentStatus::Open;
                self.shipment.cancelled_at = None;
            }
        }
        Ok(())
    }
}

/// By SKU; lines of the same SKU are added up.
///
/// # Errors
/// `Invalid` when a sum is above the most a line may have.
pub fn sum<'a>(lines: impl IntoIterator<Item = &'a ShipmentLine>) -> Result<Vec<ShipmentLine>> {
    let mut by_sku: BTreeMap<&Sku, i64> = BTreeMap::new();
    for line in lines {
        *by_sku.entry(&line.sku).or_default() += line.quantity.get();
    }
    let line =
        |(sku, units): (&Sku, i64)| Ok(ShipmentLine { sku: sku.clone(), quantity: Quantity::new(units)? });
    by_sku.into_iter().map(line).collect()
}
