//! Endpoints and their secrets.

use merx_contracts::ids::WebhookId;
use merx_kernel::{Id, Result, Secret, Timestamp};
use merx_sql::{Query, Row, Tx, params};

use super::inconsistent;
use crate::domain::{DisabledBecause, Webhook, WebhookState, signature::Scheme};

const INSERT: &str = "INSERT INTO notification_webhooks (webhook, url, types, description, signature, state,
 disabled_because, version, failures, failing_since, last_success_at, last_failure_at, created_at)
 VALUES (?, ?, ?, ?, ?, 'enabled', '', 1, 0, NULL, NULL, NULL, ?)";
const UPDATE: &str =
    "UPDATE notification_webhooks SET url = ?, types = ?, description = ?, version = version + 1
 WHERE webhook = ? AND version = ? AND state <> 'deleted'";
const SWITCH: &str =
    "UPDATE notification_webhooks SET state = ?, disabled_because = ?, version = version + 1,
 failures = 0, failing_since = NULL WHERE webhook = ? AND state = ?";
const REMOVE: &str =
    "UPDATE notification_webhooks SET state = 'deleted', url = '', types = '', description = '',
 version = version + 1 WHERE webhook = ? AND state <> 'deleted'";
const SUCCEEDED: &str =
    "UPDATE notification_webhooks SET failures = 0, failing_since = NULL, last_success_at = ?
 WHERE webhook = ?";
const FAILED: &str = "UPDATE notification_webhooks SET failures = failures + 1, last_failure_at = ?,
 failing_since = COALESCE(failing_since, ?) WHERE webhook = ?";
const COUNT: &str = "SELECT COUNT(*) FROM notification_webhooks WHERE state <> 'deleted'";
const INSERT_SECRET: &str = "INSERT INTO notification_webhook_secrets (secret, webhook, bytes, made_at, expires_at) VALUES (?, ?, ?, ?, NULL)";
const EXPIRE_SECRETS: &str =
    "UPDATE notification_webhook_secrets SET expires_at = ? WHERE webhook = ? AND expires_at IS NULL";
const DROP_EXPIRED: &str = "DELETE FROM notification_webhook_secrets WHERE webhook = ? AND expires_at <= ?";
const DROP_SECRETS: &str = "DELETE FROM notification_webhook_secrets WHERE webhook = ?";
const VALID_SECRETS: &str = "SELECT bytes FROM notification_webhook_secrets
 WHERE webhook = ? AND (expires_at IS NULL OR expires_at > ?) ORDER BY made_at DESC, secret DESC";
const SECRET: &str = "SELECT webhook, bytes FROM notification_webhook_secrets WHERE secret = ?";

macro_rules! webhooks {
    ($rest:literal) => {
        concat!(
            "SELECT webhook, url, types, description, signature, state, disabled_because, version, failures,
 failing_since, last_success_at, last_failure_at, created_at FROM notification_webhooks ",
            $rest
        )
    };
}
const ONE: &str = webhooks!("WHERE webhook = ? AND state <> 'deleted'");
const LISTED: &str = webhooks!("WHERE webhook > ? AND state <> 'deleted' ORDER BY webhook LIMIT ?");
const ALL: &str = webhooks!("WHERE state <> 'deleted' ORDER BY webhook");

/// Marks secret ids.
pub enum SecretKind {}
impl merx_kernel::IdKind for SecretKind {
    const PREFIX: &'static str = "wsk";
}
/// A secret of an endpoint.
pub type SecretId = Id<SecretKind>;

fn webhook_of(row: &Row<'_>) -> Result<Webhook> {
    let types: String = row.get(2)?;
    let because: String = row.get(6)?;
    Ok(Webhook {
        id: row.get(0)?,
        url: row.get(1)?,
        types: types.split_whitespace().map(str::to_owned).collect(),
        description: row.get(3)?,
        signature: Scheme::from_name(&row.get::<String>(4)?).ok_or_else(|| inconsistent("signature"))?,
        state: WebhookState::from_name(&row.get::<String>(5)?).ok_or_else(|| inconsistent("state"))?,
        disabled_because: DisabledBecause::from_name(&because),
        version: row.get(7)?,
        failures: row.get(8)?,
        failing_since: row.get(9)?,
        last_success_at: row.get(10)?,
        last_failure_at: row.get(11)?,
        created_at: row.get(12)?,
    })
}

