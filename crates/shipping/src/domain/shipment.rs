//! A shipment: what one parcel of an order holds and how far it has come.

use merx_contracts::ids::{AccountId, AddressId, OrderId, ShipmentId, Sku};
use merx_kernel::{BoundedText, Error, Quantity, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::freight::Method;

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
}

impl ShipmentStatus {
    /// Every status.
    pub const ALL: &'static [Self] = &[Self::Open, Self::Dispatched, Self::Delivered];

    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Dispatched => "dispatched",
            Self::Delivered => "delivered",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.name() == name)
    }
}

/// Units of a SKU in a parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Its identity, made from the order's.
    pub id: ShipmentId,
    /// Of which order; an order may have several shipments.
    pub order: OrderId,
    /// Whose.
    pub account: AccountId,
    /// To where.
    pub address: AddressId,
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
    /// Whether it was opened with the same content, lines aside.
    pub fn same_content(&self, other: &Self) -> bool {
        let of = |s: &Self| (s.id, s.order, s.account, s.address, s.method);
        of(self) == of(other)
    }

    /// Hands it to a carrier. The same carrier and number again is no change.
    ///
    /// # Errors
    /// `shipping.already_dispatched` under another carrier or number.
    pub fn dispatch(&self, by: &Dispatch) -> Result<Verdict> {
        match (self.status, &self.dispatch) {
            (ShipmentStatus::Open, _) => Ok(Verdict::Change),
            (_, Some(before)) if before == by => Ok(Verdict::Done),
            (status, _) => Err(Error::rejected(
                "shipping.already_dispatched",
                format!("The shipment is {} under another carrier or tracking number.", status.name()),
            )),
        }
    }

    /// Notes the hand-over.
    ///
    /// # Errors
    /// `shipping.not_dispatched`.
    pub fn deliver(&self) -> Result<Verdict> {
        match self.status {
            ShipmentStatus::Dispatched => Ok(Verdict::Change),
            ShipmentStatus::Delivered => Ok(Verdict::Done),
            ShipmentStatus::Open => Err(Error::rejected(
                "shipping.not_dispatched",
                "The shipment has not been dispatched; dispatch it first.",
            )),
        }
    }
}
