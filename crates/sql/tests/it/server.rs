//! What only a server can show: deadlocks, lost connections, several processes.

use std::sync::{
    Arc, Barrier,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use merx_kernel::ErrorKind;
use merx_sql::{Db, EventLog, Query, StreamId, params};
use mysql::prelude::Queryable;

use crate::{
    Case, cases,
    fixture::{Mode, Place, SERVER, mischief, note, note_ids, now, options, start},
};

pub fn cases() -> Vec<Case> {
    cases![SERVER =>
        a_deadlock_is_run_again,
        a_server_that_comes_back_is_found_again,
        a_connection_lost_in_a_closure_keeps_nothing,
        a_connection_lost_at_the_commit_is_doubt,
        a_wrong_server_is_said,
        reading_makes_no_database,
        tables_are_what_merx_needs,
        two_processes_sequence_one_log,
        rows_left_behind_are_found,
    ]
}

async fn a_deadlock_is_run_again(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    db.write("rows", |tx| note(tx, 1).and_then(|()| note(tx, 2))).await.unwrap();
    let barrier = Arc::new(Barrier::new(2));
    let runs = Arc::new(AtomicU32::new(0));
    let crossing: Vec<_> = [(1, 2), (2, 1)]
        .into_iter()
        .map(|(first, second)| {
            let (db, barrier, runs) = (db.clone(), Arc::clone(&barrier), Arc::clone(&runs));
            let met = AtomicBool::new(false);
            start(async move {
                db.write("cross", move |tx| {
                    runs.fetch_add(1, Ordering::SeqCst);
                    let update = "UPDATE notes SET text = text || 'x' WHERE id = ?";
                    tx.guarded(update, params![first])?;
                    if !met.swap(true, Ordering::SeqCst) {
                        barrier.wait();
                    }
                    tx.guarded(update, params![second])
                })
                .await
            })
        })
        .collect();
    for one in crossing {
        assert!(one.await.unwrap());
    }
    assert!(runs.load(Ordering::SeqCst) > 2, "there was no deadlock");
    let sql = "SELECT text FROM notes ORDER BY id";
    let texts: Vec<String> =
        db.read("read", move |q| q.query(sql, params![], |row| row.get(0))).await.unwrap();
    assert_eq!(texts, ["note 1xx", "note 2xx"]);
}

fn kill_all(place: &Place) -> usize {
    let mut mischief = place.mischief();
    let sql = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()";
    let ids: Vec<u64> = mischief.query(sql).unwrap();
    ids.iter().filter(|id| mischief.query_drop(format!("KILL {id}")).is_ok()).count()
}

async fn a_server_that_comes_back_is_found_again(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    for id in 0..5 {
        db.write("one", move |tx| note(tx, id)).await.unwrap();
        note_ids(&db).await;
        assert!(kill_all(&db.place) > 0);
    }
    assert_eq!(note_ids(&db).await, [0, 1, 2, 3, 4]);
}

async fn a_connection_lost_in_a_closure_keeps_nothing(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    let swallow = |tx: &mut merx_sql::Tx<'_>| {
        note(tx, 1)?;
        let _ = tx.execute("KILL CONNECTION_ID()", params![]);
        // The closure does not notice. Nothing of this may reach the database by itself.
        let _ = note(tx, 2);
        Ok(())
    };
    let error = db.write("lost", swallow).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "sql.unreachable"));
    assert!(note_ids(&db).await.is_empty());
    let once = AtomicBool::new(false);
    db.write("lost once", move |tx| {
        note(tx, 3)?;
        if !once.swap(true, Ordering::SeqCst) {
            let _ = tx.execute("KILL CONNECTION_ID()", params![]);
        }
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(note_ids(&db).await, [3], "what was certainly rolled back is run again");
}

async fn a_connection_lost_at_the_commit_is_doubt(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let url = db.place.url();
    let error = db
        .write("doubt", move |tx| {
            counted.fetch_add(1, Ordering::SeqCst);
            note(tx, 1)?;
            let id: i64 = tx.query_one("SELECT CONNECTION_ID()", params![], |row| row.get(0))?;
            mischief(&url).query_drop(format!("KILL {id}")).unwrap();
            Ok(())
        })
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Timeout, "sql.outcome_unknown"));
    assert_eq!(runs.load(Ordering::SeqCst), 1, "doubt is never run again");
    db.write("after", |tx| note(tx, 2)).await.unwrap();
}

async fn a_wrong_server_is_said(_: Mode) {
    for url in ["mysql://merx:merx@127.0.0.1:1/merx_x", "mysql://nobody:hunter2@127.0.0.1:33306/merx_x"] {
        let error = Db::open(url, options(), &[]).err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "sql.unreachable"), "{error:?}");
        assert!(!error.chain().contains("hunter2"), "{}", error.chain());
    }
}

