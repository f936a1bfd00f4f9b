//! What happened to an order, in every context: causes before effects. Ordering tells its own part and asks the others
//! for theirs; who does not answer in time is named as such.

use std::{collections::BTreeMap, time::Duration};

use merx_contracts::{
    common::v1::{self as wire, TimelineReply, TimelineRequest},
    ids::{OrderId, ReservationId},
};
use merx_kernel::{Error, Result, Timestamp};
use merx_platform::{rpc::ask, store::SagaRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tonic::{Request, Response, Status};

use super::{causal, history, orders::Reader};
use crate::{context::Tools, domain::Rejection};

/// How long another context may take for its part.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// The most entries that are taken of one other context.
const ENTRIES_MAX: usize = 1_000;
/// What a buyer is shown of: the order's own events, what buyers did, where the parcel is, which mails went out.
const FOR_BUYERS: &[&str] = &["event", "request", "tracking", "mail", UNANSWERED];
/// The kind of an entry that stands for a context that did not answer.
const UNANSWERED: &str = "unanswered";

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineEntry {
    /// Unique among the entries of the order.
    pub id: String,
    /// Whose it is: `ordering`, `payment`, `inventory`, `shipping`, `notification`.
    pub context: String,
    /// `request`, `event`, `message`, `provider_call`, `mail`, `timer`, `saga`, `tracking`, or `unanswered` for a context
    /// that could not be asked.
    pub kind: String,
    /// What: an operation, an event's name, a fact's type, a mail's template.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// The trace it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The entry that caused it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<String>,
    /// The account that acted; absent for the shop itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// More, in words of the context.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub detail: BTreeMap<String, String>,
}

/// What happened to an order, causes before effects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// The entries.
    pub items: Vec<TimelineEntry>,
}

/// Reads the timeline, as of `until`.
///
/// # Errors
/// `ordering.order_not_found` when there is no such order for this reader, or was none then.
pub async fn timeline(
    tools: &Tools,
    order_id: OrderId,
    reader: Reader,
    until: Option<Timestamp>,
) -> Result<Timeline> {
    let own = own(tools, order_id, reader, until).await?;
    let owner = own.owner;
    let mut lists = vec![own.entries];
    lists.extend(of_others(tools, order_id).await);
    lists.extend(of_reservations(tools, &own.reservations).await);
    if let Some(until) = until {
        lists.iter_mut().for_each(|list| list.retain(|entry| entry.at <= until || entry.kind == UNANSWERED));
    }
    // Facts of others that ordering acted on come last: their publishers tell of them with more.
    let heard: Vec<TimelineEntry> = own.heard;
    lists.extend(heard.into_iter().map(|entry| vec![entry]));
    let items = causal::merged(lists, &own.ends);
    let items = if reader.is_staff() { items } else { for_buyer(items, &owner) };
    Ok(Timeline { items })
}

/// Ordering's own part.
struct Own {
    owner: String,
    entries: Vec<TimelineEntry>,
    heard: Vec<TimelineEntry>,
    /// The events with which sagas ended, and the sagas.
    ends: BTreeMap<String, String>,
    reservations: Vec<ReservationId>,
}

async fn own(tools: &Tools, order_id: OrderId, reader: Reader, until: Option<Timestamp>) -> Result<Own> {
    let store = tools.store.clone();
    tools
        .db
        .read("ordering.timeline", move |q| {
            let mut recorded = store.events.load(q, order_id)?;
            if let Some(until) = until {
                let kept = recorded.iter().take_while(|event| event.recorded_at <= until).count();
                recorded.truncate(kept);
            }
            let history = history::History::of(order_id, &recorded)?;
            let owner = history.owner.ok_or(Rejection::OrderUnknown)?;
            reader.check(owner)?;
            let mut sagas: Vec<SagaRow> = Vec::new();
            for id in history.sagas() {
                sagas.extend(store.sagas.find(q, id)?);
            }
            let (entries, heard) = history.entries(&sagas, until);
            let (ends, reservations) = (history.ends(), history.reservations);
            Ok(Own { owner: owner.to_string(), entries, heard, ends, reservations })
        })
        .await
}

