//! What was stored or sent before: domain events of every shape ever written, and facts in their envelopes.

use merx_contracts::{
    Envelope, Fact,
    events::{
        accounts::{CodeRequested, GuestLoggedIn, PersonErased},
        catalogue::{PriceChanged, ProductChanged},
        inventory::StockLow,
        notification::WebhookDisabled,
        ordering::{
            OrderAwaitingPayment, OrderAwaitingPaymentV2, OrderCancelled, OrderCancelledV2, OrderCompleted,
            OrderCompletedV2, OrderPaid, OrderPaidV2, OrderRefunded, OrderShipped,
        },
        payment::{PaymentCaptured, PaymentRefunded},
        shipping::{
            ShipmentCorrected, ShipmentDelivered, ShipmentDispatched, ShipmentDispatchedV2, ShipmentReturned,
        },
    },
};
use merx_inventory::domain::{Count, Reservation, Transfer};
use merx_inventory::log::{Counts, InventoryEvent, Reservations, Transfers};
use merx_ordering::{cause, domain::Order};
use merx_payment::domain::{Payment, PaymentEvent};
use merx_platform::{Aggregate, DomainEvent};

use super::text;

/// The states that the events of one input make.
#[derive(Default)]
struct States {
    order: Order,
    payment: Payment,
    reservation: Reservation,
    transfer: Transfer,
    count: Count,
}

/// Lines of `context name schema body`. What can be read is written again in its newest shape and read as the same; and
/// no event that can be read can be refused by the state.
pub fn stored(input: &[u8]) {
    let Some(text) = text(input) else { return };
    let mut states = States::default();
    for line in text.lines().take(64) {
        let mut words = line.splitn(4, ' ');
        let (Some(context), Some(name), Some(schema), Some(body)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let Ok(schema) = schema.parse::<i64>() else { continue };
        states.take(context, name, schema, body);
    }
}

impl States {
    fn take(&mut self, context: &str, name: &str, schema: i64, body: &str) {
        match context {
            "ordering" => {
                if let Some(traced) = read::<cause::Traced>(name, schema, body) {
                    self.order = std::mem::take(&mut self.order).evolve(&traced.event);
                }
            }
            "payment" => {
                if let Some(event) = read::<PaymentEvent>(name, schema, body) {
                    self.payment = Payment::evolve(std::mem::take(&mut self.payment), &event);
                }
            }
            "inventory" => match InventoryEvent::decode(name, schema, body) {
                Ok(InventoryEvent::Reservation(traced)) => {
                    again(&traced, name);
                    self.reservation = Reservations::evolve(std::mem::take(&mut self.reservation), &traced);
                }
                Ok(InventoryEvent::Stock(event)) => again(&event, name),
                Ok(InventoryEvent::Transfer(event)) => {
                    again(&event, name);
                    self.transfer = Transfers::evolve(std::mem::take(&mut self.transfer), &event);
                }
                Ok(InventoryEvent::Count(event)) => {
                    again(&event, name);
                    self.count = Counts::evolve(std::mem::take(&mut self.count), &event);
                }
                Err(_) => {}
            },
            _ => {}
        }
    }
}

fn read<E: DomainEvent>(name: &str, schema: i64, body: &str) -> Option<E> {
    let event = E::decode(name, schema, body).ok()?;
    again(&event, name);
    Some(event)
}

/// Written in the newest shape it is read as the same.
fn again<E: DomainEvent>(event: &E, name: &str) {
    assert_eq!(event.name(), name, "read as something else");
    let written = event.encode().unwrap();
    let read = E::decode(event.name(), event.schema(), &written)
        .unwrap_or_else(|e| panic!("{}: {written}", e.chain()));
    assert_eq!(read.encode().unwrap(), written);
}

/// An envelope, and what it says to each of its readers.
pub fn facts(input: &[u8]) {
    let Some(text) = text(input) else { return };
    let Ok(envelope) = Envelope::from_json(text) else { return };
    let written = envelope.to_json().unwrap();
    let again = Envelope::from_json(&written).unwrap();
    assert_eq!(again.to_json().unwrap(), written);
    macro_rules! each {
        ($($fact:ty),+ $(,)?) => { $(one::<$fact>(&envelope);)+ };
    }
    each!(
        CodeRequested,
        GuestLoggedIn,
        PersonErased,
        PriceChanged,
        ProductChanged,
        StockLow,
        WebhookDisabled,
        OrderAwaitingPayment,
        OrderAwaitingPaymentV2,
        OrderCancelled,
        OrderCancelledV2,
        OrderCompleted,
        OrderCompletedV2,
        OrderPaid,
        OrderPaidV2,
        OrderRefunded,
        OrderShipped,
        PaymentCaptured,
        PaymentRefunded,
        ShipmentCorrected,
        ShipmentDelivered,
        ShipmentDispatched,
        ShipmentDispatchedV2,
        ShipmentReturned,
    );
}

fn one<F: Fact>(envelope: &Envelope) {
    let Ok(fact) = envelope.fact::<F>() else { return };
    assert_eq!(envelope.kind, F::TYPE, "a fact of another type was read");
    let _ = fact.subject();
    let written = serde_json::to_string(&fact).unwrap();
    let again: F = serde_json::from_str(&written).unwrap_or_else(|e| panic!("{e}: {written}"));
    assert_eq!(serde_json::to_string(&again).unwrap(), written);
}
