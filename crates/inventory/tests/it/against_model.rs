//! The store does what the pure rules say: random histories on both, equal answers and equal figures.

use libtest_mimic::Trial;
use merx_contracts::ids::{StockCountId, TransferId};
use merx_inventory::{
    commands::{
        self, Act,
        count_stock::{CountStep, count_stock},
        enter_stock::enter,
        transfer_stock::transfer_stock,
    },
    domain::{StockCommand, StockLevel, TransferCommand},
};
use merx_kernel::Id;
use proptest::{prelude::*, test_runner::TestRunner};

use crate::{
    bench::{Bench, SOUTH, code, rsv},
    decide::sku,
    model::{Action, Model, PLACES, SKUS, action, arrival, entry, return_of, transfer_lines, wanted_lines},
};

pub fn trials() -> Vec<Trial> {
    crate::trials!("against_model": random_histories)
}

async fn act(bench: &Bench, model: &Model, number: u128, action: &Action) -> String {
    let reason = || "test".to_owned();
    let (state, act) = (&bench.state, Act::new(&bench.state, None));
    match action {
        Action::Receive(s, p, n) => stock(bench, StockCommand::Receive(entry(number, *s, *p, *n))).await,
        Action::Adjust(s, p, kind, n) => {
            stock(bench, StockCommand::Adjust(entry(number, *s, *p, *n), *kind)).await
        }
        Action::Reserve(r, wanted) => {
            code(commands::reserve(state, reservation(*r), wanted_lines(wanted)).await)
        }
        Action::Release(r) => code(commands::release(state, reservation(*r)).await),
        Action::Sell(r) => code(commands::sell(state, reservation(*r)).await),
        Action::TakeBack(b, r, wanted) => {
            let lines = if wanted.is_empty() { None } else { Some(wanted_lines(wanted)) };
            let back = return_of(*b, *r);
            let written_off = b % 2 == 1 && lines.is_some();
            code(commands::take_back(state, back, reservation(*r), (lines, written_off), reason()).await)
        }
        Action::Send(t, p, wanted) => {
            let (from, to) = (PLACES[*p], PLACES[1 - *p]);
            let lines = transfer_lines(wanted);
            transfer(bench, *t, TransferCommand::Send { from, to, lines, reason: reason() }).await
        }
        Action::Arrive(t, missing) => {
            // What stands in the model before the action is what stands in the store.
            let before = model.transfers.get(t).cloned().unwrap_or_default();
            transfer(bench, *t, arrival(&before, *missing)).await
        }
        Action::Recall(t) => transfer(bench, *t, TransferCommand::Recall { reason: reason() }).await,
        Action::CountOpen(c, p) => {
            let step = CountStep::Open { warehouse: PLACES[*p], skus: Vec::new(), reason: reason() };
            count(bench, *c, step).await
        }
        Action::CountEnter(c, s, counted) => {
            count(bench, *c, CountStep::Enter { sku: sku(SKUS[*s]), counted: *counted }).await
        }
        Action::CountClose(c) => count(bench, *c, CountStep::Close { reason: reason() }).await,
        Action::CountAbandon(c) => count(bench, *c, CountStep::Abandon { reason: reason() }).await,
        Action::Threshold(s, p, n) => {
            drop(act);
            bench.set_threshold(PLACES[*p], SKUS[*s], *n).await;
            "ok".to_owned()
        }
    }
}

fn reservation(r: usize) -> merx_contracts::ids::ReservationId {
    rsv(1_000_000 + r as u128)
}

async fn stock(bench: &Bench, command: StockCommand) -> String {
    let act = Act::new(&bench.state, None);
    code(bench.db().write("test", move |tx| enter(tx, &act, &command)).await)
}

async fn transfer(bench: &Bench, t: usize, command: TransferCommand) -> String {
    let (act, id) = (Act::new(&bench.state, None), TransferId::from_bits(2_000_000 + t as u128));
    code(bench.db().write("test", move |tx| transfer_stock(tx, &act, id, &command)).await)
}

async fn count(bench: &Bench, c: usize, step: CountStep) -> String {
    let (act, id): (_, StockCountId) = (Act::new(&bench.state, None), Id::from_bits(4_000_000 + c as u128));
    code(bench.db().write("test", move |tx| count_stock(tx, &act, id, &step)).await)
}

fn random_histories() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let histories = prop::collection::vec(action(), 1..50);
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&histories, |history| {
            runtime.block_on(async {
                let bench = Bench::new(merx_testkit::modes::Place::in_memory()).await;
                bench.open_warehouse(SOUTH, "south", 9).await;
                let mut model = Model::default();
                for (number, action) in (1..).zip(&history) {
                    let answered = act(&bench, &model, number, action).await;
                    prop_assert_eq!(answered, model.act(action), "{:?}", action);
                }
                let mut levels = bench.levels().await;
                for (place, level) in &model.levels {
                    let stored = levels.remove(place).unwrap_or_default();
                    prop_assert_eq!(stored, *level, "{:?}", place);
                }
                prop_assert!(levels.values().all(|l| *l == StockLevel::default()), "{:?}", levels);
                let lows = bench.facts("inventory.stock_low.v1").await.len();
                prop_assert_eq!(lows, model.lows, "what was low was told");
                bench.check().await;
                Ok(())
            })
        })
        .unwrap();
}
