//! The published language must not change under its readers: one JSON file of every fact version ever published.

use std::path::PathBuf;

use merx_contracts::{
    Envelope, Fact,
    events::{
        ordering::{Line, OrderAwaitingPayment, OrderCancelled, OrderCompleted, OrderPaid},
        payment::{PaymentCaptured, PaymentRefunded},
        shipping::{ShipmentDelivered, ShipmentDispatched},
    },
    ids::Sku,
};
use merx_kernel::{Currency, Id, Money, Quantity, Timestamp};

/// Writes the fact and compares with its file; reads the file and compares with the fact.
/// `MERX_GOLDEN_WRITE=1` writes a file that does not exist yet and never overwrites one.
fn golden<F: Fact + PartialEq + std::fmt::Debug>(fact: &F) {
    let id = Id::from_bits(0x0193_4e5f_0000_7000_8000_0000_0000_002a);
    let time = Timestamp::from_millis(1_763_622_000_123);
    let trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    let envelope = Envelope::new(id, time, trace, fact).expect("wraps");
    let value: serde_json::Value = serde_json::to_value(&envelope).expect("is JSON");
    let text = serde_json::to_string_pretty(&value).expect("is JSON") + "\n";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{}.json", F::TYPE));
    if std::env::var_os("MERX_GOLDEN_WRITE").is_some() && !path.exists() {
        std::fs::write(&path, &text).expect("writes");
    }
    let stored = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; run once with MERX_GOLDEN_WRITE=1", path.display()));
    assert_eq!(stored, text, "{} changed: publish a new version instead", F::TYPE);
    let read = Envelope::from_json(&stored).expect("reads").fact::<F>().expect("is the fact");
    assert_eq!(&read, fact);
}

fn lines() -> Vec<Line> {
    vec![Line { sku: Sku::new("TEA-LJ-100").expect("sku"), quantity: Quantity::new(2).expect("quantity") }]
}

#[test]
fn ordering_facts_keep_their_shape() {
    let (order_id, account_id, cart_id) = (Id::from_bits(1), Id::from_bits(2), Id::from_bits(2));
    golden(&OrderAwaitingPayment { order_id, account_id, cart_id, lines: lines() });
    golden(&OrderPaid { order_id, account_id, amount: Money::new(12_345, Currency::CNY) });
    golden(&OrderCancelled { order_id, account_id, reason: "expired".to_owned() });
    golden(&OrderCompleted { order_id, account_id });
}

#[test]
fn payment_facts_keep_their_shape() {
    let (payment_id, order_id) = (Id::from_bits(1), Id::from_bits(1));
    golden(&PaymentCaptured {
        payment_id,
        order_id,
        attempt_id: Id::from_bits(3),
        amount: Money::new(12_345, Currency::CNY),
        provider: "alipay".to_owned(),
        provider_trade_no: "2026112022001400001".to_owned(),
        late: false,
    });
    golden(&PaymentRefunded {
        payment_id,
        order_id,
        refund_id: Id::from_bits(4),
        amount: Money::new(12_345, Currency::CNY),
    });
}

#[test]
fn shipping_facts_keep_their_shape() {
    let (shipment_id, order_id) = (Id::from_bits(1), Id::from_bits(1));
    golden(&ShipmentDispatched {
        shipment_id,
        order_id,
        carrier: "SF".to_owned(),
        tracking_number: "SF1234567890".to_owned(),
    });
    golden(&ShipmentDelivered { shipment_id, order_id });
}

#[test]
fn an_envelope_of_another_type_or_shape_is_poison() {
    let fact = ShipmentDelivered { shipment_id: Id::from_bits(1), order_id: Id::from_bits(1) };
    let envelope = Envelope::new(Id::from_bits(9), Timestamp::from_millis(0), None, &fact).expect("wraps");
    assert!(envelope.fact::<OrderCompleted>().expect_err("another type").is("message.malformed"));
    let mut broken = envelope;
    broken.data = serde_json::value::RawValue::from_string("{}".to_owned()).expect("json");
    assert!(broken.fact::<ShipmentDelivered>().expect_err("no order").is("message.malformed"));
    assert!(Envelope::from_json("{\"id\":1}").expect_err("not one").is("message.malformed"));
}
