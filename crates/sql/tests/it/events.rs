//! Streams, versions, positions.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use merx_kernel::{ErrorKind, Result};
use merx_sql::{Db, EventLog, NewEvent, Query, RecordedEvent, StreamId, Tx, params};
use tokio::task::JoinSet;

use crate::{
    Case, cases,
    fixture::{ALL, Door, Mode, Place, SQLITE, now, options, start},
};

pub fn cases() -> Vec<Case> {
    let mut all = cases![ALL =>
        events_are_stored_and_read_in_order,
        two_writers_race_on_one_stream,
        stale_decisions_lose,
        subscribers_follow_while_a_transaction_is_held_open,
        many_rows_at_once_are_all_sequenced,
    ];
    all.extend(cases![SQLITE => one_commit_serves_both_logs_in_one_order]);
    all.extend(cases![crate::fixture::FILE => positions_rise_over_restarts_and_pruning]);
    all
}

fn event(body: impl ToString) -> NewEvent {
    NewEvent { name: "Happened", schema: 1, body: body.to_string() }
}

fn add(log: &EventLog, tx: &mut Tx<'_>, stream: u128, body: impl ToString) -> Result<i64> {
    let version = log.version(tx, StreamId(stream))?;
    log.append(tx, StreamId(stream), version, &[event(body)], now())
}

async fn with_log(place: &Place) -> (Db, EventLog) {
    let log = EventLog::new("test");
    let db = place.open(options(), &[log.sequenced_table()]).unwrap();
    db.migrate("test", &log.migrations()).await.unwrap();
    (db, log)
}

/// Reads on from the beginning until `count` events have come, woken when there are more.
async fn follow(db: &Db, log: &EventLog, count: usize) -> Vec<RecordedEvent> {
    follow_until(db, log, |seen| seen.len() >= count).await
}

async fn follow_until(
    db: &Db,
    log: &EventLog,
    enough: impl Fn(&[RecordedEvent]) -> bool,
) -> Vec<RecordedEvent> {
    let mut listener = db.listen(log.channel());
    let mut seen: Vec<RecordedEvent> = Vec::new();
    while !enough(&seen) {
        let after = seen.last().map_or(0, |e| e.position.unwrap());
        let log = log.clone();
        let page = db.read("follow", move |q| log.read_after(q, after, 7)).await.unwrap();
        if page.is_empty() {
            listener.changed().await;
        }
        seen.extend(page);
    }
    seen
}

async fn events_are_stored_and_read_in_order(mode: Mode) {
    let place = Place::new(mode);
    let (db, log) = with_log(&place).await;
    let stream = StreamId(7);
    for (expected, bodies) in [(0, vec!["{\"a\":1}", "{}"]), (2, vec!["\"三\""]), (3, vec![])] {
        let log = log.clone();
        let events: Vec<NewEvent> = bodies.iter().map(event).collect();
        let count = i64::try_from(bodies.len()).unwrap();
        let version =
            db.write("append", move |tx| log.append(tx, stream, expected, &events, now())).await.unwrap();
        assert_eq!(version, expected + count);
    }
    let followed = follow(&db, &log, 3).await;
    let loaded = {
        let log = log.clone();
        db.read("load", move |q| log.load(q, stream)).await.unwrap()
    };
    assert_eq!(loaded, followed);
    assert_eq!(loaded.iter().map(|e| e.version).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((loaded[2].body.as_str(), loaded[2].recorded_at, loaded[2].schema), ("\"三\"", now(), 1));
    let last = {
        let log = log.clone();
        db.read("last", move |q| log.last_position(q)).await.unwrap()
    };
    assert_eq!(Some(last), loaded[2].position);
    let none = db.read("none", move |q| log.load(q, StreamId(8))).await.unwrap();
    assert!(none.is_empty());
}

/// Closures that load the stream themselves decide anew when they lose: all of them get in, one a version.
async fn two_writers_race_on_one_stream(mode: Mode) {
    const WRITERS: i64 = 4;
    const EACH: i64 = 10;
    let place = Place::new(mode);
    let (db, log) = with_log(&place).await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (db, log) = (db.clone(), log.clone());
        writers.spawn(async move {
            let mut versions = Vec::new();
            while versions.len() < usize::try_from(EACH).unwrap() {
                let log = log.clone();
                match db.write("race", move |tx| add(&log, tx, 1, writer)).await {
                    Ok(version) => versions.push(version),
                    Err(e) => assert_eq!(e.code(), "sql.stream_moved", "{e:?}"),
                }
            }
            versions
        });
    }
    let versions: Vec<i64> = writers.join_all().await.into_iter().flatten().collect();
    let distinct: BTreeSet<i64> = versions.iter().copied().collect();
    assert_eq!(distinct, (1..=WRITERS * EACH).collect(), "each version has one winner");
    assert_eq!(versions.len(), distinct.len());
    let loaded = db.read("load", move |q| log.load(q, StreamId(1))).await.unwrap();
    assert!(loaded.iter().map(|e| e.version).eq(1..=WRITERS * EACH));
}

