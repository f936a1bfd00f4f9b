//! Events as stored: JSON bodies under a name and a schema number. `tests/it/fixtures/events` keeps one file of
//! every shape ever written; each must be readable for ever.

use merx_kernel::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::event::Event;

/// The schema that is written of an event today.
pub const fn schema_of(event: &Event) -> i64 {
    match event {
        Event::OrderPlaced(_)
        | Event::OrderCancelled(_)
        | Event::FulfilmentOpened(_)
        | Event::OrderShipped(_)
        | Event::OrderDelivered(_) => 2,
        _ => 1,
    }
}

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
    match lift(name, schema, body)? {
        Some(lifted) => newest(name, &lifted.to_string()),
        None => {
            let event = newest(name, body)?;
            // Not even a newer body that happens to fit is read as what it is not.
            if schema_of(&event) == schema { Ok(event) } else { Err(unknown(name, schema)) }
        }
    }
}

fn unknown(name: &str, schema: i64) -> Error {
    Error::internal(format!("no reader for {name} of schema {schema}"))
}

/// The body of an old shape in the present one; `None` when there is nothing to lift.
fn lift(name: &str, schema: i64, body: &str) -> Result<Option<Value>> {
    let added: &[(&str, Value)] = match (name, schema) {
        ("OrderPlaced", 1) => &[("guest", json!(false)), ("limited", json!([]))],
        ("OrderCancelled", 1) => &[("refunds", json!([]))],
        // Everything of the order was in the one shipment there was.
        ("OrderShipped" | "OrderDelivered", 1) => &[("lines", json!([])), ("complete", json!(true))],
        ("FulfilmentOpened", 1) => &[],
        _ => return Ok(None),
    };
    let mut old: Map<String, Value> = serde_json::from_str(body)
        .map_err(|e| Error::internal(format!("the body of a {name} is not an object")).with_source(e))?;
    if name == "FulfilmentOpened" {
        let shipment_id = old.remove("shipment_id").unwrap_or_default();
        old.insert("shipments".to_owned(), json!([{ "shipment_id": shipment_id, "lines": [] }]));
    }
    old.extend(added.iter().map(|(property, value)| ((*property).to_owned(), value.clone())));
    Ok(Some(Value::Object(old)))
}

fn newest(name: &str, body: &str) -> Result<Event> {
    match name {
        "OrderPlaced" => read(name, body, Event::OrderPlaced),
        "OrderRejected" => read(name, body, Event::OrderRejected),
        "OrderAwaitingPayment" => read(name, body, Event::OrderAwaitingPayment),
        "CancellationRequested" => read(name, body, Event::CancellationRequested),
        "CancellationRefused" => read(name, body, Event::CancellationRefused),
        "OrderCancelled" => read(name, body, Event::OrderCancelled),
        "OrderRefunded" => read(name, body, Event::OrderRefunded),
        "OrderPaid" => read(name, body, Event::OrderPaid),
        "PaymentQuarantined" => read(name, body, Event::PaymentQuarantined),
        "QuarantineAccepted" => read(name, body, Event::QuarantineAccepted),
        "LatePaymentReceived" => read(name, body, Event::LatePaymentReceived),
        "LatePaymentRefunded" => read(name, body, Event::LatePaymentRefunded),
        "RevivalBegun" => read(name, body, Event::RevivalBegun),
        "OrderRevived" => read(name, body, Event::OrderRevived),
        "RevivalRefused" => read(name, body, Event::RevivalRefused),
        "OverpaymentReceived" => read(name, body, Event::OverpaymentReceived),
        "OverpaymentRefunded" => read(name, body, Event::OverpaymentRefunded),
        "FulfilmentOpened" => read(name, body, Event::FulfilmentOpened),
        "OrderShipped" => read(name, body, Event::OrderShipped),
        "OrderDelivered" => read(name, body, Event::OrderDelivered),
        "ParcelReturned" => read(name, body, Event::ParcelReturned),
        "ParcelCorrected" => read(name, body, Event::ParcelCorrected),
        "ReceiptConfirmed" => read(name, body, Event::ReceiptConfirmed),
        "OrderCompleted" => read(name, body, Event::OrderCompleted),
        "AfterSaleRefundGranted" => read(name, body, Event::AfterSaleRefundGranted),
        "AfterSaleRefunded" => read(name, body, Event::AfterSaleRefunded),
        "ReplacementGranted" => read(name, body, Event::ReplacementGranted),
        "AfterSaleMoved" => read(name, body, Event::AfterSaleMoved),
        _ => Err(Error::internal(format!("ordering knows no event `{name}`"))),
    }
}

fn read<T: DeserializeOwned>(name: &str, body: &str, wrap: impl FnOnce(T) -> Event) -> Result<Event> {
    let content = serde_json::from_str(body)
        .map_err(|e| Error::internal(format!("the body of a {name} does not fit")).with_source(e))?;
    Ok(wrap(content))
}
