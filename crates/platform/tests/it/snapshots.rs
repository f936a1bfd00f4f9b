//! T29: states are the same with snapshots as without, whatever the interval; as of a version, as of a moment.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_kernel::{Error, Result, Timestamp};
use merx_platform::{
    Aggregate, DomainEvent, Loaded, Snapshots, Store,
    aggregate::{self, evolve_all, keep_snapshot, load_as_of, load_at},
};
use merx_sql::{Db, DbOptions, Query, StreamId, params};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde::{Deserialize, Serialize};

use crate::world::{HandClock, START, World, on_every_mode, size};

pub fn trials() -> Vec<Trial> {
    let mut all: Vec<Trial> = [
        on_every_mode("snapshots: a long stream is read from its last one on", long_stream),
        on_every_mode("snapshots: those of another shape, or broken, are as good as none", other_shape),
        on_every_mode("aggregate: as of a moment", as_of),
    ]
    .into_iter()
    .flatten()
    .collect();
    all.push(Trial::test("snapshots: states are equal with them and without, whatever the interval", || {
        equal_with_and_without();
        Ok(())
    }));
    all
}

/// An account of several figures, so that a state that was kept wrongly shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Ledger {
    sum: i64,
    moves: Vec<i64>,
    closed: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Booked {
    Moved(i64),
    Halved,
    Closed(String),
}

impl DomainEvent for Booked {
    fn name(&self) -> &'static str {
        match self {
            Self::Moved(_) => "Moved",
            Self::Halved => "Halved",
            Self::Closed(_) => "Closed",
        }
    }
    fn schema(&self) -> i64 {
        1
    }
    fn encode(&self) -> Result<String> {
        Ok(match self {
            Self::Moved(by) => by.to_string(),
            Self::Halved => "0".to_owned(),
            Self::Closed(why) => why.clone(),
        })
    }
    fn decode(name: &str, _: i64, body: &str) -> Result<Self> {
        match name {
            "Moved" => body.parse().map(Self::Moved).map_err(|_| Error::internal("not a number")),
            "Halved" => Ok(Self::Halved),
            "Closed" => Ok(Self::Closed(body.to_owned())),
            _ => Err(Error::internal("another event")),
        }
    }
}

fn evolve(mut state: Ledger, event: &Booked) -> Ledger {
    match event {
        Booked::Moved(by) => {
            state.sum += by;
            state.moves.push(*by);
        }
        Booked::Halved => state.sum /= 2,
        Booked::Closed(why) => state.closed = Some(why.clone()),
    }
    state
}

struct Ledgers;
impl Aggregate for Ledgers {
    type State = Ledger;
    type Event = Booked;
    const SNAPSHOTS: Option<Snapshots<Ledger>> = Some(Snapshots::json(1));
    fn evolve(state: Ledger, event: &Booked) -> Ledger {
        evolve(state, event)
    }
}

/// The same one release later: its state has another shape.
struct LedgersTwo;
impl Aggregate for LedgersTwo {
    type State = Ledger;
    type Event = Booked;
    const SNAPSHOTS: Option<Snapshots<Ledger>> = Some(Snapshots::json(2));
    fn evolve(state: Ledger, event: &Booked) -> Ledger {
        evolve(state, event)
    }
}

const STREAM: StreamId = StreamId(1);

async fn book(db: &Db, store: &Store, decided: Vec<Booked>, at: Timestamp) -> i64 {
    let events = store.events.clone();
    db.write("test.book", move |tx| {
        let loaded = aggregate::load::<Ledgers>(&events, tx, STREAM)?;
        let version = aggregate::append::<Ledgers>(&events, tx, STREAM, loaded.version, &decided, at)?;
        let state = evolve_all::<Ledgers>(loaded.state, &decided);
        keep_snapshot::<Ledgers>(&events, tx, STREAM, loaded.version, &Loaded { state, version })?;
        Ok(version)
    })
    .await
    .expect("booked")
}

async fn at_version<A: Aggregate>(db: &Db, store: &Store, version: i64) -> (A::State, i64)
where
    A::State: Send + 'static,
{
    let events = store.events.clone();
    let loaded =
        db.read("test.load", move |q| load_at::<A>(&events, q, STREAM, version)).await.expect("read");
    (loaded.state, loaded.version)
}

async fn kept(db: &Db, store: &Store) -> Vec<(i64, i64)> {
    let sql =
        format!("SELECT schema_number, version FROM {} ORDER BY version", store.events.snapshots_table());
    let read =
        move |q: &mut merx_sql::Reader<'_>| q.query(&sql, params![], |row| Ok((row.get(0)?, row.get(1)?)));
    db.read("test.kept", read).await.expect("read")
}

