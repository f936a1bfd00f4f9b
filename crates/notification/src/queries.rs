//! The read side.

use merx_contracts::ids::{MailId, MessageId, WebhookId};
use merx_kernel::{Error, Id, IdKind, PageRequest, Result, Timestamp};
use merx_sql::Reader;

use crate::{
    State,
    domain::{Mail, Webhook},
    store::{
        self,
        deliveries::{Attempt, DeliveryRow, DeliveryState},
        mails::{Filter, TryRow},
    },
};

/// The most tries of a mail that are shown, and the most attempts of a delivery.
pub const TRIES_SHOWN_MAX: i64 = 100;

/// The mail, or the refusal.
pub(crate) fn found_mail(mail: Option<Mail>) -> Result<Mail> {
    mail.ok_or_else(|| Error::not_found("notification.mail_not_found", "There is no such mail."))
}

/// The endpoint, or the refusal.
pub(crate) fn found_webhook(webhook: Option<Webhook>) -> Result<Webhook> {
    webhook.ok_or_else(|| Error::not_found("notification.webhook_not_found", "There is no such endpoint."))
}

/// The delivery, or the refusal.
pub(crate) fn found_delivery(delivery: Option<DeliveryRow>) -> Result<DeliveryRow> {
    delivery.ok_or_else(|| {
        Error::not_found("notification.delivery_not_found", "This endpoint was not told of that message.")
    })
}

/// Where a page of a list by time begins: after what the cursor names, or at the newest.
fn begin<K: IdKind>(page: &PageRequest) -> Result<(Timestamp, Id<K>)> {
    let Some(cursor) = &page.cursor else {
        return Ok((Timestamp::from_millis(i64::MAX), Id::from_bits(u128::MAX)));
    };
    let read = || {
        let (millis, id) = cursor.split_once('-')?;
        Some((Timestamp::from_millis(millis.parse().ok()?), Id::parse_bare(id).ok()?))
    };
    read().ok_or_else(|| Error::invalid("cursor", "must be the next_cursor of the page before"))
}

/// One page of `rows`, of which one more than the limit was read.
fn paged<T>(mut rows: Vec<T>, limit: i64, cursor: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
    let count = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > count;
    rows.truncate(count);
    let next = if more { rows.last().map(cursor) } else { None };
    (rows, next)
}

/// One page of mails, newest first.
///
/// # Errors
/// `Invalid` for a bad limit or cursor.
pub async fn mails(state: &State, filter: Filter, page: &PageRequest) -> Result<(Vec<Mail>, Option<String>)> {
    let (limit, before) = (page.checked_limit()?, begin(page)?);
    let read = move |q: &mut Reader<'_>| store::mails::listed(q, &filter, before, limit + 1);
    let rows = state.db.read("notification.mails", read).await?;
    Ok(paged(rows, limit, |m| format!("{}-{}", m.created_at.as_millis(), m.ask.id.bare())))
}

/// One mail and its tries.
///
/// # Errors
/// `notification.mail_not_found`.
pub async fn mail(state: &State, id: MailId) -> Result<(Mail, Vec<TryRow>)> {
    let read = move |q: &mut Reader<'_>| {
        let mail = found_mail(store::mails::one(q, id)?)?;
        Ok((mail, store::mails::tries(q, id, TRIES_SHOWN_MAX)?))
    };
    state.db.read("notification.mail", read).await
}

/// One page of endpoints, oldest first.
///
/// # Errors
/// `Invalid` for a bad limit or cursor.
pub async fn webhooks(state: &State, page: &PageRequest) -> Result<(Vec<Webhook>, Option<String>)> {
    let limit = page.checked_limit()?;
    let after: WebhookId = match &page.cursor {
        None => Id::from_bits(0),
        Some(cursor) => cursor
            .parse()
            .map_err(|_| Error::invalid("cursor", "must be the next_cursor of the page before"))?,
    };
    let read = move |q: &mut Reader<'_>| store::webhooks::listed(q, after, limit + 1);
    let rows = state.db.read("notification.webhooks", read).await?;
    Ok(paged(rows, limit, |webhook| webhook.id.to_string()))
}

/// One endpoint.
///
/// # Errors
/// `notification.webhook_not_found`.
pub async fn webhook(state: &State, id: WebhookId) -> Result<Webhook> {
    found_webhook(state.db.read("notification.webhook", move |q| store::webhooks::one(q, id)).await?)
}

/// One page of an endpoint's deliveries, newest first.
///
/// # Errors
/// `notification.webhook_not_found`; `Invalid` for a bad limit or cursor.
pub async fn deliveries(
    state: &State,
    id: WebhookId,
    only: Option<DeliveryState>,
    page: &PageRequest,
) -> Result<(Vec<DeliveryRow>, Option<String>)> {
    let (limit, before) = (page.checked_limit()?, begin(page)?);
    let read = move |q: &mut Reader<'_>| {
        found_webhook(store::webhooks::one(q, id)?)?;
        store::deliveries::listed(q, id, only, before, limit + 1)
    };
    let rows = state.db.read("notification.deliveries", read).await?;
    Ok(paged(rows, limit, |d| format!("{}-{}", d.created_at.as_millis(), d.message.bare())))
}

/// One delivery with what was sent and its attempts.
///
/// # Errors
/// `notification.webhook_not_found`, `notification.delivery_not_found`.
pub async fn delivery(
    state: &State,
    id: WebhookId,
    message: MessageId,
) -> Result<(DeliveryRow, String, Vec<Attempt>)> {
    let read = move |q: &mut Reader<'_>| {
        found_webhook(store::webhooks::one(q, id)?)?;
        let delivery = found_delivery(store::deliveries::one(q, id, message)?)?;
        let body = store::deliveries::body(q, message)?.unwrap_or_default();
        Ok((delivery, body, store::deliveries::attempts(q, id, message, TRIES_SHOWN_MAX)?))
    };
    state.db.read("notification.delivery", read).await
}
