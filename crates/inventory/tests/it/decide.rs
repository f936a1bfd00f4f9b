//! The rule tables.

use std::collections::BTreeMap;

use libtest_mimic::Trial;
use merx_contracts::ids::{Sku, WarehouseId};
use merx_inventory::domain::{
    Lines, Movement, PlacedLine, Reservation, ReservationCommand, ReservationEvent, StockCommand, StockEvent,
    StockLevel,
    reservation::{self, Offer, Rejection},
    stock::{self, StockEntry, StockEntryId, UNITS_MAX},
};
use merx_kernel::{Error, ErrorKind, Quantity};

pub fn trials() -> Vec<Trial> {
    crate::trials!("decide": reservation_table, a_reserve_places_each_line_or_none, lines_are_sorted_merged_and_limited,
        stock_limits, every_movement_keeps_the_balance, refusals_have_codes)
}

pub fn sku(code: &str) -> Sku {
    Sku::new(code).unwrap()
}
pub fn lines(wanted: &[(&str, i64)]) -> Lines {
    Lines::new(wanted.iter().map(|(code, n)| (sku(code), Quantity::new(*n).unwrap()))).unwrap()
}
const MAIN: WarehouseId = WarehouseId::from_bits(1);

fn placed(wanted: &[(&str, i64)]) -> Vec<PlacedLine> {
    wanted.iter().map(|(code, n)| PlacedLine { sku: sku(code), warehouse: MAIN, quantity: *n }).collect()
}
fn offers(codes: &[&str]) -> BTreeMap<Sku, Offer> {
    codes.iter().map(|code| (sku(code), Offer::From(MAIN))).collect()
}

/// Every command on every state. A row is state, command, then the event, nothing to do, or the refusal.
fn reservation_table() {
    use Reservation as S;
    use ReservationCommand as C;
    use ReservationEvent as E;
    let here = placed(&[("A", 2)]);
    let reserved = S::Reserved { lines: here.clone() };
    let sold = S::Sold { lines: here.clone() };
    let reserve = || C::Reserve(lines(&[("A", 2)]));
    let other = || C::Reserve(lines(&[("A", 3)]));
    let table = [
        (S::Unknown, reserve(), Ok(Some(E::StockReserved { lines: here.clone() }))),
        (S::Unknown, C::Release, Ok(Some(E::ReservationForestalled))),
        (S::Unknown, C::Sell, Err(Rejection::NotReserved)),
        (reserved.clone(), reserve(), Ok(None)),
        (reserved.clone(), other(), Err(Rejection::Differs)),
        (reserved.clone(), C::Release, Ok(Some(E::StockReleased { lines: here.clone() }))),
        (reserved, C::Sell, Ok(Some(E::StockSold { lines: here }))),
        (S::Released, reserve(), Err(Rejection::AlreadyReleased)),
        (S::Released, C::Release, Ok(None)),
        (S::Released, C::Sell, Err(Rejection::AlreadyReleased)),
        (sold.clone(), reserve(), Ok(None)),
        (sold.clone(), other(), Err(Rejection::Differs)),
        (sold.clone(), C::Release, Err(Rejection::AlreadySold)),
        (sold, C::Sell, Ok(None)),
        (S::Forestalled, reserve(), Err(Rejection::AlreadyReleased)),
        (S::Forestalled, C::Release, Ok(None)),
        (S::Forestalled, C::Sell, Err(Rejection::AlreadyReleased)),
    ];
    for (state, command, expected) in table {
        let decided = reservation::decide(&state, &command, &offers(&["A"]));
        assert_eq!(decided, expected, "{command:?} on {state:?}");
        // Once done, the same command has nothing left to do.
        if let Ok(Some(event)) = decided {
            let after = reservation::evolve(state, &event);
            assert_eq!(
                reservation::decide(&after, &command, &BTreeMap::new()),
                Ok(None),
                "{command:?} again"
            );
        }
    }
}

fn a_reserve_places_each_line_or_none() {
    let command = ReservationCommand::Reserve(lines(&[("A", 2), ("B", 5)]));
    let mut given = offers(&["A"]);
    given.insert(sku("B"), Offer::Short { available: 4 });
    let refused = reservation::decide(&Reservation::Unknown, &command, &given);
    assert_eq!(refused, Err(Rejection::SoldOut { sku: sku("B"), wanted: 5, available: 4 }));
    // A SKU nobody offers has none.
    let refused = reservation::decide(&Reservation::Unknown, &command, &offers(&["A"]));
    assert_eq!(refused, Err(Rejection::SoldOut { sku: sku("B"), wanted: 5, available: 0 }));
    // Two warehouses may serve one reservation, each a whole line.
    given.insert(sku("B"), Offer::From(WarehouseId::from_bits(2)));
    let Ok(Some(ReservationEvent::StockReserved { lines })) =
        reservation::decide(&Reservation::Unknown, &command, &given)
    else {
        panic!("not reserved")
    };
    assert_eq!(lines.iter().map(|l| l.warehouse.bits()).collect::<Vec<_>>(), [1, 2]);
}

