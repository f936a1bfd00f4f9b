//! Everything payment knows of an order, as entries that ordering merges with those of others.

use std::collections::HashMap;

use merx_contracts::{
    Fact as _,
    common::v1::TimelineEntry,
    events::payment::{PaymentCaptured, PaymentRefunded},
    ids::{OrderId, PaymentId},
};
use merx_kernel::{Money, Result};
use merx_platform::aggregate::DomainEvent as _;
use merx_sql::{Query, RecordedEvent};

use crate::{
    context::{Payments, stream, told},
    domain::PaymentEvent,
    provider::CallRow,
    store::{
        self, TakenNotification, calls,
        quarantine::{self, QuarantineFilter, QuarantineRow},
    },
};

/// The most notifications of one payment that are shown, of those that counted and of those that did not.
const NOTIFICATIONS_MAX: i64 = 100;

type Detail = HashMap<String, String>;

impl Payments {
    /// The events, provider calls, notifications and messages of an order's payment, in the order they happened. An
    /// order without a payment has none.
    ///
    /// # Errors
    /// What the database answers; `Internal` for an event that cannot be read.
    pub async fn timeline(&self, order_id: OrderId) -> Result<Vec<TimelineEntry>> {
        let payment_id: PaymentId = order_id.cast();
        let log = self.store().events;
        self.db()
            .read("payment.timeline", move |q| {
                let mut entries = Vec::new();
                for notification in store::notifications(q, payment_id, NOTIFICATIONS_MAX)? {
                    entries.push(taken(notification));
                }
                entries.extend(quarantined(q, payment_id)?);
                entries.extend(calls::list(q, payment_id)?.into_iter().map(called));
                for event in log.load(q, stream(payment_id))? {
                    happened(payment_id, &event, &mut entries)?;
                }
                // Causes stand before their effects of the same moment: the sort keeps the order of equals.
                entries.sort_by_key(|entry| entry.at);
                Ok(entries)
            })
            .await
    }
}

