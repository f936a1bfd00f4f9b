//! The rules of an order: pure and synchronous. Time, prices and identities come in as facts.

pub mod axes;
pub mod codec;
pub mod decide;
pub mod event;
pub mod identity;
pub mod order;
pub mod quote;
pub mod transitions;

pub use axes::{AfterSaleAxis, Axes, Axis, BuyerStatus, FulfilmentAxis, OrderAxis, PaymentAxis};
pub use decide::{Command, Facts, Rejection, decide};
pub use event::{
    CancelReason, Event, LocalText, OrderLine, OrderPlaced, OrderRejected, OrderShipped, ReceivedBy,
};
pub use order::{Order, Surplus};
pub use transitions::{Step, Transition};
