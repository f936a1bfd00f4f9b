//! A transfer: units sent from one warehouse to another. On the way they stand in the sender's books (`in transit`);
//! when they arrive, the sender's figure falls and the receiver's rises, and what is missing is written off at the
//! sender with a reason.

use std::collections::BTreeMap;

use merx_contracts::ids::{AccountId, Sku, WarehouseId};
use merx_kernel::{Error, Result};
use serde::{Deserialize, Serialize};

use super::stock::UNITS_MAX;

/// The most lines of one transfer.
pub const LINES_MAX: usize = 100;

/// Units of a SKU on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferLine {
    /// The SKU.
    pub sku: Sku,
    /// Units, at least one.
    pub quantity: i64,
}

/// Units of a SKU that were on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivedLine {
    /// The SKU.
    pub sku: Sku,
    /// Units that set out.
    pub sent: i64,
    /// Units that arrived.
    pub arrived: i64,
}

/// Where a transfer stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transfer {
    /// Nothing was ever heard of it.
    #[default]
    Unknown,
    /// On the way.
    Sent {
        /// From here.
        from: WarehouseId,
        /// To there.
        to: WarehouseId,
        /// What.
        lines: Vec<TransferLine>,
    },
    /// Arrived, all or in part.
    Received,
    /// Called back.
    Recalled,
}

/// What staff may do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferCommand {
    /// Send it on its way.
    Send {
        /// From here.
        from: WarehouseId,
        /// To there.
        to: WarehouseId,
        /// What.
        lines: Vec<TransferLine>,
        /// Why.
        reason: String,
    },
    /// It arrived.
    Receive {
        /// How many of each SKU; all unless told.
        arrived: Option<Vec<(Sku, i64)>>,
        /// Where the missing ones are.
        reason: Option<String>,
    },
    /// It is called back: the units are where they were.
    Recall {
        /// Why.
        reason: String,
    },
}

/// What has happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are those of the command, and who did it")]
#[serde(untagged)]
pub enum TransferEvent {
    /// The units left the shelf.
    TransferSent {
        from: WarehouseId,
        to: WarehouseId,
        lines: Vec<TransferLine>,
        reason: String,
        by: Option<AccountId>,
    },
    /// The units arrived, or some of them.
    TransferReceived {
        from: WarehouseId,
        to: WarehouseId,
        lines: Vec<ArrivedLine>,
        reason: Option<String>,
        by: Option<AccountId>,
    },
    /// The units are back on the shelf.
    TransferRecalled { from: WarehouseId, lines: Vec<TransferLine>, reason: String, by: Option<AccountId> },
}

impl TransferEvent {
    /// The reason, and who gave it.
    pub fn why(&self) -> (Option<&str>, Option<AccountId>) {
        match self {
            Self::TransferSent { reason, by, .. } | Self::TransferRecalled { reason, by, .. } => {
                (Some(reason), *by)
            }
            Self::TransferReceived { reason, by, .. } => (reason.as_deref(), *by),
        }
    }
}

/// The rule.
///
/// # Errors
/// `Invalid` naming what is wrong with the lines; `inventory.transfer_not_found`, `inventory.transfer_ended`.
pub fn decide(state: &Transfer, command: TransferCommand, by: Option<AccountId>) -> Result<TransferEvent> {
    match (command, state) {
        (TransferCommand::Send { from, to, lines, reason }, Transfer::Unknown) => {
            if from == to {
                return Err(Error::invalid("/to_warehouse_id", "must be another warehouse"));
            }
            Ok(TransferEvent::TransferSent { from, to, lines: checked(lines)?, reason, by })
        }
        (_, Transfer::Unknown) => Err(not_found()),
        (TransferCommand::Receive { arrived, reason }, Transfer::Sent { from, to, lines }) => {
            let lines = arrival(lines, arrived)?;
            if reason.is_none() && lines.iter().any(|line| line.arrived < line.sent) {
                return Err(Error::invalid("/reason", "must say what became of the missing units"));
            }
            Ok(TransferEvent::TransferReceived { from: *from, to: *to, lines, reason, by })
        }
        (TransferCommand::Recall { reason }, Transfer::Sent { from, lines, .. }) => {
            Ok(TransferEvent::TransferRecalled { from: *from, lines: lines.clone(), reason, by })
        }
        _ => Err(Error::rejected(
            "inventory.transfer_ended",
            "The transfer has arrived or was called back; nothing is on the way any more.",
        )),
    }
}

/// The refusal for a transfer nobody has heard of.
pub fn not_found() -> Error {
    Error::not_found("inventory.transfer_not_found", "There is no such transfer.")
}

/// By SKU, each once.
fn checked(lines: Vec<TransferLine>) -> Result<Vec<TransferLine>> {
    if !(1..=LINES_MAX).contains(&lines.len()) {
        return Err(Error::invalid("/lines", format!("must have 1 to {LINES_MAX} lines")));
    }
    let mut by_sku = BTreeMap::new();
    for (index, line) in lines.into_iter().enumerate() {
        if !(1..=UNITS_MAX).contains(&line.quantity) {
            let rule = format!("must be a whole number from 1 to {UNITS_MAX}");
            return Err(Error::invalid(format!("/lines/{index}/quantity"), rule));
        }
        if by_sku.insert(line.sku.clone(), line).is_some() {
            return Err(Error::invalid(format!("/lines/{index}/sku"), "is there twice"));
        }
    }
    Ok(by_sku.into_values().collect())
}

fn arrival(sent: &[TransferLine], arrived: Option<Vec<(Sku, i64)>>) -> Result<Vec<ArrivedLine>> {
    let Some(arrived) = arrived else {
        let all =
            |l: &TransferLine| ArrivedLine { sku: l.sku.clone(), sent: l.quantity, arrived: l.quantity };
        return Ok(sent.iter().map(all).collect());
    };
    let mut figures: BTreeMap<Sku, i64> = BTreeMap::new();
    for (index, (sku, quantity)) in arrived.into_iter().enumerate() {
        let Some(line) = sent.iter().find(|line| line.sku == sku) else {
            return Err(Error::invalid(format!("/lines/{index}/sku"), "is not part of this transfer"));
        };
        if !(0..=line.quantity).contains(&quantity) {
            let rule = format!("must be from 0 to {}, which set out", line.quantity);
            return Err(Error::invalid(format!("/lines/{index}/quantity"), rule));
        }
        if figures.insert(sku, quantity).is_some() {
            return Err(Error::invalid(format!("/lines/{index}/sku"), "is there twice"));
        }
    }
    let one = |line: &TransferLine| {
        let arrived = figures.get(&line.sku).copied().ok_or_else(|| {
            Error::invalid("/lines", format!("must name {}: 0 when none of it arrived", line.sku))
        })?;
        Ok(ArrivedLine { sku: line.sku.clone(), sent: line.quantity, arrived })
    };
    sent.iter().map(one).collect()
}

/// The state after an event.
#[must_use]
pub fn evolve(_: Transfer, event: &TransferEvent) -> Transfer {
    match event {
        TransferEvent::TransferSent { from, to, lines, .. } => {
            Transfer::Sent { from: *from, to: *to, lines: lines.clone() }
        }
        TransferEvent::TransferReceived { .. } => Transfer::Received,
        TransferEvent::TransferRecalled { .. } => Transfer::Recalled,
    }
}

impl Transfer {
    /// The stored and public name of where it stands.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Sent { .. } => "sent",
            Self::Received => "received",
            Self::Recalled => "recalled",
        }
    }
}
