//! The one way a case changes.

use merx_contracts::{
    Envelope,
    events::{aftersale::CaseMoved, staff::StaffActed},
    ids::{AccountId, AfterSaleId, MessageId, OrderId},
};
use merx_kernel::Result;
use merx_platform::{
    Aggregate as _, DomainEvent as _, Loaded, Store, aggregate,
    saga::{NewSaga, derived_id},
    store::TimerId,
    trace,
};
use merx_sql::{NewEvent, Query, RecordedEvent, StreamId, Tx};
use serde_json::Value;

use super::project;
use crate::{
    State,
    domain::{AfterSales, Case, Command, Event, Facts, Rejection, Status, decide},
    reactions::case_deadline,
    sagas::{refund_case::RefundCase, replace_case::ReplaceCase},
};

/// A change about to happen: the facts of the decision and the identities of what follows, chosen before the transaction,
/// whose closure may run again.
#[derive(Clone, Debug)]
pub struct Act {
    /// Of which order.
    pub order_id: OrderId,
    /// Which case.
    pub case_id: AfterSaleId,
    /// What is known from outside.
    pub facts: Facts,
    message: MessageId,
    told: MessageId,
    traceparent: Option<String>,
    refund: NewSaga,
    replace: NewSaga,
}

/// What somebody of the staff did, for the record of accounts.
#[derive(Clone, Debug)]
pub struct Deed {
    /// Who.
    pub actor: AccountId,
    /// What, `aftersale.approved`.
    pub action: &'static str,
    /// More; no words of the buyer.
    pub detail: Value,
}

/// The case after a change.
#[derive(Clone, Debug)]
pub struct Changed {
    /// All cases of the order.
    pub all: AfterSales,
    /// What happened; empty when it had happened before.
    pub events: Vec<Event>,
    /// What is to be carried on after the commit.
    pub saga: Option<NewSaga>,
    /// Somebody is late from now on.
    pub escalated: bool,
}

impl Act {
    /// A change of a case of `order_id`, happening now in the running task's trace.
    ///
    /// # Errors
    /// `Internal` when the data of a saga cannot be written.
    pub fn now(state: &State, order_id: OrderId, case_id: AfterSaleId) -> Result<Self> {
        let now = state.clock.now();
        Ok(Self {
            order_id,
            case_id,
            facts: Facts { now, policy: state.policy },
            message: state.ids.next(),
            told: state.ids.next(),
            traceparent: trace::current_traceparent(),
            refund: RefundCase::of(order_id, case_id, now)?,
            replace: ReplaceCase::of(order_id, case_id, now)?,
        })
    }

    /// Tells accounts what staff did.
    ///
    /// # Errors
    /// What the database answers.
    pub fn tell(&self, tx: &mut Tx<'_>, store: &Store, deed: &Deed) -> Result<()> {
        let acted = StaffActed {
            actor: deed.actor,
            action: deed.action.to_owned(),
            object: self.case_id.to_string(),
            reason: None,
            detail: deed.detail.clone(),
        };
        let envelope = acted.envelope(super::CONTEXT, self.told, self.facts.now, self.traceparent.clone())?;
        store.outbox.publish(tx, &[envelope])
    }
}

/// Reads the after-sale of an order: one statement.
///
/// # Errors
/// What the database or the codec answers.
pub fn load(store: &Store, q: &mut impl Query, order_id: OrderId) -> Result<Loaded<AfterSales>> {
    aggregate::load::<AfterSales>(&store.events, q, order_id)
}

/// Decides `command`, appends its events, brings rows and the timer up to date, tells the others and starts what follows.
///
/// # Errors
/// The rule that says no; what the database answers.
pub fn change(tx: &mut Tx<'_>, store: &Store, act: &Act, command: &Command) -> Result<Changed> {
    let loaded = load(store, tx, act.order_id)?;
    let (mut all, version) = (loaded.state, loaded.version);
    let events = decide(&all, act.case_id, command, &act.facts)?;
    if events.is_empty() {
        return Ok(Changed { all, events, saga: None, escalated: false });
    }
    let bodies = events.iter().map(Event::encode).collect::<Result<Vec<_>>>()?;
    let new: Vec<NewEvent> = events
        .iter()
        .zip(&bodies)
        .map(|(event, body)| NewEvent { name: event.name(), schema: event.schema(), body: body.clone() })
        .collect();
    store.events.append(tx, act.order_id, version, &new, act.facts.now)?;
    let mut messages = Vec::new();
    for ((event, body), version) in events.iter().zip(bodies).zip(version + 1..) {
        let recorded = RecordedEvent {
            stream: StreamId::from(act.order_id),
            version,
            position: None,
            name: event.name().to_owned(),
            schema: event.schema(),
            body,
            recorded_at: act.facts.now,
        };
        project::apply(tx, &recorded)?;
        let before = all.cases.get(&act.case_id).map(|case| case.status);
        all = AfterSales::evolve(all, event);
        messages.extend(moved(&all, act, before, version)?);
    }
    store.outbox.publish(tx, &messages)?;
    let case = all.cases.get(&act.case_id).ok_or(Rejection::CaseUnknown)?;
    set_timer(tx, store, act, case)?;
    let saga = saga_of(&events, act);
    if let Some(saga) = &saga {
        store.sagas.start(tx, saga)?;
    }
    let escalated = events.iter().any(|event| matches!(event, Event::DeadlineMissed { .. }));
    Ok(Changed { all, events, saga, escalated })
}

/// The fact of a case that stands elsewhere than before.
fn moved(all: &AfterSales, act: &Act, before: Option<Status>, version: i64) -> Result<Option<Envelope>> {
    let Some(case) = all.cases.get(&act.case_id).filter(|case| Some(case.status) != before) else {
        return Ok(None);
    };
    let standing = all.standing().ok_or(Rejection::CaseUnknown)?;
    let fact = CaseMoved {
        case_id: act.case_id,
        order_id: act.order_id,
        account_id: case.account_id,
        kind: case.kind.name().to_owned(),
        status: case.status.name().to_owned(),
        standing: standing.name().to_owned(),
    };
    // A change may tell of two moves; each has its identity.
    let id: MessageId = derived_id(act.message, &version.to_string());
    Envelope::new(id, act.facts.now, act.traceparent.clone(), &fact).map(Some)
}

fn set_timer(tx: &mut Tx<'_>, store: &Store, act: &Act, case: &Case) -> Result<()> {
    let timer = TimerId::of(case_deadline::KIND, act.case_id);
    match case.due_at {
        Some(due_at) => store.timers.schedule(tx, timer, due_at),
        None => store.timers.cancel(tx, timer),
    }
}

fn saga_of(events: &[Event], act: &Act) -> Option<NewSaga> {
    events.iter().find_map(|event| match event {
        Event::RefundDue { .. } => Some(act.refund.clone()),
        Event::ReplacementDue { .. } => Some(act.replace.clone()),
        _ => None,
    })
}