/// 50 is `SNAPSHOT_EVERY`, which the worlds of these tests have.
fn long_stream(mut world: World) {
    world.live(|life| async move {
        let (db, store) = (life.db(), &life.publisher);
        for n in 1..=48 {
            book(db, store, vec![Booked::Moved(n)], START).await;
        }
        assert_eq!(kept(db, store).await, [], "a short stream has none");
        let writes = |label| db.stats().labels.get(label).map_or(0, |stats| stats.write_statements);
        let before = writes("test.book");
        book(db, store, vec![Booked::Moved(49)], START).await;
        assert_eq!(writes("test.book") - before, 2, "and costs nothing more");
        let before = writes("test.book");
        book(db, store, vec![Booked::Moved(50), Booked::Moved(51)], START).await;
        assert_eq!(writes("test.book") - before, 3);
        assert_eq!(kept(db, store).await, [(1, 51)], "past a multiple, not only on it");
        for n in 52..=149 {
            book(db, store, vec![Booked::Moved(n)], START).await;
        }
        assert_eq!(kept(db, store).await, [(1, 51), (1, 100)]);
        let stats = db.stats();
        let (state, version) = at_version::<Ledgers>(db, store, i64::MAX).await;
        let spent = db.stats().since(&stats).total();
        assert_eq!((spent.read_statements, spent.rows_read), (1, 50), "one snapshot and 49 events");
        assert_eq!((state.sum, state.moves.len(), version), (149 * 150 / 2, 149, 149));
        for (version, rows) in [(148, 49), (100, 1), (99, 49), (51, 1), (50, 50), (1, 1)] {
            let stats = db.stats();
            let (state, at) = at_version::<Ledgers>(db, store, version).await;
            assert_eq!((at, state.sum), (version, version * (version + 1) / 2));
            assert_eq!(
                db.stats().since(&stats).total().rows_read,
                u64::try_from(rows).expect("few"),
                "{version}"
            );
        }
    });
}

fn other_shape(mut world: World) {
    world.live(|life| async move {
        let (db, store) = (life.db(), &life.publisher);
        for n in 1..=60 {
            book(db, store, vec![Booked::Moved(n)], START).await;
        }
        assert_eq!(kept(db, store).await, [(1, 50)]);
        let one = at_version::<Ledgers>(db, store, i64::MAX).await;
        assert_eq!(at_version::<LedgersTwo>(db, store, i64::MAX).await, one);
        // The table is a copy: spoilt or emptied, nothing is lost.
        for sql in ["UPDATE pub_snapshots SET body = '{}'", "DELETE FROM pub_snapshots"] {
            db.write("test.spoil", move |tx| tx.execute(sql, params![])).await.expect("spoilt");
            assert_eq!(at_version::<Ledgers>(db, store, i64::MAX).await, one, "{sql}");
        }
    });
}

fn as_of(mut world: World) {
    world.live(|life| async move {
        let (db, store) = (life.db(), &life.publisher);
        let at = |seconds: u64| START.plus(Duration::from_secs(seconds));
        // The clock went back between the third and the fourth.
        for (n, seconds) in [(1, 10), (2, 20), (3, 40), (4, 30), (5, 50)] {
            book(db, store, vec![Booked::Moved(n)], at(seconds)).await;
        }
        let table =
            [(0, 0), (9, 0), (10, 1), (19, 1), (20, 2), (30, 2), (39, 2), (40, 4), (49, 4), (50, 5), (99, 5)];
        for (seconds, version) in table {
            let events = store.events.clone();
            let read =
                move |q: &mut merx_sql::Reader<'_>| load_as_of::<Ledgers>(&events, q, STREAM, at(seconds));
            let loaded = db.read("test.as_of", read).await.expect("read");
            assert_eq!(loaded.version, version, "at {seconds} s");
            assert_eq!(loaded.state, at_version::<Ledgers>(db, store, version).await.0);
        }
    });
}

fn equal_with_and_without() {
    let booked = prop_oneof![
        (-100i64..100).prop_map(Booked::Moved),
        Just(Booked::Halved),
        "[a-z]{0,5}".prop_map(Booked::Closed)
    ];
    let streams = prop::collection::vec(prop::collection::vec(booked, 1..6), 1..20);
    let cases = u32::try_from(size("MERX_T29", 1)).expect("few") * 64;
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let outcome = runner.run(&(streams, 1i64..8), |(decisions, every)| {
        runtime.block_on(async {
            let mut states = Vec::new();
            for snapshot_every in [None, Some(every)] {
                let store = Store::new("pub");
                let mut options = DbOptions::new(Arc::new(HandClock::new()));
                options.snapshot_every = snapshot_every;
                let db = Db::inline(options, &store.sequenced_tables()).expect("a database");
                db.migrate("pub", &store.migrations()).await.expect("tables");
                for decided in &decisions {
                    book(&db, &store, decided.clone(), START).await;
                }
                let last = at_version::<Ledgers>(&db, &store, i64::MAX).await.1;
                let mut all = Vec::new();
                for version in 0..=last {
                    all.push(at_version::<Ledgers>(&db, &store, version).await);
                }
                prop_assert_eq!(kept(&db, &store).await.is_empty(), snapshot_every.is_none_or(|n| n > last));
                states.push(all);
            }
            prop_assert_eq!(&states[0], &states[1]);
            Ok(())
        })
    });
    outcome.expect("equal");
    println!(
        "PROOF | T29 | snapshots on and off | size={cases} | the same state at every version of {cases} random streams, a \
         snapshot every 1 to 7 events or none | seed=-"
    );
}
