//! Every shape of event ever written stays readable. A file in `fixtures/events` is `<Name>.v<schema>.json`; it is
//! never changed once released, only followed by one of a higher schema.

use std::{collections::BTreeMap, fs, path::PathBuf};

use merx_kernel::Id;
use merx_ordering::domain::{
    AfterSaleAxis, CancelReason, Event, Order, OrderPlaced, ReceivedBy, codec, event,
};

use crate::given::{ATTEMPT, CUP, ORDER, SHIPMENT, TEA, packed, sold_out, terms, total};
use crate::plain;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/events")
}

/// One of each event as this code writes it.
fn examples() -> Vec<Event> {
    [life_examples(), after_sale_examples()].concat()
}

fn life_examples() -> Vec<Event> {
    let money = event::MoneyReceived { attempt_id: ATTEMPT, amount: total() };
    let surplus =
        event::SurplusReceived { attempt_id: ATTEMPT, amount: total(), refund_id: Id::from_bits(0x66) };
    let refund = event::SurplusRefunded { refund_id: Id::from_bits(0x66), amount: total(), outstanding: 0 };
    vec![
        Event::OrderPlaced(Box::new(OrderPlaced {
            guest: true,
            limited: vec![TEA.parse().unwrap()],
            ..terms()
        })),
        Event::OrderRejected(sold_out()),
        Event::OrderAwaitingPayment(event::OrderAwaitingPayment { payment_id: ORDER.cast() }),
        Event::CancellationRequested(event::CancellationRequested { reason: CancelReason::Buyer }),
        Event::CancellationRefused(event::CancellationRefused {
            code: "ordering.already_shipped".to_owned(),
        }),
        Event::OrderCancelled(event::OrderCancelled {
            reason: CancelReason::Staff,
            refunds: vec![surplus.clone()],
        }),
        Event::OrderRefunded(refund.clone()),
        Event::OrderPaid(money.clone()),
        Event::PaymentQuarantined(money.clone()),
        Event::QuarantineAccepted(event::QuarantineAccepted {
            kept: vec![money],
            surplus: vec![surplus.clone()],
        }),
        Event::LatePaymentReceived(surplus.clone()),
        Event::LatePaymentRefunded(refund.clone()),
        Event::RevivalBegun(event::RevivalBegun { attempt_id: ATTEMPT, reservation_id: Id::from_bits(0x88) }),
        Event::OrderRevived(event::OrderRevived { attempt_id: ATTEMPT, amount: total(), outstanding: 1 }),
        Event::RevivalRefused(event::RevivalRefused {
            attempt_id: ATTEMPT,
            code: "inventory.sold_out".to_owned(),
        }),
        Event::OverpaymentReceived(surplus),
        Event::OverpaymentRefunded(refund),
        Event::FulfilmentOpened(event::FulfilmentOpened {
            shipments: vec![event::OpenedShipment {
                shipment_id: SHIPMENT,
                lines: packed(&[(TEA, 2), (CUP, 1)]),
            }],
        }),
        Event::OrderShipped(event::OrderShipped {
            shipment_id: SHIPMENT,
            carrier: "SF Express".to_owned(),
            tracking_number: "SF1234567890".to_owned(),
            lines: packed(&[(TEA, 2)]),
            complete: false,
        }),
        Event::OrderDelivered(event::OrderDelivered {
            shipment_id: SHIPMENT,
            lines: packed(&[(TEA, 2)]),
            complete: false,
        }),
        Event::ParcelReturned(event::ParcelReturned { shipment_id: SHIPMENT }),
        Event::ParcelCorrected(event::ParcelCorrected {
            shipment_id: SHIPMENT,
            carrier: "YTO Express".to_owned(),
            tracking_number: "YT1234567890".to_owned(),
        }),
        Event::ReceiptConfirmed(event::ReceiptConfirmed { by: ReceivedBy::Buyer }),
        Event::OrderCompleted(event::Happened {}),
    ]
}

fn after_sale_examples() -> Vec<Event> {
    vec![
        Event::AfterSaleRefundGranted(event::AfterSaleRefundGranted {
            case_id: Id::from_bits(0x77),
            refunds: vec![event::SurplusReceived {
                attempt_id: ATTEMPT,
                amount: total(),
                refund_id: Id::from_bits(0x66),
            }],
        }),
        Event::AfterSaleRefunded(event::AfterSaleRefunded {
            refund_id: Id::from_bits(0x66),
            amount: total(),
            everything: true,
        }),
        Event::ReplacementGranted(event::ReplacementGranted { case_id: Id::from_bits(0x77) }),
        Event::AfterSaleMoved(event::AfterSaleMoved {
            case_id: Id::from_bits(0x77),
            kind: "return".to_owned(),
            status: "sent".to_owned(),
            standing: AfterSaleAxis::Approved,
        }),
    ]
}

