//! Events as stored: JSON bodies under a name and a schema number. `tests/it/fixtures/events` keeps one file of
//! every shape ever written; each must be readable for ever.

use merx_kernel::{Error, Result};
use serde::de::DeserializeOwned;

use super::event::Event;

/// The schema written today, the same for all events until one changes its shape.
pub const SCHEMA: i64 = 1;

/// The body of `event`.
///
/// # Errors
/// `Internal` when it cannot be written.
pub fn encode(event: &Event) -> Result<String> {
    serde_json::to_string(event)
        .map_err(|e| Error::internal(format!("cannot write a {}", event.name())).with_source(e))
}

/// Reads an event of any schema ever written.
///
/// # Errors
/// `Internal` for an unknown name or schema, or a body that does not fit.
pub fn decode(name: &str, schema: i64, body: &str) -> Result<Event> {
    if schema != SCHEMA {
        return Err(Error::internal(format!("no reader for {name} of schema {schema}")));
    }
    match name {
        "OrderPlaced" => read(name, body, Event::OrderPlaced),
        "OrderRejected" => read(name, body, Event::OrderRejected),
        "OrderAwaitingPayment" => read(name, body, Event::OrderAwaitingPayment),
        "CancellationRequested" => read(name, body, Event::CancellationRequested),
        "OrderCancelled" => read(name, body, Event::OrderCancelled),
        "OrderPaid" => read(name, body, Event::OrderPaid),
        "PaymentQuarantined" => read(name, body, Event::PaymentQuarantined),
        "LatePaymentReceived" => read(name, body, Event::LatePaymentReceived),
        "LatePaymentRefunded" => read(name, body, Event::LatePaymentRefunded),
        "OverpaymentReceived" => read(name, body, Event::OverpaymentReceived),
        "OverpaymentRefunded" => read(name, body, Event::OverpaymentRefunded),
        "FulfilmentOpened" => read(name, body, Event::FulfilmentOpened),
        "OrderShipped" => read(name, body, Event::OrderShipped),
        "OrderDelivered" => read(name, body, Event::OrderDelivered),
        "ReceiptConfirmed" => read(name, body, Event::ReceiptConfirmed),
        "OrderCompleted" => read(name, body, Event::OrderCompleted),
        _ => Err(Error::internal(format!("ordering knows no event `{name}`"))),
    }
}

fn read<T: DeserializeOwned>(name: &str, body: &str, wrap: impl FnOnce(T) -> Event) -> Result<Event> {
    let content = serde_json::from_str(body)
        .map_err(|e| Error::internal(format!("the body of a {name} does not fit")).with_source(e))?;
    Ok(wrap(content))
}
