//! What was seen: how often what was answered, and how orders ended.

use std::{collections::BTreeMap, sync::Mutex};

use merx_testkit::Answer;

use super::rules::how;

/// How often what happened, over all runs.
#[derive(Default)]
pub struct Tally(Mutex<BTreeMap<String, usize>>);

impl Tally {
    /// One more answer to `operation`.
    pub fn answered(&self, operation: &str, answer: &Answer) {
        self.count(format!("{operation} {}", how(answer)), 1);
    }
    /// So many more of something.
    pub fn count(&self, what: impl Into<String>, times: usize) {
        *self.0.lock().unwrap().entry(what.into()).or_insert(0) += times;
    }
    /// Everything that was seen.
    pub fn all(&self) -> BTreeMap<String, usize> {
        self.0.lock().unwrap().clone()
    }
}
