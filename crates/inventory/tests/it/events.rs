//! Every shape of event ever written stays readable. A file in `fixtures/events` is `<Name>.v<schema>.json`; it is
//! never changed once released, only followed by one of a higher schema.

use std::{collections::BTreeSet, fs, path::PathBuf};

use libtest_mimic::Trial;
use merx_inventory::{
    domain::{
        AdjustmentKind, CountEvent, PlacedLine, ReservationEvent, StockEvent, TransferEvent,
        count::CountedLine,
        stock::StockEntry,
        transfer::{ArrivedLine, TransferLine},
    },
    log::{InventoryEvent, Traced, stock_stream},
};
use merx_kernel::{ErrorKind, Id};
use merx_platform::DomainEvent;
use serde_json::Value;

use crate::{
    bench::{MAIN, SOUTH},
    decide::sku,
};

pub fn trials() -> Vec<Trial> {
    crate::trials!("events": every_event_has_an_example, every_event_is_written_as_its_fixture, every_fixture_is_read,
        what_cannot_be_read_says_so, an_adjustment_of_old_is_a_correction, the_stream_of_a_stock_item_never_changes)
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/events")
}

fn examples() -> Vec<InventoryEvent> {
    use ReservationEvent as R;
    let line = |code: &str, quantity| PlacedLine { sku: sku(code), warehouse: MAIN, quantity };
    let lines = || vec![line("MUG-BLUE", 2), line("TEE-M", 1)];
    let entry = |quantity| StockEntry {
        entry: Id::from_bits(0x0198_0000_0000_7000_8000_0000_0000_0001),
        sku: sku("TEE-M"),
        warehouse: MAIN,
        quantity,
        reason: Some("count".to_owned()),
        by: Some(Id::from_bits(0x0198_0000_0000_7000_8000_0000_0000_0002)),
    };
    let bare = StockEntry { reason: None, by: None, ..entry(40) };
    let mut all: Vec<InventoryEvent> = [
        R::StockReserved { lines: lines() },
        R::StockReleased { lines: lines() },
        R::StockSold { lines: lines() },
        R::ReservationForestalled,
        R::StockReturned { return_id: Id::from_bits(9), lines: lines(), reason: "after_sale".to_owned() },
        R::StockWrittenOff { return_id: Id::from_bits(9), lines: lines(), reason: "after_sale".to_owned() },
    ]
    .into_iter()
    .map(|event| Traced { event, trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()) })
    .map(InventoryEvent::Reservation)
    .collect();
    all.push(InventoryEvent::Stock(StockEvent::StockReceived(bare)));
    all.push(InventoryEvent::Stock(StockEvent::StockAdjusted(entry(-3), AdjustmentKind::Damage)));
    all.push(InventoryEvent::Stock(StockEvent::ThresholdSet {
        sku: sku("TEE-M"),
        warehouse: MAIN,
        threshold: 12,
        by: entry(1).by,
    }));
    all.extend(transfers().map(InventoryEvent::Transfer));
    all.extend(counts().map(InventoryEvent::Count));
    all
}

fn transfers() -> [TransferEvent; 3] {
    let (from, to, by) = (MAIN, SOUTH, Some(Id::from_bits(2)));
    let lines = || vec![TransferLine { sku: sku("TEE-M"), quantity: 5 }];
    let arrived = vec![ArrivedLine { sku: sku("TEE-M"), sent: 5, arrived: 4 }];
    let reason = || "fair on Sunday".to_owned();
    [
        TransferEvent::TransferSent { from, to, lines: lines(), reason: reason(), by },
        TransferEvent::TransferReceived { from, to, lines: arrived, reason: Some(reason()), by },
        TransferEvent::TransferRecalled { from, lines: lines(), reason: reason(), by },
    ]
}

fn counts() -> [CountEvent; 4] {
    let (warehouse, by) = (MAIN, Some(Id::from_bits(2)));
    let reason = || "end of the year".to_owned();
    let lines = vec![CountedLine { sku: sku("TEE-M"), difference: -2 }];
    [
        CountEvent::CountOpened { warehouse, skus: vec![sku("TEE-M")], reason: reason(), by },
        CountEvent::CountEntered { sku: sku("TEE-M"), counted: 8, expected: 10, adjusted: -1, by },
        CountEvent::CountClosed { warehouse, lines, reason: reason(), by },
        CountEvent::CountAbandoned { reason: reason(), by },
    ]
}