/// Makes an endpoint.
pub fn insert(tx: &mut Tx<'_>, webhook: &Webhook) -> Result<()> {
    let values = params![
        webhook.id,
        webhook.url.as_str(),
        webhook.types.join(" "),
        webhook.description.as_str(),
        webhook.signature.name(),
        webhook.created_at
    ];
    tx.execute(INSERT, values).map(drop)
}

/// Changes what people edit; `false` when it has another version by now.
pub fn update(tx: &mut Tx<'_>, webhook: &Webhook, url: &str, types: &[String], text: &str) -> Result<bool> {
    tx.guarded(UPDATE, params![url, types.join(" "), text, webhook.id, webhook.version])
}

/// Enables or disables; `false` when it is no longer in the state `from`.
pub fn switch(
    tx: &mut Tx<'_>,
    id: WebhookId,
    from: WebhookState,
    to: WebhookState,
    because: Option<DisabledBecause>,
) -> Result<bool> {
    tx.guarded(SWITCH, params![to.name(), because.map_or("", |b| b.name()), id, from.name()])
}

/// Removes an endpoint and its secrets; its deliveries go with their age.
pub fn remove(tx: &mut Tx<'_>, id: WebhookId) -> Result<bool> {
    tx.execute(DROP_SECRETS, params![id])?;
    tx.guarded(REMOVE, params![id])
}

/// Notes an answer of 2xx.
pub fn succeeded(tx: &mut Tx<'_>, id: WebhookId, at: Timestamp) -> Result<()> {
    tx.execute(SUCCEEDED, params![at, id]).map(drop)
}

/// Notes any other end of an attempt.
pub fn failed(tx: &mut Tx<'_>, id: WebhookId, at: Timestamp) -> Result<()> {
    tx.execute(FAILED, params![at, at, id]).map(drop)
}

/// One endpoint.
pub fn one(q: &mut impl Query, id: WebhookId) -> Result<Option<Webhook>> {
    q.query_opt(ONE, params![id], webhook_of)
}

/// At most `limit` endpoints after `after`, oldest first.
pub fn listed(q: &mut impl Query, after: WebhookId, limit: i64) -> Result<Vec<Webhook>> {
    q.query(LISTED, params![after, limit], webhook_of)
}

/// Every endpoint; their number is bounded.
pub fn all(q: &mut impl Query) -> Result<Vec<Webhook>> {
    q.query(ALL, params![], webhook_of)
}

/// How many there are.
pub fn count(q: &mut impl Query) -> Result<i64> {
    q.query_one(COUNT, params![], |row| row.get(0))
}

/// Adds a secret.
pub fn insert_secret(
    tx: &mut Tx<'_>,
    secret: SecretId,
    webhook: WebhookId,
    bytes: &Secret<Vec<u8>>,
    at: Timestamp,
) -> Result<()> {
    tx.execute(INSERT_SECRET, params![secret, webhook, bytes.expose().as_slice(), at]).map(drop)
}

/// Lets the present secret end at `at`, and drops those that have ended by `now`.
pub fn expire_secrets(tx: &mut Tx<'_>, webhook: WebhookId, at: Timestamp, now: Timestamp) -> Result<()> {
    tx.execute(DROP_EXPIRED, params![webhook, now])?;
    tx.execute(EXPIRE_SECRETS, params![at, webhook]).map(drop)
}

/// The secrets valid at `now`, the newest first.
pub fn valid_secrets(q: &mut impl Query, webhook: WebhookId, now: Timestamp) -> Result<Vec<Secret<Vec<u8>>>> {
    q.query(VALID_SECRETS, params![webhook, now], |row| Ok(Secret::new(row.get(0)?)))
}

/// A secret and whose it is.
pub fn secret(q: &mut impl Query, id: SecretId) -> Result<Option<(WebhookId, Secret<Vec<u8>>)>> {
    q.query_opt(SECRET, params![id], |row| Ok((row.get(0)?, Secret::new(row.get(1)?))))
}
