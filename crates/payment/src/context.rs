//! What every command and query of payment holds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use merx_contracts::ids::{AccountId, MessageId, MessageKind, PaymentId};
use merx_kernel::{Clock, Error, IdGen, Result, Timestamp};
use merx_platform::{
    aggregate::{Aggregate as _, DomainEvent as _, Loaded, keep_snapshot, load},
    store::{Store, TimerId},
    telemetry::Metrics,
    trace,
};
use merx_sql::{Db, NewEvent, Query, RecordedEvent, StreamId, Tx};
use prometheus_client::metrics::counter::Counter;
use serde::{Deserialize, Serialize};

use crate::{
    config::ReconciliationConfig,
    domain::{Payment, PaymentEvent, ProviderName},
    projections,
    provider::{CallBook, Provider, Providers},
};

/// The payments of the shop. Clones share everything.
#[derive(Clone)]
pub struct Payments(Arc<Parts>);

/// What payments are made of.
pub struct Parts {
    /// The database.
    pub db: Db,
    /// The platform's tables of this context.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identities.
    pub ids: IdGen,
    /// Counters.
    pub metrics: Metrics,
    /// Whoever moves the money.
    pub providers: Providers,
    /// Notifications nobody signed.
    pub unsigned: Unsigned,
    /// The hour in which old calls were last forgotten.
    pub calls_pruned: AtomicI64,
    /// How the books are held against bills.
    pub reconciliation: ReconciliationConfig,
}

/// Notifications that Alipay did not sign. Anybody can send them, as many as they like: all are counted, and at most
/// one a second is logged.
pub struct Unsigned {
    count: Counter,
    /// The second the last one was logged in.
    told: AtomicI64,
}

impl Unsigned {
    /// None yet; the count is `merx_payment_unsigned_notifications_total`.
    pub fn new(metrics: &Metrics) -> Self {
        let help = "Payment notifications that the provider did not sign";
        let count = metrics.register("payment_unsigned_notifications", help, Counter::default());
        Self { count, told: AtomicI64::new(i64::MIN) }
    }

    /// Counts one more; `Some` with the count when it is to be logged.
    pub(crate) fn counted(&self, now: Timestamp) -> Option<u64> {
        let count = self.count.inc() + 1;
        let second = now.as_secs();
        (self.told.swap(second, Ordering::Relaxed) != second).then_some(count)
    }
}

impl Payments {
    /// Payments over `parts`.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }
    pub(crate) fn store(&self) -> Store {
        self.0.store.clone()
    }
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }
    pub(crate) fn ids(&self) -> &IdGen {
        &self.0.ids
    }
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
    pub(crate) fn unsigned(&self) -> &Unsigned {
        &self.0.unsigned
    }
    /// An empty book for the calls of one piece of work.
    pub(crate) fn book(&self) -> CallBook {
        CallBook::new(self.0.clock.clone(), self.0.ids.clone())
    }
    pub(crate) fn reconciliation(&self) -> &ReconciliationConfig {
        &self.0.reconciliation
    }
    /// Whether it is time to forget old calls: once an hour.
    pub(crate) fn is_pruning_due(&self) -> bool {
        let hour = self.now().as_secs() / 3_600;
        self.0.calls_pruned.swap(hour, Ordering::Relaxed) != hour
    }
    /// Why something is about to happen: here, in the running task's trace.
    pub(crate) fn cause(&self) -> Cause {
        let told = Told { trace_id: trace::current().map(|trace| trace.trace_id()), ..Told::default() };
        Cause { at: self.now(), told, message: None, traceparent: trace::current_traceparent() }
    }
    /// As [`Self::cause`], for a change that others are told of.
    pub(crate) fn telling(&self) -> Cause {
        Cause { message: Some(self.ids().next::<MessageKind>()), ..self.cause() }
    }
    /// The providers, and the ways to pay that are offered.
    pub fn providers(&self) -> &Providers {
        &self.0.providers
    }
    /// One provider.
    ///
    /// # Errors
    /// `payment.provider_unavailable` for one that is not set up (any more).
    pub fn provider_of(&self, name: ProviderName) -> Result<&dyn Provider> {
        self.0.providers.get(name)
    }

    pub(crate) async fn read(&self, payment_id: PaymentId) -> Result<Payment> {
        let store = self.store();
        Ok(self.db().read("payment.load", move |q| load_payment(&store, q, payment_id)).await?.state)
    }
}

