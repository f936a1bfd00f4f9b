//! How often one client may ask: the generic cell rate algorithm (ITU-T I.371), one number a client.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use merx_kernel::Timestamp;

use crate::problem::whole_seconds;

/// Allows each key a steady rate and a burst after a rest. Remembers a bounded number of keys.
pub struct RateLimiter<K> {
    /// Microseconds that one request costs.
    cost: i64,
    burst: i64,
    per_minute: u32,
    keys_max: usize,
    state: Mutex<State<K>>,
}

struct State<K> {
    /// When the key will have rested fully, in Unix microseconds.
    rested_at: BTreeMap<K, i64>,
    by_rest: BTreeSet<(i64, K)>,
}

/// What the limiter says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may go on.
    pub allowed: bool,
    /// Requests in a minute.
    pub per_minute: u32,
    /// The most requests at once.
    pub limit: u32,
    /// How many more may come right now.
    pub remaining: u32,
    /// How long until the client has rested fully.
    pub reset: Duration,
    /// How long to wait when it may not go on.
    pub retry_after: Duration,
}

impl<K: Ord + Clone> RateLimiter<K> {
    /// `per_minute` requests a minute, `burst` at once, for at most `keys_max` keys.
    pub fn new(per_minute: u32, burst: u32, keys_max: usize) -> Self {
        Self {
            cost: 60_000_000 / i64::from(per_minute.max(1)),
            burst: i64::from(burst.max(1)),
            per_minute,
            keys_max: keys_max.max(1),
            state: Mutex::new(State { rested_at: BTreeMap::new(), by_rest: BTreeSet::new() }),
        }
    }

    /// Counts one request of `key`.
    pub fn take(&self, key: &K, now: Timestamp) -> Verdict {
        let now = now.as_millis().saturating_mul(1000);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget_rested(now);
        let whole = self.cost * self.burst;
        // No debt is larger than a whole burst: one that looks so was made before the clock was set back, which is no
        // fault of the client's.
        let told = state.rested_at.get(key).copied().filter(|told| *told <= now + whole);
        let rested_at = told.unwrap_or(now).max(now);
        let after = rested_at + self.cost;
        let allowed = after - now <= whole;
        if allowed {
            state.set(key, after);
            if state.rested_at.len() > self.keys_max {
                state.forget_first();
            }
        }
        let debt = if allowed { after - now } else { rested_at - now };
        Verdict {
            allowed,
            per_minute: self.per_minute,
            limit: u32::try_from(self.burst).unwrap_or(u32::MAX),
            remaining: u32::try_from((whole - debt).max(0) / self.cost).unwrap_or(0),
            reset: micros(debt),
            retry_after: micros(if allowed { 0 } else { after - now - whole }),
        }
    }
}

impl<K: Ord + Clone> State<K> {
    fn set(&mut self, key: &K, at: i64) {
        if let Some(old) = self.rested_at.insert(key.clone(), at) {
            self.by_rest.remove(&(old, key.clone()));
        }
        self.by_rest.insert((at, key.clone()));
    }
    /// Two at each request: more than can be added, so the rested never pile up.
    fn forget_rested(&mut self, now: i64) {
        for _ in 0..2 {
            if self.by_rest.first().is_none_or(|(at, _)| *at > now) {
                return;
            }
            self.forget_first();
        }
    }
    fn forget_first(&mut self) {
        if let Some((_, key)) = self.by_rest.pop_first() {
            self.rested_at.remove(&key);
        }
    }
}

impl Verdict {
    /// The `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers).
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let policy = format!("\"client\";q={};w=60", self.per_minute);
        let state = format!("\"client\";r={};t={}", self.remaining, whole_seconds(self.reset));
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

fn micros(n: i64) -> Duration {
    Duration::from_micros(u64::try_from(n).unwrap_or(0))
}
