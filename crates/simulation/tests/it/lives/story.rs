//! What a life is made of, drawn from its seed before it is lived, so that it can be told and be made shorter.

use std::fmt;

use merx_simulation::dice::Dice;

/// The fewest and the most steps of a life.
const STEPS: (u64, u64) = (3, 12);
/// The longest that passes between two steps, most often.
const PAUSE_MS: u64 = 600_000;

/// One thing that happens to an order. What it is about in detail is drawn when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// One to three lines are quoted and ordered.
    Place,
    /// A way to pay is begun.
    Begin,
    /// It is paid at one of the tills.
    Pay,
    /// It is paid at every till at the same moment, at two at least.
    PayTwice,
    /// It is paid when the time is over, and the provider takes it.
    PayLate,
    /// Staff have seen money that came by hand: the right sum, or another.
    HandOver,
    /// The time to pay runs out.
    Deadline,
    /// The buyer wants it ended.
    Cancel,
    /// Staff end it.
    CancelByStaff,
    /// Every open parcel leaves.
    Ship,
    /// A parcel is parted, and one part of it leaves.
    ShipPart,
    /// The carrier hands a parcel over.
    Deliver,
    /// A parcel comes back.
    ComeBack,
    /// The buyer has the goods.
    Receive,
    /// The buyer asks for money back, to give goods back, or for others.
    Ask,
    /// The buyer thinks better of it.
    Withdraw,
    /// Staff agree.
    Approve,
    /// Staff do not agree.
    Refuse,
    /// The buyer sends the goods.
    SendBack,
    /// Goods arrive, now and then fewer than were asked for.
    Arrive,
    /// They are looked at: back on the shelf, or written off.
    Inspect,
    /// Staff decide about money that does not fit, or about goods that all came back.
    Settle,
}

const ANY: &[Step] = &[
    Step::Place,
    Step::Begin,
    Step::Pay,
    Step::PayTwice,
    Step::PayLate,
    Step::HandOver,
    Step::Deadline,
    Step::Cancel,
    Step::CancelByStaff,
    Step::Ship,
    Step::ShipPart,
    Step::Deliver,
    Step::ComeBack,
    Step::Receive,
    Step::Ask,
    Step::Withdraw,
    Step::Approve,
    Step::Refuse,
    Step::SendBack,
    Step::Arrive,
    Step::Inspect,
    Step::Settle,
];

/// What is likely to come next, by how far the order has come; the number says how likely.
const UNPAID: &[(u64, Step)] = &[
    (4, Step::Begin),
    (56, Step::Pay),
    (16, Step::PayTwice),
    (6, Step::PayLate),
    (10, Step::HandOver),
    (2, Step::Deadline),
    (6, Step::Cancel),
    (1, Step::CancelByStaff),
];
const PAID: &[(u64, Step)] = &[
    (34, Step::Ship),
    (26, Step::ShipPart),
    (8, Step::Cancel),
    (3, Step::CancelByStaff),
    (10, Step::Ask),
    (6, Step::PayTwice),
    (3, Step::Settle),
];
const SHIPPED: &[(u64, Step)] = &[
    (46, Step::Deliver),
    (10, Step::Ship),
    (10, Step::ShipPart),
    (8, Step::ComeBack),
    (8, Step::Receive),
    (8, Step::Ask),
    (3, Step::Cancel),
    (3, Step::Settle),
];
const ARRIVED: &[(u64, Step)] = &[
    (60, Step::Ask),
    (12, Step::Receive),
    (6, Step::Deliver),
    (6, Step::ComeBack),
    (4, Step::Settle),
    (6, Step::Ship),
    (2, Step::Cancel),
    (2, Step::PayTwice),
];
const ASKED: &[(u64, Step)] =
    &[(80, Step::Approve), (7, Step::Refuse), (7, Step::Withdraw), (6, Step::Cancel)];
const APPROVED: &[(u64, Step)] =
    &[(25, Step::SendBack), (55, Step::Arrive), (12, Step::Ask), (5, Step::Withdraw), (3, Step::Receive)];
const BACK: &[(u64, Step)] = &[(80, Step::Inspect), (12, Step::Ask), (4, Step::Refuse), (4, Step::Settle)];

/// A step of a life, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Which of its life: what it draws is its own, whatever is left out before it.
    pub number: u64,
    /// What.
    pub step: Step,
    /// How long after the one before.
    pub after_ms: u64,
    /// At the same moment as the one before.
    pub at_once: bool,
}

/// One order's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Which of its shop.
    pub number: u64,
    /// What happens.
    pub moves: Vec<Move>,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "life {}:", self.number)?;
        self.moves.iter().try_for_each(|m| {
            let with = if m.at_once { " &" } else { "" };
            write!(f, "{with} {:?}({})+{}s", m.step, m.number, m.after_ms / 1_000)
        })
    }
}

impl Story {
    /// The life of this number in the shop of `seed`.
    pub fn of(seed: u64, number: u64) -> Self {
        let dice = Dice::named(seed, &format!("the story of {number}"));
        let steps = STEPS.0 + dice.below(STEPS.1 - STEPS.0 + 1);
        let mut moves: Vec<Move> = Vec::new();
        let mut likely = UNPAID;
        for number in 0..steps {
            let step = match number {
                0 => Step::Place,
                _ if dice.one_in(12) => *dice.pick(ANY).unwrap(),
                _ => weighted(&dice, likely),
            };
            likely = follows(step, likely);
            let after_ms = if dice.one_in(6) { dice.below(PAUSE_MS * 4) } else { dice.below(PAUSE_MS) };
            moves.push(Move { number, step, after_ms, at_once: number > 1 && dice.one_in(8) });
        }
        Self { number, moves }
    }

    /// The same with one thing less, those first with which most goes.
    pub fn shorter(&self) -> Vec<Self> {
        let without = |range: std::ops::Range<usize>| {
            let mut moves = self.moves.clone();
            drop(moves.drain(range));
            Self { number: self.number, moves }
        };
        let all = self.moves.len();
        let halves = [all / 2..all, 1..all / 2].into_iter().filter(|half| half.len() > 1);
        halves.map(without).chain((0..all).rev().map(|at| without(at..at + 1))).collect()
    }
}

fn weighted(dice: &Dice, among: &[(u64, Step)]) -> Step {
    let mut left = dice.below(among.iter().map(|(weight, _)| weight).sum());
    for (weight, step) in among {
        match left.checked_sub(*weight) {
            None => return *step,
            Some(rest) => left = rest,
        }
    }
    Step::Pay
}

/// What is likely after a step.
fn follows(step: Step, likely: &'static [(u64, Step)]) -> &'static [(u64, Step)] {
    match step {
        Step::Place => UNPAID,
        Step::Pay | Step::PayTwice | Step::PayLate | Step::HandOver => PAID,
        Step::Ship | Step::ShipPart => SHIPPED,
        Step::Deliver | Step::Receive | Step::Withdraw | Step::Refuse | Step::Inspect => ARRIVED,
        Step::Ask => ASKED,
        Step::Approve | Step::SendBack => APPROVED,
        Step::Arrive => BACK,
        _ => likely,
    }
}
