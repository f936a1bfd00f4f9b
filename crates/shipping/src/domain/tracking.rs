//! What a carrier tells of a parcel on its way.

use std::time::Duration;

use merx_kernel::{BoundedText, Error, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    gate,
    shipment::{Shipment, ShipmentStatus, not_dispatched},
};

/// The most tracking events of a shipment: more than any parcel on its way has, fewer than a loop in a carrier's
/// program would make.
pub const EVENTS_MAX: i64 = 100;
/// How many more there may be of those that change its status, which no loop must keep out: it arrives, it comes back.
pub const LAST_EVENTS_MAX: i64 = 2;
/// How long before our word of the dispatch a carrier may have had the parcel: times are told in whole minutes, and staff
/// press the button when the van has gone.
pub const BEFORE_MAX: Duration = Duration::from_secs(3600);
/// How far ahead of ours a carrier's clock may be.
pub const AHEAD_MAX: Duration = Duration::from_secs(300);

/// What happened to a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrackingCode {
    /// The carrier has it.
    PickedUp,
    /// It is on its way.
    InTransit,
    /// It is on the last van.
    OutForDelivery,
    /// It was handed over.
    Delivered,
    /// Something went wrong; the words say what.
    Exception,
    /// It went back to the sender.
    Returned,
}

impl TrackingCode {
    /// Every code.
    pub const ALL: &'static [Self] = &[
        Self::PickedUp,
        Self::InTransit,
        Self::OutForDelivery,
        Self::Delivered,
        Self::Exception,
        Self::Returned,
    ];

    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PickedUp => "picked_up",
            Self::InTransit => "in_transit",
            Self::OutForDelivery => "out_for_delivery",
            Self::Delivered => "delivered",
            Self::Exception => "exception",
            Self::Returned => "returned",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.name() == name)
    }
}

/// What a carrier, or staff for it, reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrackingReport {
    /// What happened.
    pub code: TrackingCode,
    /// When it happened: at most an hour before the dispatch was told, at most five minutes in the future.
    pub at: Timestamp,
    /// Where. No person's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<BoundedText<1, 100>>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<BoundedText<1, 500>>,
}

/// A report as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrackingEvent {
    /// What happened.
    pub code: TrackingCode,
    /// When it happened.
    pub at: Timestamp,
    /// Where; absent when nobody said, or the buyer's data was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// In words; absent when there were none, or the buyer's data was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// When the shop heard of it.
    pub recorded_at: Timestamp,
}

impl TrackingEvent {
    /// Whether somebody wrote something freely.
    pub const fn has_words(&self) -> bool {
        self.place.is_some() || self.text.is_some()
    }
}

impl TrackingReport {
    /// Whether the report can be of this shipment.
    ///
    /// # Errors
    /// `shipping.not_dispatched`, `shipping.order_cancelled`; `Invalid` for a time long before the dispatch or in the future.
    pub fn check(&self, shipment: &Shipment, now: Timestamp) -> Result<()> {
        let left = match (shipment.status, shipment.dispatched_at) {
            (ShipmentStatus::Cancelled, _) => return Err(gate::order_cancelled()),
            (_, Some(left)) => left,
            (_, None) => return Err(not_dispatched()),
        };
        if self.at < left.minus(BEFORE_MAX) {
            let text = format!("must not be more than an hour before the dispatch at {left}");
            return Err(Error::invalid("/at", text));
        }
        if self.at > now.plus(AHEAD_MAX) {
            return Err(Error::invalid("/at", "must not be more than 5 minutes in the future"));
        }
        Ok(())
    }

    /// How far the shipment comes by the report; nothing when no further. What came back stays with us, whatever is told
    /// late of its way.
    pub fn leads_to(&self, from: ShipmentStatus) -> Option<ShipmentStatus> {
        match (self.code, from) {
            (TrackingCode::Delivered, ShipmentStatus::Dispatched) => Some(ShipmentStatus::Delivered),
            (TrackingCode::Returned, ShipmentStatus::Dispatched | ShipmentStatus::Delivered) => {
                Some(ShipmentStatus::Returned)
            }
            _ => None,
        }
    }

    /// The report, heard of at `now`.
    pub fn heard(&self, now: Timestamp) -> TrackingEvent {
        TrackingEvent {
            code: self.code,
            at: self.at,
            place: self.place.as_ref().map(|p| p.as_str().to_owned()),
            text: self.text.as_ref().map(|t| t.as_str().to_owned()),
            recorded_at: now,
        }
    }
}
