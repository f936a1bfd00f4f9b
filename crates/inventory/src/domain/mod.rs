//! The rules of stock: pure, synchronous, without clock, SQL or log.

pub mod allocate;
pub mod count;
pub mod lines;
pub mod movement;
pub mod reservation;
pub mod stock;
pub mod transfer;

pub use allocate::{Shelf, Shortage, allocate};
pub use count::{Count, CountCommand, CountEvent};
pub use lines::{Line, Lines, PlacedLine};
pub use movement::{Movement, MovementKind, StockChange};
pub use reservation::{Placement, Reservation, ReservationCommand, ReservationEvent};
pub use stock::{AdjustmentKind, StockCommand, StockEvent, StockLevel};
pub use transfer::{Transfer, TransferCommand, TransferEvent};
