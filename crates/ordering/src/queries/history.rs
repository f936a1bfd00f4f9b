//! Ordering's own part of a timeline: its events, the requests, messages and timers that caused them, the facts that told
//! of them, and the sagas they began.

use std::collections::{BTreeMap, BTreeSet};

use merx_contracts::ids::{AccountId, OrderId, ReservationId, SagaId};
use merx_kernel::{Result, Timestamp};
use merx_platform::{DomainEvent as _, saga::Saga, store::SagaRow};
use merx_sql::RecordedEvent;

use super::timeline::TimelineEntry;
use crate::{
    cause::{CauseKind, CausedBy, Traced},
    domain::{Event, identity},
    publish,
    sagas::{
        accept_deposits::AcceptDeposits, cancel_paid::CancelPaid, close_order::CloseOrder,
        fulfil_order::FulfilOrder, place_order::PlaceOrder, refund_late::RefundLate,
        refund_quarantined::RefundQuarantined, refund_returned::RefundReturned, revive_order::ReviveOrder,
    },
    store::CONTEXT,
};

struct Happened {
    traced: Traced,
    name: String,
    version: i64,
    at: Timestamp,
    /// The sagas the event began.
    begun: Vec<(SagaId, &'static str)>,
}

/// The events of an order, and what belongs to them.
pub(super) struct History {
    order_id: OrderId,
    pub owner: Option<AccountId>,
    happened: Vec<Happened>,
    /// Under which its stock was set aside anew.
    pub reservations: Vec<ReservationId>,
}

impl History {
    pub(super) fn of(order_id: OrderId, recorded: &[RecordedEvent]) -> Result<Self> {
        let mut history = Self { order_id, owner: None, happened: Vec::new(), reservations: Vec::new() };
        let (mut paid, mut requests, mut quarantined, mut returned) = (false, 0, false, false);
        for (index, event) in recorded.iter().enumerate() {
            let traced = Traced::decode(&event.name, event.schema, &event.body)?;
            let mut begun = Vec::new();
            match &traced.event {
                Event::OrderPlaced(terms) => {
                    history.owner = Some(terms.account_id);
                    begun.push((PlaceOrder::id(order_id), PlaceOrder::NAME));
                }
                Event::OrderPaid(_) => paid = true,
                Event::PaymentQuarantined(_) => quarantined = true,
                Event::CancellationRequested(_) => {
                    requests += 1;
                    begun.push(if paid {
                        (CancelPaid::id(order_id, requests), CancelPaid::NAME)
                    } else {
                        (CloseOrder::id(order_id), CloseOrder::NAME)
                    });
                }
                Event::OrderCancelled(cancelled) if quarantined && !cancelled.refunds.is_empty() => {
                    begun.push((RefundQuarantined::id(order_id), RefundQuarantined::NAME));
                }
                Event::ParcelReturned(_) => returned = true,
                Event::OrderCancelled(_) if returned => {
                    begun.push((RefundReturned::id(order_id), RefundReturned::NAME));
                }
                Event::QuarantineAccepted(accepted) => {
                    (paid, quarantined) = (true, false);
                    begun.push((AcceptDeposits::id(order_id), AcceptDeposits::NAME));
                    let back = accepted.surplus.iter();
                    begun.extend(back.map(|s| (RefundLate::id(s.refund_id), RefundLate::NAME)));
                }
                // The money is to revive the order: what comes next says so.
                Event::LatePaymentReceived(_) if recorded.get(index + 1).is_some_and(begins_revival) => {}
                Event::RevivalBegun(revival) => {
                    history.reservations.push(revival.reservation_id);
                    begun.push((ReviveOrder::id(revival.reservation_id), ReviveOrder::NAME));
                }
                Event::RevivalRefused(refused) => {
                    let refund_id = identity::refund_of(order_id, refused.attempt_id);
                    begun.push((RefundLate::id(refund_id), RefundLate::NAME));
                }
                Event::OrderRevived(_) => {
                    paid = true;
                    begun.push((AcceptDeposits::id(order_id), AcceptDeposits::NAME));
                }
                Event::LatePaymentReceived(surplus) | Event::OverpaymentReceived(surplus) => {
                    begun.push((RefundLate::id(surplus.refund_id), RefundLate::NAME));
                }
                _ => {}
            }
            let is_paid = |event: &Event| {
                matches!(event, Event::OrderPaid(_) | Event::OrderRevived(_) | Event::QuarantineAccepted(_))
            };
            if is_paid(&traced.event) {
                begun.push((FulfilOrder::id(order_id), FulfilOrder::NAME));
            }
            let (name, version, at) = (event.name.clone(), event.version, event.recorded_at);
            history.happened.push(Happened { traced, name, version, at, begun });
        }
        Ok(history)
    }

    /// Every saga of the order.
    pub(super) fn sagas(&self) -> Vec<SagaId> {
        self.happened.iter().flat_map(|happened| &happened.begun).map(|(id, _)| *id).collect()
    }

