//! Contention: what many did to the stock of one SKU at once is what they could have done one after the other.
//!
//! Each history is made by tasks on several threads, against one SKU of its own, and judged by the checker of
//! `merx_testkit::linear`. `MERX_LIN=200` is how many histories are made; without it fewer are.

use std::sync::Arc;

use libtest_mimic::Trial;
use merx_inventory::{
    commands::enter_stock::enter,
    domain::{
        AdjustmentKind, StockCommand, StockLevel,
        stock::{StockEntry, StockEntryId},
    },
    store,
};
use merx_kernel::{Entropy as _, Error, Result};
use merx_platform::time::SeededEntropy;
use merx_testkit::linear::{Recorder, Specification, Verdict};

use crate::{
    bench::{Bench, MAIN, on_every_mode, rsv},
    decide::{lines, sku},
};

pub fn trials() -> Vec<Trial> {
    // In memory nothing is beside anything else.
    on_every_mode("linear: the stock of one SKU", stock_is_linearizable).split_off(1)
}

/// Tasks that act at once, and acts of each.
const PROCESSES: usize = 6;
const ACTS: usize = 12;
/// Reservations that they share.
const RESERVATIONS: usize = 16;

/// The figures as anybody sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Figures {
    available: i64,
    reserved: i64,
    sold: i64,
}

impl From<StockLevel> for Figures {
    fn from(level: StockLevel) -> Self {
        Self { available: level.available, reserved: level.reserved, sold: level.sold }
    }
}

/// How an act on a reservation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Yes,
    /// So many can be had.
    SoldOut(i64),
    Released,
    Sold,
    Unknown,
    Differs,
    /// What nobody should ever hear: no history with it is linearizable.
    Nonsense,
}

/// One act with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Reserve(usize, i64, Said),
    Release(usize, Said),
    Sell(usize, Said),
    /// The figures afterwards; or how many are available, which are too few.
    Adjust(i64, std::result::Result<Figures, i64>),
    Look(Figures),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Life {
    Unknown,
    Reserved(i64),
    Released,
    Sold(i64),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    figures: Figures,
    lives: [Life; RESERVATIONS],
}

/// What each act does and answers when nobody else is there: written from the README, not from the code.
struct Stock;

impl Specification for Stock {
    type State = State;
    type Operation = Act;

    fn init() -> State {
        State {
            figures: Figures { available: 0, reserved: 0, sold: 0 },
            lives: [Life::Unknown; RESERVATIONS],
        }
    }

    fn apply(act: &Act, state: &State) -> (bool, State) {
        let mut after = state.clone();
        let answered = match *act {
            Act::Reserve(id, units, said) => said == reserve(&mut after, id, units),
            Act::Release(id, said) => said == release(&mut after, id),
            Act::Sell(id, said) => said == sell(&mut after, id),
            Act::Adjust(by, told) => {
                let had = after.figures.available;
                if had + by >= 0 {
                    after.figures.available += by;
                    told == Ok(after.figures)
                } else {
                    told == Err(had)
                }
            }
            Act::Look(seen) => seen == after.figures,
        };
        if answered { (true, after) } else { (false, state.clone()) }
    }
}

fn reserve(state: &mut State, id: usize, units: i64) -> Said {
    let had = state.figures.available;
    match state.lives[id] {
        Life::Unknown if units <= had => {
            state.figures.available -= units;
            state.figures.reserved += units;
            state.lives[id] = Life::Reserved(units);
            Said::Yes
        }
        Life::Unknown => Said::SoldOut(had),
        Life::Reserved(before) | Life::Sold(before) if before == units => Said::Yes,
        Life::Reserved(_) | Life::Sold(_) => Said::Differs,
        Life::Released => Said::Released,
    }
}

fn release(state: &mut State, id: usize) -> Said {
    match state.lives[id] {
        Life::Sold(_) => return Said::Sold,
        Life::Reserved(units) => {
            state.figures.available += units;
            state.figures.reserved -= units;
        }
        Life::Unknown | Life::Released => {}
    }
    state.lives[id] = Life::Released;
    Said::Yes
}

fn sell(state: &mut State, id: usize) -> Said {
    match state.lives[id] {
        Life::Unknown => Said::Unknown,
        Life::Released => Said::Released,
        Life::Sold(_) => Said::Yes,
        Life::Reserved(units) => {
            state.figures.reserved -= units;
            state.figures.sold += units;
            state.lives[id] = Life::Sold(units);
            Said::Yes
        }
    }
}

/// The number before the words `behind`.
fn number(message: &str, behind: &str) -> i64 {
    let before = message.split(behind).next().unwrap();
    before.split(' ').next_back().unwrap().parse().unwrap()
}

/// What was said; nothing for who gave way to others so often that the attempt was given up, without effect.
fn said(outcome: Result<()>) -> Option<Said> {
    let Err(error) = outcome else { return Some(Said::Yes) };
    Some(match error.code() {
        "inventory.sold_out" => Said::SoldOut(number(error.message(), " can be had")),
        "inventory.reservation_released" => Said::Released,
        "inventory.reservation_sold" => Said::Sold,
        "inventory.reservation_unknown" => Said::Unknown,
        "inventory.reservation_differs" => Said::Differs,
        "sql.contention" | "sql.stream_moved" => return None,
        _ => Said::Nonsense,
    })
}

