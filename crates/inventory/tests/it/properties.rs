//! Random sequences: any order, repeated, of reserve, release, sell, receive and adjust keep the balance.

use std::collections::BTreeMap;

use libtest_mimic::Trial;
use merx_contracts::ids::{Sku, WarehouseId};
use merx_inventory::domain::{
    Movement, Reservation, ReservationCommand, StockCommand, StockLevel,
    reservation::{self, Offer},
    stock,
};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::decide::{entry, lines};

pub fn trials() -> Vec<Trial> {
    crate::trials!("properties": the_balance_holds_whatever_comes, a_repeated_history_is_the_same_history)
}

#[derive(Clone, Debug)]
pub enum Action {
    Receive(usize, i64),
    Adjust(usize, i64),
    Reserve(usize, Vec<(usize, i64)>),
    Release(usize),
    Sell(usize),
}

pub const SKUS: [&str; 3] = ["A", "B", "C"];

pub fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => (0..SKUS.len(), 1..20i64).prop_map(|(s, n)| Action::Receive(s, n)),
        1 => (0..SKUS.len(), -15..15i64).prop_map(|(s, n)| Action::Adjust(s, n)),
        4 => (0..6usize, prop::collection::vec((0..SKUS.len(), 1..6i64), 1..4)).prop_map(|(r, l)| Action::Reserve(r, l)),
        3 => (0..6usize).prop_map(Action::Release),
        3 => (0..6usize).prop_map(Action::Sell),
    ]
}

/// The pure rules over levels in memory, one warehouse: what the store does with guarded updates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub levels: BTreeMap<Sku, StockLevel>,
    pub reservations: BTreeMap<usize, Reservation>,
    pub ledger: Vec<Movement>,
}

impl Model {
    fn take(&mut self, movements: Vec<Movement>) {
        for movement in movements {
            let level = self.levels.entry(movement.sku.clone()).or_default();
            *level = level.after(&movement).expect("the rules never take what is not there");
            self.ledger.push(movement);
        }
    }

    fn offers(&self, command: &ReservationCommand) -> BTreeMap<Sku, Offer> {
        let ReservationCommand::Reserve(lines) = command else { return BTreeMap::new() };
        let offer = |line: &merx_inventory::domain::Line| {
            let available = self.levels.get(&line.sku).map_or(0, |l| l.available);
            let whole = available >= line.quantity;
            if whole { Offer::From(WarehouseId::from_bits(1)) } else { Offer::Short { available } }
        };
        lines.as_slice().iter().map(|line| (line.sku.clone(), offer(line))).collect()
    }

    /// The refusal's code, if it was refused.
    pub fn act(&mut self, action: &Action) -> Option<String> {
        let (id, command) = match action {
            Action::Receive(s, n) => return self.stock(StockCommand::Receive(entry(SKUS[*s], *n))),
            Action::Adjust(s, n) => return self.stock(StockCommand::Adjust(entry(SKUS[*s], *n))),
            Action::Reserve(r, wanted) => {
                let wanted: Vec<_> = wanted.iter().map(|(s, n)| (SKUS[*s], *n)).collect();
                (*r, ReservationCommand::Reserve(lines(&wanted)))
            }
            Action::Release(r) => (*r, ReservationCommand::Release),
            Action::Sell(r) => (*r, ReservationCommand::Sell),
        };
        let offers = self.offers(&command);
        let state = self.reservations.get(&id).cloned().unwrap_or_default();
        match reservation::decide(&state, &command, &offers) {
            Ok(Some(event)) => {
                self.take(Movement::of_reservation(&event));
                self.reservations.insert(id, reservation::evolve(state, &event));
                None
            }
            Ok(None) => None,
            Err(rejection) => Some(merx_kernel::Error::from(rejection).code().to_owned()),
        }
    }

    fn stock(&mut self, command: StockCommand) -> Option<String> {
        let level = self.levels.get(&command.entry().sku).copied().unwrap_or_default();
        match stock::decide(&level, &command) {
            Ok(event) => {
                self.take(vec![Movement::of_stock(&event)]);
                None
            }
            Err(error) => Some(error.code().to_owned()),
        }
    }

    /// A2, and that the ledger alone explains every figure, and the open reservations what is reserved.
    pub fn check(&self) {
        let mut explained: BTreeMap<Sku, StockLevel> = BTreeMap::new();
        for movement in &self.ledger {
            let level = explained.entry(movement.sku.clone()).or_default();
            *level = level.after(movement).expect("never below zero");
        }
        assert_eq!(explained, self.levels);
        for (code, level) in &self.levels {
            assert!(level.balances(), "{code}: {level:?}");
            let open: i64 = self
                .reservations
                .values()
                .filter_map(|r| match r {
                    Reservation::Reserved { lines } => Some(lines),
                    _ => None,
                })
                .flatten()
                .filter(|line| line.sku == *code)
                .map(|line| line.quantity)
                .sum();
            assert_eq!(open, level.reserved, "{code}");
        }
    }
}

fn the_balance_holds_whatever_comes() {
    let histories = prop::collection::vec(action(), 1..80);
    runner()
        .run(&histories, |history| {
            let mut model = Model::default();
            for action in &history {
                model.act(action);
                model.check();
            }
            Ok(())
        })
        .unwrap();
}

/// Every reservation command sent twice leaves what once leaves.
fn a_repeated_history_is_the_same_history() {
    let histories = prop::collection::vec(action(), 1..60);
    runner()
        .run(&histories, |history| {
            let (mut once, mut twice) = (Model::default(), Model::default());
            for action in &history {
                let (first, second) = (once.act(action), twice.act(action));
                prop_assert_eq!(&first, &second);
                if !matches!(action, Action::Receive(..) | Action::Adjust(..)) {
                    prop_assert_eq!(&twice.act(action), &second, "{:?} again", action);
                }
            }
            prop_assert_eq!(once, twice);
            Ok(())
        })
        .unwrap();
}

fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })
}
