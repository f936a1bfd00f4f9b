//! The pure rules over levels in memory, two warehouses: what the store does with guarded updates.

use std::collections::BTreeMap;

use merx_contracts::ids::{Sku, WarehouseId};
use merx_inventory::domain::{
    AdjustmentKind, Count, CountCommand, Movement, Placement, Reservation, ReservationCommand, Shelf,
    StockCommand, StockLevel, Transfer, TransferCommand, allocate,
    count::{self, Figure},
    reservation,
    stock::{self, StockEntry},
    transfer::{self, TransferLine},
};
use merx_kernel::{Error, Id, Result};
use proptest::prelude::*;

use crate::{
    bench::{MAIN, SOUTH},
    decide::{lines, sku},
};

pub const SKUS: [&str; 3] = ["A", "B", "C"];
/// The warehouses by number; the first serves first.
pub const PLACES: [WarehouseId; 2] = [MAIN, SOUTH];

/// Lines as (number of the SKU, units).
pub type Wanted = Vec<(usize, i64)>;

#[derive(Clone, Debug)]
pub enum Action {
    Receive(usize, usize, i64),
    Adjust(usize, usize, AdjustmentKind, i64),
    Reserve(usize, Wanted),
    Release(usize),
    Sell(usize),
    TakeBack(usize, usize, Wanted),
    Send(usize, usize, Wanted),
    /// The transfer, and how many of its first line are missing.
    Arrive(usize, i64),
    Recall(usize),
    CountOpen(usize, usize),
    CountEnter(usize, usize, i64),
    CountClose(usize),
    CountAbandon(usize),
    Threshold(usize, usize, i64),
}

pub fn action() -> impl Strategy<Value = Action> {
    let (s, p) = (0..SKUS.len(), 0..PLACES.len());
    let wanted = || prop::collection::vec((0..SKUS.len(), 1..6i64), 1..4);
    let kind = prop::sample::select(AdjustmentKind::ALL);
    prop_oneof![
        4 => (s.clone(), p.clone(), 1..20i64).prop_map(|(s, p, n)| Action::Receive(s, p, n)),
        2 => (s.clone(), p.clone(), kind, -15..15i64).prop_map(|(s, p, k, n)| Action::Adjust(s, p, k, n)),
        6 => (0..6usize, wanted()).prop_map(|(r, l)| Action::Reserve(r, l)),
        3 => (0..6usize).prop_map(Action::Release),
        4 => (0..6usize).prop_map(Action::Sell),
        3 => (0..4usize, 0..6usize, prop::collection::vec((0..SKUS.len(), 1..4i64), 0..3))
            .prop_map(|(b, r, l)| Action::TakeBack(b, r, l)),
        3 => (0..4usize, p.clone(), wanted()).prop_map(|(t, p, l)| Action::Send(t, p, l)),
        2 => (0..4usize, -1..3i64).prop_map(|(t, n)| Action::Arrive(t, n)),
        1 => (0..4usize).prop_map(Action::Recall),
        2 => (0..2usize, p.clone()).prop_map(|(c, p)| Action::CountOpen(c, p)),
        3 => (0..2usize, s.clone(), 0..20i64).prop_map(|(c, s, n)| Action::CountEnter(c, s, n)),
        2 => (0..2usize).prop_map(Action::CountClose),
        1 => (0..2usize).prop_map(Action::CountAbandon),
        1 => (s, p, 0..12i64).prop_map(|(s, p, n)| Action::Threshold(s, p, n)),
    ]
}

/// The lines of a transfer: each SKU once, since twice is refused.
pub fn transfer_lines(wanted: &Wanted) -> Vec<TransferLine> {
    let mut units: BTreeMap<Sku, i64> = BTreeMap::new();
    for (s, n) in wanted {
        *units.entry(sku(SKUS[*s])).or_default() += n;
    }
    units.into_iter().map(|(sku, quantity)| TransferLine { sku, quantity }).collect()
}

/// What is said to have arrived of a transfer on its way: all, or less of the first line.
pub fn arrival(state: &Transfer, missing: i64) -> TransferCommand {
    let Transfer::Sent { lines, .. } = state else {
        return TransferCommand::Receive { arrived: None, reason: None };
    };
    if missing < 0 {
        return TransferCommand::Receive { arrived: None, reason: None };
    }
    let mut arrived: Vec<(Sku, i64)> = lines.iter().map(|l| (l.sku.clone(), l.quantity)).collect();
    arrived[0].1 = (arrived[0].1 - missing).max(0);
    TransferCommand::Receive { arrived: Some(arrived), reason: Some("fell off".to_owned()) }
}