/// A number for each kind of event: a new kind does not compile without one, and fails without an example.
fn kind(event: &InventoryEvent) -> usize {
    use InventoryEvent as I;
    match event {
        I::Reservation(traced) => match traced.event {
            ReservationEvent::StockReserved { .. } => 0,
            ReservationEvent::StockReleased { .. } => 1,
            ReservationEvent::StockSold { .. } => 2,
            ReservationEvent::StockReturned { .. } => 3,
            ReservationEvent::ReservationForestalled => 4,
            ReservationEvent::StockWrittenOff { .. } => 15,
        },
        I::Stock(StockEvent::StockReceived(_)) => 5,
        I::Stock(StockEvent::StockAdjusted(..)) => 6,
        I::Stock(StockEvent::ThresholdSet { .. }) => 7,
        I::Transfer(TransferEvent::TransferSent { .. }) => 8,
        I::Transfer(TransferEvent::TransferReceived { .. }) => 9,
        I::Transfer(TransferEvent::TransferRecalled { .. }) => 10,
        I::Count(CountEvent::CountOpened { .. }) => 11,
        I::Count(CountEvent::CountEntered { .. }) => 12,
        I::Count(CountEvent::CountClosed { .. }) => 13,
        I::Count(CountEvent::CountAbandoned { .. }) => 14,
    }
}

fn every_event_has_an_example() {
    let kinds: BTreeSet<usize> = examples().iter().map(kind).collect();
    assert_eq!(kinds, (0..16).collect());
}

fn written(event: &InventoryEvent) -> (&'static str, i64, String) {
    match event {
        InventoryEvent::Reservation(e) => (e.name(), e.schema(), e.encode().unwrap()),
        InventoryEvent::Stock(e) => (e.name(), e.schema(), e.encode().unwrap()),
        InventoryEvent::Transfer(e) => (e.name(), e.schema(), e.encode().unwrap()),
        InventoryEvent::Count(e) => (e.name(), e.schema(), e.encode().unwrap()),
    }
}

fn every_event_is_written_as_its_fixture() {
    for example in examples() {
        let (name, schema, body) = written(&example);
        let path = folder().join(format!("{name}.v{schema}.json"));
        let value: Value = serde_json::from_str(&body).unwrap();
        if std::env::var_os("MERX_REGENERATE").is_some() && !path.exists() {
            fs::write(&path, serde_json::to_string_pretty(&value).unwrap() + "\n").unwrap();
        }
        let stored = fs::read_to_string(&path)
            .unwrap_or_else(|_| panic!("{} is missing; make it with MERX_REGENERATE=1", path.display()));
        assert_eq!(
            serde_json::from_str::<Value>(&stored).unwrap(),
            value,
            "{name}: raise the schema instead"
        );
        assert_eq!(InventoryEvent::decode(name, schema, &stored).unwrap(), example);
    }
}

fn every_fixture_is_read() {
    let mut read = 0;
    for file in fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (name, schema) = stem.rsplit_once(".v").unwrap();
        let body = fs::read_to_string(&path).unwrap();
        let event = InventoryEvent::decode(name, schema.parse().unwrap(), &body).unwrap();
        assert_eq!(written(&event).0, name);
        read += 1;
    }
    assert!(read >= examples().len());
    println!("PROOF | T29 | fixtures of every version, inventory | size={read} | all of them load | seed=-");
}

fn what_cannot_be_read_says_so() {
    for (name, schema, body) in [
        ("StockEaten", 1, "{}"),
        ("StockSold", 3, "{}"),
        ("StockSold", 1, "{}"),
        ("StockReceived", 1, "{}"),
        ("TransferSent", 1, "{}"),
        ("CountClosed", 1, r#"{"reason": "a body of another event"}"#),
    ] {
        assert_eq!(InventoryEvent::decode(name, schema, body).unwrap_err().kind(), ErrorKind::Internal);
    }
}

fn an_adjustment_of_old_is_a_correction() {
    let body = fs::read_to_string(folder().join("StockAdjusted.v1.json")).unwrap();
    let InventoryEvent::Stock(StockEvent::StockAdjusted(entry, kind)) =
        InventoryEvent::decode("StockAdjusted", 1, &body).unwrap()
    else {
        panic!("another event")
    };
    assert_eq!((entry.quantity, kind), (-3, AdjustmentKind::Correction));
}

fn the_stream_of_a_stock_item_never_changes() {
    let stream = stock_stream(&sku("TEE-M"), MAIN);
    assert_ne!(stream, stock_stream(&sku("TEE-L"), MAIN));
    assert_ne!(stream, stock_stream(&sku("TEE-M"), Id::from_bits(2)));
    assert_eq!(stream.0, 0x8c57_5c19_f699_7ee7_428e_ae94_d144_0f6c, "events of every shop lie under it");
}
