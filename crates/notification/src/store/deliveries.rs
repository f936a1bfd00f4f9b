//! What endpoints are told: messages, deliveries and attempts.

use merx_contracts::ids::{MessageId, WebhookId};
use merx_kernel::{Result, Timestamp};
use merx_sql::{Inserted, Query, Row, Tx, Value, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::inconsistent;

const INSERT_MESSAGE: &str = "INSERT INTO notification_webhook_messages (message, type, body, happened_at, taken_at) VALUES (?, ?, ?, ?, ?)";
const INSERT: &str = "INSERT INTO notification_webhook_deliveries
 (webhook, message, state, tries, attempts, created_at, next_at, delivered_at) VALUES";
const CLAIM: &str =
    "UPDATE notification_webhook_deliveries SET state = 'sending', tries = ?, attempts = ?, next_at = ?
 WHERE webhook = ? AND message = ? AND attempts = ? AND next_at = ?";
const RECORD: &str = "UPDATE notification_webhook_deliveries SET state = ?, next_at = ?, delivered_at = ?
 WHERE webhook = ? AND message = ? AND state = 'sending' AND attempts = ?";
const HOLD: &str = "UPDATE notification_webhook_deliveries SET state = 'held', next_at = NULL
 WHERE webhook = ? AND next_at IS NOT NULL";
const REPLAYABLE: &str = "SELECT COUNT(*) FROM notification_webhook_deliveries
 WHERE webhook = ? AND created_at >= ? AND created_at < ? AND state IN ('delivered', 'failed', 'held')";
const REPLAY: &str = "UPDATE notification_webhook_deliveries SET state = 'pending', tries = 0, next_at = ?
 WHERE webhook = ? AND created_at >= ? AND created_at < ? AND state IN ('delivered', 'failed', 'held')";
const REPLAY_ONE: &str =
    "UPDATE notification_webhook_deliveries SET state = 'pending', tries = 0, next_at = ?
 WHERE webhook = ? AND message = ? AND state IN ('delivered', 'failed', 'held')";
const LANES: &str = "SELECT webhook, MIN(next_at) FROM notification_webhook_deliveries
 WHERE next_at IS NOT NULL GROUP BY webhook ORDER BY webhook";
const INSERT_ATTEMPT: &str = "INSERT INTO notification_webhook_attempts
 (webhook, message, attempt, began_at, duration_ms, status, problem, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
const ATTEMPTS: &str =
    "SELECT attempt, began_at, duration_ms, status, problem, answer FROM notification_webhook_attempts
 WHERE webhook = ? AND message = ? ORDER BY attempt DESC LIMIT ?";
const BODY: &str = "SELECT body FROM notification_webhook_messages WHERE message = ?";

macro_rules! deliveries {
    ($rest:literal) => {
        concat!(
            "SELECT d.webhook, d.message, m.type, d.state, d.tries, d.attempts, d.created_at, d.next_at, d.delivered_at,
 m.happened_at FROM notification_webhook_deliveries d
 JOIN notification_webhook_messages m ON m.message = d.message ",
            $rest
        )
    };
}
const ONE: &str = deliveries!("WHERE d.webhook = ? AND d.message = ?");
const DUE: &str = deliveries!("WHERE d.webhook = ? AND d.next_at <= ? ORDER BY d.next_at, d.message LIMIT ?");
const LISTED: &str =
    deliveries!("WHERE d.webhook = ? AND (d.created_at < ? OR (d.created_at = ? AND d.message < ?))");

/// How far a delivery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its first or next attempt.
    Pending,
    /// An attempt is under way, or was when the process died.
    Sending,
    /// Answered 2xx.
    Delivered,
    /// Every attempt of the schedule failed; a replay begins anew.
    Failed,
    /// The endpoint was disabled; a replay sends it.
    Held,
}

impl DeliveryState {
    const ALL: &'static [Self] = &[Self::Pending, Self::Sending, Self::Delivered, Self::Failed, Self::Held];

    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Held => "held",
        }
    }
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.name() == name)
    }
}

