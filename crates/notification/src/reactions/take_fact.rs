//! A fact is taken in: the mail it calls for and the deliveries to endpoints are written in one transaction.

use merx_contracts::{Envelope, Fact as _, events::accounts::PersonErased};
use merx_kernel::{Error, Result};
use merx_platform::Delivery;
use serde_json::value::RawValue;

use super::forget_person::forget_person;
use crate::{
    State,
    domain::{NewMail, WebhookState, webhook::TOLD},
    store::{self, deliveries::NewMessage},
};

/// What an endpoint is sent (Standard Webhooks 1.0, "Payload structure"). Facts hold no personal data, so neither does
/// this.
#[derive(serde::Serialize)]
struct Payload<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: merx_kernel::Timestamp,
    data: &'a RawValue,
}

/// The message endpoints are sent for a fact.
///
/// # Errors
/// `Internal` when it cannot be written as JSON.
pub(crate) fn message_of(envelope: &Envelope) -> Result<NewMessage> {
    let payload = Payload { kind: &envelope.kind, timestamp: envelope.time, data: &envelope.data };
    let body = serde_json::to_string(&payload)
        .map_err(|e| Error::internal("a webhook cannot be written as JSON").with_source(e))?;
    let (kind, happened_at) = (envelope.kind.clone(), envelope.time);
    Ok(NewMessage { id: envelope.id, kind, body, happened_at })
}

/// Takes a fact in.
///
/// # Errors
/// `message.malformed` for a fact that cannot be read; what the database answers.
pub async fn take_fact(state: &State, delivery: Delivery) -> Result<()> {
    let envelope = delivery.envelope();
    if envelope.kind == PersonErased::TYPE {
        // Before the fact counts as taken in, and outside its transaction: files have none.
        forget_person(state, envelope.fact::<PersonErased>()?.account_id).await?;
    }
    let mail = NewMail::of(envelope)?;
    let told = TOLD.contains(&envelope.kind.as_str());
    let kind = envelope.kind.clone();
    if mail.is_none() {
        // Nothing is written when nobody wants to know: an endpoint made meanwhile is told of what comes after it.
        let kind = kind.clone();
        let wanted = state
            .db
            .read("notification.wanted", move |q| {
                Ok(told && store::webhooks::all(q)?.iter().any(|webhook| webhook.wants(&kind)))
            })
            .await?;
        if !wanted {
            return Ok(());
        }
    }
    let message = message_of(envelope)?;
    let now = state.clock.now();
    let fresh = state
        .db
        .write("notification.take_fact", move |tx| {
            if !delivery.first_time(tx)? {
                return Ok(false);
            }
            if let Some(mail) = &mail {
                // A second message about the same cause calls for the mail that is there.
                let _ = store::mails::insert(tx, mail, now)?;
            }
            if told {
                let webhooks: Vec<_> = store::webhooks::all(tx)?
                    .iter()
                    .filter(|webhook| webhook.wants(&kind))
                    .map(|webhook| (webhook.id, webhook.state == WebhookState::Enabled))
                    .collect();
                if !webhooks.is_empty() {
                    store::deliveries::insert(tx, &message, &webhooks, now)?;
                }
            }
            Ok(true)
        })
        .await?;
    if fresh {
        state.nudge.now();
    }
    Ok(())
}