/// The stock of one SKU, and who shares it.
#[derive(Clone)]
struct Shelf {
    bench: Arc<Bench>,
    code: String,
    /// The first identity of a reservation of this history.
    first: u128,
}

impl Shelf {
    fn id(&self, reservation: usize) -> u128 {
        self.first + reservation as u128
    }

    async fn look(&self) -> Figures {
        let code = sku(&self.code);
        let level = self.bench.db().read("test", move |q| store::level(q, &code, MAIN)).await.unwrap();
        level.unwrap_or_default().into()
    }

    async fn adjust(&self, by: i64) -> Option<std::result::Result<Figures, i64>> {
        let entry: StockEntryId = self.bench.deps.ids.next();
        let entry =
            StockEntry { entry, sku: sku(&self.code), warehouse: MAIN, quantity: by, reason: None, by: None };
        let (act, command) = (self.bench.staff(), StockCommand::Adjust(entry, AdjustmentKind::Correction));
        let entered: std::result::Result<StockLevel, Error> =
            self.bench.db().write("test", move |tx| enter(tx, &act, &command)).await;
        match entered {
            Ok(level) => Some(Ok(level.into())),
            Err(e) if e.is("inventory.adjustment_too_large") => {
                Some(Err(number(e.message(), &format!(" of {} are available", self.code))))
            }
            Err(e) if e.is("sql.contention") || e.is("sql.stream_moved") => None,
            Err(_) => Some(Err(i64::MIN)),
        }
    }

    /// One act, thrown with dice.
    async fn act(&self, dice: [u8; 3]) -> Option<Act> {
        let (id, units) = (usize::from(dice[1]) % RESERVATIONS, i64::from(dice[2] % 3) + 1);
        Some(match dice[0] % 16 {
            0..7 => {
                let wanted = lines(&[(&self.code, units)]);
                let state = &self.bench.state;
                let done = merx_inventory::commands::reserve(state, rsv(self.id(id)), wanted).await;
                Act::Reserve(id, units, said(done)?)
            }
            7..9 => Act::Release(id, said(self.bench.release(self.id(id)).await)?),
            9..12 => Act::Sell(id, said(self.bench.sell(self.id(id)).await)?),
            12..14 => {
                let by = if dice[1].is_multiple_of(2) { units } else { -units };
                Act::Adjust(by, self.adjust(by).await?)
            }
            _ => Act::Look(self.look().await),
        })
    }
}

/// One history; its verdict, and whether a falsified end of it is found out.
async fn history(bench: &Arc<Bench>, seed: u64) -> (Verdict, bool, String) {
    let shelf = Shelf { bench: bench.clone(), code: format!("L{seed}"), first: u128::from(seed) << 16 };
    let recorder: Arc<Recorder<Act>> = Arc::default();
    recorder.run(0, async { Some(Act::Adjust(9, shelf.adjust(9).await?)) }).await;
    let mut acting = Vec::new();
    for process in 0..PROCESSES {
        let (shelf, recorder) = (shelf.clone(), recorder.clone());
        let dice = SeededEntropy::new(seed * 100 + process as u64);
        acting.push(bench.deps.tasks.spawn("test", async move {
            for _ in 0..ACTS {
                let mut thrown = [0; 3];
                dice.fill(&mut thrown);
                recorder.run(process, shelf.act(thrown)).await;
            }
        }));
    }
    for task in acting {
        task.await.unwrap();
    }
    recorder.run(0, async { Some(Act::Look(shelf.look().await)) }).await;
    let verdict = recorder.verdict::<Stock>();
    let falsified = recorder.verdict_with::<Stock>(|acts| {
        if let Some(Act::Look(seen)) = acts.last_mut() {
            seen.available += 1;
        }
    });
    let told = if verdict.linearizable { String::new() } else { recorder.told() };
    (verdict, !falsified.linearizable, told)
}

/// The guard is `Guard::StockUpdate`.
async fn stock_is_linearizable(bench: Arc<Bench>) {
    let histories: u64 = crate::size("MERX_LIN", 20);
    let mut all = Verdict { linearizable: true, ..Verdict::default() };
    let mut longest = 0;
    for seed in 1..=histories {
        let (verdict, found_out, told) = history(&bench, seed).await;
        assert!(verdict.linearizable, "history {seed} is not linearizable:\n{told}");
        assert!(found_out, "history {seed}: a falsified answer is not found out");
        longest = longest.max(verdict.tried);
        all = all.and(verdict);
    }
    println!(
        "PROOF | LIN | stock of one SKU, {}: reserve, release, sell, adjust and look by {PROCESSES} tasks | size={histories} | \
         {} operations in {histories} histories ({} overlapping others), all linearizable; the checker tried {} operations, \
         {longest} at most for one history; every falsified history refused | seed=1",
        bench.engine(),
        all.operations,
        all.overlapping,
        all.tried,
    );
}