/// One message for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// To whom.
    pub webhook: WebhookId,
    /// What; the `webhook-id`.
    pub message: MessageId,
    /// The type of the fact.
    pub kind: String,
    /// How far it has come.
    pub state: DeliveryState,
    /// Attempts since it was last put on its way.
    pub tries: i64,
    /// Attempts in all.
    pub attempts: i64,
    /// When the fact was taken in.
    pub created_at: Timestamp,
    /// When it is tried next.
    pub next_at: Option<Timestamp>,
    /// When it was answered 2xx.
    pub delivered_at: Option<Timestamp>,
    /// When the fact happened.
    pub happened_at: Timestamp,
}

/// A message as it is sent, byte for byte the same each time.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Its identity, that of the fact.
    pub id: MessageId,
    /// The type of the fact.
    pub kind: String,
    /// The body.
    pub body: String,
    /// When the fact happened.
    pub happened_at: Timestamp,
}

/// One attempt that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// Its number.
    pub number: i64,
    /// When it began.
    pub began_at: Timestamp,
    /// How long it took.
    pub duration_ms: i64,
    /// The status of the answer, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i64>,
    /// Why there was none: refused, unresolved, unreachable, timeout, broken.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub problem: String,
    /// The first characters of the answer, at most 1,024.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
}

fn delivery_of(row: &Row<'_>) -> Result<DeliveryRow> {
    Ok(DeliveryRow {
        webhook: row.get(0)?,
        message: row.get(1)?,
        kind: row.get(2)?,
        state: DeliveryState::from_name(&row.get::<String>(3)?).ok_or_else(|| inconsistent("state"))?,
        tries: row.get(4)?,
        attempts: row.get(5)?,
        created_at: row.get(6)?,
        next_at: row.get(7)?,
        delivered_at: row.get(8)?,
        happened_at: row.get(9)?,
    })
}

/// Keeps a message and one delivery for each endpoint; `enabled` says whether it is on its way at once.
pub fn insert(
    tx: &mut Tx<'_>,
    message: &NewMessage,
    webhooks: &[(WebhookId, bool)],
    at: Timestamp,
) -> Result<()> {
    let values = params![message.id, message.kind.as_str(), message.body.as_str(), message.happened_at, at];
    if tx.insert_new(INSERT_MESSAGE, values)? == Inserted::Exists {
        return Ok(());
    }
    let row = |(webhook, enabled): &(WebhookId, bool)| {
        let state = if *enabled { DeliveryState::Pending } else { DeliveryState::Held };
        let next_at = enabled.then_some(at);
        params![*webhook, message.id, state.name(), 0_i64, 0_i64, at, next_at, None::<i64>]
    };
    tx.insert_rows(INSERT, 8, webhooks.iter().map(row).collect())
}

