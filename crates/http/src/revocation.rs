//! Sessions that ended before their last access token did.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use merx_kernel::{Error, Result, Timestamp, principal::SessionId};

/// The set of ended sessions whose access tokens may still be about. Whoever ends a session pushes it here; an
/// entry may be forgotten when the last token of the session has expired.
///
/// It fails closed: until it is loaded, and, when it is a copy, once it is older than its limit, no token passes.
pub struct Revocations {
    inner: RwLock<Inner>,
    /// `None`: this process ends the sessions itself, so the set is never old.
    age_max: Option<Duration>,
}

#[derive(Default)]
struct Inner {
    until: BTreeMap<SessionId, Timestamp>,
    confirmed_at: Option<Timestamp>,
}

impl Revocations {
    /// The set beside the sessions themselves, in one process. Empty and closed until [`Self::load`].
    pub fn in_process() -> Self {
        Self { inner: RwLock::default(), age_max: None }
    }
    /// A copy that another process pushes changes to; no token passes when it was not confirmed for `age_max`.
    pub fn pushed(age_max: Duration) -> Self {
        Self { inner: RwLock::default(), age_max: Some(age_max) }
    }

    /// Replaces the set, at start and after a gap.
    pub fn load(&self, ended: impl IntoIterator<Item = (SessionId, Timestamp)>, now: Timestamp) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.until = ended.into_iter().collect();
        inner.confirmed_at = Some(now);
    }
    /// Adds a session; its last access token expires at `until`.
    pub fn add(&self, session: SessionId, until: Timestamp, now: Timestamp) {
        self.add_all([(session, until)], now);
    }
    /// Adds many sessions, each with the moment its last access token expires.
    pub fn add_all(&self, ended: impl IntoIterator<Item = (SessionId, Timestamp)>, now: Timestamp) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.until.retain(|_, end| *end > now);
        inner.until.extend(ended);
    }
    /// Says that nothing is missing as of `now`.
    pub fn confirm(&self, now: Timestamp) {
        self.inner.write().unwrap_or_else(PoisonError::into_inner).confirmed_at = Some(now);
    }

    /// Whether the session has ended.
    ///
    /// # Errors
    /// `Unavailable` when the set is not loaded or too old.
    pub fn contains(&self, session: SessionId, now: Timestamp) -> Result<bool> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = inner.confirmed_at.is_some_and(|at| self.age_max.is_none_or(|max| now.since(at) <= max));
        if !fresh {
            return Err(Error::unavailable(
                "request.revocations_unknown",
                "We cannot tell at the moment which sessions have ended.",
            ));
        }
        Ok(inner.until.contains_key(&session))
    }
}
