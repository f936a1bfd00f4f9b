//! Sends an endpoint a test event.

use merx_contracts::ids::{MessageId, WebhookId};
use merx_kernel::{Error, Result};
use merx_sql::Tx;

use super::Staff;
use crate::{
    domain::{WebhookState, webhook::TEST_TYPE},
    queries,
    store::{
        self,
        deliveries::{DeliveryRow, NewMessage},
    },
};

/// Puts a test event on its way to one endpoint; answers its delivery.
///
/// # Errors
/// `notification.webhook_not_found`, `notification.webhook_disabled`.
pub fn test_webhook(tx: &mut Tx<'_>, id: WebhookId, event: MessageId, staff: &Staff) -> Result<DeliveryRow> {
    let webhook = queries::found_webhook(store::webhooks::one(tx, id)?)?;
    if webhook.state != WebhookState::Enabled {
        return Err(Error::rejected(
            "notification.webhook_disabled",
            "The endpoint is disabled; enable it first, then test.",
        ));
    }
    let body = serde_json::json!({ "type": TEST_TYPE, "timestamp": staff.at, "data": { "webhook_id": id } });
    let message =
        NewMessage { id: event, kind: TEST_TYPE.to_owned(), body: body.to_string(), happened_at: staff.at };
    store::deliveries::insert(tx, &message, &[(id, true)], staff.at)?;
    staff.tell(tx, "webhook_tested", id.to_string(), serde_json::json!({ "message_id": event }))?;
    queries::found_delivery(store::deliveries::one(tx, id, event)?)
}