async fn of_others(tools: &Tools, order_id: OrderId) -> Vec<Vec<TimelineEntry>> {
    let asks = &tools.asks;
    let (mut payments, mut inventory, mut shipping) = (asks.payments(), asks.inventory(), asks.shipping());
    let notification = async {
        match asks.notification() {
            Some(mut notification) => within(notification.timeline(request(order_id))).await,
            None => Err(Error::unavailable("rpc.unavailable", "It is not part of this shop.")),
        }
    };
    let answers = tokio::join!(
        within(payments.timeline(request(order_id))),
        within(inventory.timeline(request(order_id))),
        within(shipping.timeline(request(order_id))),
        notification,
    );
    // In the order in which they are asked: what happened in one millisecond is told so.
    let answers = [
        ("inventory", answers.1),
        ("payment", answers.0),
        ("shipping", answers.2),
        ("notification", answers.3),
    ];
    let now = tools.clock.now();
    answers.into_iter().map(|(context, answer)| part(context, answer, now)).collect()
}

/// What inventory tells of stock that was set aside for the order anew; of the first reservation it tells with the order.
async fn of_reservations(tools: &Tools, reservations: &[ReservationId]) -> Vec<Vec<TimelineEntry>> {
    let mut inventory = tools.asks.inventory();
    let mut lists = Vec::new();
    for reservation_id in reservations {
        let answer = within(inventory.timeline(request(reservation_id.cast()))).await;
        lists.push(part("inventory", answer, tools.clock.now()));
    }
    lists
}

fn request(order_id: OrderId) -> Request<TimelineRequest> {
    let mut request = Request::new(TimelineRequest { order_id: order_id.to_string() });
    request.set_timeout(ANSWER_WITHIN);
    request
}

async fn within(
    answer: impl Future<Output = Result<Response<TimelineReply>, Status>>,
) -> Result<TimelineReply> {
    ask(answer.await)
}

/// What one context answered, or an entry that says that it did not.
fn part(context: &'static str, answer: Result<TimelineReply>, now: Timestamp) -> Vec<TimelineEntry> {
    match answer {
        Ok(reply) => {
            reply.entries.into_iter().take(ENTRIES_MAX).map(|entry| of_wire(context, entry)).collect()
        }
        Err(error) => {
            tracing::info!(context, error = %error.chain(), "no part of a timeline");
            vec![TimelineEntry {
                id: format!("{context}/{UNANSWERED}"),
                context: context.to_owned(),
                kind: UNANSWERED.to_owned(),
                name: error.code().to_owned(),
                at: now,
                trace_id: None,
                caused_by: None,
                actor: None,
                detail: BTreeMap::new(),
            }]
        }
    }
}

fn of_wire(context: &str, entry: wire::TimelineEntry) -> TimelineEntry {
    let told = |text: String| Some(text).filter(|text| !text.is_empty());
    TimelineEntry {
        id: entry.id,
        context: context.to_owned(),
        kind: entry.kind,
        name: entry.name,
        at: Timestamp::from_millis(entry.at),
        trace_id: told(entry.trace_id),
        caused_by: told(entry.caused_by),
        actor: told(entry.actor),
        detail: entry.detail.into_iter().collect(),
    }
}

/// What the buyer may see: no provider's calls, no machinery, nobody of the shop. A cause that is not shown is replaced
/// by what caused it.
fn for_buyer(items: Vec<TimelineEntry>, owner: &str) -> Vec<TimelineEntry> {
    let causes: BTreeMap<String, Option<String>> =
        items.iter().map(|entry| (entry.id.clone(), entry.caused_by.clone())).collect();
    let is_own = |entry: &TimelineEntry| entry.actor.as_deref().is_none_or(|actor| actor == owner);
    let shown = |entry: &TimelineEntry| {
        let request_of_staff = entry.kind == "request" && !is_own(entry);
        // Of the warehouse and the provider only what happens on the way to the buyer.
        let own_event = entry.kind != "event" || entry.context == crate::store::CONTEXT;
        FOR_BUYERS.contains(&entry.kind.as_str()) && !request_of_staff && own_event
    };
    let visible: std::collections::BTreeSet<String> =
        items.iter().filter(|entry| shown(entry)).map(|entry| entry.id.clone()).collect();
    let nearest = |mut cause: Option<String>| {
        // A circle of causes ends where all have been asked.
        for _ in 0..causes.len() {
            match cause {
                Some(id) if !visible.contains(&id) => cause = causes.get(&id).cloned().flatten(),
                found => return found,
            }
        }
        None
    };
    items
        .into_iter()
        .filter(|entry| visible.contains(&entry.id))
        .map(|mut entry| {
            entry.caused_by = nearest(entry.caused_by.take());
            entry.actor = entry.actor.take().filter(|actor| actor == owner);
            if entry.kind == "request" || entry.kind == UNANSWERED {
                entry.detail.clear();
            }
            entry
        })
        .collect()
}
