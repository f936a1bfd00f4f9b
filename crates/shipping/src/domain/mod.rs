//! The rules of shipping: what freight costs, what a shipment may become, and what stops an order. Pure, without
//! clock, SQL or log.

pub mod freight;
pub mod gate;
pub mod history;
pub mod region;
pub mod shipment;
pub mod tracking;

pub use freight::{FreightOption, Parcel, Rate, Tariff};
pub use gate::{Gate, HoldStatus};
pub use history::{Change, Entry, Record};
pub use region::Zone;
pub use shipment::{Dispatch, Shipment, ShipmentLine, ShipmentStatus, Verdict};
pub use tracking::{TrackingCode, TrackingEvent, TrackingReport};
