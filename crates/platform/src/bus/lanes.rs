//! The order of work of one subscription on one publisher, without I/O.
//!
//! A lane is the queue of one subject. Its facts are worked one after another; lanes go on beside each other. A
//! lane is *held* while it may have rows in the deliveries table: those come before what lies in memory, and what
//! comes after them is parked there too, so that the cursor can move past a subject that is held up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use merx_kernel::Timestamp;

use crate::store::OutboxRow;

#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<OutboxRow>,
    /// There are, or may be, rows in the deliveries table that come first.
    held: bool,
    /// It was held anew while somebody worked on it, who may not have seen why.
    held_meanwhile: bool,
    /// Somebody works on it.
    busy: bool,
    /// It is in the queue of ready lanes.
    ready: bool,
    /// Nothing is tried before this.
    wait_until: Option<Timestamp>,
    /// Nothing is written before this time either: the database could take nothing.
    paused: bool,
}

impl Lane {
    /// Whether there is something to do. A lane that waits for a time can still be parked.
    fn has_work(&self) -> bool {
        match self.wait_until {
            Some(_) => self.held && !self.queue.is_empty() && !self.paused,
            None => self.held || !self.queue.is_empty(),
        }
    }

    /// Facts that were taken out to be worked on come first again.
    fn take_back(&mut self, rows: Vec<OutboxRow>) {
        for row in rows.into_iter().rev() {
            self.queue.push_front(row);
        }
    }
}

/// What is to be done for a lane; the lane is busy until [`Lanes::release`].
#[derive(Debug)]
pub(super) enum Work {
    /// Handle this fact.
    Handle(OutboxRow),
    /// Handle the first of the subject's rows in the deliveries table.
    HandleHeld(String),
    /// Write these behind the subject's rows in the deliveries table.
    Park(String, Vec<OutboxRow>),
}

/// How a piece of work went.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is handled or parked, or nobody's any more.
    Done,
    /// It lies in the deliveries table now and is tried again at this time.
    Held(Timestamp),
    /// There is nothing of this subject in the deliveries table.
    NothingHeld,
    /// Nothing came of it: the same facts again at this time, from memory.
    Again(Timestamp, Vec<OutboxRow>),
    /// Whether they lie in the deliveries table is not known: again at this time, by way of that table. From memory
    /// alone a fact would be handled, and its row there stay for ever.
    InDoubt(Timestamp, Vec<OutboxRow>),
}

/// The lanes of one subscription on one publisher.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<String, Lane>,
    /// Subjects that can be worked on, in the order they became so.
    ready: VecDeque<String>,
    /// Subjects that wait for a time.
    waiting: BTreeSet<(Timestamp, String)>,
    /// Positions that are neither handled nor in the deliveries table.
    open: BTreeSet<i64>,
    read_to: i64,
    running: usize,
}

impl Lanes {
    /// Lanes that have read up to `position`.
    pub(super) fn starting_at(position: i64) -> Self {
        Self { read_to: position, ..Self::default() }
    }

    /// Everything up to here is handled, or durable elsewhere.
    pub(super) fn cursor(&self) -> i64 {
        self.open.first().map_or(self.read_to, |first| first - 1)
    }

    /// How far the publisher was read.
    pub(super) fn read_to(&self) -> i64 {
        self.read_to
    }

