//! Requests of programs: what is known of their keys, in memory.
//!
//! It fails closed: what is not known is looked up, and when that fails nobody is let in. Whoever revokes a key, closes
//! an account or changes its roles forgets it here, at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use merx_contracts::ids::{AccountId, ApiKeyId};
use merx_http::ClientAddress;
use merx_kernel::{Credential, Error, ErrorKind, Principal, Result, Secret, Timestamp};

use crate::{
    State,
    domain::api_key,
    store::api_keys::{self, KeyFacts},
};

/// Keys that are known at a time; beyond it the one looked up longest ago is forgotten.
const KNOWN_MAX: usize = 10_000;
/// How long a key is known without looking again.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// The same where other processes change the same tables.
const KNOWN_FOR_SHARED: Duration = Duration::from_secs(1);
/// How often it is noted that a key is used.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// The keys that were looked up lately, those that do not exist among them.
#[derive(Default)]
pub struct Keys(Mutex<Known>);

#[derive(Default)]
struct Known {
    keys: BTreeMap<ApiKeyId, Entry>,
    by_age: BTreeSet<(Timestamp, ApiKeyId)>,
    /// Rises whenever something is forgotten: what was read before is not kept after.
    generation: u64,
}

#[derive(Clone)]
struct Entry {
    facts: Option<KeyFacts>,
    looked_up_at: Timestamp,
    noted_at: Option<Timestamp>,
}

impl Keys {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all of them.
    pub fn forget_all(&self) {
        let mut known = self.known();
        let generation = known.generation + 1;
        *known = Known { generation, ..Known::default() };
    }

    /// Forgets the keys of an account.
    pub fn forget(&self, account: AccountId) {
        let mut known = self.known();
        known.generation += 1;
        let its = |entry: &Entry| entry.facts.as_ref().is_some_and(|f| f.account == account);
        let gone: Vec<_> =
            known.keys.iter().filter(|(_, e)| its(e)).map(|(id, e)| (e.looked_up_at, *id)).collect();
        for (at, id) in gone {
            known.keys.remove(&id);
            known.by_age.remove(&(at, id));
        }
    }
}

impl Known {
    fn put(&mut self, id: ApiKeyId, facts: Option<KeyFacts>, now: Timestamp) {
        let noted_at = match self.keys.remove(&id) {
            Some(old) => {
                self.by_age.remove(&(old.looked_up_at, id));
                old.noted_at
            }
            None => None,
        };
        self.keys.insert(id, Entry { facts, looked_up_at: now, noted_at });
        self.by_age.insert((now, id));
        while self.keys.len() > KNOWN_MAX {
            let Some((_, oldest)) = self.by_age.pop_first() else { return };
            self.keys.remove(&oldest);
        }
    }

    /// Whether the use is to be noted now.
    fn note(&mut self, id: ApiKeyId, now: Timestamp) -> bool {
        let Some(entry) = self.keys.get_mut(&id) else { return false };
        let due = entry.noted_at.is_none_or(|at| now.since(at) >= NOTED_EVERY);
        if due {
            entry.noted_at = Some(now);
        }
        due
    }
}

/// Whom the secret of a key speaks for.
///
/// # Errors
/// `request.api_key_invalid`; `request.rate_limited` for a network that makes us look up too many; `Unavailable` when
/// it cannot be looked up.
pub async fn admit(state: &State, secret: &Secret<String>, address: ClientAddress) -> Result<Principal> {
    let id = api_key::id_of(secret.expose()).ok_or_else(invalid)?;
    let now = state.clock.now();
    let facts = facts(state, id, address, now).await?.ok_or_else(invalid)?;
    let hash = api_key::hash(secret.expose());
    let right = verify_slices_are_equal(&facts.hash, &hash).is_ok();
    if !right || !facts.good || facts.expires_at.is_some_and(|at| at <= now) {
        return Err(invalid());
    }
    let (roles, own) = state.roles.resolve(facts.account, facts.roles, now)?.ok_or_else(invalid)?;
    if state.keys.known().note(id, now) {
        note_use(state, id, now);
    }
    Ok(Principal {
        account: facts.account,
        credential: Credential::Key(id),
        roles,
        permissions: facts.scopes.and(own),
    })
}

async fn facts(
    state: &State,
    id: ApiKeyId,
    address: ClientAddress,
    now: Timestamp,
) -> Result<Option<KeyFacts>> {
    let generation = {
        let known = state.keys.known();
        let for_long = if state.settings.several_processes { KNOWN_FOR_SHARED } else { KNOWN_FOR };
        if let Some(entry) = known.keys.get(&id)
            && now.since(entry.looked_up_at) < for_long
        {
            return Ok(entry.facts.clone());
        }
        known.generation
    };
    let verdict = state.key_lookups.take(&address.network(), now);
    if !verdict.allowed {
        let message = "Too many requests by keys we have to look up; slow down.";
        return Err(Error::new(ErrorKind::RateLimited, "request.rate_limited", message)
            .with_retry_after(verdict.retry_after));
    }
    let found = state.db.read("accounts.key", move |q| api_keys::look_up(q, id)).await.map_err(|e| {
        let message = "We cannot tell at the moment whom the key belongs to.";
        Error::unavailable("request.revocations_unknown", message).with_source(e)
    })?;
    let mut known = state.keys.known();
    if known.generation == generation {
        known.put(id, found.clone(), now);
    }
    Ok(found)
}

/// Beside the request: it neither waits for it nor fails by it.
fn note_use(state: &State, id: ApiKeyId, now: Timestamp) {
    let db = state.db.clone();
    drop(state.tasks.spawn("accounts.key_used", async move {
        let noted = db.write_low("accounts.key_used", move |tx| api_keys::note_use(tx, id, now)).await;
        if let Err(error) = noted {
            tracing::warn!(error = %error.chain(), "the use of a key could not be noted");
        }
    }));
}

fn invalid() -> Error {
    Error::new(ErrorKind::Unauthenticated, "request.api_key_invalid", "The API key is not valid.")
}