/// Each endpoint with something to send, and when the next of it is due.
pub fn lanes(q: &mut impl Query) -> Result<Vec<(WebhookId, Timestamp)>> {
    q.query(LANES, params![], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// At most `limit` deliveries of an endpoint that are due.
pub fn due(q: &mut impl Query, webhook: WebhookId, now: Timestamp, limit: i64) -> Result<Vec<DeliveryRow>> {
    q.query(DUE, params![webhook, now, limit], delivery_of)
}

/// Takes a delivery up for its next attempt, which is over by `until` or was cut off; `false` when somebody else did.
pub fn claim(tx: &mut Tx<'_>, delivery: &DeliveryRow, until: Timestamp) -> Result<bool> {
    let values = params![
        delivery.tries + 1,
        delivery.attempts + 1,
        until,
        delivery.webhook,
        delivery.message,
        delivery.attempts,
        delivery.next_at
    ];
    tx.guarded(CLAIM, values)
}

/// Writes down how an attempt came out; `false` when the delivery is no longer in it.
pub fn record(
    tx: &mut Tx<'_>,
    delivery: &DeliveryRow,
    attempt: &Attempt,
    state: DeliveryState,
    next_at: Option<Timestamp>,
) -> Result<bool> {
    let delivered_at = if state == DeliveryState::Delivered {
        Some(
            attempt
                .began_at
                .plus(std::time::Duration::from_millis(u64::try_from(attempt.duration_ms).unwrap_or(0))),
        )
    } else {
        delivery.delivered_at
    };
    let values =
        params![state.name(), next_at, delivered_at, delivery.webhook, delivery.message, attempt.number];
    if !tx.guarded(RECORD, values)? {
        return Ok(false);
    }
    let values = params![
        delivery.webhook,
        delivery.message,
        attempt.number,
        attempt.began_at,
        attempt.duration_ms,
        attempt.status,
        attempt.problem.as_str(),
        attempt.answer.as_str()
    ];
    tx.execute(INSERT_ATTEMPT, values)?;
    Ok(true)
}

/// Takes everything of an endpoint off the way, for a later replay.
pub fn hold(tx: &mut Tx<'_>, webhook: WebhookId) -> Result<()> {
    tx.execute(HOLD, params![webhook]).map(drop)
}

/// How many deliveries of a time can be sent again.
pub fn replayable(q: &mut impl Query, webhook: WebhookId, from: Timestamp, to: Timestamp) -> Result<i64> {
    q.query_one(REPLAYABLE, params![webhook, from, to], |row| row.get(0))
}

/// Puts the deliveries of a time on their way again.
pub fn replay(
    tx: &mut Tx<'_>,
    webhook: WebhookId,
    from: Timestamp,
    to: Timestamp,
    at: Timestamp,
) -> Result<u64> {
    tx.execute(REPLAY, params![at, webhook, from, to])
}

/// Puts one delivery on its way again; `false` when it is on its way already.
pub fn replay_one(tx: &mut Tx<'_>, webhook: WebhookId, message: MessageId, at: Timestamp) -> Result<bool> {
    tx.guarded(REPLAY_ONE, params![at, webhook, message])
}

/// One delivery.
pub fn one(q: &mut impl Query, webhook: WebhookId, message: MessageId) -> Result<Option<DeliveryRow>> {
    q.query_opt(ONE, params![webhook, message], delivery_of)
}

/// The body of a message; `None` when it is too old to be kept.
pub fn body(q: &mut impl Query, message: MessageId) -> Result<Option<String>> {
    q.query_opt(BODY, params![message], |row| row.get(0))
}

/// The attempts of a delivery, the newest first.
pub fn attempts(
    q: &mut impl Query,
    webhook: WebhookId,
    message: MessageId,
    limit: i64,
) -> Result<Vec<Attempt>> {
    q.query(ATTEMPTS, params![webhook, message, limit], |row| {
        Ok(Attempt {
            number: row.get(0)?,
            began_at: row.get(1)?,
            duration_ms: row.get(2)?,
            status: row.get(3)?,
            problem: row.get(4)?,
            answer: row.get(5)?,
        })
    })
}

/// At most `limit` deliveries of an endpoint before `before`, newest first.
pub fn listed(
    q: &mut impl Query,
    webhook: WebhookId,
    state: Option<DeliveryState>,
    before: (Timestamp, MessageId),
    limit: i64,
) -> Result<Vec<DeliveryRow>> {
    let mut sql = LISTED.to_owned();
    let mut values: Vec<Value> = params![webhook, before.0, before.0, before.1];
    if let Some(state) = state {
        sql.push_str(" AND d.state = ?");
        values.push(state.name().into());
    }
    sql.push_str(" ORDER BY d.created_at DESC, d.message DESC LIMIT ?");
    values.push(limit.into());
    q.query(&sql, values, delivery_of)
}

/// What is pruned: table and the column of its age.
const AGED: [(&str, &str); 3] = [
    (
        "SELECT began_at FROM notification_webhook_attempts WHERE began_at < ? ORDER BY began_at LIMIT ?",
        "DELETE FROM notification_webhook_attempts WHERE began_at <= ?",
    ),
    (
        "SELECT created_at FROM notification_webhook_deliveries WHERE created_at < ? ORDER BY created_at LIMIT ?",
        "DELETE FROM notification_webhook_deliveries WHERE created_at <= ?",
    ),
    (
        "SELECT taken_at FROM notification_webhook_messages WHERE taken_at < ? ORDER BY taken_at LIMIT ?",
        "DELETE FROM notification_webhook_messages WHERE taken_at <= ?",
    ),
];

/// Forgets about `limit` rows of each table that are older than `before`; answers how many went.
pub fn prune(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64> {
    let mut gone = 0;
    for (ages, delete) in AGED {
        let times: Vec<Timestamp> = tx.query(ages, params![before, limit], |row| row.get(0))?;
        if let Some(last) = times.last() {
            gone += tx.execute(delete, params![*last])?;
        }
    }
    Ok(gone)
}