/// The timer that asks the provider about a payment's attempts.
pub(crate) const fn attempts_timer(payment_id: PaymentId) -> TimerId {
    TimerId::of("attempts", payment_id)
}
/// The timer that drives a payment's refunds: one for all of them, because the provider wants three seconds between
/// two refunds of one trade.
pub(crate) const fn refunds_timer(payment_id: PaymentId) -> TimerId {
    TimerId::of("refunds", payment_id)
}

/// A wait that doubles with the age of what is waited for, without anything to count: `age` within limits.
pub(crate) fn by_age(age: Duration, min: Duration, max: Duration) -> Duration {
    age.clamp(min, max)
}

/// The stream of a payment.
pub(crate) fn stream(payment_id: PaymentId) -> StreamId {
    StreamId::from(payment_id)
}

/// Reads a payment: one statement.
pub(crate) fn load_payment(
    store: &Store,
    q: &mut impl Query,
    payment_id: PaymentId,
) -> Result<Loaded<Payment>> {
    load::<Payment>(&store.events, q, stream(payment_id))
}

/// What an event keeps about why it happened, beside its own content: for the timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The W3C trace of the request or message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The account that acted; none for the shop itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<AccountId>,
    /// The entry of the timeline that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The message that tells the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
}

/// Why something happens, and when. Made before the transaction, for its closure may run again.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    /// Now.
    pub at: Timestamp,
    told: Told,
    message: Option<MessageId>,
    /// The trace, for a message.
    pub traceparent: Option<String>,
}

impl Cause {
    /// It is this account's doing.
    #[must_use]
    pub fn of(mut self, actor: AccountId) -> Self {
        self.told.actor = Some(actor);
        self
    }
    /// It is the consequence of this entry of the timeline.
    #[must_use]
    pub fn after(mut self, entry: Option<String>) -> Self {
        self.told.by = entry;
        self
    }
    /// The same, telling another message: a change that tells two things has an id for each.
    #[must_use]
    pub fn telling_by(mut self, message: MessageId) -> Self {
        self.message = Some(message);
        self
    }
    /// The id of the one message a change may send.
    ///
    /// # Errors
    /// `Internal` when none was made.
    pub fn message(&self) -> Result<MessageId> {
        self.message.ok_or_else(|| Error::internal("a change tells others without a message id"))
    }

    /// The stored body of an event: its content, and why it happened.
    fn body(&self, event: &PaymentEvent) -> Result<String> {
        let unwritable = |e| Error::internal("a payment event cannot be written as JSON").with_source(e);
        let mut body = event.body()?;
        let message = self.message.filter(|_| event.is_told());
        let told = Told { message, ..self.told.clone() };
        if told != Told::default() {
            body[TOLD] = serde_json::to_value(told).map_err(unwritable)?;
        }
        serde_json::to_string(&body).map_err(unwritable)
    }
}

/// Where a stored body says why it happened.
const TOLD: &str = "cause";

/// Reads why a stored event happened.
///
/// # Errors
/// `Internal` when it is not JSON.
pub(crate) fn told(body: &str) -> Result<Told> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        cause: Told,
    }
    let body: Body = serde_json::from_str(body)
        .map_err(|e| Error::internal("the body of a payment event is not JSON").with_source(e))?;
    Ok(body.cause)
}

/// Appends what was decided and writes it into the projection; answers the state after it.
pub(crate) fn record(
    store: &Store,
    tx: &mut Tx<'_>,
    payment_id: PaymentId,
    loaded: Loaded<Payment>,
    events: &[PaymentEvent],
    cause: &Cause,
) -> Result<Payment> {
    if events.is_empty() {
        return Ok(loaded.state);
    }
    let bodies = events.iter().map(|event| cause.body(event)).collect::<Result<Vec<_>>>()?;
    let new: Vec<NewEvent> = events
        .iter()
        .zip(&bodies)
        .map(|(event, body)| NewEvent { name: event.name(), schema: event.schema(), body: body.clone() })
        .collect();
    let appended = store.events.append(tx, stream(payment_id), loaded.version, &new, cause.at)?;
    let (before, mut state) = (loaded.version, loaded.state);
    for ((event, body), version) in events.iter().zip(bodies).zip(before + 1..) {
        let recorded = RecordedEvent {
            stream: stream(payment_id),
            version,
            position: None,
            name: event.name().to_owned(),
            schema: event.schema(),
            body,
            recorded_at: cause.at,
        };
        projections::apply(tx, &recorded)?;
        state = Payment::evolve(state, event);
    }
    let after = Loaded { state, version: appended };
    keep_snapshot::<Payment>(&store.events, tx, stream(payment_id), before, &after)?;
    Ok(after.state)
}