fn lines_are_sorted_merged_and_limited() {
    let merged = lines(&[("B", 1), ("A", 2), ("B", 3)]);
    let pairs: Vec<_> = merged.as_slice().iter().map(|l| (l.sku.as_str().to_owned(), l.quantity)).collect();
    assert_eq!(pairs, [("A".to_owned(), 2), ("B".to_owned(), 4)]);
    let one = Quantity::new(1).unwrap();
    let invalid = |lines: Vec<(Sku, Quantity)>| Lines::new(lines).unwrap_err().kind() == ErrorKind::Invalid;
    assert!(invalid(vec![]));
    assert!(invalid((0..=Lines::COUNT_MAX).map(|n| (sku(&format!("S{n}")), one)).collect()));
    assert!(Lines::new((0..Lines::COUNT_MAX).map(|n| (sku(&format!("S{n}")), one))).is_ok());
    let most = Quantity::new(i64::from(Quantity::MAX)).unwrap();
    assert!(invalid(vec![(sku("A"), most), (sku("A"), one)]));
}

pub fn entry(code: &str, quantity: i64) -> StockEntry {
    StockEntry {
        entry: StockEntryId::from_bits(7),
        sku: sku(code),
        warehouse: MAIN,
        quantity,
        reason: Some("count".to_owned()),
        by: None,
    }
}

fn stock_limits() {
    let level = StockLevel { available: 5, reserved: 3, received: 8, ..StockLevel::default() };
    let receive =
        |n| stock::decide(&level, &StockCommand::Receive(entry("A", n))).map_err(|e| e.code().to_owned());
    let adjust =
        |n| stock::decide(&level, &StockCommand::Adjust(entry("A", n))).map_err(|e| e.code().to_owned());
    assert_eq!(receive(1), Ok(StockEvent::StockReceived(entry("A", 1))));
    assert!(receive(UNITS_MAX).is_ok());
    for bad in [0, -1, UNITS_MAX + 1, i64::MAX, i64::MIN] {
        assert_eq!(receive(bad), Err("request.invalid".to_owned()), "{bad}");
    }
    assert_eq!(adjust(-5), Ok(StockEvent::StockAdjusted(entry("A", -5))));
    assert_eq!(adjust(-6), Err("inventory.adjustment_too_large".to_owned()));
    for bad in [0, UNITS_MAX + 1, -UNITS_MAX - 1, i64::MAX, i64::MIN] {
        assert_eq!(adjust(bad), Err("request.invalid".to_owned()), "{bad}");
    }
}

fn every_movement_keeps_the_balance() {
    let here = placed(&[("A", 2)]);
    let start = StockLevel { available: 5, reserved: 3, sold: 1, received: 10, adjusted: -1, version: 2 };
    assert!(start.balances());
    let mut movements = vec![
        Movement::of_stock(&StockEvent::StockReceived(entry("A", 4))),
        Movement::of_stock(&StockEvent::StockAdjusted(entry("A", -5))),
    ];
    for event in [
        ReservationEvent::StockReserved { lines: here.clone() },
        ReservationEvent::StockReleased { lines: here.clone() },
        ReservationEvent::StockSold { lines: here },
    ] {
        movements.extend(Movement::of_reservation(&event));
    }
    for movement in &movements {
        assert!(start.after(movement).is_some_and(StockLevel::balances), "{movement:?}");
    }
    assert!(Movement::of_reservation(&ReservationEvent::ReservationForestalled).is_empty());
    let empty = StockLevel::default();
    assert!(movements[1..].iter().all(|m| empty.after(m).is_none()), "nothing can be taken from nothing");
}

fn refusals_have_codes() {
    let sold_out = Error::from(Rejection::SoldOut { sku: sku("TEE-M"), wanted: 3, available: 2 });
    assert_eq!((sold_out.kind(), sold_out.code()), (ErrorKind::Rejected, "inventory.sold_out"));
    assert_eq!(sold_out.message(), "3 of TEE-M were asked for, 2 can be had.");
    for (rejection, code) in [
        (Rejection::AlreadyReleased, "inventory.reservation_released"),
        (Rejection::AlreadySold, "inventory.reservation_sold"),
        (Rejection::NotReserved, "inventory.reservation_unknown"),
        (Rejection::Differs, "inventory.reservation_differs"),
    ] {
        let error = Error::from(rejection);
        assert_eq!((error.kind(), error.code()), (ErrorKind::Rejected, code));
    }
}
