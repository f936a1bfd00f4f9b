//! A shipment: what one parcel of an order holds and how far it has come.

use std::collections::BTreeMap;

use merx_contracts::ids::{AccountId, AddressId, AfterSaleId, OrderId, ShipmentId, Sku, WarehouseId};
use merx_kernel::{BoundedText, Error, Quantity, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{freight::Method, gate, history};

/// The most shipments staff may make of one order: each parcel costs freight.
pub const SHIPMENTS_MAX: i64 = 50;

/// How far a shipment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShipmentStatus {
    /// To be packed.
    Open,
    /// With the carrier.
    Dispatched,
    /// Handed over.
    Delivered,
    /// Back with us, handed over before or not.
    Returned,
    /// Its order was cancelled; it never leaves.
    Cancelled,
}

impl ShipmentStatus {
    /// Every status.
    pub const ALL: &'static [Self] =
        &[Self::Open, Self::Dispatched, Self::Delivered, Self::Returned, Self::Cancelled];

    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Dispatched => "dispatched",
            Self::Delivered => "delivered",
            Self::Returned => "returned",
            Self::Cancelled => "cancelled",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.name() == name)
    }
}

/// Units of a SKU in a parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShipmentLine {
    /// The SKU.
    pub sku: Sku,
    /// Units.
    pub quantity: Quantity,
}

/// Who carries it, under what number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    /// The carrier.
    pub carrier: BoundedText<1, 64>,
    /// The carrier's number.
    pub tracking_number: BoundedText<1, 64>,
}

/// A shipment. Personal data stays in the address record; only its id is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shipment {
    /// Its identity; the first of an order has the order's bits.
    pub id: ShipmentId,
    /// Of which order; an order may have several shipments.
    pub order: OrderId,
    /// Whose.
    pub account: AccountId,
    /// To where.
    pub address: AddressId,
    /// Where it is packed; nothing for the main warehouse.
    pub warehouse: Option<WarehouseId>,
    /// The after-sale case whose goods it replaces; nothing for the order's own. What is split from it replaces too.
    pub case: Option<AfterSaleId>,
    /// The shipment its goods were in before.
    pub split_from: Option<ShipmentId>,
    /// How.
    pub method: Method,
    /// How far it has come.
    pub status: ShipmentStatus,
    /// Who carries it, once dispatched.
    pub dispatch: Option<Dispatch>,
    /// When it was made.
    pub opened_at: Timestamp,
    /// When it left.
    pub dispatched_at: Option<Timestamp>,
    /// When it was handed over.
    pub delivered_at: Option<Timestamp>,
    /// When it came back.
    pub returned_at: Option<Timestamp>,
    /// When its order was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// How many changes made it what it is.
    pub version: i64,
}

/// The refusal of what is possible only on the way.
pub fn not_dispatched() -> Error {
    Error::rejected("shipping.not_dispatched", "The shipment has not been dispatched; dispatch it first.")
}

/// Whether a command has anything left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It changes the shipment.
    Change,
    /// It was done before; the same answer again.
    Done,
}

impl Shipment {
    /// Whether it was opened with the same content as `again`, lines aside. Of one that was opened without its
    /// warehouse, before shipments were told theirs, any is the same.
    pub fn same_content(&self, again: &Self) -> bool {
        let of = |s: &Self| (s.id, s.order, s.case, s.account, s.address, s.method);
        of(self) == of(again) && (self.warehouse.is_none() || self.warehouse == again.warehouse)
    }

    /// Hands it to a carrier. The same carrier and number again is no change.
    ///
    /// # Errors
    /// `shipping.already_dispatched` under another carrier or number, `shipping.order_cancelled`.
    pub fn dispatch(&self, by: &Dispatch) -> Result<Verdict> {
        match (self.status, &self.dispatch) {
            (ShipmentStatus::Open, _) => Ok(Verdict::Change),
            (ShipmentStatus::Cancelled, _) => Err(gate::order_cancelled()),
            (_, Some(before)) if before == by => Ok(Verdict::Done),
            (status, _) => Err(Error::rejected(
                "shipping.already_dispatched",
                format!("The shipment is {} under another carrier or tracking number.", status.name()),
            )),
        }
    }

    /// Sets carrier and number right. What is true already is no change.
    ///
    /// # Errors
    /// `shipping.not_dispatched`, `shipping.order_cancelled`.
    pub fn correct(&self, after: &Dispatch) -> Result<Option<Dispatch>> {
        match (self.status, &self.dispatch) {
            (ShipmentStatus::Cancelled, _) => Err(gate::order_cancelled()),
            (_, Some(before)) if before == after => Ok(None),
            (_, Some(before)) => Ok(Some(before.clone())),
            (_, None) => Err(not_dispatched()),
        }
    }

    /// Notes the hand-over.
    ///
    /// # Errors
    /// `shipping.not_dispatched`, `shipping.already_returned`, `shipping.order_cancelled`.
    pub fn deliver(&self) -> Result<Verdict> {
        match self.status {
            ShipmentStatus::Dispatched => Ok(Verdict::Change),
            ShipmentStatus::Delivered => Ok(Verdict::Done),
            ShipmentStatus::Open => Err(not_dispatched()),
            ShipmentStatus::Returned => Err(Error::rejected(
                "shipping.already_returned",
                "The shipment came back; it did not arrive.",
            )),
            ShipmentStatus::Cancelled => Err(gate::order_cancelled()),
        }
    }

    /// Takes goods out, to be sent apart. `lines` is what the shipment holds; answers what stays and what goes, by SKU.
    ///
    /// # Errors
    /// `shipping.already_dispatched`, `shipping.order_cancelled`; `shipping.split_exceeds` for more than there is,
    /// `shipping.split_takes_all` when nothing would stay.
    pub fn split(&self, lines: &[ShipmentLine], go: &[ShipmentLine]) -> Result<Split> {
        match self.status {
            ShipmentStatus::Open => {}
            ShipmentStatus::Cancelled => return Err(gate::order_cancelled()),
            ShipmentStatus::Dispatched | ShipmentStatus::Delivered | ShipmentStatus::Returned => {
                return Err(Error::rejected(
                    "shipping.already_dispatched",
                    "The shipment has left; only what is still in the warehouse can be sent apart.",
                ));
            }
        }
        let go = history::sum(go)?;
        let mut left: BTreeMap<&Sku, i64> = lines.iter().map(|l| (&l.sku, l.quantity.get())).collect();
        for line in &go {
            let held = left.entry(&line.sku).or_default();
            if *held < line.quantity.get() {
                let (sku, asked) = (&line.sku, line.quantity.get());
                let detail = format!("The shipment holds {held} of `{sku}`, {asked} were to go.");
                return Err(Error::rejected("shipping.split_exceeds", detail));
            }
            *held -= line.quantity.get();
        }
        let stay = left.into_iter().filter(|(_, units)| *units > 0);
        let line = |(sku, units): (&Sku, i64)| {
            Ok(ShipmentLine { sku: sku.clone(), quantity: Quantity::new(units)? })
        };
        let stay: Vec<_> = stay.map(line).collect::<Result<_>>()?;
        if stay.is_empty() {
            return Err(Error::rejected(
                "shipping.split_takes_all",
                "Nothing would stay in the shipment: dispatch it whole, or let less go.",
            ));
        }
        Ok(Split { stay, go })
    }
}

/// A shipment's lines, parted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// What stays, by SKU.
    pub stay: Vec<ShipmentLine>,
    /// What goes, by SKU.
    pub go: Vec<ShipmentLine>,
}
