//! How the events of inventory are kept: names, schemas, streams.

use aws_lc_rs::digest;
use merx_contracts::ids::{AccountId, ReservationId, ReturnId, Sku, WarehouseId};
use merx_kernel::{Error, Result};
use merx_platform::{Aggregate, DomainEvent};
use merx_sql::StreamId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::domain::{
    AdjustmentKind, Count, CountEvent, PlacedLine, Reservation, ReservationEvent, StockEvent, Transfer,
    TransferEvent, count, reservation, stock::StockEntry, transfer,
};

/// An event of a reservation with the trace that caused it, which is kept in the stored body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// What happened.
    pub event: ReservationEvent,
    /// The W3C trace id of the request or message that made it happen.
    pub trace_id: Option<String>,
}

/// Reservations as an aggregate.
pub struct Reservations;

impl Aggregate for Reservations {
    type State = Reservation;
    type Event = Traced;
    fn evolve(state: Reservation, traced: &Traced) -> Reservation {
        reservation::evolve(state, &traced.event)
    }
}

/// Transfers as an aggregate.
pub struct Transfers;

impl Aggregate for Transfers {
    type State = Transfer;
    type Event = TransferEvent;
    fn evolve(state: Transfer, event: &TransferEvent) -> Transfer {
        transfer::evolve(state, event)
    }
}

/// Stock counts as an aggregate.
pub struct Counts;

impl Aggregate for Counts {
    type State = Count;
    type Event = CountEvent;
    fn evolve(state: Count, event: &CountEvent) -> Count {
        count::evolve(state, event)
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct EmptyBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ReturnBody {
    return_id: ReturnId,
    lines: Vec<PlacedLine>,
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct AdjustedBody {
    #[serde(flatten)]
    entry: StockEntry,
    kind: AdjustmentKind,
}

#[derive(Serialize, Deserialize)]
struct ThresholdBody {
    sku: Sku,
    warehouse: WarehouseId,
    threshold: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<AccountId>,
}

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
const STOCK_RETURNED: &str = "StockReturned";
const STOCK_WRITTEN_OFF: &str = "StockWrittenOff";
const RESERVATION_FORESTALLED: &str = "ReservationForestalled";
const STOCK_RECEIVED: &str = "StockReceived";
const STOCK_ADJUSTED: &str = "StockAdjusted";
const THRESHOLD_SET: &str = "ThresholdSet";
const TRANSFER_SENT: &str = "TransferSent";
const TRANSFER_RECEIVED: &str = "TransferReceived";
const TRANSFER_RECALLED: &str = "TransferRecalled";
const COUNT_OPENED: &str = "CountOpened";
const COUNT_ENTERED: &str = "CountEntered";
const COUNT_CLOSED: &str = "CountClosed";
const COUNT_ABANDONED: &str = "CountAbandoned";

impl DomainEvent for Traced {
    fn name(&self) -> &'static str {
        match self.event {
            ReservationEvent::StockReserved { .. } => STOCK_RESERVED,
            ReservationEvent::StockReleased { .. } => STOCK_RELEASED,
            ReservationEvent::StockSold { .. } => STOCK_SOLD,
            ReservationEvent::StockReturned { .. } => STOCK_RETURNED,
            ReservationEvent::StockWrittenOff { .. } => STOCK_WRITTEN_OFF,
            ReservationEvent::ReservationForestalled => RESERVATION_FORESTALLED,
        }
    }
    /// 2: with the trace. 1: without it, and each line from one warehouse.
    fn schema(&self) -> i64 {
        match self.event {
            ReservationEvent::StockReturned { .. } | ReservationEvent::StockWrittenOff { .. } => 1,
            _ => 2,
        }
    }
    fn encode(&self) -> Result<String> {
        let trace_id = self.trace_id.clone();
        match self.event.clone() {
            ReservationEvent::StockReserved { lines }
            | ReservationEvent::StockReleased { lines }
            | ReservationEvent::StockSold { lines } => write(&LinesBody { lines, trace_id }),
            ReservationEvent::StockReturned { return_id, lines, reason }
            | ReservationEvent::StockWrittenOff { return_id, lines, reason } => {
                write(&ReturnBody { return_id, lines, reason, trace_id })
            }
            ReservationEvent::ReservationForestalled => write(&EmptyBody { trace_id }),
        }
    }
    fn decode(name: &str, schema: i64, body: &str) -> Result<Self> {
        let lines = || read::<LinesBody>(name, body).map(|b| (b.lines, b.trace_id));
        let (event, trace_id) = match (name, schema) {
            (STOCK_RESERVED, 1 | 2) => {
                lines().map(|(lines, trace)| (ReservationEvent::StockReserved { lines }, trace))?
            }
            (STOCK_RELEASED, 1 | 2) => {
                lines().map(|(lines, trace)| (ReservationEvent::StockReleased { lines }, trace))?
            }
            (STOCK_SOLD, 1 | 2) => {
                lines().map(|(lines, trace)| (ReservationEvent::StockSold { lines }, trace))?
            }
            (STOCK_RETURNED, 1) => {
                let ReturnBody { return_id, lines, reason, trace_id } = read(name, body)?;
                (ReservationEvent::StockReturned { return_id, lines, reason }, trace_id)
            }
            (STOCK_WRITTEN_OFF, 1) => {
                let ReturnBody { return_id, lines, reason, trace_id } = read(name, body)?;
                (ReservationEvent::StockWrittenOff { return_id, lines, reason }, trace_id)
            }
            (RESERVATION_FORESTALLED, 1 | 2) => {
                (ReservationEvent::ReservationForestalled, read::<EmptyBody>(name, body)?.trace_id)
            }
            _ => return Err(unknown(name, schema)),
        };
        Ok(Self { event, trace_id })
    }
}

impl DomainEvent for StockEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::StockReceived(_) => STOCK_RECEIVED,
            Self::StockAdjusted(..) => STOCK_ADJUSTED,
            Self::ThresholdSet { .. } => THRESHOLD_SET,
        }
    }
    /// `StockAdjusted` 2: with its kind. 1: every adjustment was a correction.
    fn schema(&self) -> i64 {
        match self {
            Self::StockAdjusted(..) => 2,
            _ => 1,
        }
    }
    fn encode(&self) -> Result<String> {
        match self.clone() {
            Self::StockReceived(entry) => write(&entry),
            Self::StockAdjusted(entry, kind) => write(&AdjustedBody { entry, kind }),
            Self::ThresholdSet { sku, warehouse, threshold, by } => {
                write(&ThresholdBody { sku, warehouse, threshold, by })
            }
        }
    }
    fn decode(name: &str, schema: i64, body: &str) -> Result<Self> {
        match (name, schema) {
            (STOCK_RECEIVED, 1) => read::<StockEntry>(name, body).map(Self::StockReceived),
            (STOCK_ADJUSTED, 1) => read::<StockEntry>(name, body)
                .map(|entry| Self::StockAdjusted(entry, AdjustmentKind::Correction)),
            (STOCK_ADJUSTED, 2) => {
                read::<AdjustedBody>(name, body).map(|b| Self::StockAdjusted(b.entry, b.kind))
            }
            (THRESHOLD_SET, 1) => {
                let ThresholdBody { sku, warehouse, threshold, by } = read(name, body)?;
                Ok(Self::ThresholdSet { sku, warehouse, threshold, by })
            }
            _ => Err(unknown(name, schema)),
        }
    }
}

