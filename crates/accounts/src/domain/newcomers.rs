//! Networks that were refused a guess at an account they had not guessed at, and the turn they get for waiting.
//!
//! The limits of [`super::throttle`] alone would let an attacker who has many networks keep an owner out of every
//! new place: nobody can tell the first guess of the owner from the first guess of yet another network. So whoever
//! is refused at the first try and comes back after [`PATIENCE`] has one guess beyond those limits.
//!
//! What is traded: besides the ten guesses in five minutes, each network gets one guess at an account in a day
//! ([`MEMORY`]), at most [`NEWCOMERS_OF_AN_ACCOUNT_MAX`] together, for the price of having waited. Against fewer
//! networks than that, an owner at a new place waits ten minutes at most; against more, somebody who holds them for
//! a day could guess that often, so new places are no longer promised anything and known ones still are.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use merx_http::ClientAddress;
use merx_kernel::Timestamp;

use super::throttle::Subject;

/// How long a newcomer waits for its turn at the most.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// How long until the same network may be a newcomer at the same account again.
pub const MEMORY: Duration = Duration::from_secs(24 * 3600);
/// Newcomers at one account in that time.
pub const NEWCOMERS_OF_AN_ACCOUNT_MAX: usize = 1_000;
/// Newcomers at all accounts; beyond it the one that came longest ago is forgotten.
pub const NEWCOMERS_MAX: usize = 100_000;

/// The newcomers of the last day.
#[derive(Default)]
pub struct Newcomers {
    known: BTreeMap<(Subject, ClientAddress), Newcomer>,
    by_age: VecDeque<(Timestamp, Subject, ClientAddress)>,
    counts: BTreeMap<Subject, usize>,
}

struct Newcomer {
    since: Timestamp,
    had_turn: bool,
}

impl Newcomers {
    /// How long until the turn of a network that the limits refuse; it has it now when that is zero. `None` when it
    /// has none.
    pub fn wait(&mut self, subject: Subject, network: ClientAddress, now: Timestamp) -> Option<Duration> {
        self.forget(now);
        if let Some(newcomer) = self.known.get_mut(&(subject, network)) {
            let left = PATIENCE.saturating_sub(now.since(newcomer.since));
            let open = !newcomer.had_turn;
            newcomer.had_turn |= left.is_zero();
            return open.then_some(left);
        }
        let count = self.counts.entry(subject).or_default();
        if *count >= NEWCOMERS_OF_AN_ACCOUNT_MAX {
            return None;
        }
        *count += 1;
        self.known.insert((subject, network), Newcomer { since: now, had_turn: false });
        self.by_age.push_back((now, subject, network));
        Some(PATIENCE)
    }

    /// Gives the turn back.
    pub fn forgive(&mut self, subject: Subject, network: ClientAddress) {
        if let Some(newcomer) = self.known.get_mut(&(subject, network)) {
            newcomer.had_turn = false;
        }
    }

    fn uncount(&mut self, subject: Subject) {
        if let Some(count) = self.counts.get_mut(&subject) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&subject);
            }
        }
    }

    /// Two at each refusal: more than can be added.
    fn forget(&mut self, now: Timestamp) {
        for _ in 0..2 {
            let old = |since: Timestamp| since.plus(MEMORY) <= now || self.known.len() >= NEWCOMERS_MAX;
            if self.by_age.front().is_none_or(|(since, ..)| !old(*since)) {
                return;
            }
            if let Some((_, subject, network)) = self.by_age.pop_front() {
                self.known.remove(&(subject, network));
                self.uncount(subject);
            }
        }
    }
}
