//! Makes an endpoint.

use merx_contracts::ids::WebhookId;
use merx_kernel::{Error, Result, Secret};
use merx_sql::Tx;

use super::Staff;
use crate::{
    domain::{Webhook, WebhookState, signature::Scheme},
    store::{self, webhooks::SecretId},
};

/// What an endpoint is made of. Its identities and its secret are made outside the transaction.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Its identity.
    pub id: WebhookId,
    /// Where it is, checked.
    pub url: String,
    /// What it is told, checked.
    pub types: Vec<String>,
    /// What it is for.
    pub description: String,
    /// How it is signed for.
    pub signature: Scheme,
    /// The identity of its first secret.
    pub secret: SecretId,
    /// That secret.
    pub bytes: Secret<Vec<u8>>,
}

/// Makes an endpoint with its first secret.
///
/// # Errors
/// `notification.webhook_limit` when there are `max` already.
pub fn create_webhook(tx: &mut Tx<'_>, new: &NewWebhook, max: usize, staff: &Staff) -> Result<Webhook> {
    if store::webhooks::count(tx)? >= i64::try_from(max).unwrap_or(i64::MAX) {
        return Err(Error::rejected(
            "notification.webhook_limit",
            format!("There are {max} endpoints already; remove one first."),
        ));
    }
    let webhook = Webhook {
        id: new.id,
        url: new.url.clone(),
        types: new.types.clone(),
        description: new.description.clone(),
        signature: new.signature,
        state: WebhookState::Enabled,
        disabled_because: None,
        version: 1,
        failures: 0,
        failing_since: None,
        last_success_at: None,
        last_failure_at: None,
        created_at: staff.at,
    };
    store::webhooks::insert(tx, &webhook)?;
    store::webhooks::insert_secret(tx, new.secret, new.id, &new.bytes, staff.at)?;
    let detail = serde_json::json!({ "url": new.url, "types": new.types, "signature": new.signature });
    staff.tell(tx, "webhook_created", new.id.to_string(), detail)?;
    Ok(webhook)
}
