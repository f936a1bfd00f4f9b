//! What staff did becomes the next entry of the chain.

use std::sync::Arc;

use merx_contracts::events::staff::StaffActed;
use merx_kernel::{Error, Result};
use merx_platform::Delivery;

use crate::{
    State,
    domain::audit_chain::{Act, Entry},
    store::audit,
};

/// Appends the act, once for its message.
///
/// # Errors
/// `message.malformed`; what the database answers.
pub(crate) async fn record_act(state: &State, delivery: Delivery) -> Result<()> {
    let envelope = delivery.envelope();
    let told = StaffActed::of(envelope)?;
    let detail = serde_json::to_string(&told.detail)
        .map_err(|e| Error::internal("the detail of an act cannot be written").with_source(e))?;
    let act = Arc::new(Act {
        message: envelope.id,
        at: envelope.time,
        actor: told.actor,
        action: told.action,
        object: told.object,
        reason: told.reason,
        detail,
    });
    state
        .db
        .write("accounts.record_act", move |tx| {
            if !delivery.first_time(tx)? {
                return Ok(());
            }
            let head = audit::take_place(tx)?;
            audit::append(tx, &Entry::after(head, Act::clone(&act)))
        })
        .await
}
