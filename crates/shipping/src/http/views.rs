//! What the routes answer and take.

use merx_contracts::{
    accounts::v1::AddressReply,
    ids::{AddressId, AfterSaleId, OrderId, ShipmentId, WarehouseId},
};
use merx_kernel::{BoundedText, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{
    Record, Shipment, ShipmentLine, ShipmentStatus, TrackingCode, TrackingEvent, freight::Method,
};

/// A shipment as the warehouse lists it: no personal data.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentView {
    /// Its identity.
    pub id: ShipmentId,
    /// Of which order.
    pub order_id: OrderId,
    /// To which address record.
    pub address_id: AddressId,
    /// Where it is packed; absent for the main warehouse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse_id: Option<WarehouseId>,
    /// The after-sale case whose goods it replaces; absent for the order's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_id: Option<AfterSaleId>,
    /// The shipment its goods were in before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_from_id: Option<ShipmentId>,
    /// standard or express.
    pub method: String,
    /// How far it has come.
    pub status: ShipmentStatus,
    /// Who carries it, once dispatched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The carrier's number, once dispatched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    /// When it was made.
    pub opened_at: Timestamp,
    /// When it left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatched_at: Option<Timestamp>,
    /// When it was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// When it came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned_at: Option<Timestamp>,
    /// When its order was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<Timestamp>,
}

impl From<Shipment> for ShipmentView {
    fn from(shipment: Shipment) -> Self {
        let (carrier, tracking_number) =
            shipment.dispatch.map(|d| (d.carrier.into_string(), d.tracking_number.into_string())).unzip();
        Self {
            id: shipment.id,
            order_id: shipment.order,
            address_id: shipment.address,
            warehouse_id: shipment.warehouse,
            case_id: shipment.case,
            split_from_id: shipment.split_from,
            method: Method::name(shipment.method).to_owned(),
            status: shipment.status,
            carrier,
            tracking_number,
            opened_at: shipment.opened_at,
            dispatched_at: shipment.dispatched_at,
            delivered_at: shipment.delivered_at,
            returned_at: shipment.returned_at,
            cancelled_at: shipment.cancelled_at,
        }
    }
}

/// A shipment with what it holds and where it goes: enough to pack it and write the label.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentDetailView {
    /// The shipment.
    #[serde(flatten)]
    pub shipment: ShipmentView,
    /// What it holds.
    pub lines: Vec<ShipmentLine>,
    /// Whether its order is held: it must not leave.
    pub held: bool,
    /// What carriers told, in the order it happened.
    pub tracking: Vec<TrackingEvent>,
    /// Where it goes.
    pub address: ShippingAddressView,
}

/// The address at the moment of asking. Shipping keeps no copy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ShippingAddressView {
    /// As the buyer wrote it.
    Present {
        /// Who receives it.
        recipient: String,
        /// Their telephone.
        phone: String,
        /// ISO 3166-1 alpha-2.
        country: String,
        /// First-level division.
        region: String,
        /// The city.
        city: String,
        /// Street and number.
        line1: String,
        /// More of it.
        line2: String,
        /// The post code.
        postcode: String,
    },
    /// The buyer's data was erased.
    Erased,
}

impl From<AddressReply> for ShippingAddressView {
    fn from(address: AddressReply) -> Self {
        if address.erased {
            return Self::Erased;
        }
        Self::Present {
            recipient: address.recipient,
            phone: address.phone,
            country: address.country,
            region: address.region,
            city: address.city,
            line1: address.line1,
            line2: address.line2,
            postcode: address.postcode,
        }
    }
}

/// Which shipments.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShipmentFilter {
    /// Only of this status.
    pub status: Option<ShipmentStatus>,
    /// Only of this order.
    pub order_id: Option<OrderId>,
    /// Only packed in this warehouse.
    pub warehouse_id: Option<WarehouseId>,
    /// Only with this carrier, by its exact name.
    pub carrier: Option<BoundedText<1, 64>>,
    /// Only with this number of a carrier.
    pub tracking_number: Option<BoundedText<1, 64>>,
    /// Only made at this moment or later.
    pub opened_from: Option<Timestamp>,
    /// Only made before this moment.
    pub opened_to: Option<Timestamp>,
    /// How many items, 1 to 100; 20 unless told.
    pub limit: Option<u32>,
    /// Where the last page ended; opaque.
    pub cursor: Option<String>,
}

/// What goes apart.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitShipment {
    /// What goes into the new shipment: 1 to 100 lines. Something must stay.
    #[schemars(length(min = 1, max = 100))]
    pub lines: Vec<ShipmentLine>,
}

/// A shipment with what it holds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentLinesView {
    /// The shipment.
    #[serde(flatten)]
    pub shipment: ShipmentView,
    /// What it holds.
    pub lines: Vec<ShipmentLine>,
}

impl From<Record> for ShipmentLinesView {
    fn from(record: Record) -> Self {
        Self { shipment: record.shipment.into(), lines: record.lines }
    }
}

/// Two shipments made of one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SplitView {
    /// The new one, with what went.
    pub shipment: ShipmentLinesView,
    /// The old one, with what stays.
    pub remaining: ShipmentLinesView,
}

/// The true carrier and number of a parcel.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// The carrier.
    pub carrier: BoundedText<1, 64>,
    /// The carrier's number.
    pub tracking_number: BoundedText<1, 64>,
    /// Why it was wrong; kept with who set it right.
    pub reason: BoundedText<1, 500>,
}

/// What was noted, and how far its shipment has come by it. Without the words: this answer is kept for requests that
/// come again, and somebody may have written a name into them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TrackingEventView {
    /// Of which shipment.
    pub shipment_id: ShipmentId,
    /// How far it has come.
    pub status: ShipmentStatus,
    /// What happened.
    pub code: TrackingCode,
    /// When it happened.
    pub at: Timestamp,
    /// When the shop heard of it.
    pub recorded_at: Timestamp,
}

/// The parcels of an order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OrderShipmentsView {
    /// Oldest first.
    pub items: Vec<OrderShipmentView>,
}

/// A parcel as its buyer sees it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OrderShipmentView {
    /// Its identity.
    pub id: ShipmentId,
    /// standard or express.
    pub method: String,
    /// How far it has come.
    pub status: ShipmentStatus,
    /// What it holds.
    pub lines: Vec<ShipmentLine>,
    /// Who carries it, once dispatched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The carrier's number, once dispatched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    /// When it was made.
    pub opened_at: Timestamp,
    /// When it left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatched_at: Option<Timestamp>,
    /// When it was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// When it came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned_at: Option<Timestamp>,
    /// When the order was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<Timestamp>,
    /// What the carrier told, in the order it happened.
    pub tracking: Vec<TrackingEvent>,
}

impl From<Record> for OrderShipmentView {
    fn from(record: Record) -> Self {
        let view = ShipmentView::from(record.shipment);
        Self {
            id: view.id,
            method: view.method,
            status: view.status,
            lines: record.lines,
            carrier: view.carrier,
            tracking_number: view.tracking_number,
            opened_at: view.opened_at,
            dispatched_at: view.dispatched_at,
            delivered_at: view.delivered_at,
            returned_at: view.returned_at,
            cancelled_at: view.cancelled_at,
            tracking: record.tracking,
        }
    }
}