fn every_event_is_written_as_its_newest_fixture() {
    for example in examples() {
        let path = folder().join(format!("{}.v{}.json", example.name(), codec::schema_of(&example)));
        let body = codec::encode(&example).unwrap();
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        if std::env::var_os("MERX_REGENERATE").is_some() && !path.exists() {
            fs::write(&path, serde_json::to_string_pretty(&value).unwrap() + "\n").unwrap();
        }
        let stored = fs::read_to_string(&path)
            .unwrap_or_else(|_| panic!("{} is missing; make it with MERX_REGENERATE=1", path.display()));
        let stored_value: serde_json::Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(stored_value, value, "{} changed its shape: raise the schema instead", example.name());
        assert_eq!(codec::decode(example.name(), codec::schema_of(&example), &stored).unwrap(), example);
    }
}

/// The receipt by the timer came later; the buyer's is written as it always was.
fn a_receipt_says_so_when_it_was_the_timer() {
    let event = Event::ReceiptConfirmed(event::ReceiptConfirmed { by: ReceivedBy::Timer });
    let body = codec::encode(&event).unwrap();
    assert_eq!(body, r#"{"by":"timer"}"#);
    assert_eq!(codec::decode("ReceiptConfirmed", 1, &body).unwrap(), event);
}

fn every_fixture_of_every_schema_is_read() {
    let mut read = BTreeMap::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (name, schema) = stem.rsplit_once(".v").unwrap();
        let event =
            codec::decode(name, schema.parse().unwrap(), &fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(event.name(), name);
        // Whatever its age, it can be folded and written as it is today.
        let _folded = Order::default().evolve(&event);
        let newest = codec::encode(&event).unwrap();
        assert_eq!(codec::decode(name, codec::schema_of(&event), &newest).unwrap(), event, "{stem}");
        read.insert(stem, event);
    }
    for example in examples() {
        for schema in 1..=codec::schema_of(&example) {
            let stem = format!("{}.v{schema}", example.name());
            assert!(read.contains_key(&stem), "{stem}.json is missing");
        }
    }
    println!(
        "PROOF | T29 | fixtures of every version, ordering | size={} | all of them load, fold and are written as today | seed=-",
        read.len()
    );
}

/// What an order was before there were several shipments adds up to the same order today.
fn an_order_of_the_first_schema_is_the_same_order() {
    let names = [
        "OrderPlaced",
        "OrderAwaitingPayment",
        "OrderPaid",
        "FulfilmentOpened",
        "OrderShipped",
        "OrderDelivered",
    ];
    let order = names.iter().fold(Order::default(), |order, name| {
        let body = fs::read_to_string(folder().join(format!("{name}.v1.json"))).unwrap();
        order.evolve(&codec::decode(name, 1, &body).unwrap())
    });
    assert_eq!(order.illegal_events, 0);
    assert_eq!(order.axes.unwrap().fulfilment, merx_ordering::domain::FulfilmentAxis::Delivered);
    let parcel = &order.parcels[&SHIPMENT];
    assert_eq!(parcel.lines, packed(&[(TEA, 2), (CUP, 1)]));
    assert!(parcel.dispatched && parcel.delivered && order.unshipped().is_empty());
    assert!(!order.terms.unwrap().guest);
}

fn what_cannot_be_read_says_so() {
    for (name, schema, body) in [
        ("OrderEaten", 1, "{}"),
        ("OrderPlaced", 99, "{}"),
        ("OrderPlaced", 1, "{}"),
        ("OrderShipped", 1, "[]"),
    ] {
        assert_eq!(codec::decode(name, schema, body).unwrap_err().kind(), merx_kernel::ErrorKind::Internal);
    }
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    plain!["event_fixtures": every_event_is_written_as_its_newest_fixture, a_receipt_says_so_when_it_was_the_timer, every_fixture_of_every_schema_is_read, an_order_of_the_first_schema_is_the_same_order, what_cannot_be_read_says_so]
}