pub fn wanted_lines(wanted: &Wanted) -> merx_inventory::domain::Lines {
    let wanted: Vec<_> = wanted.iter().map(|(s, n)| (SKUS[*s], *n)).collect();
    lines(&wanted)
}

pub fn entry(number: u128, s: usize, p: usize, quantity: i64) -> StockEntry {
    StockEntry {
        entry: Id::from_bits(number),
        sku: sku(SKUS[s]),
        warehouse: PLACES[p],
        quantity,
        reason: Some("test".to_owned()),
        by: None,
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub levels: BTreeMap<(Sku, WarehouseId), StockLevel>,
    pub reservations: BTreeMap<usize, Reservation>,
    pub transfers: BTreeMap<usize, Transfer>,
    pub counts: BTreeMap<usize, Count>,
    pub ledger: Vec<Movement>,
    /// How often a level fell below its threshold.
    pub lows: usize,
}

impl Model {
    fn level(&self, sku: &Sku, warehouse: WarehouseId) -> StockLevel {
        self.levels.get(&(sku.clone(), warehouse)).copied().unwrap_or_default()
    }

    /// All of them, or none when one cannot be.
    fn take(&mut self, movements: Vec<Movement>) -> Result<(), Movement> {
        let before = self.clone();
        for movement in movements {
            let key = (movement.sku.clone(), movement.warehouse);
            let level = self.levels.entry(key).or_default();
            let Some(after) = level.after(&movement) else {
                *self = before;
                return Err(movement);
            };
            self.lows += usize::from(after.is_low() && !level.is_low());
            *level = after;
            self.ledger.push(movement);
        }
        Ok(())
    }

    /// The refusal's code, or `ok`.
    pub fn act(&mut self, action: &Action) -> String {
        let done = match action {
            Action::Receive(s, p, n) => self.stock(StockCommand::Receive(entry(1, *s, *p, *n))),
            Action::Adjust(s, p, kind, n) => self.stock(StockCommand::Adjust(entry(1, *s, *p, *n), *kind)),
            Action::Reserve(r, wanted) => self.reserve(*r, ReservationCommand::Reserve(wanted_lines(wanted))),
            Action::Release(r) => self.reserve(*r, ReservationCommand::Release),
            Action::Sell(r) => self.reserve(*r, ReservationCommand::Sell),
            Action::TakeBack(b, r, wanted) => {
                let lines = if wanted.is_empty() { None } else { Some(wanted_lines(wanted)) };
                let (return_id, reason) = (return_of(*b, *r), "test".to_owned());
                let written_off = b % 2 == 1 && lines.is_some();
                self.reserve(*r, ReservationCommand::TakeBack { return_id, lines, reason, written_off })
            }
            Action::Send(t, p, wanted) => {
                let (from, to) = (PLACES[*p], PLACES[1 - *p]);
                let (lines, reason) = (transfer_lines(wanted), "test".to_owned());
                self.transfer(*t, TransferCommand::Send { from, to, lines, reason })
            }
            Action::Arrive(t, missing) => {
                let command = arrival(&self.transfers.get(t).cloned().unwrap_or_default(), *missing);
                self.transfer(*t, command)
            }
            Action::Recall(t) => self.transfer(*t, TransferCommand::Recall { reason: "test".to_owned() }),
            Action::CountOpen(c, p) => {
                let (warehouse, skus, reason) = (PLACES[*p], Vec::new(), "test".to_owned());
                self.count(*c, CountCommand::Open { warehouse, skus, reason })
            }
            Action::CountEnter(c, s, counted) => {
                let level = match self.counts.get(c) {
                    Some(Count::Open { warehouse, .. }) => self.level(&sku(SKUS[*s]), *warehouse),
                    _ => StockLevel::default(),
                };
                let (expected, adjusted) = (level.on_hand(), level.adjusted);
                let figure = Figure { counted: *counted, expected, adjusted };
                self.count(*c, CountCommand::Enter { sku: sku(SKUS[*s]), figure })
            }
            Action::CountClose(c) => {
                let mut adjusted = BTreeMap::new();
                if let Some(Count::Open { warehouse, figures, .. }) = self.counts.get(c) {
                    let now = |sku: &Sku| (sku.clone(), self.level(sku, *warehouse).adjusted);
                    adjusted = figures.keys().map(now).collect();
                }
                self.count(*c, CountCommand::Close { adjusted, reason: "test".to_owned() })
            }
            Action::CountAbandon(c) => self.count(*c, CountCommand::Abandon { reason: "test".to_owned() }),
            Action::Threshold(s, p, n) => {
                let level = self.levels.entry((sku(SKUS[*s]), PLACES[*p])).or_default();
                let before = level.is_low();
                level.threshold = *n;
                level.threshold_version += 1;
                level.version += 1;
                self.lows += usize::from(level.is_low() && !before);
                Ok(())
            }
        };
        done.map_or_else(|error| error.code().to_owned(), |()| "ok".to_owned())
    }

    fn stock(&mut self, command: StockCommand) -> Result<()> {
        let level = self.level(&command.entry().sku, command.entry().warehouse);
        let event = stock::decide(&level, &command)?;
        self.take(Movement::of_stock(&event).into_iter().collect()).expect("the rule has looked");
        Ok(())
    }

    fn reserve(&mut self, id: usize, command: ReservationCommand) -> Result<()> {
        let state = self.reservations.get(&id).cloned().unwrap_or_default();
        let placement = match &command {
            ReservationCommand::Reserve(lines) => {
                let shelf = |((sku, warehouse), level): (&(Sku, WarehouseId), &StockLevel)| Shelf {
                    sku: sku.clone(),
                    warehouse: *warehouse,
                    priority: i64::from(*warehouse == SOUTH),
                    available: level.available,
                };
                let shelves: Vec<Shelf> = self.levels.iter().map(shelf).collect();
                allocate(lines, &shelves).map_or_else(Placement::Short, Placement::Found)
            }
            _ => Placement::NotSought,
        };
        let Some(event) = reservation::decide(&state, &command, placement)? else { return Ok(()) };
        self.take(Movement::of_reservation(&event)).expect("the rules never take what is not there");
        self.reservations.insert(id, reservation::evolve(state, &event));
        Ok(())
    }

    fn transfer(&mut self, id: usize, command: TransferCommand) -> Result<()> {
        let state = self.transfers.get(&id).cloned().unwrap_or_default();
        let event = transfer::decide(&state, command, None)?;
        let refused = |_| Error::rejected("inventory.not_available", "");
        self.take(Movement::of_transfer(&event)).map_err(refused)?;
        self.transfers.insert(id, transfer::evolve(state, &event));
        Ok(())
    }

    fn count(&mut self, id: usize, command: CountCommand) -> Result<()> {
        let state = self.counts.get(&id).cloned().unwrap_or_default();
        let event = count::decide(&state, command, None)?;
        self.take(Movement::of_count(&event)).map_err(|m| stock::too_large(&m.sku, 0))?;
        self.counts.insert(id, count::evolve(state, &event));
        Ok(())
    }

    /// A2, and that the ledger alone explains every figure, and the open reservations and transfers what is reserved
    /// and on the way.
    pub fn check(&self) {
        let mut explained: BTreeMap<(Sku, WarehouseId), StockLevel> = BTreeMap::new();
        for movement in &self.ledger {
            let level = explained.entry((movement.sku.clone(), movement.warehouse)).or_default();
            *level = level.after(movement).expect("never below zero");
        }
        for ((code, warehouse), level) in &self.levels {
            assert!(level.balances(), "{code}: {level:?}");
            let ledger = explained.get(&(code.clone(), *warehouse)).copied().unwrap_or_default();
            let StockLevel { version, threshold, threshold_version, .. } = *level;
            assert_eq!(StockLevel { version, threshold, threshold_version, ..ledger }, *level, "{code}");
            let reserved: i64 = self
                .reservations
                .values()
                .filter_map(|r| if let Reservation::Reserved { lines } = r { Some(lines) } else { None })
                .flatten()
                .filter(|line| line.sku == *code && line.warehouse == *warehouse)
                .map(|line| line.quantity)
                .sum();
            assert_eq!(reserved, level.reserved, "{code}");
        }
        for code in SKUS.map(sku) {
            let of = |figure: fn(&StockLevel) -> i64| -> i64 {
                self.levels.iter().filter(|((s, _), _)| *s == code).map(|(_, level)| figure(level)).sum()
            };
            assert_eq!(of(|l| l.transferred), 0, "{code} moved between warehouses");
            let on_the_way: i64 = self
                .transfers
                .values()
                .filter_map(|t| if let Transfer::Sent { lines, .. } = t { Some(lines) } else { None })
                .flatten()
                .filter(|line| line.sku == code)
                .map(|line| line.quantity)
                .sum();
            assert_eq!(of(|l| l.in_transit), on_the_way, "{code} in transit");
        }
    }
}

/// A return belongs to its reservation.
pub fn return_of(b: usize, r: usize) -> merx_contracts::ids::ReturnId {
    Id::from_bits(3_000_000 + (r * 10 + b) as u128)
}
