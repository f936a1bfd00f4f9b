//! The ledger of units: every change of a stock figure is one movement, and the movements explain every unit.

use merx_contracts::ids::{AccountId, Sku, WarehouseId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    count::CountEvent,
    lines::PlacedLine,
    reservation::ReservationEvent,
    stock::{AdjustmentKind, StockCommand, StockEntry, StockEvent, StockLevel},
    transfer::TransferEvent,
};

/// Why units moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    /// They came into the warehouse.
    Received,
    /// Staff corrected the figure, up or down.
    Adjusted,
    /// They turned up.
    Found,
    /// They are spoilt.
    Damaged,
    /// They were stolen.
    Stolen,
    /// They are gone for another reason.
    WrittenOff,
    /// A stock count found more or fewer.
    Counted,
    /// They were set aside for an order.
    Reserved,
    /// They were let go again.
    Released,
    /// They were sold.
    Sold,
    /// They came back from a sale.
    Returned,
    /// They set out for another warehouse.
    Sent,
    /// They were called back on the way.
    Recalled,
    /// They have left this warehouse for good: they arrived in the other.
    Departed,
    /// They arrived from another warehouse.
    Arrived,
    /// They were lost on the way.
    Lost,
}

impl MovementKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Received,
        Self::Adjusted,
        Self::Found,
        Self::Damaged,
        Self::Stolen,
        Self::WrittenOff,
        Self::Counted,
        Self::Reserved,
        Self::Released,
        Self::Sold,
        Self::Returned,
        Self::Sent,
        Self::Recalled,
        Self::Departed,
        Self::Arrived,
        Self::Lost,
    ];

    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Adjusted => "adjusted",
            Self::Found => "found",
            Self::Damaged => "damaged",
            Self::Stolen => "stolen",
            Self::WrittenOff => "written_off",
            Self::Counted => "counted",
            Self::Reserved => "reserved",
            Self::Released => "released",
            Self::Sold => "sold",
            Self::Returned => "returned",
            Self::Sent => "sent",
            Self::Recalled => "recalled",
            Self::Departed => "departed",
            Self::Arrived => "arrived",
            Self::Lost => "lost",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.name() == name)
    }

    /// What `quantity` units of it add to the figures of a stock row. Each line keeps
    /// [`StockLevel::balances`].
    pub const fn change(self, quantity: i64) -> StockChange {
        let q = quantity;
        let none = StockChange::NONE;
        match self {
            Self::Received => StockChange { received: q, available: q, version: 1, ..none },
            Self::Adjusted | Self::Found => StockChange { adjusted: q, available: q, version: 1, ..none },
            Self::Damaged | Self::Stolen | Self::WrittenOff => {
                StockChange { written_off: q, available: -q, version: 1, ..none }
            }
            Self::Counted => StockChange { adjusted: q, available: q, ..none },
            Self::Reserved => StockChange { available: -q, reserved: q, ..none },
            Self::Released => StockChange { available: q, reserved: -q, ..none },
            Self::Sold => StockChange { reserved: -q, sold: q, ..none },
            Self::Returned => StockChange { available: q, returned: q, ..none },
            Self::Sent => StockChange { available: -q, in_transit: q, ..none },
            Self::Recalled => StockChange { available: q, in_transit: -q, ..none },
            Self::Departed => StockChange { in_transit: -q, transferred: -q, ..none },
            Self::Arrived => StockChange { transferred: q, available: q, ..none },
            Self::Lost => StockChange { in_transit: -q, written_off: q, ..none },
        }
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
    /// Units; positive except for what was adjusted or counted downwards.
    pub quantity: i64,
    /// Somebody's words, where there are any.
    pub reason: Option<String>,
    /// The member of staff, if one did it.
    pub by: Option<AccountId>,
}

/// What a movement adds to the figures of a stock row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockChange {
    /// Free to be reserved.
    pub available: i64,
    /// Set aside.
    pub reserved: i64,
    /// Ever sold.
    pub sold: i64,
    /// Ever received.
    pub received: i64,
    /// Sum of corrections.
    pub adjusted: i64,
    /// Ever taken back.
    pub returned: i64,
    /// Ever written off.
    pub written_off: i64,
    /// On the way to another warehouse.
    pub in_transit: i64,
    /// Came from other warehouses, less what went there.
    pub transferred: i64,
    /// Events of the stock item's own stream.
    pub version: i64,
}

impl StockChange {
    /// Nothing.
    pub const NONE: Self = Self {
        available: 0,
        reserved: 0,
        sold: 0,
        received: 0,
        adjusted: 0,
        returned: 0,
        written_off: 0,
        in_transit: 0,
        transferred: 0,
        version: 0,
    };
}

impl Movement {
    /// What it does to its stock row.
    pub const fn change(&self) -> StockChange {
        self.kind.change(self.quantity)
    }

    /// A movement nobody of the staff made.
    pub fn of_line(kind: MovementKind, line: &PlacedLine) -> Self {
        let PlacedLine { sku, warehouse, quantity } = line.clone();
        Self { sku, warehouse, kind, quantity, reason: None, by: None }
    }

