//! Every shape of event ever written stays readable. A file in `fixtures/events` is `<Name>.v<schema>.json`; it is
//! never changed once released, only followed by one of a higher schema.

use std::{fs, path::PathBuf};

use libtest_mimic::Trial;
use merx_inventory::{
    domain::{PlacedLine, ReservationEvent, StockEvent, stock::StockEntry},
    log::{InventoryEvent, stock_stream},
};
use merx_kernel::{ErrorKind, Id};
use merx_platform::DomainEvent;
use serde_json::Value;

use crate::{bench::MAIN, decide::sku};

pub fn trials() -> Vec<Trial> {
    crate::trials!("events": every_event_is_written_as_its_fixture, every_fixture_is_read,
        what_cannot_be_read_says_so, the_stream_of_a_stock_item_never_changes)
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
    ]
    .into_iter()
    .map(InventoryEvent::Reservation)
    .collect();
    all.push(InventoryEvent::Stock(StockEvent::StockReceived(bare)));
    all.push(InventoryEvent::Stock(StockEvent::StockAdjusted(entry(-3))));
    all
}

fn written(event: &InventoryEvent) -> (&'static str, i64, String) {
    match event {
        InventoryEvent::Reservation(e) => (e.name(), e.schema(), e.encode().unwrap()),
        InventoryEvent::Stock(e) => (e.name(), e.schema(), e.encode().unwrap()),
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
}

fn what_cannot_be_read_says_so() {
    for (name, schema, body) in
        [("StockEaten", 1, "{}"), ("StockSold", 2, "{}"), ("StockSold", 1, "{}"), ("StockReceived", 1, "{}")]
    {
        assert_eq!(InventoryEvent::decode(name, schema, body).unwrap_err().kind(), ErrorKind::Internal);
    }
}

fn the_stream_of_a_stock_item_never_changes() {
    let stream = stock_stream(&sku("TEE-M"), MAIN);
    assert_ne!(stream, stock_stream(&sku("TEE-L"), MAIN));
    assert_ne!(stream, stock_stream(&sku("TEE-M"), Id::from_bits(2)));
    assert_eq!(stream.0, 0x8c57_5c19_f699_7ee7_428e_ae94_d144_0f6c, "events of every shop lie under it");
}
