//! The clocks and the sources of randomness: the real ones, which nothing else may touch, and the ones a run
//! can be repeated with.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use merx_kernel::{Clock, Entropy, Timestamp, clock::BoxFuture};

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that shows `base` plus what has passed on tokio's clock since it was made. With tokio's time paused
/// it moves only when every task waits, or by `tokio::time::advance`: hours of deadlines pass in no time.
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock {
    base: Timestamp,
    started: tokio::time::Instant,
}

impl VirtualClock {
    /// A clock that shows `base` now. Call it on a runtime whose time is paused.
    pub fn new(base: Timestamp) -> Self {
        Self { base, started: tokio::time::Instant::now() }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.base.plus(self.started.elapsed())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// The randomness of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    #[allow(clippy::disallowed_methods, reason = "this is the one place that asks the operating system")]
    fn fill(&self, out: &mut [u8]) {
        let filled = getrandom::fill(out);
        // Going on without randomness would make tokens that can be guessed.
        assert!(filled.is_ok(), "the operating system gives no randomness: {filled:?}");
    }
}

/// Randomness that is a function of its seed (SplitMix64, Steele et al. 2014). For tests and simulation only:
/// it can be guessed.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    /// The sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in out.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let bytes = mix(*state).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

/// The finaliser of SplitMix64: spreads every bit over all.
fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Exponential back-off with jitter: the n-th wait is between half of and the whole `min * 2^n`, at most `max`,
/// so that many that failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub min: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Backoff {
    /// How long to wait after `failures` failures in a row (1 is the first).
    pub fn wait(&self, failures: u32, entropy: &dyn Entropy) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        let whole = self.min.saturating_mul(1 << doublings).min(self.max);
        let half = whole / 2;
        let mut random = [0u8; 8];
        entropy.fill(&mut random);
        let span = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        half + Duration::from_millis(u64::from_le_bytes(random) % span)
    }
}
