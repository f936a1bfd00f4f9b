//! One piece of work for one lane: run the handler, and write down what failed.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use merx_contracts::Envelope;
use merx_kernel::{Clock, Entropy, Error, ErrorKind, Result, Timestamp};
use merx_sql::Db;

use super::{
    BACKOFF, Delivery, Subscription, TRIES_MAX,
    lanes::{Outcome, Work},
    metrics::BusMetrics,
};
use crate::{
    faults::{Point, Seam},
    points::{self, Side},
    store::{DeliveryRow, DeliveryState, OutboxRow},
    tasks::panic_text,
    trace,
};

/// How long a handler may take. What it began in the database goes on and is known by its identity.
const HANDLER_LIMIT: Duration = Duration::from_secs(60);
/// How long a lane waits when the database cannot take down what happened.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);
/// How long a delivery that a simulation loses is away at most.
const LOST_FOR: Duration = Duration::from_secs(20);

/// Delivers the facts of one publisher to one subscription.
pub(super) struct Courier {
    pub(super) db: Db,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) subscription: Subscription,
    pub(super) publisher: &'static str,
    pub(super) metrics: BusMetrics,
    pub(super) faults: Seam,
}

/// What [`Courier::work`] answers.
pub(super) struct Finished {
    pub(super) subject: String,
    pub(super) positions: Vec<i64>,
    pub(super) outcome: Outcome,
}

impl Courier {
    /// Does a piece of work. Never fails: what cannot be written is tried again from memory.
    pub(super) async fn work(&self, work: Work) -> Finished {
        match work {
            Work::Handle(row) => {
                let (subject, positions) = (row.subject.clone(), vec![row.position]);
                let outcome = self.handle(row).await;
                Finished { subject, positions, outcome }
            }
            Work::HandleHeld(subject) => {
                let outcome = self.handle_held(&subject).await;
                Finished { subject, positions: Vec::new(), outcome }
            }
            Work::Park(subject, rows) => {
                let positions = rows.iter().map(|row| row.position).collect();
                let outcome = self.park(rows).await;
                Finished { subject, positions, outcome }
            }
        }
    }

    async fn handle(&self, row: OutboxRow) -> Outcome {
        if let Some(later) = self.lost() {
            return Outcome::Again(later, vec![row]);
        }
        let Err(error) = self.attempt(&row.envelope, 0).await else { return Outcome::Done };
        let failed = self.judge(self.held_row(&row), &error);
        match self.keep(failed.clone()).await {
            Ok(()) => after(&failed),
            Err(_) => Outcome::InDoubt(self.clock.now().plus(DATABASE_PAUSE), vec![row]),
        }
    }

    async fn handle_held(&self, subject: &str) -> Outcome {
        let (deliveries, name, publisher) =
            (self.subscription.store.deliveries, self.subscription.name, self.publisher);
        let key = subject.to_owned();
        let first =
            self.db.read("bus.held", move |q| deliveries.first_waiting(q, name, publisher, &key)).await;
        let row = match first {
            Ok(Some(row)) => row,
            Ok(None) => return Outcome::NothingHeld,
            Err(error) => return self.pause(&error),
        };
        if row.next_at > self.clock.now() {
            return Outcome::Held(row.next_at);
        }
        if let Some(later) = self.lost() {
            return Outcome::Held(later);
        }
        match self.attempt(&row.envelope, row.tries).await {
            Ok(()) => {
                let message = row.message;
                let removed =
                    self.db.write("bus.release", move |tx| deliveries.remove(tx, name, message)).await;
                removed.map_or_else(|error| self.pause(&error), |()| Outcome::Done)
            }
            Err(error) => {
                let failed = self.judge(row, &error);
                match self.keep(failed.clone()).await {
                    Ok(()) => after(&failed),
                    Err(error) => self.pause(&error),
                }
            }
        }
    }

    async fn park(&self, rows: Vec<OutboxRow>) -> Outcome {
        let parked: Vec<DeliveryRow> = rows.iter().map(|row| self.held_row(row)).collect();
        let (deliveries, name, publisher) =
            (self.subscription.store.deliveries, self.subscription.name, self.publisher);
        let written = self
            .db
            .write("bus.park", move |tx| {
                parked.iter().try_for_each(|row| deliveries.put(tx, row))?;
                let subject = parked.first().map_or("", |row| row.subject.as_str());
                deliveries.first_waiting(tx, name, publisher, subject)
            })
            .await;
        match written {
            // After a crash what was handled is read again: it lies before what holds the subject up, and is due now.
            Ok(Some(first)) => Outcome::Held(first.next_at),
            Ok(None) => Outcome::Done,
            Err(error) => {
                tracing::warn!(subscription = self.subscription.name, error = %error.chain(), "facts could not be parked");
                Outcome::InDoubt(self.clock.now().plus(DATABASE_PAUSE), rows)
            }
        }
    }

