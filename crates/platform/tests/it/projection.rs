//! Projections: compared with what their events make, and rebuilt. And aggregates, which make them.

use std::{
    sync::{Mutex, mpsc},
    time::Duration,
};

use libtest_mimic::Trial;
use merx_kernel::{Error, Result};
use merx_platform::{
    Aggregate, DomainEvent, Projection, Store,
    aggregate::{self, evolve_all},
    projection::{compare, rebuild},
    tasks::Task,
};
use merx_sql::{EventLog, Inserted, Migration, NewEvent, Query as _, RecordedEvent, StreamId, Tx, params};

use crate::world::{Life, START, World, on_every_mode, on_server, size};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("projection: equal to what its events make", equal),
        on_every_mode("projection: a row changed behind its back is found and mended", tampered),
        on_server(
            "projection: what is committed while its rows are emptied is not lost",
            committed_meanwhile,
        ),
        on_server(
            "projection: what is inserted while its rows are emptied is not shown twice",
            inserted_meanwhile,
        ),
        on_every_mode("aggregate: a state is what its events made it", folded),
        on_every_mode("aggregate: old events are read by the present code", upcast),
        on_every_mode("aggregate: two that decide on one version, both are had", raced),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A counter: the smallest aggregate there is.
struct Counter;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    Up { by: i64 },
    Reset,
}

impl DomainEvent for Counted {
    fn name(&self) -> &'static str {
        match self {
            Self::Up { .. } => "Up",
            Self::Reset => "Reset",
        }
    }
    fn schema(&self) -> i64 {
        2
    }
    fn encode(&self) -> Result<String> {
        Ok(match self {
            Self::Up { by } => serde_json::json!({ "by": by }).to_string(),
            Self::Reset => "{}".to_owned(),
        })
    }
    fn decode(name: &str, schema: i64, body: &str) -> Result<Self> {
        let body: serde_json::Value =
            serde_json::from_str(body).map_err(|e| Error::internal("a counter's event").with_source(e))?;
        match (name, schema) {
            // The first version counted by one always and did not say so.
            ("Up", 1) => Ok(Self::Up { by: 1 }),
            ("Up", 2) => Ok(Self::Up { by: body["by"].as_i64().unwrap_or_default() }),
            ("Reset", _) => Ok(Self::Reset),
            _ => Err(Error::internal(format!("no event {name} of schema {schema}"))),
        }
    }
}

impl Aggregate for Counter {
    type State = i64;
    type Event = Counted;
    fn evolve(state: i64, event: &Counted) -> i64 {
        match event {
            Counted::Up { by } => state + by,
            Counted::Reset => 0,
        }
    }
}

pub const PROJECTION: Projection = Projection { name: "counters", tables: &["count_values"], apply };

fn apply(tx: &mut Tx<'_>, event: &RecordedEvent) -> Result<()> {
    let (sql, by) = match Counted::decode(&event.name, event.schema, &event.body)? {
        Counted::Up { by } => ("UPDATE count_values SET amount = amount + ?, moved_at = ? WHERE id = ?", by),
        Counted::Reset => ("UPDATE count_values SET amount = 0 * ?, moved_at = ? WHERE id = ?", 0),
    };
    let new = "INSERT INTO count_values (id, amount, moved_at, note) VALUES (?, ?, ?, NULL)";
    if event.version == 1
        && tx.insert_new(new, params![event.stream, by, event.recorded_at])? == Inserted::New
    {
        return Ok(());
    }
    tx.guarded(sql, params![by, event.recorded_at, event.stream]).map(|_| ())
}

pub fn migrations() -> Vec<Migration> {
    let table = "CREATE TABLE count_values (
        id BINARY(16) NOT NULL PRIMARY KEY, amount BIGINT NOT NULL, moved_at BIGINT NOT NULL, note VARCHAR(20)
    )";
    let marks = "CREATE TABLE count_marks (id BIGINT NOT NULL PRIMARY KEY)";
    vec![Migration::same(100, "counters", table), Migration::same(101, "marks", marks)]
}

/// A context that counts, beside the two of the world.
pub async fn counters(life: &Life) -> Store {
    let store = Store::new("count");
    let mut all = store.migrations();
    all.extend(migrations());
    life.db().migrate("count", &all).await.expect("tables");
    store
}

pub async fn count(life: &Life, store: &Store, key: u128, decided: Vec<Counted>) -> i64 {
    let events = store.events.clone();
    life.db().write("test.count", move |tx| count_in(tx, &events, key, &decided)).await.expect("counted")
}

