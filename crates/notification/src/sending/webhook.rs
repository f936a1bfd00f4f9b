//! One attempt of one webhook: claimed in a transaction, sent, and written down in another.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use merx_contracts::{Envelope, events::notification::WebhookDisabled, ids::MessageId};
use merx_http::outbound::{OutboundAnswer, OutboundFailure, OutboundRequest};
use merx_kernel::{Error, Guard, Id, Result, Timestamp};
use merx_platform::trace;
use merx_sql::Tx;

use super::LEASE;
use crate::{
    State,
    domain::{
        DisabledBecause, Webhook, WebhookState,
        schedule::{FAILING_MAX, wait_after},
        signature::{self, SigningKey},
    },
    store::{
        self,
        deliveries::{Attempt, DeliveryRow, DeliveryState},
    },
};

/// How much of an answer is kept.
const ANSWER_BYTES_MAX: usize = 1_024;
/// The longest explanation that is kept.
const PROBLEM_CHARS_MAX: usize = 200;

/// What is sent where.
struct Parcel {
    webhook: Webhook,
    keys: Vec<SigningKey>,
    body: String,
}

/// Attempts a delivery once.
pub(super) async fn send(state: &State, delivery: DeliveryRow) {
    let began_at = state.clock.now();
    let claimed = delivery.clone();
    let claim = move |tx: &mut Tx<'_>| claim(tx, &claimed, began_at);
    let parcel = match state.db.write("notification.webhook_sending", claim).await {
        Ok(Some(parcel)) => parcel,
        Ok(None) => return,
        Err(error) => {
            let message = delivery.message;
            tracing::warn!(%message, error = %error.chain(), "a webhook could not be taken up");
            state.clock.sleep(super::READ_PAUSE).await;
            return;
        }
    };
    let answer = attempt(state, &delivery, &parcel, began_at).await;
    if let Err(error) = record(state, &delivery, began_at, answer).await {
        tracing::warn!(message = %delivery.message, error = %error.chain(), "a webhook's attempt could not be written down");
    }
}

fn claim(tx: &mut Tx<'_>, delivery: &DeliveryRow, now: Timestamp) -> Result<Option<Parcel>> {
    let webhook = store::webhooks::one(tx, delivery.webhook)?;
    let Some(webhook) = webhook.filter(|w| w.state == WebhookState::Enabled) else {
        store::deliveries::hold(tx, delivery.webhook)?;
        return Ok(None);
    };
    if !store::deliveries::claim(tx, delivery, now.plus(LEASE))? {
        return Ok(None);
    }
    let secrets = store::webhooks::valid_secrets(tx, webhook.id, now)?;
    let keys = secrets.into_iter().map(|bytes| SigningKey::new(webhook.signature, bytes)).collect();
    let body = store::deliveries::body(tx, delivery.message)?
        .ok_or_else(|| Error::internal("a delivery has no message"))?;
    Ok(Some(Parcel { webhook, keys, body }))
}

/// The id the receiver drops doubles by: the message's own, whatever the attempt.
fn webhook_id(delivery: &DeliveryRow) -> MessageId {
    if Guard::WebhookId.on() {
        return delivery.message;
    }
    Id::from_bits(delivery.message.bits() ^ u128::try_from(delivery.attempts).unwrap_or(0))
}

async fn attempt(
    state: &State,
    delivery: &DeliveryRow,
    parcel: &Parcel,
    at: Timestamp,
) -> Result<OutboundAnswer, OutboundFailure> {
    let time_max = Duration::from_millis(state.config.webhooks.timeout_ms);
    let headers = headers(delivery, parcel, at).map_err(|error| {
        tracing::error!(error = %error.chain(), "a webhook could not be signed");
        OutboundFailure::Broken
    })?;
    let request = OutboundRequest {
        method: Method::POST,
        url: parcel.webhook.url.clone(),
        headers,
        body: Bytes::from(parcel.body.clone()),
        time_max,
        answer_bytes_max: ANSWER_BYTES_MAX,
    };
    tokio::select! {
        biased;
        answer = state.ways.web.send(request) => answer,
        () = state.clock.sleep(time_max) => Err(OutboundFailure::Timeout),
    }
}

