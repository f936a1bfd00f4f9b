//! The rules of shipping: what freight costs and what a shipment may become. Pure, without clock, SQL or log.

pub mod freight;
pub mod region;
pub mod shipment;

pub use freight::{FreightOption, Parcel, Rate, Tariff};
pub use region::Zone;
pub use shipment::{Dispatch, Shipment, ShipmentLine, ShipmentStatus};
