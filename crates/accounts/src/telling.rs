//! What staff do is told, in the transaction that does it.

use merx_contracts::{
    Envelope, Fact,
    events::staff::StaffActed,
    ids::{AccountId, MessageId},
};
use merx_kernel::{Permissions, Principal, Result, Timestamp};
use merx_platform::trace;
use merx_sql::Tx;
use serde_json::Value;

use crate::State;

/// Who of the staff acts, and what he may do.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    /// The account.
    pub account: AccountId,
    /// What it may do at this moment.
    pub may: Permissions,
}

impl From<&Principal> for Actor {
    fn from(principal: &Principal) -> Self {
        Self { account: principal.account, may: principal.permissions }
    }
}

/// An act to be told; made outside the transaction, which may run again.
pub(crate) struct Telling {
    act: StaffActed,
    id: MessageId,
    at: Timestamp,
    traceparent: Option<String>,
}

impl Telling {
    pub fn new(
        state: &State,
        by: Actor,
        action: &'static str,
        object: impl ToString,
        reason: Option<String>,
    ) -> Self {
        let (action, object) = (action.to_owned(), object.to_string());
        Self {
            act: StaffActed { actor: by.account, action, object, reason, detail: Value::Null },
            id: state.ids.next(),
            at: state.clock.now(),
            traceparent: trace::current_traceparent(),
        }
    }

    /// Tells it in this transaction.
    pub fn tell(&self, state: &State, tx: &mut Tx<'_>, detail: Value) -> Result<()> {
        let act = StaffActed { detail, ..self.act.clone() };
        let envelope = act.envelope("accounts", self.id, self.at, self.traceparent.clone())?;
        state.store.outbox.publish(tx, &[envelope])
    }
}

/// An envelope around a fact of accounts, made now.
pub(crate) fn envelope<F: Fact>(state: &State, fact: &F) -> Result<Envelope> {
    Envelope::new(state.ids.next(), state.clock.now(), trace::current_traceparent(), fact)
}