fn headers(delivery: &DeliveryRow, parcel: &Parcel, at: Timestamp) -> Result<HeaderMap> {
    let id = webhook_id(delivery).to_string();
    let signatures = signature::header(&parcel.keys, &id, at, &parcel.body)?;
    let value = |text: &str| {
        HeaderValue::from_str(text).map_err(|e| Error::internal("a header cannot be sent").with_source(e))
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", value(&id)?);
    headers.insert("webhook-timestamp", HeaderValue::from(at.as_secs()));
    headers.insert("webhook-signature", value(&signatures)?);
    Ok(headers)
}

/// What an attempt came to.
struct Judged {
    attempt: Attempt,
    delivered: bool,
    gone: bool,
    retry_after: Option<Duration>,
}

fn judge(
    number: i64,
    began_at: Timestamp,
    now: Timestamp,
    answer: Result<OutboundAnswer, OutboundFailure>,
) -> Judged {
    let duration_ms = i64::try_from(now.since(began_at).as_millis()).unwrap_or(i64::MAX);
    let mut attempt = Attempt {
        number,
        began_at,
        duration_ms,
        status: None,
        problem: String::new(),
        answer: String::new(),
    };
    match answer {
        Ok(answer) => {
            attempt.status = Some(i64::from(answer.status));
            let text = String::from_utf8_lossy(&answer.body);
            // A NUL or another control character in somebody's page must not reach a terminal.
            attempt.answer = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
            let seconds = answer.headers.get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
            Judged {
                delivered: (200..300).contains(&answer.status),
                gone: answer.status == 410,
                retry_after: seconds.map(Duration::from_secs),
                attempt,
            }
        }
        Err(failure) => {
            let text = match &failure {
                OutboundFailure::Refused(why) => format!("refused: the URL {why}"),
                other => other.name().to_owned(),
            };
            attempt.problem = text.chars().take(PROBLEM_CHARS_MAX).collect();
            Judged { attempt, delivered: false, gone: false, retry_after: None }
        }
    }
}

async fn record(
    state: &State,
    delivery: &DeliveryRow,
    began_at: Timestamp,
    answer: Result<OutboundAnswer, OutboundFailure>,
) -> Result<()> {
    let now = state.clock.now();
    let judged = judge(delivery.attempts + 1, began_at, now, answer);
    let wait = wait_after(delivery.tries + 1, state.random(), judged.retry_after);
    let (delivery, outbox, message) = (delivery.clone(), state.store.outbox, state.ids.next());
    let webhook = delivery.webhook;
    let disabled = state
        .db
        .write("notification.webhook_tried", move |tx| {
            let (next, next_at) = if judged.delivered {
                (DeliveryState::Delivered, None)
            } else {
                match wait {
                    Some(wait) => (DeliveryState::Pending, Some(now.plus(wait))),
                    None => (DeliveryState::Failed, None),
                }
            };
            if !store::deliveries::record(tx, &delivery, &judged.attempt, next, next_at)? {
                return Ok(None);
            }
            if judged.delivered {
                store::webhooks::succeeded(tx, webhook, now)?;
                return Ok(None);
            }
            store::webhooks::failed(tx, webhook, now)?;
            let because = match store::webhooks::one(tx, webhook)? {
                Some(_) if judged.gone => DisabledBecause::Gone,
                Some(w) if w.failing_since.is_some_and(|since| now.since(since) >= FAILING_MAX) => {
                    DisabledBecause::Failing
                }
                _ => return Ok(None),
            };
            let (from, to) = (WebhookState::Enabled, WebhookState::Disabled);
            if !store::webhooks::switch(tx, webhook, from, to, Some(because))? {
                return Ok(None);
            }
            store::deliveries::hold(tx, webhook)?;
            let fact = WebhookDisabled { webhook_id: webhook, reason: because.name().to_owned() };
            outbox.publish(tx, &[Envelope::new(message, now, trace::current_traceparent(), &fact)?])?;
            Ok(Some(because))
        })
        .await?;
    if let Some(because) = disabled {
        state.metrics.alert("webhook_disabled");
        tracing::error!(%webhook, because = because.name(), "an endpoint is disabled; staff may enable it again");
    }
    Ok(())
}