/// Decisions made outside on one version: one of them is kept. The guard is `Guard::EventVersion`.
async fn stale_decisions_lose(mode: Mode) {
    let place = Place::new(mode);
    let (db, log) = with_log(&place).await;
    for version in 0..3 {
        let racers: Vec<_> = (0..4)
            .map(|racer| {
                let (db, log) = (db.clone(), log.clone());
                start(async move {
                    db.write("race", move |tx| log.append(tx, StreamId(1), version, &[event(racer)], now()))
                        .await
                })
            })
            .collect();
        let mut winners = 0;
        for racer in racers {
            match racer.await {
                Ok(new) => {
                    assert_eq!(new, version + 1);
                    winners += 1;
                }
                Err(e) => assert_eq!((e.kind(), e.code()), (ErrorKind::Conflict, "sql.stream_moved")),
            }
        }
        assert_eq!(winners, 1, "one decision on version {version} is kept");
    }
}

/// The guard is `Guard::SequencerGap`: with numbers given before the commit, the held transaction would appear
/// behind those who have read on.
async fn subscribers_follow_while_a_transaction_is_held_open(mode: Mode) {
    const OTHERS: usize = 60;
    let place = Place::new(mode);
    let (db, log) = with_log(&place).await;
    let (inside, release) = (Door::new(mode), Door::new(mode));
    let held = start({
        let (db, log, inside, release) = (db.clone(), log.clone(), inside.clone(), release.clone());
        async move {
            db.write("held", move |tx| {
                add(&log, tx, 999, "held")?;
                inside.open();
                release.pass();
                Ok(())
            })
            .await
        }
    });
    tokio::task::spawn_blocking(move || inside.pass()).await.unwrap();
    let mut subscribers = JoinSet::new();
    for _ in 0..4 {
        let (db, log) = (db.clone(), log.clone());
        let ended = |seen: &[RecordedEvent]| seen.last().is_some_and(|e| e.body == "end");
        subscribers.spawn(async move { follow_until(&db, &log, ended).await });
    }
    let others: Vec<_> = (0..OTHERS)
        .map(|n| {
            let (db, log) = (db.clone(), log.clone());
            start(async move { db.write("other", move |tx| add(&log, tx, n as u128 % 6, n)).await })
        })
        .collect();
    if mode == Mode::Server {
        // The others commit and are read while the first is still open.
        for other in others {
            other.await.unwrap();
        }
        follow(&db, &log, OTHERS).await;
        release.open();
    } else {
        release.open();
        for other in others {
            other.await.unwrap();
        }
    }
    held.await.unwrap();
    // Subscribers stop at an event that was appended after everything else was committed.
    db.write("end", move |tx| add(&log, tx, 1_000, "end")).await.unwrap();
    for seen in subscribers.join_all().await {
        let mut versions = std::collections::BTreeMap::new();
        assert!(seen.windows(2).all(|pair| pair[0].position < pair[1].position), "positions rise");
        for event in &seen {
            let last = versions.insert(event.stream, event.version).unwrap_or(0);
            assert_eq!(event.version, last + 1, "each stream is followed in order");
        }
        assert_eq!(seen.len(), OTHERS + 2, "an event was placed behind the subscribers, who missed it");
    }
}

async fn many_rows_at_once_are_all_sequenced(mode: Mode) {
    let place = Place::new(mode);
    let (db, log) = with_log(&place).await;
    let events: Vec<NewEvent> = (0..1_200).map(event).collect();
    let appending = log.clone();
    db.write("many", move |tx| appending.append(tx, StreamId(1), 0, &events, now())).await.unwrap();
    let seen = follow(&db, &log, 1_200).await;
    assert!(seen.iter().map(|e| e.version).eq(1..=1_200));
}

async fn one_commit_serves_both_logs_in_one_order(mode: Mode) {
    let place = Place::new(mode);
    let (one, two) = (EventLog::new("one"), EventLog::new("two"));
    let db = place.open(options(), &[one.sequenced_table(), two.sequenced_table()]).unwrap();
    db.migrate("one", &one.migrations()).await.unwrap();
    db.migrate("two", &two.migrations()).await.unwrap();
    let (a, b) = (one.clone(), two.clone());
    db.write("both", move |tx| {
        add(&a, tx, 1, "x")?;
        add(&b, tx, 1, "y")?;
        add(&a, tx, 1, "z")
    })
    .await
    .unwrap();
    let (first, second) = (follow(&db, &one, 2).await, follow(&db, &two, 1).await);
    let positions = [first[0].position, second[0].position, first[1].position];
    assert_eq!(positions, [Some(1), Some(2), Some(3)]);
}

async fn positions_rise_over_restarts_and_pruning(mode: Mode) {
    let place = Place::new(mode);
    let highest = AtomicI64::new(0);
    for round in 0..3u32 {
        let (db, log) = with_log(&place).await;
        let appending = log.clone();
        db.write("append", move |tx| add(&appending, tx, 1, round)).await.unwrap();
        let position = follow(&db, &log, 1).await[0].position.unwrap();
        assert!(position > highest.swap(position, Ordering::SeqCst), "a position was given out twice");
        // Everything is pruned: the table no longer knows how far its subscribers have read.
        let log = Arc::new(log);
        db.write("prune", move |tx| tx.execute(&format!("DELETE FROM {}", log.table()), params![]))
            .await
            .unwrap();
        if round == 0 {
            db.close().await;
        } else {
            drop(db);
        }
    }
    let (db, _) = with_log(&place).await;
    let left: i64 = db
        .read("left", |q| q.query_one("SELECT COUNT(*) FROM test_events", params![], |row| row.get(0)))
        .await
        .unwrap();
    assert_eq!(left, 0);
}
