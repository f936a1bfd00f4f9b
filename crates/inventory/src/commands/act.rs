//! Who acts, when, and in which trace: chosen before the transaction, whose closure may run again.

use merx_contracts::{
    events::staff::StaffActed,
    ids::{AccountId, MessageId},
};
use merx_kernel::{Result, Timestamp};
use merx_platform::{Store, trace};
use merx_sql::Tx;
use serde_json::Value;

use crate::State;

/// One command of somebody.
#[derive(Clone)]
pub struct Act {
    /// Where it is written.
    pub store: Store,
    /// When.
    pub at: Timestamp,
    /// The member of staff; none for the shop itself, the demo loader and imports.
    pub by: Option<AccountId>,
    /// The trace of the request.
    pub traceparent: Option<String>,
    message_id: MessageId,
}

impl Act {
    /// Of the running task, now.
    pub fn new(state: &State, by: Option<AccountId>) -> Self {
        Self {
            store: state.store.clone(),
            at: state.clock.now(),
            by,
            traceparent: trace::current_traceparent(),
            message_id: state.ids.next(),
        }
    }

    /// Tells what was done, in its own transaction; nothing when nobody of the staff did it. Once an act.
    ///
    /// # Errors
    /// What the database answers.
    pub fn tell(
        &self,
        tx: &mut Tx<'_>,
        action: &str,
        object: String,
        reason: Option<String>,
        detail: Value,
    ) -> Result<()> {
        let Some(actor) = self.by else { return Ok(()) };
        let fact = StaffActed { actor, action: action.to_owned(), object, reason, detail };
        let envelope = fact.envelope("inventory", self.message_id, self.at, self.traceparent.clone())?;
        self.store.outbox.publish(tx, &[envelope])
    }
}
