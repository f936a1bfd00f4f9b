//! T28: many writers append to shared streams while many subscribers follow and one transaction stays open. Each version has
//! one winner, and every subscriber sees every event once and in the order of its stream.
//!
//! `MERX_T28=64x1000` (writers and appends of each) is the size that is claimed; without it a smaller one runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
};

use merx_sql::{Db, EventLog, NewEvent, RecordedEvent, StreamId};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    Case, cases,
    fixture::{Door, Mode, Place, THREADED, now, options, start},
};

pub fn cases() -> Vec<Case> {
    cases![THREADED => writers_and_subscribers_on_shared_streams]
}

const SUBSCRIBERS: usize = 8;
const STREAMS: u128 = 16;
/// The stream of the transaction that stays open.
const HELD: StreamId = StreamId(900);
/// The stream of the event that ends it all.
const END: StreamId = StreamId(901);

fn size() -> (u64, u64) {
    let told = std::env::var("MERX_T28").ok();
    let parsed = told.as_deref().and_then(|text| {
        let (writers, appends) = text.split_once('x')?;
        Some((writers.parse().ok()?, appends.parse().ok()?))
    });
    assert!(told.is_none() || parsed.is_some(), "MERX_T28 is WRITERSxAPPENDS");
    parsed.unwrap_or((16, 25))
}

fn event(body: impl ToString) -> NewEvent {
    NewEvent { name: "Happened", schema: 1, body: body.to_string() }
}

/// What one subscriber saw: only what is needed to judge it, for there is much.
#[derive(Default)]
struct Seen {
    events: u64,
    position: i64,
    versions: BTreeMap<StreamId, i64>,
    out_of_order: u64,
}

impl Seen {
    fn take(&mut self, event: &RecordedEvent) {
        let position = event.position.unwrap();
        let last = self.versions.insert(event.stream, event.version).unwrap_or(0);
        self.out_of_order += u64::from(position <= self.position || event.version != last + 1);
        (self.events, self.position) = (self.events + 1, position);
    }
}

async fn subscribe(db: Db, log: EventLog) -> Seen {
    let mut listener = db.listen(log.channel());
    let mut seen = Seen::default();
    while !seen.versions.contains_key(&END) {
        let (log, after) = (log.clone(), seen.position);
        let page = db.read("follow", move |q| log.read_after(q, after, 256)).await.unwrap();
        if page.is_empty() {
            listener.changed().await;
        }
        page.iter().for_each(|event| seen.take(event));
    }
    seen
}

/// Appends until it has won `appends` versions; answers them.
async fn write(
    db: Db,
    log: EventLog,
    writer: u64,
    appends: u64,
    lost: Arc<AtomicU64>,
) -> Vec<(StreamId, i64)> {
    let mut won = Vec::new();
    for append in 0..appends {
        let stream = StreamId(u128::from(writer * 31 + append) % STREAMS);
        loop {
            let log = log.clone();
            let appended = db
                .write("append", move |tx| {
                    let version = log.version(tx, stream)?;
                    log.append(tx, stream, version, &[event(writer)], now())
                })
                .await;
            match appended {
                Ok(version) => {
                    won.push((stream, version));
                    break;
                }
                Err(e) => assert!(e.is("sql.stream_moved") || e.is("sql.contention"), "{e:?}"),
            }
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
    won
}

/// The guard is `Guard::SequencerGap`: with numbers given before the commit, what is held open appears behind those who
/// have read on.
async fn writers_and_subscribers_on_shared_streams(mode: Mode) {
    let (writers, appends) = size();
    let place = Place::new(mode);
    let log = EventLog::new("test");
    let db = place.open(options(), &[log.sequenced_table()]).unwrap();
    db.migrate("test", &log.migrations()).await.unwrap();
    let (inside, release) = (Door::new(mode), Door::new(mode));
    let held = start({
        let (db, log, inside, release) = (db.clone(), log.clone(), inside.clone(), release.clone());
        async move {
            db.write("held", move |tx| {
                log.append(tx, HELD, 0, &[event("held")], now())?;
                inside.open();
                release.pass();
                Ok(())
            })
            .await
        }
    });
    tokio::task::spawn_blocking(move || inside.pass()).await.unwrap();
    let began = Instant::now();
    let mut subscribers = JoinSet::new();
    for _ in 0..SUBSCRIBERS {
        subscribers.spawn(subscribe(db.clone(), log.clone()));
    }
    let (mut writing, lost) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
    for writer in 0..writers {
        writing.spawn(write(db.clone(), log.clone(), writer, appends, lost.clone()));
    }
    // The single writer of SQLite has nobody beside it: there the held transaction goes first.
    let won: Vec<(StreamId, i64)> = if mode == Mode::Server {
        let won = writing.join_all().await.into_iter().flatten().collect();
        release.open();
        won
    } else {
        release.open();
        writing.join_all().await.into_iter().flatten().collect()
    };
    held.await.unwrap();
    let ending = log.clone();
    db.write("end", move |tx| ending.append(tx, END, 0, &[event("end")], now())).await.unwrap();
    let seen = subscribers.join_all().await;
    let took = began.elapsed();

    let winners: BTreeSet<(StreamId, i64)> = won.iter().copied().collect();
    let events = writers * appends + 2;
    let skipped: u64 = seen.iter().map(|s| events.abs_diff(s.events)).sum();
    let out_of_order: u64 = seen.iter().map(|s| s.out_of_order).sum();
    assert_eq!(winners.len() as u64, writers * appends, "each version has one winner");
    assert_eq!((skipped, out_of_order), (0, 0), "skipped, out of order");
    println!(
        "PROOF | T28 | {}: {writers} writers x {appends} appends to {STREAMS} streams, {SUBSCRIBERS} subscribers, one \
         transaction held open | size={} | {} versions with one winner each, {skipped} events skipped, {out_of_order} out of \
         order, {} lost races decided anew by their caller, {took:.1?} | seed=-",
        if mode == Mode::Server { "MariaDB" } else { "SQLite file" },
        writers * appends,
        winners.len(),
        lost.load(Ordering::Relaxed)
    );
}
