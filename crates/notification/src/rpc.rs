//! The asks notification answers.

use merx_contracts::{
    common::v1::{TimelineEntry, TimelineReply, TimelineRequest},
    ids::OrderId,
    notification::v1::notification_server,
};
use merx_kernel::{Error, Result};
use merx_platform::rpc;
use merx_sql::Reader;
use tonic::{Request, Response, Status};

use crate::{
    State,
    domain::Mail,
    queries::TRIES_SHOWN_MAX,
    store::{self, mails::TryRow},
};

/// The most mails of an order: far beyond what its life calls for.
const MAILS_MAX: i64 = 200;

/// Serves the asks.
pub struct NotificationRpc(pub State);

#[tonic::async_trait]
impl notification_server::Notification for NotificationRpc {
    async fn timeline(&self, request: Request<TimelineRequest>) -> Result<Response<TimelineReply>, Status> {
        rpc::answer(timeline(&self.0, request.into_inner()).await)
    }
}

async fn timeline(state: &State, request: TimelineRequest) -> Result<TimelineReply> {
    let order: OrderId = request.order_id.parse().map_err(|e: String| Error::invalid("/order_id", e))?;
    let read = move |q: &mut Reader<'_>| {
        let mut entries = Vec::new();
        for mail in store::mails::of_order(q, order, MAILS_MAX)? {
            let tries = store::mails::tries(q, mail.ask.id, TRIES_SHOWN_MAX)?;
            entries.push(written(&mail));
            entries.extend(tries.iter().map(|tried| one_try(&mail, tried)));
        }
        Ok(entries)
    };
    let mut entries = state.db.read("notification.timeline", read).await?;
    entries.sort_by_key(|entry| entry.at);
    Ok(TimelineReply { entries })
}

fn entry(mail: &Mail, id: String, at: i64, caused_by: String, detail: &[(&str, String)]) -> TimelineEntry {
    TimelineEntry {
        id,
        kind: "mail".to_owned(),
        name: mail.ask.template.name().to_owned(),
        at,
        trace_id: mail.ask.trace.clone(),
        caused_by,
        actor: String::new(),
        detail: detail
            .iter()
            .filter(|(_, v)| !v.is_empty())
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect(),
    }
}

fn written(mail: &Mail) -> TimelineEntry {
    let detail = [
        ("state", mail.state.name().to_owned()),
        ("tries", mail.tries.to_string()),
        ("reason", mail.reason.clone()),
    ];
    let (id, cause) = (mail.ask.id.to_string(), mail.ask.message.to_string());
    entry(mail, id, mail.created_at.as_millis(), cause, &detail)
}

fn one_try(mail: &Mail, tried: &TryRow) -> TimelineEntry {
    let id = format!("{}/{}.{}", mail.ask.id, tried.round, tried.number);
    let detail = [("outcome", tried.outcome.clone()), ("reason", tried.reason.clone())];
    entry(mail, id, tried.ended_at.as_millis(), mail.ask.id.to_string(), &detail)
}
