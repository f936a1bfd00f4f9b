//! How the events of inventory are kept: names, schemas, streams.

use aws_lc_rs::digest;
use merx_contracts::ids::{ReservationId, Sku, WarehouseId};
use merx_kernel::{Error, Result};
use merx_platform::{Aggregate, DomainEvent};
use merx_sql::StreamId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::domain::{PlacedLine, Reservation, ReservationEvent, StockEvent, reservation, stock::StockEntry};

/// Reservations as an aggregate.
pub struct Reservations;

impl Aggregate for Reservations {
    type State = Reservation;
    type Event = ReservationEvent;
    fn evolve(state: Reservation, event: &ReservationEvent) -> Reservation {
        reservation::evolve(state, event)
    }
}

/// The stream of a reservation: its own bits.
pub fn reservation_stream(reservation: ReservationId) -> StreamId {
    reservation.into()
}

/// The stream of a stock item: it has no id of its own, so 128 bits of SHA-256 over warehouse and SKU.
pub fn stock_stream(sku: &Sku, warehouse: WarehouseId) -> StreamId {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(b"merx/inventory/stock/1");
    hash.update(&warehouse.to_bytes());
    hash.update(sku.as_str().as_bytes());
    let bytes = hash.finish();
    StreamId(bytes.as_ref().iter().take(16).fold(0, |bits, byte| (bits << 8) | u128::from(*byte)))
}

#[derive(Serialize, Deserialize)]
struct LinesBody {
    lines: Vec<PlacedLine>,
}

#[derive(Serialize, Deserialize)]
struct EmptyBody {}

fn write<T: Serialize>(body: &T) -> Result<String> {
    serde_json::to_string(body).map_err(|e| Error::internal("an event cannot be written").with_source(e))
}

fn read<T: DeserializeOwned>(name: &str, body: &str) -> Result<T> {
    serde_json::from_str(body)
        .map_err(|e| Error::internal(format!("the body of a {name} does not fit")).with_source(e))
}

fn unknown(name: &str, schema: i64) -> Error {
    Error::internal(format!("inventory has no event {name} of schema {schema}"))
}

const STOCK_RESERVED: &str = "StockReserved";
const STOCK_RELEASED: &str = "StockReleased";
const STOCK_SOLD: &str = "StockSold";
const RESERVATION_FORESTALLED: &str = "ReservationForestalled";
const STOCK_RECEIVED: &str = "StockReceived";
const STOCK_ADJUSTED: &str = "StockAdjusted";

impl DomainEvent for ReservationEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::StockReserved { .. } => STOCK_RESERVED,
            Self::StockReleased { .. } => STOCK_RELEASED,
            Self::StockSold { .. } => STOCK_SOLD,
            Self::ReservationForestalled => RESERVATION_FORESTALLED,
        }
    }
    fn schema(&self) -> i64 {
        1
    }
    fn encode(&self) -> Result<String> {
        match self {
            Self::StockReserved { lines } | Self::StockReleased { lines } | Self::StockSold { lines } => {
                write(&LinesBody { lines: lines.clone() })
            }
            Self::ReservationForestalled => write(&EmptyBody {}),
        }
    }
    fn decode(name: &str, schema: i64, body: &str) -> Result<Self> {
        let lines = || read::<LinesBody>(name, body).map(|b| b.lines);
        match (name, schema) {
            (STOCK_RESERVED, 1) => Ok(Self::StockReserved { lines: lines()? }),
            (STOCK_RELEASED, 1) => Ok(Self::StockReleased { lines: lines()? }),
            (STOCK_SOLD, 1) => Ok(Self::StockSold { lines: lines()? }),
            (RESERVATION_FORESTALLED, 1) => {
                read::<EmptyBody>(name, body).map(|_| Self::ReservationForestalled)
            }
            _ => Err(unknown(name, schema)),
        }
    }
}

impl DomainEvent for StockEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::StockReceived(_) => STOCK_RECEIVED,
            Self::StockAdjusted(_) => STOCK_ADJUSTED,
        }
    }
    fn schema(&self) -> i64 {
        1
    }
    fn encode(&self) -> Result<String> {
        let (Self::StockReceived(entry) | Self::StockAdjusted(entry)) = self;
        write(entry)
    }
    fn decode(name: &str, schema: i64, body: &str) -> Result<Self> {
        match (name, schema) {
            (STOCK_RECEIVED, 1) => read::<StockEntry>(name, body).map(Self::StockReceived),
            (STOCK_ADJUSTED, 1) => read::<StockEntry>(name, body).map(Self::StockAdjusted),
            _ => Err(unknown(name, schema)),
        }
    }
}

/// Any event of the context's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InventoryEvent {
    /// Of a reservation's stream.
    Reservation(ReservationEvent),
    /// Of a stock item's stream.
    Stock(StockEvent),
}

impl InventoryEvent {
    /// Reads an event of either kind by its name.
    ///
    /// # Errors
    /// As [`DomainEvent::decode`].
    pub fn decode(name: &str, schema: i64, body: &str) -> Result<Self> {
        match name {
            STOCK_RECEIVED | STOCK_ADJUSTED => StockEvent::decode(name, schema, body).map(Self::Stock),
            _ => ReservationEvent::decode(name, schema, body).map(Self::Reservation),
        }
    }
}