    /// The events with which sagas ended, and the sagas, by the ids of their entries. All a saga does to the order is its
    /// end, but for the cancellation of a paid order: money, goods and parcels follow that.
    pub(super) fn ends(&self) -> BTreeMap<String, String> {
        let end = |happened: &Happened| {
            let cause = happened.traced.caused_by.as_ref().filter(|cause| cause.kind == CauseKind::Saga)?;
            let pivot =
                cause.name == CancelPaid::NAME && matches!(happened.traced.event, Event::OrderCancelled(_));
            (!pivot).then(|| (self.event_id(happened.version), cause.entry_id()))
        };
        self.happened.iter().filter_map(end).collect()
    }

    /// Its entries, in the order in which they happened; and the facts of others it acted on, for who does not hear of
    /// them from their publishers.
    pub(super) fn entries(
        &self,
        sagas: &[SagaRow],
        until: Option<Timestamp>,
    ) -> (Vec<TimelineEntry>, Vec<TimelineEntry>) {
        let (mut entries, mut heard) = (Vec::new(), Vec::new());
        let mut told: BTreeSet<String> = BTreeSet::new();
        for happened in &self.happened {
            if let Some(cause) = &happened.traced.caused_by
                && !matches!(cause.kind, CauseKind::Saga | CauseKind::Ask)
                && told.insert(self.cause_id(cause))
            {
                let entry = self.cause(cause, happened);
                if cause.kind == CauseKind::Message { heard.push(entry) } else { entries.push(entry) }
            }
            let event_id = self.event_id(happened.version);
            entries.push(self.event(happened));
            if let (Some(id), Some(kind)) =
                (happened.traced.published, publish::fact_of(&happened.traced.event))
            {
                entries.push(entry(id.to_string(), "message", kind, happened, Some(event_id.clone())));
            }
            for (id, name) in &happened.begun {
                if told.insert(id.to_string()) {
                    entries.push(entry(id.to_string(), "saga", name, happened, Some(event_id.clone())));
                }
            }
        }
        let ends = sagas.iter().filter(|row| !row.status.is_open()).map(ended);
        entries.extend(ends.filter(|end| until.is_none_or(|until| end.at <= until)));
        // The order of versions is kept by the events themselves; the ends of sagas fall in between.
        entries.sort_by_key(|entry| entry.at);
        (entries, heard)
    }

    fn event_id(&self, version: i64) -> String {
        format!("{CONTEXT}/{}/{version}", self.order_id)
    }

    /// A timer fires for each order; its name alone is not unique among contexts.
    fn cause_id(&self, cause: &CausedBy) -> String {
        match cause.kind {
            CauseKind::Timer => format!("{CONTEXT}/{}", cause.entry_id()),
            _ => cause.entry_id(),
        }
    }

    fn event(&self, happened: &Happened) -> TimelineEntry {
        let cause = happened.traced.caused_by.as_ref();
        let shown = cause.filter(|cause| cause.kind != CauseKind::Ask);
        let caused_by = shown.map(|cause| self.cause_id(cause));
        let id = self.event_id(happened.version);
        let mut event = entry(id, "event", &happened.name, happened, caused_by);
        event.actor = cause.and_then(|cause| cause.actor).map(|actor| actor.to_string());
        event.detail.insert("version".to_owned(), happened.version.to_string());
        if let Event::AfterSaleMoved(moved) = &happened.traced.event {
            let told = [("case", moved.case_id.to_string()), ("kind", moved.kind.clone())];
            event.detail.extend(told.map(|(name, value)| (name.to_owned(), value)));
            event.detail.insert("status".to_owned(), moved.status.clone());
        }
        event
    }

    fn cause(&self, cause: &CausedBy, happened: &Happened) -> TimelineEntry {
        let kind = match cause.kind {
            CauseKind::Request => "request",
            CauseKind::Message => "message",
            CauseKind::Timer => "timer",
            CauseKind::Saga => "saga",
            CauseKind::Ask => "ask",
        };
        let mut entry = entry(self.cause_id(cause), kind, &cause.name, happened, None);
        if cause.kind == CauseKind::Message {
            entry.context = merx_platform::bus::publisher_of(&cause.name).to_owned();
        }
        entry.actor = cause.actor.map(|actor| actor.to_string());
        if cause.staff {
            entry.detail.insert("staff".to_owned(), "true".to_owned());
        }
        entry
    }
}

fn begins_revival(recorded: &RecordedEvent) -> bool {
    recorded.name == "RevivalBegun"
}

fn entry(
    id: String,
    kind: &str,
    name: &str,
    happened: &Happened,
    caused_by: Option<String>,
) -> TimelineEntry {
    TimelineEntry {
        id,
        context: CONTEXT.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        at: happened.at,
        trace_id: happened.traced.trace_id.clone(),
        caused_by,
        actor: None,
        detail: BTreeMap::new(),
    }
}

fn ended(row: &SagaRow) -> TimelineEntry {
    let mut detail = BTreeMap::from([("status".to_owned(), row.status.name().to_owned())]);
    if let Some(refusal) = &row.refusal {
        detail.insert("refused_step".to_owned(), refusal.step.clone());
        detail.insert("refusal".to_owned(), refusal.code.clone());
    }
    TimelineEntry {
        id: format!("{}/end", row.id),
        context: CONTEXT.to_owned(),
        kind: "saga".to_owned(),
        name: format!("{} ended", row.name),
        at: row.updated_at,
        trace_id: None,
        caused_by: Some(row.id.to_string()),
        actor: None,
        detail,
    }
}
