//! The published language must not change under its readers: one JSON file of every fact version ever published.

use std::path::PathBuf;

use merx_contracts::{
    Envelope, Fact,
    events::{
        ordering::{Line, OrderAwaitingPayment, OrderCancelled, OrderCompleted, OrderPaid},
        payment::{PaymentCaptured, PaymentRefunded},
        shipping::{
            ShipmentCorrected, ShipmentDelivered, ShipmentDispatched, ShipmentDispatchedV2, ShipmentReturned,
        },
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
    let stored = stored(&envelope);
    let read = Envelope::from_json(&stored).expect("reads").fact::<F>().expect("is the fact");
    assert_eq!(&read, fact);
}

/// The envelope's golden file, which it must equal.
fn stored(envelope: &Envelope) -> String {
    let value: serde_json::Value = serde_json::to_value(envelope).expect("is JSON");
    let text = serde_json::to_string_pretty(&value).expect("is JSON") + "\n";
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{}.json", envelope.kind));
    if std::env::var_os("MERX_GOLDEN_WRITE").is_some() && !path.exists() {
        std::fs::write(&path, &text).expect("writes");
    }
    let stored = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; run once with MERX_GOLDEN_WRITE=1", path.display()));
    assert_eq!(stored, text, "{} changed: publish a new version instead", envelope.kind);
    stored
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
    golden(&ShipmentDispatchedV2 {
        shipment_id,
        order_id,
        case_id: None,
        carrier: "SF".to_owned(),
        tracking_number: "SF1234567890".to_owned(),
        lines: lines(),
    });
    golden(&ShipmentDelivered { shipment_id, order_id, case_id: None });
    golden(&ShipmentReturned { shipment_id, order_id, case_id: None });
    golden(&ShipmentCorrected {
        shipment_id,
        order_id,
        case_id: None,
        carrier: "YTO".to_owned(),
        tracking_number: "YT1234567890".to_owned(),
    });
}

#[test]
fn an_envelope_of_another_type_or_shape_is_poison() {
    let fact = ShipmentDelivered { shipment_id: Id::from_bits(1), order_id: Id::from_bits(1), case_id: None };
    let envelope = Envelope::new(Id::from_bits(9), Timestamp::from_millis(0), None, &fact).expect("wraps");
    assert!(envelope.fact::<OrderCompleted>().expect_err("another type").is("message.malformed"));
    let mut broken = envelope;
    broken.data = serde_json::value::RawValue::from_string("{}".to_owned()).expect("json");
    assert!(broken.fact::<ShipmentDelivered>().expect_err("no order").is("message.malformed"));
    assert!(Envelope::from_json("{\"id\":1}").expect_err("not one").is("message.malformed"));
}

#[test]
fn the_facts_of_the_whole_life_keep_their_shape() {
    use merx_contracts::events::{LocalText, accounts::*, catalogue::*, inventory::*, ordering::*};
    let (order_id, account_id, number) = (Id::from_bits(1), Id::from_bits(2), "261120-7K3M-9QXA".to_owned());
    let sku = || Sku::new("TEA-LJ-100").expect("sku");
    let yuan = |fen| Money::new(fen, Currency::CNY);
    let text = |zh: &str, en: &str| LocalText { zh: zh.to_owned(), en: en.to_owned() };
    let line = AgreedLine {
        sku: sku(),
        product_id: Id::from_bits(5),
        title: text("龙井", "Longjing"),
        options: text("", ""),
        quantity: Quantity::new(2).expect("quantity"),
        amount: yuan(12_345),
    };
    let AgreedLine { title, options, quantity, .. } = line.clone();
    let titled = TitledLine { sku: sku(), title, options, quantity };
    golden(&OrderAwaitingPaymentV2 {
        order_id,
        number: number.clone(),
        account_id,
        cart_id: Id::from_bits(2),
        lines: vec![line],
        freight: yuan(0),
        total: yuan(12_345),
        payment_deadline: Timestamp::from_millis(1_763_623_800_123),
    });
    golden(&OrderPaidV2 { order_id, number: number.clone(), account_id, amount: yuan(12_345) });
    golden(&OrderShipped {
        order_id,
        number: number.clone(),
        account_id,
        shipment_id: Id::from_bits(1),
        carrier: "SF".to_owned(),
        tracking_number: "SF1234567890".to_owned(),
        lines: lines(),
        complete: true,
    });
    golden(&OrderShippedV2 {
        order_id,
        number: number.clone(),
        account_id,
        shipment_id: Id::from_bits(1),
        carrier: "SF".to_owned(),
        tracking_number: "SF1234567890".to_owned(),
        lines: vec![titled],
        complete: true,
    });
    let reason = "buyer".to_owned();
    golden(&OrderCancelledV2 { order_id, number: number.clone(), account_id, reason, paid: true });
    let refund_id = Id::from_bits(4);
    golden(&OrderRefunded { order_id, number: number.clone(), account_id, refund_id, amount: yuan(12_345) });
    golden(&OrderCompletedV2 { order_id, number, account_id });
    golden(&GuestLoggedIn { guest_id: Id::from_bits(3), account_id });
    golden(&CodeRequested { code_id: Id::from_bits(6), account_id, purpose: "staff_invitation".to_owned() });
    golden(&PersonErased { account_id });
    golden(&ProductChanged { product_id: Id::from_bits(5), listed: true });
    golden(&PriceChanged { sku: sku(), product_id: Id::from_bits(5), before: yuan(100), after: yuan(90) });
    golden(&merx_contracts::events::notification::WebhookDisabled {
        webhook_id: Id::from_bits(7),
        reason: "failing".to_owned(),
    });
    golden(&StockLow { sku: sku(), warehouse_id: Id::from_bits(1), available: 3, threshold: 10 });
}

#[test]
fn after_sale_facts_keep_their_shape() {
    golden(&merx_contracts::events::aftersale::CaseMoved {
        case_id: Id::from_bits(8),
        order_id: Id::from_bits(1),
        account_id: Id::from_bits(2),
        kind: "return".to_owned(),
        status: "approved".to_owned(),
        standing: "approved".to_owned(),
    });
}

#[test]
fn what_staff_did_keeps_its_shape_whoever_tells_it() {
    let acted = merx_contracts::events::staff::StaffActed {
        actor: Id::from_bits(2),
        action: "catalogue.price_changed".to_owned(),
        object: "TEA-LJ-100".to_owned(),
        reason: Some("autumn sale".to_owned()),
        detail: serde_json::json!({"before": 100, "after": 90}),
    };
    let time = Timestamp::from_millis(1_763_622_000_123);
    let envelope = acted.envelope("catalogue", Id::from_bits(9), time, None).expect("wraps");
    let read = Envelope::from_json(&stored(&envelope)).expect("reads");
    assert_eq!(merx_contracts::events::staff::StaffActed::of(&read).expect("is the fact"), acted);
    let other = Envelope::new(
        Id::from_bits(9),
        time,
        None,
        &ShipmentDelivered { shipment_id: Id::from_bits(1), order_id: Id::from_bits(1), case_id: None },
    );
    let refused = merx_contracts::events::staff::StaffActed::of(&other.expect("wraps"));
    assert!(refused.expect_err("another type").is("message.malformed"));
}
