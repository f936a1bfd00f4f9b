//! Random lives of orders: paid, paid twice, paid late, shipped in parts, returned in parts, exchanged, cancelled, while
//! every kind of message is lost and doubled. Many live in one shop at once; when all of them have ended the auditor finds
//! nothing, and each holds the money that its life comes to.
//!
//! `MERX_LIVES=100000` lives so many, `MERX_LIVES_EACH=100` of them in each shop, `MERX_SEED=7` begins with another shop. A
//! shop that fails is told with what repeats it, and with the lives that fail in it, as few and as short as they are found
//! to be.

mod ended;
mod living;
mod shop;
mod story;

use std::{collections::BTreeMap, time::Duration};

use merx_kernel::Clock as _;
use merx_platform::time::SystemClock;
use merx_simulation::{
    faults::Plan,
    people::Tally,
    run::{Failure, Lived, commit, live_tuned, number},
    shrink,
    world::Touched,
};

use crate::faults::proof;
use story::Story;

/// The most lives in one shop: the more there are, the less each of them costs.
const EACH_MAX: u64 = 100;
/// Lives, unless told.
const USUALLY: u64 = 10;
/// Of so many shops one is lived twice, and must do the same.
const TWICE_OF: u64 = 16;
/// How long the lives of a shop that fails are made fewer and shorter, at most.
const SHRINK_FOR: Duration = Duration::from_secs(45);
/// How many shops lie between two lines that tell how far it has come.
const TOLD_EVERY: u64 = 50;

/// A shop and what happens in it.
#[derive(Clone)]
struct Shop {
    seed: u64,
    plan: Plan,
    stories: Vec<Story>,
}

impl Shop {
    fn of(seed: u64, lives: u64) -> Self {
        let stories = (0..lives).map(|number| Story::of(seed, number)).collect();
        Self { seed, plan: shop::plan(seed), stories }
    }

    fn live(&self, tally: &Tally) -> Result<Lived, Failure> {
        let life = |world| shop::lived(world, &self.stories, tally);
        live_tuned(self.seed, &self.plan, shop::hasty, &life)
    }

    /// The same with less in it: fewer lives, less that goes wrong, shorter lives.
    fn simpler(&self) -> Vec<Self> {
        let with = |stories: Vec<Story>| Self { stories, ..self.clone() };
        let all = self.stories.len();
        let mut simpler = Vec::new();
        let parts = [all.div_ceil(2), all.div_ceil(4), 1];
        for size in parts.into_iter().filter(|size| *size < all) {
            let without = |(at, _): (usize, &[Story])| {
                let kept = self.stories.iter().enumerate().filter(|(n, _)| n / size != at);
                with(kept.map(|(_, story)| story.clone()).collect())
            };
            simpler.extend(self.stories.chunks(size).enumerate().map(without));
        }
        let plans = shrink::simpler(&self.plan).into_iter();
        simpler.extend(plans.map(|plan| Self { plan, ..self.clone() }));
        for (at, story) in self.stories.iter().enumerate().filter(|_| all <= 4) {
            for shorter in story.shorter() {
                let mut stories = self.stories.clone();
                stories[at] = shorter;
                simpler.push(with(stories));
            }
        }
        simpler
    }

    fn fail(self, failure: Failure) -> ! {
        let (seed, each) = (self.seed, self.stories.len());
        println!("SEED={seed} fails, and is made smaller: {failure}");
        let until = SystemClock.now().plus(SHRINK_FOR);
        let fails = |shop: &Self| shop.live(&Tally::default()).err();
        let is_over = || SystemClock.now() >= until;
        let (small, failure) = shrink::smallest(self, failure, Self::simpler, is_over, fails);
        let lives: Vec<String> = small.stories.iter().map(ToString::to_string).collect();
        panic!(
            "MERX_SEED={seed} MERX_LIVES={each} MERX_LIVES_EACH={each} COMMIT={}\nPLAN {}\n{}\n{failure}",
            commit(),
            small.plan,
            lives.join("\n")
        );
    }
}

#[test]
fn orders_of_random_lives_end_with_the_books_right() {
    let (lives, first) = (number("MERX_LIVES", USUALLY), number("MERX_SEED", 1));
    let each = number("MERX_LIVES_EACH", lives.clamp(1, EACH_MAX));
    let shops = lives.div_ceil(each);
    let (tally, mut touched, mut twice) = (Tally::default(), Touched::default(), 0);
    let began = SystemClock.now();
    for (done, seed) in (1..).zip(first..first + shops) {
        let shop = Shop::of(seed, each);
        let lived = match shop.live(&tally) {
            Ok(lived) => lived,
            Err(failure) => shop.fail(failure),
        };
        touched.add(&lived.touched);
        if done % TWICE_OF == 1 {
            let again = shop.live(&Tally::default()).map(|again| again.hash);
            assert_eq!(again, Ok(lived.hash), "SEED={seed}: two runs of one seed are the same");
            twice += 1;
        }
        if done % TOLD_EVERY == 0 {
            let seconds = SystemClock.now().since(began).as_secs().max(1);
            println!("{} lives, {} a second", done * each, done * each / seconds);
        }
    }
    tell(&tally.all(), &touched, (shops, twice), (shops * each, first), SystemClock.now().since(began));
}

fn tell(
    all: &BTreeMap<String, usize>,
    touched: &Touched,
    (shops, twice): (u64, u64),
    (lives, first): (u64, u64),
    took: Duration,
) {
    println!("{all:#?}");
    println!("{:#?}\n{:#?}", touched.faults, touched.orders);
    let of = |name: &str| all.get(name).copied().unwrap_or(0);
    let sum = |table: &BTreeMap<String, u64>| table.values().sum::<u64>();
    let figure = format!(
        "0 violations of A1 to A8 in {shops} shops, each life's money right: {} captures, {} of them refunded; {} completed, \
         {} cancelled, {} came back, {} without an order; {} cases, {} of them exchanged; {} faults; {twice} shops lived twice \
         and the same; {took:.0?}",
        of("captures"),
        of("refunded trades"),
        of("life ended: completed"),
        of("life ended: cancelled"),
        of("life ended: confirmed"),
        of("life ended: without an order") + of("life ended: rejected"),
        of("cases"),
        of("case ended: exchange exchanged"),
        sum(&touched.faults),
    );
    let case = "random lives of orders; of every kind of message one in four is lost and one in four doubled";
    proof("T21", case, lives, figure, first);
}
