//! Facts of shipping.

use serde::{Deserialize, Serialize};

use crate::{
    envelope::Fact,
    events::ordering::Line,
    ids::{AfterSaleId, OrderId, ShipmentId},
};

/// A shipment left the warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentDispatched {
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// Its order.
    pub order_id: OrderId,
    /// Who carries it.
    pub carrier: String,
    /// The carrier's number.
    pub tracking_number: String,
}

/// A shipment left the warehouse. Follows [`ShipmentDispatched`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentDispatchedV2 {
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// Its order.
    pub order_id: OrderId,
    /// The after-sale case whose goods it replaces; absent for the order's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_id: Option<AfterSaleId>,
    /// Who carries it.
    pub carrier: String,
    /// The carrier's number.
    pub tracking_number: String,
    /// What is in it.
    pub lines: Vec<Line>,
}

/// The carrier handed it over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentDelivered {
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// Its order.
    pub order_id: OrderId,
    /// The after-sale case whose goods it replaces; absent for the order's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_id: Option<AfterSaleId>,
}

/// A shipment came back to the sender, delivered before or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentReturned {
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// Its order.
    pub order_id: OrderId,
    /// The after-sale case whose goods it replaces; absent for the order's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_id: Option<AfterSaleId>,
}

/// The carrier or the number that was told of a shipment was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentCorrected {
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// Its order.
    pub order_id: OrderId,
    /// The after-sale case whose goods it replaces; absent for the order's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_id: Option<AfterSaleId>,
    /// Who truly carries it.
    pub carrier: String,
    /// The carrier's number.
    pub tracking_number: String,
}

impl Fact for ShipmentDispatched {
    const TYPE: &'static str = "shipping.shipped.v1";
    fn subject(&self) -> String {
        self.shipment_id.to_string()
    }
}
impl Fact for ShipmentDelivered {
    const TYPE: &'static str = "shipping.delivered.v1";
    fn subject(&self) -> String {
        self.shipment_id.to_string()
    }
}
impl Fact for ShipmentDispatchedV2 {
    const TYPE: &'static str = "shipping.shipped.v2";
    fn subject(&self) -> String {
        self.shipment_id.to_string()
    }
}
impl Fact for ShipmentReturned {
    const TYPE: &'static str = "shipping.returned.v1";
    fn subject(&self) -> String {
        self.shipment_id.to_string()
    }
}
impl Fact for ShipmentCorrected {
    const TYPE: &'static str = "shipping.corrected.v1";
    fn subject(&self) -> String {
        self.shipment_id.to_string()
    }
}
