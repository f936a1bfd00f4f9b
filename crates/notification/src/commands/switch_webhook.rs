//! Disables or enables an endpoint.

use merx_contracts::ids::WebhookId;
use merx_kernel::Result;
use merx_sql::Tx;

use super::Staff;
use crate::{
    domain::{DisabledBecause, Webhook, WebhookState},
    queries, store,
};

/// Switches an endpoint to `to`; one that is so already stays as it is. What happens while it is disabled is kept, and
/// sent by a replay only.
///
/// # Errors
/// `notification.webhook_not_found`.
pub fn switch_webhook(tx: &mut Tx<'_>, id: WebhookId, to: WebhookState, staff: &Staff) -> Result<Webhook> {
    let webhook = queries::found_webhook(store::webhooks::one(tx, id)?)?;
    if webhook.state == to {
        return Ok(webhook);
    }
    let because = (to == WebhookState::Disabled).then_some(DisabledBecause::Staff);
    if !store::webhooks::switch(tx, id, webhook.state, to, because)? {
        return Err(merx_sql::contention("the endpoint moved on while it was read"));
    }
    let action = if to == WebhookState::Disabled {
        store::deliveries::hold(tx, id)?;
        "webhook_disabled"
    } else {
        "webhook_enabled"
    };
    staff.tell(tx, action, id.to_string(), serde_json::json!({ "before": webhook.state }))?;
    Ok(Webhook {
        state: to,
        disabled_because: because,
        version: webhook.version + 1,
        failures: 0,
        failing_since: None,
        ..webhook
    })
}