async fn reading_makes_no_database(mode: Mode) {
    let place = Place::new(mode);
    let read_only = || {
        let mut options = options();
        options.read_only = true;
        options
    };
    let error = place.open(read_only(), &[]).err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "sql.cannot_open"), "{error:?}");
    assert!(error.message().contains("no database `merx_sql_"), "{error}");
    // A second look still finds none.
    assert!(place.open(read_only(), &[]).is_err());
    place.open(options(), &[]).unwrap();
    place.open(read_only(), &[]).unwrap();
}

async fn tables_are_what_merx_needs(mode: Mode) {
    let log = EventLog::new("test");
    let place = Place::new(mode);
    let db = place.open(options(), &[log.sequenced_table()]).unwrap();
    db.migrate("test", &log.migrations()).await.unwrap();
    db.migrate("test", &log.migrations()).await.unwrap();
    let sql = "SELECT CONCAT(engine, ' ', table_collation) FROM information_schema.tables WHERE table_schema = DATABASE() \
               AND table_name IN ('test_events', 'merx_migrations')";
    let tables: Vec<String> =
        db.read("read", move |q| q.query(sql, params![], |row| row.get(0))).await.unwrap();
    assert_eq!(tables.len(), 2);
    assert!(
        tables.iter().all(|t| t == "InnoDB utf8mb4_nopad_bin" || t == "InnoDB utf8mb4_0900_bin"),
        "{tables:?}"
    );
    let columns = db
        .read("columns", |q| q.query("SELECT * FROM test_events", params![], |row| Ok(row.columns())))
        .await;
    assert!(columns.is_ok(), "the arrival column stays out of sight");
    let strict = db.write("long", move |tx| {
        let event = merx_sql::NewEvent {
            name: Box::leak("n".repeat(101).into_boxed_str()),
            schema: 1,
            body: "{}".into(),
        };
        log.append(tx, StreamId(1), 0, &[event], now())
    });
    assert_eq!(strict.await.unwrap_err().kind(), ErrorKind::Internal, "too long a text is refused, not cut");
}

/// Two `Db` as two processes would have: both append, both sequence, each sees everything once and in order.
async fn two_processes_sequence_one_log(mode: Mode) {
    const EACH: u32 = 40;
    let place = Place::new(mode);
    let log = EventLog::new("test");
    let open = || place.open(options(), &[log.sequenced_table()]).unwrap();
    let both = [open(), open()];
    both[0].migrate("test", &log.migrations()).await.unwrap();
    let mut working = tokio::task::JoinSet::new();
    for (process, db) in (0u128..).zip(both.clone()) {
        for n in 0..EACH {
            let (db, log) = (db.clone(), log.clone());
            working.spawn(async move {
                let event = merx_sql::NewEvent { name: "Happened", schema: 1, body: n.to_string() };
                let stream = StreamId(process * 1_000 + u128::from(n));
                db.write("append", move |tx| log.append(tx, stream, 0, std::slice::from_ref(&event), now()))
                    .await
                    .unwrap();
            });
        }
    }
    for db in both.clone() {
        let log = log.clone();
        working.spawn(async move {
            let mut listener = db.listen(log.channel());
            let mut seen: Vec<i64> = Vec::new();
            while seen.len() < 2 * EACH as usize {
                let (log, after) = (log.clone(), seen.last().copied().unwrap_or(0));
                let page = db.read("follow", move |q| log.read_after(q, after, 5)).await.unwrap();
                if page.is_empty() {
                    listener.changed().await;
                }
                seen.extend(page.iter().map(|e| e.position.unwrap()));
            }
            assert!(seen.windows(2).all(|pair| pair[0] < pair[1]));
        });
    }
    working.join_all().await;
}

/// A process died between its commit and its pass.
async fn rows_left_behind_are_found(mode: Mode) {
    let place = Place::new(mode);
    let log = EventLog::new("test");
    let db = place.open(options(), &[log.sequenced_table()]).unwrap();
    db.migrate("test", &log.migrations()).await.unwrap();
    let mut listener = db.listen(log.channel());
    place
        .mischief()
        .query_drop(
            "INSERT INTO test_events (stream, version, name, schema_number, body, recorded_at) \
             VALUES (UNHEX('00000000000000000000000000000001'), 1, 'Left', 1, '{}', 0)",
        )
        .unwrap();
    loop {
        let log = log.clone();
        let page = db.read("follow", move |q| log.read_after(q, 0, 5)).await.unwrap();
        if page.len() == 1 {
            break;
        }
        listener.changed().await;
    }
}