/// A body that reads as one of several events must read as the one of its name.
fn named<E: DomainEvent + DeserializeOwned>(name: &str, schema: i64, body: &str) -> Result<E> {
    let event: E = read(name, body)?;
    if schema == event.schema() && name == event.name() { Ok(event) } else { Err(unknown(name, schema)) }
}

impl DomainEvent for TransferEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::TransferSent { .. } => TRANSFER_SENT,
            Self::TransferReceived { .. } => TRANSFER_RECEIVED,
            Self::TransferRecalled { .. } => TRANSFER_RECALLED,
        }
    }
    fn schema(&self) -> i64 {
        1
    }
    fn encode(&self) -> Result<String> {
        write(self)
    }
    fn decode(name: &str, schema: i64, body: &str) -> Result<Self> {
        named(name, schema, body)
    }
}

impl DomainEvent for CountEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::CountOpened { .. } => COUNT_OPENED,
            Self::CountEntered { .. } => COUNT_ENTERED,
            Self::CountClosed { .. } => COUNT_CLOSED,
            Self::CountAbandoned { .. } => COUNT_ABANDONED,
        }
    }
    fn schema(&self) -> i64 {
        1
    }
    fn encode(&self) -> Result<String> {
        write(self)
    }
    fn decode(name: &str, schema: i64, body: &str) -> Result<Self> {
        named(name, schema, body)
    }
}

/// Any event of the context's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InventoryEvent {
    /// Of a reservation's stream.
    Reservation(Traced),
    /// Of a stock item's stream.
    Stock(StockEvent),
    /// Of a transfer's stream.
    Transfer(TransferEvent),
    /// Of a stock count's stream.
    Count(CountEvent),
}

impl InventoryEvent {
    /// Reads an event of any kind by its name.
    ///
    /// # Errors
    /// As [`DomainEvent::decode`].
    pub fn decode(name: &str, schema: i64, body: &str) -> Result<Self> {
        match name {
            STOCK_RECEIVED | STOCK_ADJUSTED | THRESHOLD_SET => {
                StockEvent::decode(name, schema, body).map(Self::Stock)
            }
            TRANSFER_SENT | TRANSFER_RECEIVED | TRANSFER_RECALLED => {
                TransferEvent::decode(name, schema, body).map(Self::Transfer)
            }
            COUNT_OPENED | COUNT_ENTERED | COUNT_CLOSED | COUNT_ABANDONED => {
                CountEvent::decode(name, schema, body).map(Self::Count)
            }
            _ => Traced::decode(name, schema, body).map(Self::Reservation),
        }
    }
}