    /// Facts in memory.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Pieces of work under way.
    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// Subjects that wait for a time.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The next time something can be tried.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(at, _)| *at)
    }

    /// The publisher was read up to `position`, whether or not the facts concern this subscription.
    pub(super) fn passed(&mut self, position: i64) {
        self.read_to = self.read_to.max(position);
    }

    /// One more fact, in order of position.
    pub(super) fn push(&mut self, row: OutboxRow) {
        self.passed(row.position);
        self.open.insert(row.position);
        let subject = row.subject.clone();
        self.lanes.entry(subject.clone()).or_default().queue.push_back(row);
        self.make_ready(subject);
    }

    /// The subject has rows in the deliveries table, the first to be tried at `next_at`.
    pub(super) fn hold(&mut self, subject: String, next_at: Timestamp) {
        let lane = self.lanes.entry(subject.clone()).or_default();
        lane.held = true;
        lane.held_meanwhile = lane.busy;
        self.wait(&subject, next_at);
        self.make_ready(subject);
    }

    fn wait(&mut self, subject: &str, until: Timestamp) {
        let Some(lane) = self.lanes.get_mut(subject) else { return };
        if let Some(old) = lane.wait_until.replace(until) {
            self.waiting.remove(&(old, subject.to_owned()));
        }
        self.waiting.insert((until, subject.to_owned()));
    }

    fn make_ready(&mut self, subject: String) {
        let Some(lane) = self.lanes.get_mut(&subject) else { return };
        if lane.has_work() && !lane.busy && !lane.ready {
            lane.ready = true;
            self.ready.push_back(subject);
        }
    }

    /// Whether nothing is known of the subject but facts in memory that nobody has begun with.
    pub(super) fn can_hold_back(&self, subject: &str) -> bool {
        self.lanes.get(subject).is_some_and(|lane| !lane.busy && !lane.held && lane.wait_until.is_none())
    }

    /// Nothing of the subject is begun before `until`, so that others overtake it: for simulations.
    pub(super) fn hold_back(&mut self, subject: &str, until: Timestamp) {
        self.wait(subject, until);
    }

    /// Takes the next piece of work, if there is any.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Work> {
        while self.waiting.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, subject)) = self.waiting.pop_first() {
                if let Some(lane) = self.lanes.get_mut(&subject) {
                    (lane.wait_until, lane.paused) = (None, false);
                }
                self.make_ready(subject);
            }
        }
        while let Some(subject) = self.ready.pop_front() {
            let Some(lane) = self.lanes.get_mut(&subject) else { continue };
            lane.ready = false;
            let work = if !lane.has_work() {
                // It was put off after it became ready.
                continue;
            } else if lane.held && !lane.queue.is_empty() {
                // Parking first keeps the order: afterwards all of the subject is in the table.
                Work::Park(subject, lane.queue.drain(..).collect())
            } else if lane.held {
                Work::HandleHeld(subject)
            } else if let Some(row) = lane.queue.pop_front() {
                Work::Handle(row)
            } else {
                continue;
            };
            lane.busy = true;
            self.running += 1;
            return Some(work);
        }
        None
    }

    /// A piece of work is over; `positions` are those of the facts taken from memory for it.
    pub(super) fn release(&mut self, subject: String, positions: &[i64], outcome: Outcome) {
        self.running -= 1;
        let Some(lane) = self.lanes.get_mut(&subject) else { return };
        lane.busy = false;
        let held_meanwhile = std::mem::take(&mut lane.held_meanwhile);
        match outcome {
            Outcome::Done => self.settle(positions),
            Outcome::NothingHeld => lane.held = held_meanwhile,
            Outcome::Held(next_at) => {
                lane.held = true;
                self.settle(positions);
                self.wait(&subject, next_at);
            }
            Outcome::Again(next_at, rows) => {
                lane.take_back(rows);
                self.wait(&subject, next_at);
            }
            Outcome::InDoubt(next_at, rows) => {
                lane.take_back(rows);
                (lane.held, lane.paused) = (true, true);
                self.wait(&subject, next_at);
            }
        }
        let idle = |lane: &Lane| lane.queue.is_empty() && !lane.held && lane.wait_until.is_none();
        if self.lanes.get(&subject).is_some_and(idle) {
            self.lanes.remove(&subject);
        } else {
            self.make_ready(subject);
        }
    }

    fn settle(&mut self, positions: &[i64]) {
        for position in positions {
            self.open.remove(position);
        }
    }
}
