//! The bus: carries facts from the outboxes of publishers to the handlers of subscribers.
//!
//! What every backend promises: a fact is delivered at least once to every subscription that names its type; the
//! facts of one subject arrive in order, and a subject that is held up by a failure holds up nobody else; a fact
//! that failed [`TRIES_MAX`] times, or can never succeed, becomes a dead letter that can be driven again. One effect
//! for a fact is the handler's part: [`Delivery::first_time`] in the transaction of the effect.
//!
//! A dead letter stands outside the order: the facts of its subject go on without it, and one that is driven again
//! ([`Bus::redrive`]) comes after all of them. A handler that cannot bear that looks whether it is too late.
//!
//! [`EmbeddedBus`] is the backend in one process, on the outbox tables themselves.

mod backlog;
mod deliver;
mod embedded;
mod lanes;
mod metrics;
mod progress;
mod relay;

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use merx_contracts::{Envelope, Fact, ids::MessageId};
use merx_kernel::{Result, Timestamp};
use merx_sql::Tx;

use crate::{store::Store, time::Backoff};

pub use backlog::{Backlog, OutboxBacklog, SubscriptionBacklog, backlog};
pub use embedded::EmbeddedBus;
pub use metrics::{BusLabels, BusMetrics};
pub use progress::{Lag, Settled};

/// How often a fact is tried before it is a dead letter.
pub const TRIES_MAX: i64 = 8;
/// How many facts of one subscription are handled at a time.
pub const CONCURRENT_MAX: usize = 16;
/// How many facts of one publisher lie in memory before reading pauses.
pub const WINDOW_MAX: usize = 2_048;
/// How many facts are read at a time.
pub const BATCH_MAX: i64 = 256;
/// How long a cursor may stay behind what was handled. What a crash in between repeats, the inbox drops.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// How long a failed fact waits: 1 s, 2 s, … 64 s, with jitter; about a minute and a half to two minutes in all.
pub const BACKOFF: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(120) };

/// What a subscription does with a fact.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Handles one fact. An error of a retryable kind is tried again later, in order; any other makes a dead letter
    /// at once.
    ///
    /// # Errors
    /// The fact could not be handled.
    async fn handle(&self, delivery: Delivery) -> Result<()>;
}

#[async_trait]
impl<F, R> Handler for F
where
    F: Fn(Delivery) -> R + Send + Sync + 'static,
    R: Future<Output = Result<()>> + Send + 'static,
{
    async fn handle(&self, delivery: Delivery) -> Result<()> {
        self(delivery).await
    }
}

/// One reaction of a context to facts of others.
#[derive(Clone)]
pub struct Subscription {
    /// Unique and never changed, `ordering.payment`: the cursor and the inbox go by it.
    pub name: &'static str,
    /// The subscriber's store.
    pub store: Store,
    /// The types it wants, `payment.captured.v1`; the word before the first point names the publisher.
    pub types: &'static [&'static str],
    /// The types among them that it may pass over: see [`Self::passing_over`].
    pub passes_over: &'static [&'static str],
    /// What it does.
    pub handler: Arc<dyn Handler>,
}

impl Subscription {
    /// A subscription of `store`'s context.
    pub fn new(
        name: &'static str,
        store: Store,
        types: &'static [&'static str],
        handler: impl Handler,
    ) -> Self {
        Self { name, store, types, passes_over: &[], handler: Arc::new(handler) }
    }

    /// Facts of these types may call for nothing: then the handler returns `Ok` without [`Delivery::first_time`], and
    /// the fact costs no write. That it was looked at is told by the cursor alone, where every other fact leaves a row
    /// in the inbox; the auditor judges by this.
    #[must_use]
    pub fn passing_over(mut self, passes_over: &'static [&'static str]) -> Self {
        self.passes_over = passes_over;
        self
    }

    /// The types of `publisher` among the wanted.
    pub fn types_of(&self, publisher: &str) -> Vec<&'static str> {
        self.types.iter().copied().filter(|kind| publisher_of(kind) == publisher).collect()
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("name", &self.name)
            .field("types", &self.types)
            .finish_non_exhaustive()
    }
}

/// The context that publishes facts of the type `kind`.
pub fn publisher_of(kind: &str) -> &str {
    kind.split('.').next().unwrap_or(kind)
}

/// A fact on its way into a subscription. Cheap to clone into a transaction's closure.
#[derive(Clone, Debug)]
pub struct Delivery {
    envelope: Arc<Envelope>,
    subscription: &'static str,
    store: Store,
    tries: i64,
    received_at: Timestamp,
}

impl Delivery {
    /// A delivery outside the bus: for tests of handlers.
    pub fn new(
        envelope: Envelope,
        subscription: &'static str,
        store: Store,
        tries: i64,
        received_at: Timestamp,
    ) -> Self {
        Self { envelope: Arc::new(envelope), subscription, store, tries, received_at }
    }

    /// The envelope.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The fact in it.
    ///
    /// # Errors
    /// `Invalid` `message.malformed` when it is another or cannot be read: a poison message.
    pub fn fact<F: Fact>(&self) -> Result<F> {
        self.envelope.fact()
    }

    /// The subscription's name.
    pub const fn subscription(&self) -> &'static str {
        self.subscription
    }

    /// How often it was tried before.
    pub const fn tries(&self) -> i64 {
        self.tries
    }

    /// When this try began.
    pub const fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// Takes the message in, in the transaction of its effect. `false`: it was taken in before, and the handler is
    /// to return `Ok` without an effect. To be called first in the closure.
    ///
    /// # Errors
    /// What the database answers.
    pub fn first_time(&self, tx: &mut Tx<'_>) -> Result<bool> {
        self.store.inbox.first_time(tx, self.subscription, self.envelope.id, self.received_at)
    }
}

/// What the rest of Merx may ask of any backend.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Completes when every published fact was handled, is a dead letter, or waits for its next try.
    ///
    /// # Errors
    /// What the database answers.
    async fn settled(&self) -> Result<Settled>;

    /// How far each subscription is behind each publisher.
    ///
    /// # Errors
    /// What the database answers.
    async fn lag(&self) -> Result<Vec<Lag>>;

    /// Makes durable how far every subscription has come.
    ///
    /// # Errors
    /// What the database answers.
    async fn checkpoint(&self) -> Result<()>;

    /// Sends a dead letter on its way again; `false` when there is no such dead letter.
    ///
    /// # Errors
    /// `NotFound` for an unknown subscription; what the database answers.
    async fn redrive(&self, subscription: &str, message: MessageId) -> Result<bool>;

    /// Gives a dead letter up for good: its subscription never has its effect. It stays on record with the reason.
    /// `false` when there is no such dead letter.
    ///
    /// # Errors
    /// `NotFound` for an unknown subscription; what the database answers.
    async fn give_up(&self, subscription: &str, message: MessageId, reason: String) -> Result<bool>;
}
