//! The rules of stock: pure, synchronous, without clock, SQL or log.

pub mod lines;
pub mod movement;
pub mod reservation;
pub mod stock;

pub use lines::{Line, Lines, PlacedLine};
pub use movement::{Movement, MovementKind, StockChange};
pub use reservation::{Reservation, ReservationCommand, ReservationEvent};
pub use stock::{StockCommand, StockEvent, StockLevel};
