//! The ledger of units: every change of a stock figure is one movement, and the movements explain every unit.

use merx_contracts::ids::{AccountId, Sku, WarehouseId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    lines::PlacedLine,
    reservation::ReservationEvent,
    stock::{StockCommand, StockEntry, StockEvent, StockLevel},
};

/// Why units moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    /// They came into the warehouse.
    Received,
    /// Staff corrected the count; the only kind that may be negative.
    Adjusted,
    /// They were set aside for an order.
    Reserved,
    /// They were let go again.
    Released,
    /// They were sold.
    Sold,
}

impl MovementKind {
    /// Every kind.
    pub const ALL: &'static [Self] =
        &[Self::Received, Self::Adjusted, Self::Reserved, Self::Released, Self::Sold];

    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Adjusted => "adjusted",
            Self::Reserved => "reserved",
            Self::Released => "released",
            Self::Sold => "sold",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.name() == name)
    }
}

/// Units of one SKU in one warehouse that moved by one effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The SKU.
    pub sku: Sku,
    /// Where.
    pub warehouse: WarehouseId,
    /// Why.
    pub kind: MovementKind,
    /// Units; positive except for a downward adjustment.
    pub quantity: i64,
    /// Staff's reason, for received and adjusted.
    pub reason: Option<String>,
    /// Who did it, for received and adjusted by staff.
    pub by: Option<AccountId>,
}

/// What a movement adds to the figures of a stock row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockChange {
    /// Free to be reserved.
    pub available: i64,
    /// Set aside.
    pub reserved: i64,
    /// Sold, net.
    pub sold: i64,
    /// Ever received.
    pub received: i64,
    /// Sum of corrections.
    pub adjusted: i64,
    /// Events of the stock item's own stream.
    pub version: i64,
}

impl Movement {
    /// What it does to its stock row. Each line keeps
    /// `received + adjusted = available + reserved + sold`.
    pub const fn change(&self) -> StockChange {
        let q = self.quantity;
        let none = StockChange { available: 0, reserved: 0, sold: 0, received: 0, adjusted: 0, version: 0 };
        match self.kind {
            MovementKind::Received => StockChange { received: q, available: q, version: 1, ..none },
            MovementKind::Adjusted => StockChange { adjusted: q, available: q, version: 1, ..none },
            MovementKind::Reserved => StockChange { available: -q, reserved: q, ..none },
            MovementKind::Released => StockChange { available: q, reserved: -q, ..none },
            MovementKind::Sold => StockChange { reserved: -q, sold: q, ..none },
        }
    }

    fn of_lines(kind: MovementKind, lines: &[PlacedLine]) -> Vec<Self> {
        lines
            .iter()
            .map(|line| Self {
                sku: line.sku.clone(),
                warehouse: line.warehouse,
                kind,
                quantity: line.quantity,
                reason: None,
                by: None,
            })
            .collect()
    }

    /// The movements of a reservation's event, by SKU.
    pub fn of_reservation(event: &ReservationEvent) -> Vec<Self> {
        match event {
            ReservationEvent::StockReserved { lines } => Self::of_lines(MovementKind::Reserved, lines),
            ReservationEvent::StockReleased { lines } => Self::of_lines(MovementKind::Released, lines),
            ReservationEvent::StockSold { lines } => Self::of_lines(MovementKind::Sold, lines),
            ReservationEvent::ReservationForestalled => Vec::new(),
        }
    }

    /// The movement of a stock item's event.
    pub fn of_stock(event: &StockEvent) -> Self {
        match event {
            StockEvent::StockReceived(entry) => Self::of_entry(MovementKind::Received, entry),
            StockEvent::StockAdjusted(entry) => Self::of_entry(MovementKind::Adjusted, entry),
        }
    }

    /// The movement a command would make.
    pub fn of_command(command: &StockCommand) -> Self {
        match command {
            StockCommand::Receive(entry) => Self::of_entry(MovementKind::Received, entry),
            StockCommand::Adjust(entry) => Self::of_entry(MovementKind::Adjusted, entry),
        }
    }

    fn of_entry(kind: MovementKind, entry: &StockEntry) -> Self {
        Self {
            sku: entry.sku.clone(),
            warehouse: entry.warehouse,
            kind,
            quantity: entry.quantity,
            reason: entry.reason.clone(),
            by: entry.by,
        }
    }
}

impl StockLevel {
    /// The level after a movement; `None` when a figure would fall below zero or overflow.
    #[must_use]
    pub fn after(self, movement: &Movement) -> Option<Self> {
        let change = movement.change();
        let add = |figure: i64, delta: i64| figure.checked_add(delta).filter(|sum| *sum >= 0);
        Some(Self {
            available: add(self.available, change.available)?,
            reserved: add(self.reserved, change.reserved)?,
            sold: add(self.sold, change.sold)?,
            received: add(self.received, change.received)?,
            adjusted: self.adjusted.checked_add(change.adjusted)?,
            version: add(self.version, change.version)?,
        })
    }

    /// A2 of the auditor: `received + adjusted = available + reserved + sold`, no figure below zero.
    pub const fn balances(self) -> bool {
        self.received as i128 + self.adjusted as i128
            == self.available as i128 + self.reserved as i128 + self.sold as i128
            && self.available >= 0
            && self.reserved >= 0
            && self.sold >= 0
    }
}