    fn of_lines(kind: MovementKind, lines: &[PlacedLine]) -> Vec<Self> {
        lines.iter().map(|line| Self::of_line(kind, line)).collect()
    }

    /// The movements of a reservation's event, by SKU.
    pub fn of_reservation(event: &ReservationEvent) -> Vec<Self> {
        match event {
            ReservationEvent::StockReserved { lines } => Self::of_lines(MovementKind::Reserved, lines),
            ReservationEvent::StockReleased { lines } => Self::of_lines(MovementKind::Released, lines),
            ReservationEvent::StockSold { lines } => Self::of_lines(MovementKind::Sold, lines),
            ReservationEvent::StockReturned { lines, reason, .. } => lines
                .iter()
                .map(|line| Self {
                    reason: Some(reason.clone()),
                    ..Self::of_line(MovementKind::Returned, line)
                })
                .collect(),
            ReservationEvent::StockWrittenOff { .. } | ReservationEvent::ReservationForestalled => Vec::new(),
        }
    }

    /// The movement of a stock item's event; a threshold moves nothing.
    pub fn of_stock(event: &StockEvent) -> Option<Self> {
        match event {
            StockEvent::StockReceived(entry) => Some(Self::of_entry(MovementKind::Received, entry)),
            StockEvent::StockAdjusted(entry, kind) => Some(Self::of_adjustment(entry, *kind)),
            StockEvent::ThresholdSet { .. } => None,
        }
    }

    /// The movement a command would make.
    pub fn of_command(command: &StockCommand) -> Self {
        match command {
            StockCommand::Receive(entry) => Self::of_entry(MovementKind::Received, entry),
            StockCommand::Adjust(entry, kind) => Self::of_adjustment(entry, *kind),
        }
    }

    fn of_adjustment(entry: &StockEntry, kind: AdjustmentKind) -> Self {
        let mut movement = Self::of_entry(kind.movement(), entry);
        if kind.is_loss() {
            // What is written off is told as the number of lost units.
            movement.quantity = -movement.quantity;
        }
        movement
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

    /// The movements of a transfer's event: those of the source, then those of the target.
    pub fn of_transfer(event: &TransferEvent) -> Vec<Self> {
        let mut all = Vec::new();
        let (reason, by) = event.why();
        let mut add = |sku: &Sku, warehouse: WarehouseId, kind: MovementKind, quantity: i64| {
            if quantity > 0 {
                let reason = reason.map(str::to_owned);
                all.push(Self { sku: sku.clone(), warehouse, kind, quantity, reason, by });
            }
        };
        match event {
            TransferEvent::TransferSent { from, lines, .. } => {
                lines.iter().for_each(|line| add(&line.sku, *from, MovementKind::Sent, line.quantity));
            }
            TransferEvent::TransferRecalled { from, lines, .. } => {
                lines.iter().for_each(|line| add(&line.sku, *from, MovementKind::Recalled, line.quantity));
            }
            TransferEvent::TransferReceived { from, to, lines, .. } => {
                for line in lines {
                    add(&line.sku, *from, MovementKind::Departed, line.arrived);
                    add(&line.sku, *from, MovementKind::Lost, line.sent - line.arrived);
                    add(&line.sku, *to, MovementKind::Arrived, line.arrived);
                }
            }
        }
        all
    }

    /// The movements of a stock count's event: what was found more or fewer.
    pub fn of_count(event: &CountEvent) -> Vec<Self> {
        let CountEvent::CountClosed { warehouse, lines, reason, by } = event else { return Vec::new() };
        let movement = |line: &super::count::CountedLine| Self {
            sku: line.sku.clone(),
            warehouse: *warehouse,
            kind: MovementKind::Counted,
            quantity: line.difference,
            reason: Some(reason.clone()),
            by: *by,
        };
        lines.iter().filter(|line| line.difference != 0).map(movement).collect()
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
            returned: add(self.returned, change.returned)?,
            written_off: add(self.written_off, change.written_off)?,
            in_transit: add(self.in_transit, change.in_transit)?,
            transferred: self.transferred.checked_add(change.transferred)?,
            version: add(self.version, change.version)?,
            ..self
        })
    }

    /// A2 of the auditor: `received + adjusted + returned + transferred - written off = available + reserved +
    /// in transit + sold`, no figure below zero but what was adjusted and transferred, no more returned than sold.
    pub const fn balances(self) -> bool {
        let came =
            self.received as i128 + self.adjusted as i128 + self.returned as i128 + self.transferred as i128
                - self.written_off as i128;
        let lies =
            self.available as i128 + self.reserved as i128 + self.in_transit as i128 + self.sold as i128;
        came == lies
            && self.available >= 0
            && self.reserved >= 0
            && self.in_transit >= 0
            && self.written_off >= 0
            && self.returned >= 0
            && self.sold >= self.returned
    }
}
