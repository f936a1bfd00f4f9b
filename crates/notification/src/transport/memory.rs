//! Mails kept in memory: for tests and simulations.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Letter, MailTransport};
use crate::domain::Outcome;

/// Every mail that was sent, in order. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryMailbox(Arc<Mutex<Vec<Letter>>>);

impl MemoryMailbox {
    fn all(&self) -> MutexGuard<'_, Vec<Letter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// What was sent so far.
    pub fn letters(&self) -> Vec<Letter> {
        self.all().clone()
    }
    /// What was sent to an address so far.
    pub fn to(&self, address: &str) -> Vec<Letter> {
        self.all().iter().filter(|letter| letter.to == address).cloned().collect()
    }
}

#[async_trait]
impl MailTransport for MemoryMailbox {
    async fn send(&self, letter: &Letter) -> Outcome {
        if let Err(why) = letter.message() {
            return Outcome::Permanent(why.to_owned());
        }
        self.all().push(letter.clone());
        Outcome::Accepted
    }
}
