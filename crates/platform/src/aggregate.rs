//! Event-sourced aggregates: a state is what its events made it.

use merx_kernel::{Error, Result, Timestamp};
use merx_sql::{EventLog, NewEvent, Query, RecordedEvent, Snapshot, StreamId, Tx};
use serde::{Serialize, de::DeserializeOwned};

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
    /// How the state is kept in snapshots, for aggregates whose streams grow long; without it there are none.
    const SNAPSHOTS: Option<Snapshots<Self::State>> = None;
    /// The state after one more event. Total: an event that happened cannot be refused.
    fn evolve(state: Self::State, event: &Self::Event) -> Self::State;
}

/// How a state is written into a snapshot and read from it. A changed state, or an `evolve` that gives another state for
/// the same events, is a new schema number: snapshots of another number are as good as none.
pub struct Snapshots<S> {
    /// The number of the shape, from 1.
    pub schema: i64,
    /// Writes a state.
    pub write: fn(&S) -> Result<String>,
    /// Reads what `write` wrote.
    pub read: fn(&str) -> Result<S>,
}

impl<S: Serialize + DeserializeOwned> Snapshots<S> {
    /// The state as JSON. What serde fills in for a missing property would be a wrong state: a new property is a new
    /// schema number, which `merx_testkit::snapshot_fixture` holds.
    pub const fn json(schema: i64) -> Self {
        Self { schema, write: write_json::<S>, read: read_json::<S> }
    }
}

fn write_json<S: Serialize>(state: &S) -> Result<String> {
    serde_json::to_string(state).map_err(|e| Error::internal("a state cannot be written").with_source(e))
}

fn read_json<S: DeserializeOwned>(body: &str) -> Result<S> {
    serde_json::from_str(body).map_err(|e| Error::internal("a snapshot does not fit").with_source(e))
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

/// Reads an aggregate: one statement, from its last snapshot on where it has one.
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
    let stream = stream.into();
    if let Some(snapshots) = A::SNAPSHOTS.filter(|_| q.snapshot_every().is_some()) {
        let (snapshot, tail) = events.load_tail(q, stream, snapshots.schema, version)?;
        match snapshot.map(|kept| (kept.version, (snapshots.read)(&kept.body))) {
            None => return fold::<A>(Loaded { state: A::State::default(), version: 0 }, tail),
            Some((version, Ok(state))) => return fold::<A>(Loaded { state, version }, tail),
            // A copy that cannot be read is no loss: the events are there.
            Some((version, Err(error))) => {
                tracing::warn!(table = events.snapshots_table(), version, error = %error.chain(), "a snapshot cannot be read");
            }
        }
    }
    let mut all = events.load(q, stream)?;
    all.retain(|event| event.version <= version);
    fold::<A>(Loaded { state: A::State::default(), version: 0 }, all)
}

/// Reads an aggregate as it was at a moment: what its events made it up to the first that was recorded after `at`. A clock
/// that went back between two events leaves no hole in it.
///
/// # Errors
/// As [`load`].
pub fn load_as_of<A: Aggregate>(
    events: &EventLog,
    q: &mut impl Query,
    stream: impl Into<StreamId>,
    at: Timestamp,
) -> Result<Loaded<A::State>> {
    let all = events.load(q, stream)?;
    let until = all.iter().position(|event| event.recorded_at > at).unwrap_or(all.len());
    fold::<A>(Loaded { state: A::State::default(), version: 0 }, all.into_iter().take(until))
}

fn fold<A: Aggregate>(
    mut loaded: Loaded<A::State>,
    events: impl IntoIterator<Item = RecordedEvent>,
) -> Result<Loaded<A::State>> {
    for event in events {
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

/// Keeps a snapshot of what was just appended, in its transaction, when `after` has come past a multiple of the events that
/// lie between two ([`Query::snapshot_every`]); to be called after each [`append`] of an aggregate that keeps any. `before`
/// is the version that was decided on. One statement where a snapshot is kept, otherwise none.
///
/// # Errors
/// What the state's writer or the database answers.
pub fn keep_snapshot<A: Aggregate>(
    events: &EventLog,
    tx: &mut Tx<'_>,
    stream: impl Into<StreamId>,
    before: i64,
    after: &Loaded<A::State>,
) -> Result<()> {
    let (Some(snapshots), Some(every)) = (A::SNAPSHOTS, tx.snapshot_every()) else { return Ok(()) };
    if after.version / every == before / every {
        return Ok(());
    }
    let kept = Snapshot { version: after.version, body: (snapshots.write)(&after.state)? };
    events.keep_snapshot(tx, stream, snapshots.schema, &kept)
}

/// The state after `decided`, without reading it again.
pub fn evolve_all<A: Aggregate>(state: A::State, decided: &[A::Event]) -> A::State {
    decided.iter().fold(state, A::evolve)
}