/// Loads, appends and projects in one transaction; answers the version.
fn count_in(tx: &mut Tx<'_>, events: &EventLog, key: u128, decided: &[Counted]) -> Result<i64> {
    let stream = StreamId(key);
    let loaded = aggregate::load::<Counter>(events, tx, stream)?;
    let version = aggregate::append::<Counter>(events, tx, stream, loaded.version, decided, START)?;
    for (event, version) in decided.iter().zip(loaded.version + 1..) {
        let recorded = RecordedEvent {
            stream,
            version,
            position: None,
            name: event.name().to_owned(),
            schema: event.schema(),
            body: event.encode()?,
            recorded_at: START,
        };
        apply(tx, &recorded)?;
    }
    Ok(version)
}

/// A transaction that has done its work and stays open until it is let go.
struct Held {
    open: mpsc::Sender<()>,
    ended: Task<Result<()>>,
}

async fn held(life: &Life, work: impl Fn(&mut Tx<'_>) -> Result<()> + Send + 'static) -> Held {
    let (open, opened) = mpsc::channel();
    let (entered, inside) = tokio::sync::oneshot::channel();
    let state = Mutex::new((opened, Some(entered)));
    let db = life.db().clone();
    let ended = life.deps.tasks.spawn("held", async move {
        db.write("test.held", move |tx| {
            work(tx)?;
            let mut state = state.lock().expect("no panic");
            if let Some(entered) = state.1.take() {
                let _ = entered.send(());
            }
            state.0.recv_timeout(Duration::from_secs(60)).map_err(|_| Error::internal("nobody opened"))
        })
        .await
    });
    inside.await.expect("its work is done");
    Held { open, ended }
}

impl Held {
    async fn let_go(self) {
        self.open.send(()).expect("it waits");
        self.ended.await.expect("no panic").expect("committed");
    }
}

/// Until the rebuild has come to this statement, where it waits for somebody's lock.
async fn comes_to(life: &Life, statement: &'static str) {
    let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND info = ?";
    let look =
        move |q: &mut merx_sql::Reader<'_>| q.query_one(sql, params![statement], |row| row.get::<i64>(0));
    while life.db().read("test.look", look).await.expect("a look") == 0 {}
}

async fn is_equal(life: &Life, store: &Store) -> bool {
    let compared = compare(life.db(), life.clock.clone(), store, &migrations(), &[PROJECTION]).await;
    compared.expect("compared")[0].is_equal()
}

fn committed_meanwhile(mut world: World) {
    world.live(|life| async move {
        let store = counters(&life).await;
        count(&life, &store, 1, vec![Counted::Up { by: 1 }]).await;
        assert!(is_equal(&life, &store).await, "every event has its position");
        let sequencer =
            held(&life, |tx| tx.execute("UPDATE merx_sequencer SET passes = passes", params![]).map(drop))
                .await;
        let events = store.events.clone();
        let up = [Counted::Up { by: 5 }];
        let counting = held(&life, move |tx| count_in(tx, &events, 1, &up).map(drop)).await;
        let steered = async {
            comes_to(&life, "DELETE FROM count_values").await;
            counting.let_go().await;
        };
        let (rebuilt, ()) = tokio::join!(rebuild(life.db(), &store, PROJECTION), steered);
        assert_eq!(rebuilt.expect_err("an event has no position yet").code(), "projection.unsequenced");
        sequencer.let_go().await;
        assert!(is_equal(&life, &store).await);
        assert_eq!(rebuild(life.db(), &store, PROJECTION).await.expect("rebuilt"), 2);
        assert!(is_equal(&life, &store).await);
    });
}

fn inserted_meanwhile(mut world: World) {
    world.live(|life| async move {
        let store = counters(&life).await;
        count(&life, &store, 1, vec![Counted::Up { by: 1 }]).await;
        let marking =
            held(&life, |tx| tx.execute("INSERT INTO count_marks (id) VALUES (1)", params![]).map(drop))
                .await;
        let steered = async {
            comes_to(&life, "DELETE FROM count_marks").await;
            count(&life, &store, 2, vec![Counted::Up { by: 5 }]).await;
            assert!(is_equal(&life, &store).await, "its event has its position");
            marking.let_go().await;
        };
        let two = Projection { tables: &["count_values", "count_marks"], ..PROJECTION };
        let (rebuilt, ()) = tokio::join!(rebuild(life.db(), &store, two), steered);
        assert_eq!(rebuilt.expect("rebuilt"), 2);
        assert!(is_equal(&life, &store).await);
    });
}

pub async fn some_counting(life: &Life, store: &Store) {
    for round in 0..30 {
        for key in 1..=20 {
            let decided = if round == 10 { Counted::Reset } else { Counted::Up { by: round } };
            count(life, store, key, vec![decided, Counted::Up { by: 1 }]).await;
        }
    }
}

/// T29: `MERX_T29=20` is how many times 1,200 events there are.
fn equal(mut world: World) {
    let (engine, times) = (world.engine(), size("MERX_T29", 1));
    world.live(|life| async move {
        let store = counters(&life).await;
        for _ in 0..times {
            some_counting(&life, &store).await;
        }
        let compared = compare(life.db(), life.clock.clone(), &store, &migrations(), &[PROJECTION]).await;
        let compared = compared.expect("compared");
        assert!(compared[0].is_equal(), "{compared:?}");
        assert_eq!(compared[0].live[0].rows, 20);
        let count = rebuild(life.db(), &store, PROJECTION).await.expect("rebuilt");
        assert_eq!(count, 1200 * u64::try_from(times).expect("few"));
        let again = compare(life.db(), life.clock.clone(), &store, &migrations(), &[PROJECTION]).await;
        assert_eq!(again.expect("compared"), compared, "a rebuild in place makes the same");
        println!(
            "PROOF | T29 | rebuild of a read model, {engine} | size={count} | equal checksums before and after, by a comparison \
             beside it and by a rebuild in place, of {} rows | seed=-",
            compared[0].live[0].rows
        );
    });
}

fn tampered(mut world: World) {
    world.live(|life| async move {
        let store = counters(&life).await;
        some_counting(&life, &store).await;
        for change in [
            "UPDATE count_values SET amount = amount + 1 WHERE id = ?",
            "UPDATE count_values SET note = '' WHERE id = ?",
            "DELETE FROM count_values WHERE id = ?",
        ] {
            let changed =
                life.db().write("test.tamper", move |tx| tx.guarded(change, params![StreamId(7)])).await;
            assert!(changed.expect("changed"));
            let compared = compare(life.db(), life.clock.clone(), &store, &migrations(), &[PROJECTION]).await;
            assert!(!compared.expect("compared")[0].is_equal(), "{change}");
            rebuild(life.db(), &store, PROJECTION).await.expect("rebuilt");
            let compared = compare(life.db(), life.clock.clone(), &store, &migrations(), &[PROJECTION]).await;
            assert!(compared.expect("compared")[0].is_equal(), "{change}, rebuilt");
        }
    });
}

fn folded(mut world: World) {
    world.live(|life| async move {
        let store = counters(&life).await;
        assert_eq!(count(&life, &store, 1, vec![Counted::Up { by: 5 }, Counted::Up { by: 2 }]).await, 2);
        assert_eq!(count(&life, &store, 1, vec![]).await, 2, "nothing decided, nothing appended");
        assert_eq!(count(&life, &store, 1, vec![Counted::Reset, Counted::Up { by: 1 }]).await, 4);
        let events = store.events.clone();
        let (now, then, never) = life
            .db()
            .read("test.load", move |q| {
                let now = aggregate::load::<Counter>(&events, q, StreamId(1))?;
                let then = aggregate::load_at::<Counter>(&events, q, StreamId(1), 2)?;
                Ok((now, then, aggregate::load::<Counter>(&events, q, StreamId(2))?))
            })
            .await
            .expect("loaded");
        assert_eq!((now.state, now.version, now.exists()), (1, 4, true));
        assert_eq!((then.state, then.version), (7, 2));
        assert_eq!((never.state, never.version, never.exists()), (0, 0, false));
        assert_eq!(evolve_all::<Counter>(3, &[Counted::Up { by: 4 }]), 7);
    });
}

fn upcast(mut world: World) {
    world.live(|life| async move {
        let store = counters(&life).await;
        let events = store.events.clone();
        let loaded = life
            .db()
            .write("test.old", move |tx| {
                let old = NewEvent { name: "Up", schema: 1, body: "{}".to_owned() };
                events.append(tx, StreamId(1), 0, &[old.clone(), old], START)?;
                aggregate::load::<Counter>(&events, tx, StreamId(1))
            })
            .await
            .expect("loaded");
        assert_eq!(loaded.state, 2);
    });
}

fn raced(mut world: World) {
    world.live(|life| async move {
        let store = counters(&life).await;
        let counting = (0..20).map(|_| count(&life, &store, 1, vec![Counted::Up { by: 1 }]));
        let mut versions = futures_util::future::join_all(counting).await;
        versions.sort_unstable();
        assert_eq!(versions, (1..=20).collect::<Vec<i64>>());
        let rows = life
            .db()
            .read("test.value", |q| {
                q.query("SELECT amount FROM count_values", params![], |row| row.get::<i64>(0))
            })
            .await;
        assert_eq!(rows.expect("rows"), [20]);
    });
}