    /// Runs the handler once, within its limit, in the trace of the fact.
    async fn attempt(&self, envelope: &str, tries: i64) -> Result<()> {
        let envelope = Envelope::from_json(envelope)?;
        let context = envelope.traceparent.as_deref().and_then(|text| text.parse().ok());
        let delivery = Delivery::new(
            envelope,
            self.subscription.name,
            self.subscription.store.clone(),
            tries,
            self.clock.now(),
        );
        let handled = async {
            tokio::select! {
                biased;
                handled = AssertUnwindSafe(self.hand_over(delivery)).catch_unwind() => handled
                    .unwrap_or_else(|panic| {
                        Err(Error::internal(format!("the handler panicked: {}", panic_text(&*panic))))
                    }),
                () = self.clock.sleep(HANDLER_LIMIT) => Err(Error::new(
                    ErrorKind::Timeout,
                    "bus.handler_timeout",
                    format!("the handler took longer than {HANDLER_LIMIT:?}"),
                )),
            }
        };
        let point = || format!("bus.{}", self.subscription.name);
        points::pass(point, Side::Before);
        let result = trace::scope(context, handled).await;
        points::pass(point, Side::After);
        self.metrics.handled(self.subscription.name, result.is_ok());
        result
    }

    /// Calls the handler; in a simulation more than once, or with a failure before or after it.
    async fn hand_over(&self, delivery: Delivery) -> Result<()> {
        let (faults, name) = (&self.faults, self.subscription.name);
        if let Some(error) = faults.error(Point::BusFailsBefore, name) {
            return Err(error);
        }
        if faults.strikes(Point::BusRepeated, name) {
            for _ in 0..=faults.amount(Point::BusRepeated, 4) {
                self.subscription.handler.handle(delivery.clone()).await?;
            }
        }
        self.subscription.handler.handle(delivery).await?;
        faults.error(Point::BusFailsAfter, name).map_or(Ok(()), Err)
    }

    /// When a delivery that a simulation loses comes again.
    fn lost(&self) -> Option<Timestamp> {
        let wait = self.faults.span(Point::BusLost, self.subscription.name, LOST_FOR)?;
        Some(self.clock.now().plus(wait))
    }

    fn held_row(&self, row: &OutboxRow) -> DeliveryRow {
        DeliveryRow {
            subscription: self.subscription.name.to_owned(),
            message: row.id,
            publisher: self.publisher.to_owned(),
            position: row.position,
            kind: row.kind.clone(),
            subject: row.subject.clone(),
            envelope: row.envelope.clone(),
            state: DeliveryState::Waiting,
            tries: 0,
            next_at: self.clock.now(),
            problem: String::new(),
        }
    }

    /// Retry or dead letter: the one place where that is decided.
    fn judge(&self, mut row: DeliveryRow, error: &Error) -> DeliveryRow {
        row.tries += 1;
        row.problem = error.code().chars().take(100).collect();
        let (subscription, message, tries) = (self.subscription.name, row.message, row.tries);
        if !error.kind().is_retryable() || row.tries >= TRIES_MAX {
            row.state = DeliveryState::Dead;
            tracing::error!(subscription, %message, tries, error = %error.chain(), "fact is a dead letter now");
            return row;
        }
        let failures = u32::try_from(row.tries).unwrap_or(u32::MAX);
        let wait = BACKOFF.wait(failures, &*self.entropy).max(error.retry_after().unwrap_or_default());
        row.state = DeliveryState::Waiting;
        row.next_at = self.clock.now().plus(wait);
        tracing::warn!(subscription, %message, tries, next_at = %row.next_at, error = %error.chain(), "fact could not be handled");
        row
    }

    async fn keep(&self, row: DeliveryRow) -> Result<()> {
        let deliveries = self.subscription.store.deliveries;
        let dead = row.state == DeliveryState::Dead;
        self.db.write("bus.hold", move |tx| deliveries.put(tx, &row)).await.inspect_err(|error| {
            let subscription = self.subscription.name;
            tracing::error!(subscription, error = %error.chain(), "a failed fact could not be written down");
        })?;
        if dead {
            self.metrics.dead_letter(self.subscription.name);
        }
        Ok(())
    }

    fn pause(&self, error: &Error) -> Outcome {
        tracing::warn!(subscription = self.subscription.name, error = %error.chain(), "a held fact waits for the database");
        Outcome::Held(self.clock.now().plus(DATABASE_PAUSE))
    }
}

fn after(row: &DeliveryRow) -> Outcome {
    match row.state {
        DeliveryState::Waiting => Outcome::Held(row.next_at),
        DeliveryState::Dead | DeliveryState::Dropped => Outcome::Done,
    }
}

/// When something held is tried next, as the table says.
pub(super) async fn held_keys(courier: &Courier) -> Result<Vec<(String, Timestamp)>> {
    let deliveries = courier.subscription.store.deliveries;
    let (name, publisher) = (courier.subscription.name, courier.publisher);
    courier.db.read("bus.held_keys", move |q| deliveries.waiting_keys(q, name, publisher)).await
}
