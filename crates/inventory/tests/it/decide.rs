//! The rule tables.

use libtest_mimic::Trial;
use merx_contracts::ids::{Sku, WarehouseId};
use merx_inventory::domain::{
    AdjustmentKind, Lines, Movement, MovementKind, PlacedLine, Placement, Reservation, ReservationCommand,
    ReservationEvent, Shortage, StockCommand, StockEvent, StockLevel,
    reservation::{self, Rejection},
    stock::{self, StockEntry, StockEntryId, UNITS_MAX},
};
use merx_kernel::{Error, ErrorKind, Id, Quantity};

pub fn trials() -> Vec<Trial> {
    crate::trials!("decide": reservation_table, a_reserve_places_each_line_or_none, what_was_written_off_stays_sold, returns_are_bounded_by_what_was_sold, lines_are_sorted_merged_and_limited,
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

/// Every command on every state. A row is state, command, then the event, nothing to do, or the refusal.
fn reservation_table() {
    use Reservation as S;
    use ReservationCommand as C;
    use ReservationEvent as E;
    let here = placed(&[("A", 2)]);
    let reserved = S::Reserved { lines: here.clone() };
    let sold = S::Sold { lines: here.clone(), returns: Vec::new() };
    let reserve = || C::Reserve(lines(&[("A", 2)]));
    let other = || C::Reserve(lines(&[("A", 3)]));
    let whole = || take_back(1, None);
    let part = || take_back(1, Some(&[("A", 1)]));
    let returned = |n| {
        let (return_id, reason) = (Id::from_bits(1), "after_sale".to_owned());
        E::StockReturned { return_id, lines: placed(&[("A", n)]), reason }
    };
    let too_much = || Err(Rejection::ReturnedTooMuch { sku: sku("A"), wanted: 1, left: 0 });
    let table = [
        (S::Unknown, reserve(), Ok(Some(E::StockReserved { lines: here.clone() }))),
        (S::Unknown, C::Release, Ok(Some(E::ReservationForestalled))),
        (S::Unknown, C::Sell, Err(Rejection::NotReserved)),
        (S::Unknown, whole(), Ok(Some(E::ReservationForestalled))),
        (S::Unknown, part(), too_much()),
        (reserved.clone(), reserve(), Ok(None)),
        (reserved.clone(), other(), Err(Rejection::Differs)),
        (reserved.clone(), C::Release, Ok(Some(E::StockReleased { lines: here.clone() }))),
        (reserved.clone(), C::Sell, Ok(Some(E::StockSold { lines: here.clone() }))),
        (reserved.clone(), whole(), Ok(Some(E::StockReleased { lines: here }))),
        (reserved, part(), too_much()),
        (S::Released, reserve(), Err(Rejection::AlreadyReleased)),
        (S::Released, C::Release, Ok(None)),
        (S::Released, C::Sell, Err(Rejection::AlreadyReleased)),
        (S::Released, whole(), Ok(None)),
        (S::Released, part(), too_much()),
        (sold.clone(), reserve(), Ok(None)),
        (sold.clone(), other(), Err(Rejection::Differs)),
        (sold.clone(), C::Release, Err(Rejection::AlreadySold)),
        (sold.clone(), C::Sell, Ok(None)),
        (sold.clone(), whole(), Ok(Some(returned(2)))),
        (sold, part(), Ok(Some(returned(1)))),
        (S::Forestalled, reserve(), Err(Rejection::AlreadyReleased)),
        (S::Forestalled, C::Release, Ok(None)),
        (S::Forestalled, C::Sell, Err(Rejection::AlreadyReleased)),
        (S::Forestalled, whole(), Ok(None)),
        (S::Forestalled, part(), too_much()),
    ];
    for (state, command, expected) in table {
        let found = Placement::Found(placed(&[("A", 2)]));
        let decided = reservation::decide(&state, &command, found);
        assert_eq!(decided, expected, "{command:?} on {state:?}");
        // Once done, the same command has nothing left to do.
        if let Ok(Some(event)) = decided {
            let after = reservation::evolve(state, &event);
            let again = reservation::decide(&after, &command, Placement::NotSought);
            assert_eq!(again, Ok(None), "{command:?} again");
        }
    }
}

fn take_back(id: u128, wanted: Option<&[(&str, i64)]>) -> ReservationCommand {
    ReservationCommand::TakeBack {
        return_id: Id::from_bits(id),
        lines: wanted.map(lines),
        reason: "after_sale".to_owned(),
        written_off: false,
    }
}

/// What came back broken moves no stock, and is no more among what has not come back.
fn what_was_written_off_stays_sold() {
    let sold = Reservation::Sold { lines: placed(&[("A", 3)]), returns: Vec::new() };
    let ReservationCommand::TakeBack { return_id, lines, reason, .. } = take_back(1, Some(&[("A", 1)]))
    else {
        unreachable!()
    };
    let broken = ReservationCommand::TakeBack { return_id, lines, reason, written_off: true };
    let event = reservation::decide(&sold, &broken, Placement::NotSought).unwrap().unwrap();
    assert!(matches!(event, ReservationEvent::StockWrittenOff { .. }));
    assert_eq!(Movement::of_reservation(&event), []);
    let after = reservation::evolve(sold, &event);
    assert_eq!(reservation::decide(&after, &broken, Placement::NotSought).unwrap(), None, "once");
    let rest = reservation::decide(&after, &take_back(2, None), Placement::NotSought).unwrap();
    let Some(ReservationEvent::StockReturned { lines, .. }) = rest else { panic!("{rest:?}") };
    assert_eq!(lines, placed(&[("A", 2)]));
}

fn a_reserve_places_each_line_or_none() {
    let command = ReservationCommand::Reserve(lines(&[("A", 2), ("B", 5)]));
    let decide = |placement| reservation::decide(&Reservation::Unknown, &command, placement);
    let shortage = Shortage { sku: sku("B"), wanted: 5, available: 4 };
    assert_eq!(decide(Placement::Short(shortage.clone())), Err(Rejection::SoldOut(shortage)));
    // What nobody looked for, or what was found in part, is not there.
    for placement in [Placement::NotSought, Placement::Found(placed(&[("A", 2)]))] {
        assert!(matches!(decide(placement), Err(Rejection::SoldOut(_))));
    }
    // Two warehouses may serve one line.
    let mut found = placed(&[("A", 2), ("B", 3), ("B", 2)]);
    found[2].warehouse = WarehouseId::from_bits(2);
    assert_eq!(
        decide(Placement::Found(found.clone())),
        Ok(Some(ReservationEvent::StockReserved { lines: found }))
    );
}

fn returns_are_bounded_by_what_was_sold() {
    let mut here = placed(&[("A", 3), ("A", 2), ("B", 1)]);
    here[1].warehouse = WarehouseId::from_bits(2);
    let mut state = Reservation::Sold { lines: here, returns: Vec::new() };
    let mut back = |command: ReservationCommand| {
        let decided = reservation::decide(&state, &command, Placement::NotSought)?;
        let lines = match &decided {
            Some(ReservationEvent::StockReturned { lines, .. }) => lines.clone(),
            _ => Vec::new(),
        };
        if let Some(event) = decided {
            state = reservation::evolve(std::mem::take(&mut state), &event);
        }
        Ok(lines
            .iter()
            .map(|l| (l.sku.as_str().to_owned(), l.warehouse.bits(), l.quantity))
            .collect::<Vec<_>>())
    };
    let a = || "A".to_owned();
    // From where it came, the first placed first.
    assert_eq!(back(take_back(1, Some(&[("A", 4)]))), Ok(vec![(a(), 1, 3), (a(), 2, 1)]));
    assert_eq!(back(take_back(1, Some(&[("A", 4)]))), Ok(vec![]), "again");
    assert_eq!(back(take_back(1, Some(&[("A", 3)]))), Err(Rejection::ReturnDiffers));
    assert_eq!(back(take_back(1, None)), Ok(vec![]), "all is what it was then");
    let too_much = Err(Rejection::ReturnedTooMuch { sku: sku("A"), wanted: 2, left: 1 });
    assert_eq!(back(take_back(2, Some(&[("A", 2)]))), too_much);
    let never = Err(Rejection::ReturnedTooMuch { sku: sku("C"), wanted: 1, left: 0 });
    assert_eq!(back(take_back(2, Some(&[("C", 1)]))), never);
    assert_eq!(back(take_back(3, None)), Ok(vec![(a(), 2, 1), ("B".to_owned(), 1, 1)]));
    assert_eq!(back(take_back(4, None)), Ok(vec![]), "nothing is left");
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
    use AdjustmentKind as K;
    let level = StockLevel { available: 5, reserved: 3, received: 8, ..StockLevel::default() };
    let receive =
        |n| stock::decide(&level, &StockCommand::Receive(entry("A", n))).map_err(|e| e.code().to_owned());
    let adjust = |kind, n| {
        stock::decide(&level, &StockCommand::Adjust(entry("A", n), kind)).map_err(|e| e.code().to_owned())
    };
    assert_eq!(receive(1), Ok(StockEvent::StockReceived(entry("A", 1))));
    assert!(receive(UNITS_MAX).is_ok());
    for bad in [0, -1, UNITS_MAX + 1, i64::MAX, i64::MIN] {
        assert_eq!(receive(bad), Err("request.invalid".to_owned()), "{bad}");
    }
    assert_eq!(adjust(K::Correction, -5), Ok(StockEvent::StockAdjusted(entry("A", -5), K::Correction)));
    for kind in [K::Correction, K::Damage, K::Theft, K::WriteOff] {
        assert_eq!(adjust(kind, -6), Err("inventory.adjustment_too_large".to_owned()));
    }
    for bad in [0, UNITS_MAX + 1, -UNITS_MAX - 1, i64::MAX, i64::MIN] {
        assert_eq!(adjust(K::Correction, bad), Err("request.invalid".to_owned()), "{bad}");
    }
    for kind in [K::Damage, K::Theft, K::WriteOff] {
        assert_eq!(adjust(kind, 1), Err("request.invalid".to_owned()), "a loss is no gain");
    }
    assert_eq!(adjust(K::Found, -1), Err("request.invalid".to_owned()));
    assert!(adjust(K::Found, 1).is_ok());
    assert!(stock::check_threshold(0).is_ok() && stock::check_threshold(UNITS_MAX).is_ok());
    assert!(stock::check_threshold(-1).is_err() && stock::check_threshold(UNITS_MAX + 1).is_err());
}

fn every_movement_keeps_the_balance() {
    let start = StockLevel {
        available: 5,
        reserved: 3,
        in_transit: 2,
        sold: 4,
        received: 17,
        adjusted: -1,
        returned: 1,
        written_off: 3,
        ..StockLevel::default()
    };
    assert!(start.balances());
    let movement =
        |kind, quantity| Movement { sku: sku("A"), warehouse: MAIN, kind, quantity, reason: None, by: None };
    let empty = StockLevel::default();
    for kind in MovementKind::ALL {
        assert!(start.after(&movement(*kind, 2)).is_some_and(StockLevel::balances), "{kind:?}");
        assert_eq!(MovementKind::from_name(kind.name()), Some(*kind));
        let change = kind.change(1);
        let takes = [change.available, change.reserved, change.in_transit].iter().any(|n| *n < 0);
        assert_eq!(
            empty.after(&movement(*kind, 1)).is_none(),
            takes,
            "nothing can be taken from nothing: {kind:?}"
        );
    }
    for kind in [MovementKind::Adjusted, MovementKind::Counted] {
        assert!(start.after(&movement(kind, -5)).is_some_and(StockLevel::balances), "{kind:?}");
        assert!(start.after(&movement(kind, -6)).is_none(), "{kind:?}");
    }
    assert!(Movement::of_reservation(&ReservationEvent::ReservationForestalled).is_empty());
    for kind in AdjustmentKind::ALL {
        let quantity = if kind.is_loss() { -2 } else { 2 };
        let made = Movement::of_command(&StockCommand::Adjust(entry("A", quantity), *kind));
        assert_eq!((made.quantity, made.change().available), (2, quantity), "{kind:?}");
    }
}

fn refusals_have_codes() {
    let sold_out = Error::from(Rejection::SoldOut(Shortage { sku: sku("TEE-M"), wanted: 3, available: 2 }));
    assert_eq!((sold_out.kind(), sold_out.code()), (ErrorKind::Rejected, "inventory.sold_out"));
    assert_eq!(sold_out.message(), "3 of TEE-M were asked for, 2 can be had.");
    for (rejection, code) in [
        (Rejection::AlreadyReleased, "inventory.reservation_released"),
        (Rejection::AlreadySold, "inventory.reservation_sold"),
        (Rejection::NotReserved, "inventory.reservation_unknown"),
        (Rejection::Differs, "inventory.reservation_differs"),
        (Rejection::ReturnDiffers, "inventory.return_differs"),
        (Rejection::ReturnedTooMuch { sku: sku("A"), wanted: 2, left: 1 }, "inventory.returned_too_much"),
    ] {
        let error = Error::from(rejection);
        assert_eq!((error.kind(), error.code()), (ErrorKind::Rejected, code));
    }
}
