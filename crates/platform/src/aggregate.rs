//! Event-sourced aggregates: a state is what its events made it.

use merx_kernel::{Result, Timestamp};
use merx_sql::{EventLog, NewEvent, Query, StreamId, Tx};

/// An event of a context's own log. Never published; what others may know is a fact in `merx-contracts`.
pub trait DomainEvent: Sized {
    /// The stored name, `OrderPlaced`.
    fn name(&self) -> &'static str;
    /// The version of the shape [`Self::encode`] writes.
    fn schema(&self) -> i64;
    /// The body as JSON, without personal data.
    ///
    /// # Errors
    /// `Internal` when it cannot be written.
    fn encode(&self) -> Result<String>;
    /// Reads any version ever written: old shapes are lifted to the present one here.
    ///
    /// # Errors
    /// `Internal` for an unknown name or schema, or a body that does not fit.
    fn decode(name: &str, schema: i64, body: &str) -> Result<Self>;
}

/// What folds events into a state.
pub trait Aggregate {
    /// The state; its default is the state before the first event.
    type State: Default;
    /// The events.
    type Event: DomainEvent;
    /// The state after one more event. Total: an event that happened cannot be refused.
    fn evolve(state: Self::State, event: &Self::Event) -> Self::State;
}

/// A state and the version it was read at; 0 when there is no event yet.
#[derive(Clone, Debug)]
pub struct Loaded<S> {
    /// The state.
    pub state: S,
    /// How many events made it.
    pub version: i64,
}

impl<S> Loaded<S> {
    /// Whether anything has happened to it.
    pub const fn exists(&self) -> bool {
        self.version > 0
    }
}

/// Reads an aggregate: one statement.
///
/// # Errors
/// What the database or [`DomainEvent::decode`] answers.
pub fn load<A: Aggregate>(
    events: &EventLog,
    q: &mut impl Query,
    stream: impl Into<StreamId>,
) -> Result<Loaded<A::State>> {
    load_at::<A>(events, q, stream, i64::MAX)
}

/// Reads an aggregate as it was at `version`.
///
/// # Errors
/// As [`load`].
pub fn load_at<A: Aggregate>(
    events: &EventLog,
    q: &mut impl Query,
    stream: impl Into<StreamId>,
    version: i64,
) -> Result<Loaded<A::State>> {
    let mut loaded = Loaded { state: A::State::default(), version: 0 };
    for event in events.load(q, stream)? {
        if event.version > version {
            break;
        }
        let decoded = A::Event::decode(&event.name, event.schema, &event.body)?;
        loaded.state = A::evolve(loaded.state, &decoded);
        loaded.version = event.version;
    }
    Ok(loaded)
}

/// Appends what was decided on `version`; answers the new version. A lost race runs the closure again.
///
/// # Errors
/// What [`DomainEvent::encode`] or the database answers.
pub fn append<A: Aggregate>(
    events: &EventLog,
    tx: &mut Tx<'_>,
    stream: impl Into<StreamId>,
    version: i64,
    decided: &[A::Event],
    at: Timestamp,
) -> Result<i64> {
    if decided.is_empty() {
        return Ok(version);
    }
    let new = decided
        .iter()
        .map(|event| Ok(NewEvent { name: event.name(), schema: event.schema(), body: event.encode()? }))
        .collect::<Result<Vec<_>>>()?;
    events.append(tx, stream, version, &new, at)
}

/// The state after `decided`, without reading it again.
pub fn evolve_all<A: Aggregate>(state: A::State, decided: &[A::Event]) -> A::State {
    decided.iter().fold(state, A::evolve)
}
