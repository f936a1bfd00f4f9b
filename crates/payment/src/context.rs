//! What every command and query of payment holds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use merx_contracts::ids::PaymentId;
use merx_kernel::{Clock, IdGen, Result, Timestamp};
use merx_platform::{
    aggregate::{Aggregate as _, DomainEvent as _, Loaded, load},
    store::{Store, TimerId},
    telemetry::Metrics,
};
use merx_sql::{Db, NewEvent, Query, RecordedEvent, StreamId, Tx};
use prometheus_client::metrics::counter::Counter;

use crate::{
    domain::{Payment, PaymentEvent},
    projections,
    provider::{Alipay, Provider},
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
    /// The provider.
    pub alipay: Arc<Alipay>,
    /// Notifications nobody signed.
    pub unsigned: Unsigned,
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
    pub(crate) fn ids(&self) -> &IdGen {
        &self.0.ids
    }
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
    pub(crate) fn unsigned(&self) -> &Unsigned {
        &self.0.unsigned
    }
    pub(crate) fn alipay(&self) -> &Alipay {
        &self.0.alipay
    }
    /// Whoever moves the money of an attempt. There is one provider yet.
    pub(crate) fn provider(&self) -> &dyn Provider {
        &*self.0.alipay
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

fn stream(payment_id: PaymentId) -> StreamId {
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

/// Appends what was decided and writes it into the projection; answers the state after it.
pub(crate) fn record(
    store: &Store,
    tx: &mut Tx<'_>,
    payment_id: PaymentId,
    loaded: Loaded<Payment>,
    events: &[PaymentEvent],
    at: Timestamp,
) -> Result<Payment> {
    if events.is_empty() {
        return Ok(loaded.state);
    }
    let bodies = events.iter().map(PaymentEvent::encode).collect::<Result<Vec<_>>>()?;
    let new: Vec<NewEvent> = events
        .iter()
        .zip(&bodies)
        .map(|(event, body)| NewEvent { name: event.name(), schema: event.schema(), body: body.clone() })
        .collect();
    store.events.append(tx, stream(payment_id), loaded.version, &new, at)?;
    let mut state = loaded.state;
    for ((event, body), version) in events.iter().zip(bodies).zip(loaded.version + 1..) {
        let recorded = RecordedEvent {
            stream: stream(payment_id),
            version,
            position: None,
            name: event.name().to_owned(),
            schema: event.schema(),
            body,
            recorded_at: at,
        };
        projections::apply(tx, &recorded)?;
        state = Payment::evolve(state, event);
    }
    Ok(state)
}
