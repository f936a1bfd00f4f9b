//! How many guesses at the password of one account are evaluated.
//!
//! In any five minutes ten guesses at most, wherever they come from. Of these one network gets five, and networks
//! the account never logged in from get seven together: whoever guesses from one place or from many, the owner at
//! a known place still has a try, so nobody can lock an owner out. The owner at a new place has one after ten
//! minutes: the turn of a newcomer, which is beyond these limits; [`super::newcomers`] says at what price.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use merx_http::ClientAddress;
use merx_kernel::{Guard, Timestamp};

use super::newcomers::Newcomers;

/// The time guesses are counted over.
pub const WINDOW: Duration = Duration::from_secs(300);
/// Guesses at one account in a window.
pub const GUESSES_MAX: usize = 10;
/// Of these, from one network.
pub const GUESSES_OF_A_NETWORK_MAX: usize = 5;
/// Of these, from networks the account never logged in from.
pub const GUESSES_OF_STRANGERS_MAX: usize = 7;
/// Accounts whose guesses are remembered; beyond it the one guessed at longest ago is forgotten.
pub const ACCOUNTS_MAX: usize = 100_000;

/// What an account is known by here: a hash of the name that was typed, so that unknown names count the same.
pub type Subject = [u8; 32];

/// The guesses of the last window.
#[derive(Default)]
pub struct Throttle {
    guesses: BTreeMap<Subject, VecDeque<Guess>>,
    by_latest: BTreeSet<(Timestamp, Subject)>,
    newcomers: Newcomers,
    tickets: u64,
}

/// A guess that may be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// It counts.
    Counted {
        /// At whom.
        subject: Subject,
        /// Which.
        number: u64,
    },
    /// It is the turn of a newcomer.
    Turn {
        /// At whom.
        subject: Subject,
        /// Whose.
        network: ClientAddress,
    },
}

struct Guess {
    at: Timestamp,
    network: ClientAddress,
    stranger: bool,
    ticket: u64,
}

impl Throttle {
    /// Counts a guess before it is evaluated. The ticket gives it back when it was right.
    ///
    /// # Errors
    /// How long until the next guess is evaluated.
    pub fn admit(
        &mut self,
        subject: Subject,
        network: ClientAddress,
        known: bool,
        now: Timestamp,
    ) -> Result<Ticket, Duration> {
        let log = self.guesses.entry(subject).or_default();
        let latest = log.back().map(|g| g.at);
        while log.front().is_some_and(|g| g.at.plus(WINDOW) <= now) {
            log.pop_front();
        }
        let waits = [
            wait(log, GUESSES_MAX, now, |_| true),
            wait(log, GUESSES_OF_A_NETWORK_MAX, now, |g| g.network == network),
            wait(log, GUESSES_OF_STRANGERS_MAX, now, |g| g.stranger).filter(|_| !known),
        ];
        if let Some(wait) = waits.into_iter().flatten().max().filter(|_| Guard::LoginLimiter.on()) {
            if known || log.iter().any(|g| g.network == network) {
                return Err(wait);
            }
            return match self.newcomers.wait(subject, network, now) {
                Some(Duration::ZERO) => Ok(Ticket::Turn { subject, network }),
                Some(turn) => Err(wait.min(turn)),
                None => Err(wait),
            };
        }
        self.tickets += 1;
        log.push_back(Guess { at: now, network, stranger: !known, ticket: self.tickets });
        if let Some(latest) = latest {
            self.by_latest.remove(&(latest, subject));
        }
        self.by_latest.insert((now, subject));
        self.forget(now);
        Ok(Ticket::Counted { subject, number: self.tickets })
    }

    /// Gives a guess back: it was right, or could not be evaluated.
    pub fn forgive(&mut self, ticket: Ticket) {
        match ticket {
            Ticket::Counted { subject, number } => self.uncount(subject, number),
            Ticket::Turn { subject, network } => self.newcomers.forgive(subject, network),
        }
    }

    fn uncount(&mut self, subject: Subject, number: u64) {
        if let Some(log) = self.guesses.get_mut(&subject) {
            let latest = log.back().map(|g| g.at);
            log.retain(|g| g.ticket != number);
            if let Some(latest) = latest {
                self.by_latest.remove(&(latest, subject));
            }
            match log.back().map(|g| g.at) {
                Some(latest) => drop(self.by_latest.insert((latest, subject))),
                None => drop(self.guesses.remove(&subject)),
            }
        }
    }

    /// Two at each guess: more than can be added.
    fn forget(&mut self, now: Timestamp) {
        for _ in 0..2 {
            let Some((latest, _)) = self.by_latest.first() else { return };
            if latest.plus(WINDOW) > now && self.guesses.len() <= ACCOUNTS_MAX {
                return;
            }
            if let Some((_, subject)) = self.by_latest.pop_first() {
                self.guesses.remove(&subject);
            }
        }
    }
}

/// How long until one of the guesses that count is a window old, when there are as many as may be.
fn wait(
    log: &VecDeque<Guess>,
    max: usize,
    now: Timestamp,
    counts: impl Fn(&Guess) -> bool,
) -> Option<Duration> {
    let mut counted = log.iter().filter(|guess| counts(guess));
    let first = counted.next()?;
    (1 + counted.count() >= max).then(|| first.at.plus(WINDOW).since(now))
}
