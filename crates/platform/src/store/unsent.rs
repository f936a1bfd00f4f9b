//! The mistake the outbox is there to prevent: facts kept in memory and published after the commit. Reached only
//! when [`merx_kernel::Guard::Outbox`] is switched off, to show that the tests notice.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use merx_contracts::Envelope;

static UNSENT: Mutex<BTreeMap<&'static str, Vec<Envelope>>> = Mutex::new(BTreeMap::new());

pub(super) fn put(context: &'static str, facts: &[Envelope]) {
    let mut unsent = UNSENT.lock().unwrap_or_else(PoisonError::into_inner);
    unsent.entry(context).or_default().extend_from_slice(facts);
}

pub(super) fn take(context: &'static str) -> Vec<Envelope> {
    UNSENT.lock().unwrap_or_else(PoisonError::into_inner).remove(context).unwrap_or_default()
}
