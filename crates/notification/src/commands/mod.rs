//! What staff do, one use case a file. Each runs inside the caller's transaction and tells it as `StaffActed`.

mod change_webhook;
mod create_webhook;
mod redeliver_mail;
mod replay;
mod rotate_secret;
mod switch_webhook;
mod test_webhook;

use merx_contracts::{
    events::staff::StaffActed,
    ids::{AccountId, MessageId},
};
use merx_kernel::{Result, Timestamp};
use merx_platform::{Store, trace};
use merx_sql::Tx;
use serde_json::Value;

pub use change_webhook::{change_webhook, remove_webhook};
pub use create_webhook::{NewWebhook, create_webhook};
pub use redeliver_mail::redeliver_mail;
pub use replay::{REPLAY_MAX, Replay, replay};
pub use rotate_secret::{ROTATION_OVERLAP, rotate_secret};
pub use switch_webhook::switch_webhook;
pub use test_webhook::test_webhook;

/// Who of the staff acts, when, and under which message it is told. Made outside the transaction.
#[derive(Clone, Debug)]
pub struct Staff {
    /// Who.
    pub actor: AccountId,
    /// When.
    pub at: Timestamp,
    /// The message that tells it.
    pub message: MessageId,
    /// Why, as the actor gave it.
    pub reason: Option<String>,
    /// The platform's tables of this context.
    pub store: Store,
}

impl Staff {
    /// Tells what was done, in the transaction that does it.
    ///
    /// # Errors
    /// What the database answers.
    pub(crate) fn tell(&self, tx: &mut Tx<'_>, action: &str, object: String, detail: Value) -> Result<()> {
        let acted = StaffActed {
            actor: self.actor,
            action: format!("{}.{action}", crate::NAME),
            object,
            reason: self.reason.clone(),
            detail,
        };
        let envelope = acted.envelope(crate::NAME, self.message, self.at, trace::current_traceparent())?;
        self.store.outbox.publish(tx, &[envelope])
    }
}
