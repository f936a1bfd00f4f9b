//! The rules of an order: pure and synchronous. Time, prices and identities come in as facts.

pub mod axes;
pub mod codec;
pub mod decide;
pub mod event;
mod goods;
pub mod identity;
mod money;
pub mod number;
pub mod order;
pub mod quote;
pub mod transitions;

pub use axes::{AfterSaleAxis, Axes, Axis, BuyerStatus, FulfilmentAxis, OrderAxis, PaymentAxis};
pub use decide::{Command, Facts, Rejection, decide};
pub use event::{
    CancelReason, Event, LocalText, OpenedShipment, OrderLine, OrderPlaced, OrderRejected, OrderShipped,
    PackedLine, ReceivedBy,
};
pub use goods::Shipment;
pub use number::OrderNumber;
pub use order::{Order, Parcel, Revival, Settled, Surplus};
pub use transitions::{Step, Transition};
