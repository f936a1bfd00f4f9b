//! Snapshots beside the events: one statement with them and without.

use merx_kernel::Result;
use merx_sql::{Db, EventLog, NewEvent, Snapshot, StreamId, params};

use crate::{
    Case, cases,
    fixture::{ALL, Mode, Place, now, options},
};

pub fn cases() -> Vec<Case> {
    cases![ALL =>
        a_tail_begins_after_the_last_snapshot_of_its_schema,
        one_statement_loads_with_and_without_a_snapshot,
        a_snapshot_is_kept_once,
        a_search_finds_by_stream_name_and_time,
    ]
}

async fn with_log(place: &Place) -> (Db, EventLog) {
    let log = EventLog::new("test");
    let db = place.open(options(), &[log.sequenced_table()]).unwrap();
    db.migrate("test", &log.migrations()).await.unwrap();
    (db, log)
}

async fn append(db: &Db, log: &EventLog, stream: u128, count: i64) {
    let log = log.clone();
    db.write("append", move |tx| {
        let version = log.version(tx, StreamId(stream))?;
        let event = |n: i64| NewEvent { name: "Happened", schema: 1, body: n.to_string() };
        let events: Vec<_> = (version + 1..=version + count).map(event).collect();
        log.append(tx, StreamId(stream), version, &events, now())
    })
    .await
    .unwrap();
}

async fn keep(db: &Db, log: &EventLog, stream: u128, schema: i64, version: i64) {
    let log = log.clone();
    let body = format!("state {version} of schema {schema}");
    let kept = Snapshot { version, body };
    db.write("keep", move |tx| log.keep_snapshot(tx, StreamId(stream), schema, &kept)).await.unwrap();
}

/// The snapshot's version and body, and the versions of the tail.
async fn tail(
    db: &Db,
    log: &EventLog,
    stream: u128,
    schema: i64,
    version: i64,
) -> (Option<(i64, String)>, Vec<i64>) {
    let log = log.clone();
    let (snapshot, events) =
        db.read("tail", move |q| log.load_tail(q, StreamId(stream), schema, version)).await.unwrap();
    assert!(events.iter().all(|e| e.name == "Happened" && e.body == e.version.to_string()));
    (snapshot.map(|s| (s.version, s.body)), events.iter().map(|e| e.version).collect())
}

async fn a_tail_begins_after_the_last_snapshot_of_its_schema(mode: Mode) {
    let place = Place::new(mode);
    let (db, log) = with_log(&place).await;
    append(&db, &log, 1, 12).await;
    append(&db, &log, 2, 3).await;
    for (schema, version) in [(1, 4), (1, 8), (2, 10)] {
        keep(&db, &log, 1, schema, version).await;
    }
    let all = |from: i64, to: i64| (from..=to).collect::<Vec<_>>();
    let kept = |version: i64, schema: i64| Some((version, format!("state {version} of schema {schema}")));
    let table = [
        // (schema, up to, snapshot, tail)
        (1, i64::MAX, kept(8, 1), all(9, 12)),
        (1, 12, kept(8, 1), all(9, 12)),
        (1, 8, kept(8, 1), vec![]),
        (1, 7, kept(4, 1), all(5, 7)),
        (1, 3, None, all(1, 3)),
        (1, 0, None, vec![]),
        (2, i64::MAX, kept(10, 2), all(11, 12)),
        (2, 9, None, all(1, 9)),
        (3, i64::MAX, None, all(1, 12)),
    ];
    for (schema, version, snapshot, events) in table {
        assert_eq!(tail(&db, &log, 1, schema, version).await, (snapshot, events), "{schema} {version}");
    }
    assert_eq!(tail(&db, &log, 2, 1, i64::MAX).await, (None, all(1, 3)), "another stream has none");
    assert_eq!(tail(&db, &log, 3, 1, i64::MAX).await, (None, vec![]), "and one without events");
}

async fn one_statement_loads_with_and_without_a_snapshot(mode: Mode) {
    let place = Place::new(mode);
    let (db, log) = with_log(&place).await;
    append(&db, &log, 1, 5).await;
    for round in 0..2 {
        if round == 1 {
            keep(&db, &log, 1, 1, 5).await;
        }
        let before = db.stats();
        tail(&db, &log, 1, 1, i64::MAX).await;
        assert_eq!(db.stats().since(&before).total().read_statements, 1);
    }
}

async fn a_snapshot_is_kept_once(mode: Mode) {
    let place = Place::new(mode);
    let (db, log) = with_log(&place).await;
    append(&db, &log, 1, 2).await;
    keep(&db, &log, 1, 1, 2).await;
    let other = Snapshot { version: 2, body: "another".to_owned() };
    let keeping = log.clone();
    db.write("again", move |tx| keeping.keep_snapshot(tx, StreamId(1), 1, &other)).await.unwrap();
    assert_eq!(tail(&db, &log, 1, 1, 9).await, (Some((2, "state 2 of schema 1".to_owned())), vec![]));
    // They may go at any time.
    let table = format!("DELETE FROM {}", log.snapshots_table());
    db.write("forget", move |tx| tx.execute(&table, params![])).await.unwrap();
    assert_eq!(tail(&db, &log, 1, 1, 9).await, (None, vec![1, 2]));
}

async fn a_search_finds_by_stream_name_and_time(mode: Mode) {
    use merx_kernel::Timestamp;
    use merx_sql::EventFilter;
    let place = Place::new(mode);
    let (db, log) = with_log(&place).await;
    for n in 1..=6 {
        let log = log.clone();
        let name = if n % 2 == 0 { "Even" } else { "Odd" };
        db.write("append", move |tx| {
            let stream = StreamId(n as u128 % 3);
            let version = log.version(tx, stream)?;
            let event = NewEvent { name, schema: 1, body: n.to_string() };
            log.append(tx, stream, version, &[event], Timestamp::from_millis(n * 1_000))
        })
        .await
        .unwrap();
    }
    let mut listener = db.listen(log.channel());
    loop {
        let seen = log.clone();
        let all = db.read("all", move |q| seen.read_after(q, 0, 10)).await.unwrap();
        if all.len() == 6 {
            break;
        }
        listener.changed().await;
    }
    let found = async |filter: EventFilter, after: i64, limit: i64| -> Result<Vec<String>> {
        let log = log.clone();
        let events = db.read("search", move |q| log.search(q, &filter, after, limit)).await?;
        Ok(events.into_iter().map(|event| event.body).collect())
    };
    let any = EventFilter::default;
    let names =
        |names: &[&str]| EventFilter { names: names.iter().map(|n| (*n).to_owned()).collect(), ..any() };
    assert_eq!(found(any(), 0, 10).await.unwrap().len(), 6);
    assert_eq!(found(names(&["Even"]), 0, 10).await.unwrap(), ["2", "4", "6"]);
    assert_eq!(found(names(&["Even", "Odd"]), 0, 4).await.unwrap(), ["1", "2", "3", "4"]);
    let one = EventFilter { stream: Some(StreamId(0)), ..any() };
    assert_eq!(found(one.clone(), 0, 10).await.unwrap(), ["3", "6"]);
    let until = EventFilter { until: Some(Timestamp::from_millis(5_000)), ..one };
    assert_eq!(found(until, 0, 10).await.unwrap(), ["3"]);
}
