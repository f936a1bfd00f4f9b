//! Sends deliveries again, under the ids they had.

use merx_contracts::ids::{MessageId, WebhookId};
use merx_kernel::{Error, Result, Timestamp};
use merx_sql::Tx;

use super::Staff;
use crate::{domain::WebhookState, queries, store};

/// The most deliveries of one replay.
pub const REPLAY_MAX: i64 = 10_000;

/// What is sent again.
#[derive(Clone, Copy, Debug)]
pub enum Replay {
    /// Everything taken in from one moment until before another.
    Between(Timestamp, Timestamp),
    /// One message.
    One(MessageId),
}

/// Puts deliveries that have come to rest on their way again; answers how many.
///
/// # Errors
/// `notification.webhook_not_found`, `notification.webhook_disabled`, `notification.replay_too_large`,
/// `notification.delivery_not_found`.
pub fn replay(tx: &mut Tx<'_>, id: WebhookId, what: Replay, staff: &Staff) -> Result<u64> {
    let webhook = queries::found_webhook(store::webhooks::one(tx, id)?)?;
    if webhook.state != WebhookState::Enabled {
        return Err(Error::rejected(
            "notification.webhook_disabled",
            "The endpoint is disabled; enable it first, then replay.",
        ));
    }
    let (count, detail) = match what {
        Replay::One(message) => {
            queries::found_delivery(store::deliveries::one(tx, id, message)?)?;
            let again = store::deliveries::replay_one(tx, id, message, staff.at)?;
            (u64::from(again), serde_json::json!({ "message_id": message }))
        }
        Replay::Between(from, to) => {
            let many = store::deliveries::replayable(tx, id, from, to)?;
            if many > REPLAY_MAX {
                return Err(Error::rejected(
                    "notification.replay_too_large",
                    format!("{many} deliveries lie in that time, and one replay sends {REPLAY_MAX} at most."),
                ));
            }
            let count = store::deliveries::replay(tx, id, from, to, staff.at)?;
            (count, serde_json::json!({ "from": from, "to": to, "count": count }))
        }
    };
    staff.tell(tx, "webhook_replayed", id.to_string(), detail)?;
    Ok(count)
}