fn detail<const N: usize>(pairs: [(&str, String); N]) -> Detail {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn taken(row: TakenNotification) -> TimelineEntry {
    TimelineEntry {
        id: format!("{}/{}/{}", row.provider, row.trade_no, row.status),
        kind: "request".to_owned(),
        name: format!("{}.notification", row.provider),
        at: row.received_at.as_millis(),
        trace_id: row.trace_id.unwrap_or_default(),
        detail: detail([
            ("verdict", "taken".to_owned()),
            ("attempt_id", row.attempt_id.to_string()),
            ("trade_status", row.status),
            ("provider_trade_no", row.trade_no),
        ]),
        ..TimelineEntry::default()
    }
}

/// What is in quarantine as a notification; captures there have their event.
fn quarantined(q: &mut impl Query, payment_id: PaymentId) -> Result<Vec<TimelineEntry>> {
    let filter = QuarantineFilter { payment_id: Some(payment_id), ..QuarantineFilter::default() };
    let mut rows = quarantine::list(q, &filter, None, NOTIFICATIONS_MAX)?;
    rows.reverse();
    Ok(rows.into_iter().filter(|row| row.source == "notification").map(refused).collect())
}

fn refused(row: QuarantineRow) -> TimelineEntry {
    let mut detail = detail([("verdict", "quarantined".to_owned()), ("kind", row.kind), ("why", row.why)]);
    let optional = [
        ("attempt_id", row.attempt_id.map(|id| id.to_string())),
        ("trade_status", row.trade_status),
        ("provider_trade_no", row.trade_no),
        ("amount", row.found.map(|found| found.to_string())),
        ("alert_id", row.alert_id.map(|id| id.to_string())),
    ];
    detail.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    TimelineEntry {
        id: row.item_id.to_string(),
        kind: "request".to_owned(),
        name: format!("{}.notification", row.provider),
        at: row.recorded_at.as_millis(),
        detail,
        ..TimelineEntry::default()
    }
}

fn called(call: CallRow) -> TimelineEntry {
    let mut detail = detail([
        ("outcome", call.outcome),
        ("duration_ms", call.duration_ms.to_string()),
        ("attempt_id", call.about.attempt_id.to_string()),
    ]);
    let optional = [("code", call.code), ("refund_id", call.about.refund_id.map(|id| id.to_string()))];
    detail.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    TimelineEntry {
        id: call.call_id.to_string(),
        kind: "provider_call".to_owned(),
        name: call.method,
        at: call.started_at.as_millis(),
        trace_id: call.trace_id.unwrap_or_default(),
        detail,
        ..TimelineEntry::default()
    }
}

/// An event, and the message that told others of it.
fn happened(payment_id: PaymentId, recorded: &RecordedEvent, entries: &mut Vec<TimelineEntry>) -> Result<()> {
    let event = PaymentEvent::decode(&recorded.name, recorded.schema, &recorded.body)?;
    let told = told(&recorded.body)?;
    let id = format!("{payment_id}:{}", recorded.version);
    let trace_id = told.trace_id.unwrap_or_default();
    entries.push(TimelineEntry {
        id: id.clone(),
        kind: "event".to_owned(),
        name: recorded.name.clone(),
        at: recorded.recorded_at.as_millis(),
        trace_id: trace_id.clone(),
        caused_by: told.by.unwrap_or_default(),
        actor: told.actor.map(|actor| actor.to_string()).unwrap_or_default(),
        detail: particulars(&event),
    });
    if let Some(message) = told.message {
        let fact = match event {
            PaymentEvent::PaymentCaptured { .. } => PaymentCaptured::TYPE,
            _ => PaymentRefunded::TYPE,
        };
        entries.push(TimelineEntry {
            id: message.to_string(),
            kind: "message".to_owned(),
            name: fact.to_owned(),
            at: recorded.recorded_at.as_millis(),
            trace_id,
            caused_by: id,
            ..TimelineEntry::default()
        });
    }
    Ok(())
}

/// What an event says, in words for a person.
fn particulars(event: &PaymentEvent) -> Detail {
    let money = |amount: &Money| ("amount", amount.to_string());
    match event {
        PaymentEvent::PaymentOpened { amount, deadline, .. } => {
            detail([money(amount), ("deadline", deadline.to_string())])
        }
        PaymentEvent::AttemptStarted { attempt_id, method, amount, expires_at, .. } => detail([
            ("attempt_id", attempt_id.to_string()),
            ("method", method.as_str().to_owned()),
            money(amount),
            ("expires_at", expires_at.to_string()),
        ]),
        PaymentEvent::AttemptPrepared { attempt_id, .. } => detail([("attempt_id", attempt_id.to_string())]),
        PaymentEvent::AttemptSuperseded { attempt_id, by } => {
            detail([("attempt_id", attempt_id.to_string()), ("superseded_by", by.to_string())])
        }
        PaymentEvent::AttemptClosed { attempt_id, end } => {
            detail([("attempt_id", attempt_id.to_string()), ("end", end.as_str().to_owned())])
        }
        PaymentEvent::PaymentCaptured { attempt_id, amount, provider_trade_no, late, duplicate, .. } => {
            detail([
                ("attempt_id", attempt_id.to_string()),
                money(amount),
                ("provider_trade_no", provider_trade_no.clone()),
                ("late", late.to_string()),
                ("double", duplicate.to_string()),
            ])
        }
        PaymentEvent::DepositAccepted { attempt_id, amount } => {
            detail([("attempt_id", attempt_id.to_string()), money(amount)])
        }
        PaymentEvent::FeeCharged { attempt_id, refund_id, amount, bill_day, .. } => {
            let mut detail = detail([
                ("attempt_id", attempt_id.to_string()),
                money(amount),
                ("bill_day", bill_day.clone()),
            ]);
            detail.extend(refund_id.map(|id| ("refund_id".to_owned(), id.to_string())));
            detail
        }
        PaymentEvent::CloseRequested {} | PaymentEvent::PaymentClosed {} => Detail::new(),
        PaymentEvent::RefundRequested { refund_id, attempt_id, amount, reason, .. } => detail([
            ("refund_id", refund_id.to_string()),
            ("attempt_id", attempt_id.to_string()),
            money(amount),
            ("reason", reason.clone()),
        ]),
        PaymentEvent::RefundSucceeded { refund_id, attempt_id, amount, .. } => detail([
            ("refund_id", refund_id.to_string()),
            ("attempt_id", attempt_id.to_string()),
            money(amount),
        ]),
        PaymentEvent::RefundFailed { refund_id, code } => {
            detail([("refund_id", refund_id.to_string()), ("code", code.clone())])
        }
        PaymentEvent::RefundRetried { refund_id, .. } => detail([("refund_id", refund_id.to_string())]),
    }
}
