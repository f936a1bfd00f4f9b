//! The store does what the pure rules say: random histories on both, equal answers and equal figures.

use libtest_mimic::Trial;
use merx_inventory::{
    commands::{self, enter_stock::enter},
    domain::{StockCommand, StockLevel},
};
use merx_kernel::Id;
use proptest::{prelude::*, test_runner::TestRunner};

use crate::{
    bench::{Bench, MAIN, Mode, code, rsv},
    decide::{entry, lines},
    properties::{Action, Model, SKUS, action},
};

pub fn trials() -> Vec<Trial> {
    crate::trials!("against_model": random_histories)
}

async fn act(bench: &Bench, number: u128, action: &Action) -> String {
    match action {
        Action::Receive(s, n) | Action::Adjust(s, n) => {
            let mut entry = entry(SKUS[*s], *n);
            entry.entry = Id::from_bits(number);
            let receive = matches!(action, Action::Receive(..));
            let command = if receive { StockCommand::Receive(entry) } else { StockCommand::Adjust(entry) };
            let (store, at) = (bench.store.clone(), bench.deps.now());
            code(bench.db().write("test", move |tx| enter(tx, &store, &command, at)).await)
        }
        Action::Reserve(r, wanted) => {
            let wanted: Vec<_> = wanted.iter().map(|(s, n)| (SKUS[*s], *n)).collect();
            code(commands::reserve(&bench.state, rsv(1_000_000 + *r as u128), lines(&wanted)).await)
        }
        Action::Release(r) => code(commands::release(&bench.state, rsv(1_000_000 + *r as u128)).await),
        Action::Sell(r) => code(commands::sell(&bench.state, rsv(1_000_000 + *r as u128)).await),
    }
}

fn random_histories() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let histories = prop::collection::vec(action(), 1..50);
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&histories, |history| {
            runtime.block_on(async {
                let bench = Bench::new(Mode::Inline, None).await;
                let mut model = Model::default();
                for (number, action) in (1..).zip(&history) {
                    let expected = model.act(action).unwrap_or_else(|| "ok".to_owned());
                    prop_assert_eq!(act(&bench, number, action).await, expected, "{:?}", action);
                }
                let mut levels = bench.levels().await;
                for (code, level) in &model.levels {
                    let stored = levels.remove(&(code.clone(), MAIN)).unwrap_or_default();
                    prop_assert_eq!(stored, *level, "{}", code);
                }
                prop_assert!(levels.values().all(|l| *l == StockLevel::default()), "{:?}", levels);
                bench.check().await;
                Ok(())
            })
        })
        .unwrap();
}
