//! Gives an endpoint a new secret.

use std::time::Duration;

use merx_contracts::ids::WebhookId;
use merx_kernel::{Result, Secret};
use merx_sql::Tx;

use super::Staff;
use crate::{
    domain::Webhook,
    queries,
    store::{self, webhooks::SecretId},
};

/// How long the old secret signs too, so that the receiver can change over without losing anything.
pub const ROTATION_OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// Adds a secret; the present one signs beside it for a day.
///
/// # Errors
/// `notification.webhook_not_found`.
pub fn rotate_secret(
    tx: &mut Tx<'_>,
    id: WebhookId,
    secret: SecretId,
    bytes: &Secret<Vec<u8>>,
    staff: &Staff,
) -> Result<Webhook> {
    let webhook = queries::found_webhook(store::webhooks::one(tx, id)?)?;
    store::webhooks::expire_secrets(tx, id, staff.at.plus(ROTATION_OVERLAP), staff.at)?;
    store::webhooks::insert_secret(tx, secret, id, bytes, staff.at)?;
    staff.tell(tx, "webhook_secret_rotated", id.to_string(), serde_json::json!({}))?;
    Ok(webhook)
}
