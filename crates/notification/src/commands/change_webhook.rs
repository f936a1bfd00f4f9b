//! Changes or removes an endpoint.

use merx_contracts::ids::WebhookId;
use merx_http::IfMatch;
use merx_kernel::Result;
use merx_sql::Tx;

use super::Staff;
use crate::{domain::Webhook, queries, store};

/// Changes what an endpoint is told and where; answers it as it is then.
///
/// # Errors
/// `notification.webhook_not_found`; `request.version_stale` when somebody changed it meanwhile.
pub fn change_webhook(
    tx: &mut Tx<'_>,
    id: WebhookId,
    seen: IfMatch,
    url: &str,
    types: &[String],
    description: &str,
    staff: &Staff,
) -> Result<Webhook> {
    let webhook = queries::found_webhook(store::webhooks::one(tx, id)?)?;
    seen.check(webhook.version)?;
    if !store::webhooks::update(tx, &webhook, url, types, description)? {
        return Err(merx_sql::contention("the endpoint moved on while it was read"));
    }
    let detail = serde_json::json!({
        "before": { "url": webhook.url, "types": webhook.types }, "after": { "url": url, "types": types },
    });
    staff.tell(tx, "webhook_changed", id.to_string(), detail)?;
    Ok(Webhook {
        url: url.to_owned(),
        types: types.to_vec(),
        description: description.to_owned(),
        version: webhook.version + 1,
        ..webhook
    })
}

/// Removes an endpoint, its secrets, and what was still to be sent to it.
///
/// # Errors
/// `notification.webhook_not_found`.
pub fn remove_webhook(tx: &mut Tx<'_>, id: WebhookId, staff: &Staff) -> Result<()> {
    let webhook = queries::found_webhook(store::webhooks::one(tx, id)?)?;
    store::deliveries::hold(tx, id)?;
    if !store::webhooks::remove(tx, id)? {
        return Err(merx_sql::contention("the endpoint moved on while it was read"));
    }
    staff.tell(tx, "webhook_deleted", id.to_string(), serde_json::json!({ "url": webhook.url }))
}
