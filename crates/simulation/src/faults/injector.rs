//! Decides at every point, from the seed of the run.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use merx_kernel::Entropy as _;
use merx_platform::{
    faults::{Faults, Point},
    time::SeededEntropy,
};
use merx_sql::FaultPoint;
use merx_testkit::Trace;

use super::{DB_AFTER, DB_BEFORE, Plan, one_in};

/// The faults of one run. What one point draws does not depend on which others are active.
pub struct Injector {
    seed: u64,
    plan: Plan,
    trace: Arc<Trace>,
    /// Whether anything goes wrong at the moment.
    is_awake: AtomicBool,
    /// Tasks come in between each other's transactions.
    turns: Option<SeededEntropy>,
    streams: Mutex<BTreeMap<&'static str, SeededEntropy>>,
    struck: Mutex<BTreeMap<&'static str, u64>>,
}

impl Injector {
    /// The faults of `plan`, asleep.
    pub fn new(seed: u64, plan: Plan, are_interleaved: bool, trace: Arc<Trace>) -> Self {
        let turns = are_interleaved.then(|| SeededEntropy::new(!seed));
        let (streams, struck) = (Mutex::default(), Mutex::default());
        Self { seed, plan, trace, is_awake: AtomicBool::new(false), turns, streams, struck }
    }

    /// The seed.
    pub const fn seed(&self) -> u64 {
        self.seed
    }
    /// The plan.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }
    /// From now on things go wrong, or not any more.
    pub fn wake(&self, is_awake: bool) {
        self.is_awake.store(is_awake, Ordering::Relaxed);
    }
    /// How often each point struck that did.
    pub fn struck(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.struck)
            .iter()
            .filter(|(_, times)| **times > 0)
            .map(|(point, times)| (*point, *times))
            .collect()
    }
    /// Notes that something went wrong.
    pub fn note(&self, point: &'static str, times: u64) {
        *lock(&self.struck).entry(point).or_insert(0) += times;
    }
    /// Notes that something did not go wrong in the end.
    pub fn take_back(&self, point: &'static str, times: u64) {
        if let Some(struck) = lock(&self.struck).get_mut(point) {
            *struck = struck.saturating_sub(times);
        }
    }

    /// Whether `point` strikes now; `of` is for the trace.
    pub fn hits(&self, point: &'static str, of: &str) -> bool {
        if !self.is_awake.load(Ordering::Relaxed) || !self.plan.active.contains(point) {
            return false;
        }
        let hit = self.draw(point, one_in(point)) == 0;
        if hit {
            self.note(point, 1);
            self.trace.see(format!("fault {point} {of}"));
        }
        hit
    }
    /// A number below `end` of the stream of `point`.
    pub fn draw(&self, point: &'static str, end: u64) -> u64 {
        let mut streams = lock(&self.streams);
        let stream = streams.entry(point).or_insert_with(|| SeededEntropy::new(self.seed ^ fnv(point)));
        let mut bytes = [0; 8];
        stream.fill(&mut bytes);
        u64::from_le_bytes(bytes) % end.max(1)
    }
}

impl Faults for Injector {
    fn strikes(&self, point: Point, of: &str) -> bool {
        self.hits(point.name(), of)
    }
    fn amount(&self, point: Point, end: u64) -> u64 {
        self.draw(point.name(), end)
    }
}

impl merx_sql::Faults for Injector {
    fn strikes(&self, point: FaultPoint, labels: &[&'static str]) -> bool {
        // What a test itself writes is not the shop's.
        if labels.iter().any(|label| label.starts_with("test.")) {
            return false;
        }
        let name = match point {
            FaultPoint::BeforeCommit => DB_BEFORE,
            FaultPoint::AfterCommit => DB_AFTER,
        };
        self.hits(name, labels.first().unwrap_or(&""))
    }

    /// Most often the next comes at once, now and then everybody else for a while.
    fn turns(&self, _: &'static str) -> u32 {
        let Some(turns) = &self.turns else { return 0 };
        let mut bytes = [0; 2];
        turns.fill(&mut bytes);
        match bytes[0] % 8 {
            0..4 => 0,
            4..7 => u32::from(bytes[1] % 4),
            _ => u32::from(bytes[1] % 40),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// FNV-1a, so that the stream of a point is its own.
fn fnv(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}
