//! Random sequences: any order of commands, repeated, keeps the balance.

use libtest_mimic::Trial;
use proptest::{prelude::*, test_runner::TestRunner};

use crate::model::{Action, Model, action};

pub fn trials() -> Vec<Trial> {
    crate::trials!("properties": the_balance_holds_whatever_comes, a_repeated_history_is_the_same_history)
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

/// Every ask sent twice leaves what once leaves.
fn a_repeated_history_is_the_same_history() {
    let histories = prop::collection::vec(action(), 1..60);
    runner()
        .run(&histories, |history| {
            let (mut once, mut twice) = (Model::default(), Model::default());
            for action in &history {
                let (first, second) = (once.act(action), twice.act(action));
                prop_assert_eq!(&first, &second);
                let is_ask = matches!(
                    action,
                    Action::Reserve(..) | Action::Release(..) | Action::Sell(..) | Action::TakeBack(..)
                );
                if is_ask {
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
