//! What every mode does alike.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use merx_kernel::{Error, ErrorKind, Id, Timestamp, principal::SessionKind};
use merx_sql::{Db, Inserted, Migration, Observer, Query, Value, contention, params};

use crate::{
    Case, cases,
    fixture::{ALL, Door, Mode, Place, THREADED, note, note_ids, options, start},
};

pub fn cases() -> Vec<Case> {
    let mut all = cases![ALL =>
        values_round_trip,
        rows_are_read_as_what_they_are,
        text_is_compared_byte_by_byte,
        sums_are_integers,
        a_failing_and_a_panicking_neighbour,
        insert_new_says_whether_it_is_new,
        guarded_updates_change_one_row_or_none,
        insert_rows_takes_many,
        a_query_does_not_write,
        contention_runs_the_closure_again,
        contention_is_bounded,
        a_wake_before_the_wait_is_remembered,
        the_cost_is_counted,
        nothing_is_taken_after_close,
    ];
    all.extend(cases![THREADED =>
        a_read_sees_one_snapshot,
        overload_is_refused_early,
    ]);
    all
}

async fn values_round_trip(mode: Mode) {
    let place = Place::new(mode);
    let db = place.open(options(), &[]).unwrap();
    let table =
        "CREATE TABLE things (id BINARY(16) PRIMARY KEY, number BIGINT, text MEDIUMTEXT, bytes MEDIUMBLOB)";
    db.migrate("things", &[Migration::same(1, "things", table)]).await.unwrap();
    let long = "长江🚢 ".repeat(200_000);
    let every_byte: Vec<u8> = (0..=255u8).cycle().take(3_000_000).collect();
    let rows: Vec<(u128, Value, Value, Value)> = vec![
        (1, Value::Null, Value::Null, Value::Null),
        (2, i64::MIN.into(), "".into(), Vec::<u8>::new().into()),
        (3, i64::MAX.into(), "trailing  ".into(), vec![0u8].into()),
        (4, 0i64.into(), "a\u{0}b\n\t'\"\\%_`é¥𝄞".into(), vec![0xff, 0, 0xfe].into()),
        (u128::MAX, (-1i64).into(), long.into(), every_byte.into()),
        (5, true.into(), "1".into(), b"1".into()),
        (6, Timestamp::from_millis(-5).into(), None::<&str>.into(), Id::<SessionKind>::from_bits(7).into()),
    ];
    for (id, number, text, bytes) in rows {
        let id = Id::<SessionKind>::from_bits(id);
        let row = (number.clone(), text.clone(), bytes.clone());
        db.write("insert", move |tx| {
            let (number, text, bytes) = row.clone();
            let values = params![id, number, text, bytes];
            tx.execute("INSERT INTO things (id, number, text, bytes) VALUES (?, ?, ?, ?)", values)
        })
        .await
        .unwrap();
        let sql = "SELECT id, number, text, bytes FROM things WHERE id = ?";
        let read = db
            .read("read", move |q| {
                q.query_one(sql, params![id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            })
            .await
            .unwrap();
        assert_eq!(read, (id, number, text, bytes));
    }
}

async fn rows_are_read_as_what_they_are(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    db.write("one", |tx| note(tx, 1)).await.unwrap();
    let error = db
        .read("wrong", |q| q.query_one("SELECT text FROM notes", params![], |row| row.get::<i64>(0)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().contains("column 0 (text) holds text, not i64"), "{error}");
    let sql = "SELECT id FROM notes";
    let beyond = db.read("wrong", move |q| q.query_one(sql, params![], |row| row.get::<i64>(1))).await;
    assert!(beyond.unwrap_err().message().contains("no column 1, the row has 1"));
    let none =
        db.read("wrong", |q| q.query_one("SELECT id FROM notes WHERE id = 9", params![], |_| Ok(()))).await;
    assert_eq!(none.unwrap_err().kind(), ErrorKind::Internal);
    db.write("two", |tx| note(tx, 2)).await.unwrap();
    let two = db.read("wrong", move |q| q.query_opt(sql, params![], |_| Ok(()))).await;
    assert!(two.unwrap_err().message().contains("at most one row, got 2"));
}

async fn text_is_compared_byte_by_byte(mode: Mode) {
    let place = Place::new(mode);
    let db = place.open(options(), &[]).unwrap();
    let table = "CREATE TABLE words (word VARCHAR(60) PRIMARY KEY)";
    db.migrate("words", &[Migration::same(1, "words", table)]).await.unwrap();
    let words = ["", " ", "A", "A ", "Z", "a", "a ", "e", "ss", "ß", "é", "京", "🚢"];
    let shuffled: Vec<Vec<Value>> = words.iter().rev().map(|w| params![*w]).collect();
    db.write("insert", move |tx| tx.insert_rows("INSERT INTO words (word) VALUES", 1, shuffled.clone()))
        .await
        .unwrap();
    let sql = "SELECT word FROM words ORDER BY word";
    let read: Vec<String> =
        db.read("read", move |q| q.query(sql, params![], |row| row.get(0))).await.unwrap();
    assert_eq!(read, words);
    let one = "SELECT COUNT(*) FROM words WHERE word = ?";
    let count: i64 = db.read("one", move |q| q.query_one(one, params!["a"], |row| row.get(0))).await.unwrap();
    assert_eq!(count, 1);
}

async fn sums_are_integers(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    db.write("insert", |tx| (1..=4).try_for_each(|id| note(tx, id))).await.unwrap();
    let sql = "SELECT SUM(id), COUNT(*), MAX(id), COALESCE(SUM(id + ?), 0), SUM(CASE WHEN id > 9 THEN 1 END) FROM notes";
    let read: (i64, i64, i64, i64, Option<i64>) = db
        .read("sum", move |q| {
            q.query_one(sql, params![10], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))
        })
        .await
        .unwrap();
    assert_eq!(read, (10, 4, 4, 50, None));
}

async fn a_failing_and_a_panicking_neighbour(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    // The first closure holds the writer until all others are queued, so that they share batches.
    let door = Door::new(mode);
    let behind = door.clone();
    let first = start({
        let db = db.clone();
        async move {
            db.write("first", move |tx| {
                behind.pass();
                note(tx, 1000)
            })
            .await
        }
    });
    let others: Vec<_> = (0..90)
        .map(|id| {
            let db = db.clone();
            start(async move {
                db.write("other", move |tx| {
                    note(tx, id)?;
                    match id % 3 {
                        1 => Err(Error::rejected("test.no", format!("no {id}"))),
                        2 => panic!("oh {id}"),
                        _ => Ok(id),
                    }
                })
                .await
            })
        })
        .collect();
    door.open();
    first.await.unwrap();
    for (id, other) in (0..).zip(others) {
        match (id % 3, other.await) {
            (0, answer) => assert_eq!(answer.unwrap(), id),
            (1, answer) => assert_eq!(answer.unwrap_err().message(), format!("no {id}")),
            (_, answer) => {
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Internal);
                assert!(error.message().contains(&format!("oh {id}")), "{error}");
            }
        }
    }
    let expected: Vec<i64> = (0..90).filter(|id| id % 3 == 0).chain([1000]).collect();
    assert_eq!(note_ids(&db).await, expected);
    if mode == Mode::File {
        assert!(db.stats().commits < 20, "no group commit: {} commits", db.stats().commits);
    }
}

async fn insert_new_says_whether_it_is_new(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    let insert = |text: &'static str| {
        move |tx: &mut merx_sql::Tx<'_>| {
            let outcome = tx.insert_new("INSERT INTO notes (id, text) VALUES (?, ?)", params![1, text])?;
            // The transaction goes on after a key that exists.
            tx.execute("UPDATE notes SET text = text || ? WHERE id = 1", params!["+"])?;
            Ok(outcome)
        }
    };
    assert_eq!(db.write("first", insert("a")).await.unwrap(), Inserted::New);
    assert_eq!(db.write("again", insert("b")).await.unwrap(), Inserted::Exists);
    let sql = "SELECT text FROM notes";
    let text: String = db.read("read", move |q| q.query_one(sql, params![], |row| row.get(0))).await.unwrap();
    assert_eq!(text, "a++");
    let error = db.write("plain", |tx| note(tx, 1)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "sql.duplicate"));
    let missing = "INSERT INTO notes (id, text) VALUES (?, ?)";
    let error =
        db.write("null", move |tx| tx.insert_new(missing, params![2, None::<&str>])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "only a key that exists is `Exists`: {error:?}");
}

async fn guarded_updates_change_one_row_or_none(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    db.write("insert", |tx| (1..=3).try_for_each(|id| note(tx, id))).await.unwrap();
    let set = "UPDATE notes SET text = 'same' WHERE id = ?";
    assert!(db.write("one", move |tx| tx.guarded(set, params![1])).await.unwrap());
    // The row is found though nothing changes: matched rows are counted on every engine.
    assert!(db.write("same", move |tx| tx.guarded(set, params![1])).await.unwrap());
    assert!(!db.write("none", move |tx| tx.guarded(set, params![9])).await.unwrap());
    let many = db.write("many", |tx| tx.guarded("UPDATE notes SET text = 'x' WHERE id > 1", params![])).await;
    assert_eq!(many.unwrap_err().kind(), ErrorKind::Internal);
    let sql = "SELECT COUNT(*) FROM notes WHERE text = 'x'";
    let kept: i64 = db.read("read", move |q| q.query_one(sql, params![], |row| row.get(0))).await.unwrap();
    assert_eq!(kept, 0, "a guard that matched many is undone");
}

async fn insert_rows_takes_many(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    let rows = |n: i64| (0..n).map(|id| params![id, format!("n{id}")]).collect::<Vec<_>>();
    let head = "INSERT INTO notes (id, text) VALUES";
    db.write("none", move |tx| tx.insert_rows(head, 2, vec![])).await.unwrap();
    db.write("many", move |tx| tx.insert_rows(head, 2, rows(40_000))).await.unwrap();
    assert_eq!(note_ids(&db).await, (0..40_000).collect::<Vec<_>>());
    assert_eq!(db.stats().labels["many"].write_statements, 3, "15,000 rows of two values a statement");
    let ragged = db.write("ragged", move |tx| tx.insert_rows(head, 2, vec![params![1]])).await;
    assert_eq!(ragged.unwrap_err().kind(), ErrorKind::Internal);
}

async fn a_query_does_not_write(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    db.write("one", |tx| note(tx, 1)).await.unwrap();
    let sql = "DELETE FROM notes";
    assert!(db.read("sly", move |q| q.query(sql, params![], |_| Ok(()))).await.is_err());
    assert!(db.write("sly", move |tx| tx.query(sql, params![], |_| Ok(()))).await.is_err());
    assert_eq!(note_ids(&db).await, [1]);
}

async fn contention_runs_the_closure_again(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    db.write("busy", move |tx| {
        note(tx, 1)?;
        if counted.fetch_add(1, Ordering::SeqCst) < 3 { Err(contention("a test")) } else { Ok(()) }
    })
    .await
    .unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 4);
    assert_eq!(note_ids(&db).await, [1]);
    assert_eq!(db.stats().labels["busy"].retries, 3);
}

async fn contention_is_bounded(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let error = db
        .write("busy", move |tx| {
            note(tx, 1)?;
            counted.fetch_add(1, Ordering::SeqCst);
            Err::<(), _>(contention("a test"))
        })
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "sql.contention"));
    assert!(error.retry_after().is_some());
    assert_eq!(runs.load(Ordering::SeqCst), 10);
    assert!(note_ids(&db).await.is_empty());
}

async fn a_wake_before_the_wait_is_remembered(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    let mut listener = db.listen("bell");
    let wake = |id: i64, ok: bool| {
        move |tx: &mut merx_sql::Tx<'_>| {
            note(tx, id)?;
            tx.wake("bell");
            if ok { Ok(()) } else { Err(Error::rejected("test.no", "no")) }
        }
    };
    db.write("wake", wake(1, true)).await.unwrap();
    listener.changed().await;
    db.write("no", wake(2, false)).await.unwrap_err();
    db.write("other", |tx| note(tx, 3)).await.unwrap();
    let mut waiting = start(async move {
        listener.changed().await;
        listener
    });
    let early = std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_ready())).await;
    assert!(!early, "what was rolled back wakes nobody");
    db.write("wake", wake(4, true)).await.unwrap();
    let mut listener = waiting.await;
    // Two wakes while nobody waits are one.
    db.write("wake", wake(5, true)).await.unwrap();
    db.write("wake", wake(6, true)).await.unwrap();
    listener.changed().await;
}

async fn the_cost_is_counted(mode: Mode) {
    #[derive(Default)]
    struct Trace(Mutex<Vec<(&'static str, u64, u64)>>);
    impl Observer for Trace {
        fn committed(&self, label: &'static str, statements: u64, rows_written: u64) {
            self.0.lock().unwrap().push((label, statements, rows_written));
        }
    }
    let trace = Arc::new(Trace::default());
    let mut options = options();
    options.observer = Some(Arc::clone(&trace) as Arc<dyn Observer>);
    let db = Place::new(mode).with_notes(options).await;
    let before = db.stats();
    trace.0.lock().unwrap().clear();
    db.write("two", |tx| note(tx, 1).and_then(|()| note(tx, 2))).await.unwrap();
    db.write("no", |tx| note(tx, 3).and_then(|()| Err::<(), _>(Error::rejected("test.no", "no"))))
        .await
        .unwrap_err();
    note_ids(&db).await;
    let cost = db.stats().since(&before);
    assert_eq!(cost.commits, 1);
    assert_eq!((cost.labels["two"].write_txs, cost.labels["two"].write_statements), (1, 2));
    assert_eq!((cost.labels["two"].rows_written, cost.labels["no"].failed), (2, 1));
    assert_eq!((cost.labels["note_ids"].read_statements, cost.labels["note_ids"].rows_read), (1, 2));
    assert_eq!((cost.total().write_txs, cost.total().statements()), (1, 3));
    assert_eq!(*trace.0.lock().unwrap(), [("two", 2, 2)]);
    let mut registry = prometheus_client::registry::Registry::default();
    db.register_metrics(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains(r#"merx_sql_statements_total{label="two"} 2"#), "{text}");
    assert!(text.contains("merx_sql_queue_seconds_count"), "{text}");
}

async fn nothing_is_taken_after_close(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    let queued: Vec<_> = (0..20)
        .map(|id| {
            let db = db.clone();
            start(async move { db.write("queued", move |tx| note(tx, id)).await })
        })
        .collect();
    db.close().await;
    for one in queued {
        one.await.unwrap();
    }
    let write = db.write("late", |tx| note(tx, 99)).await.unwrap_err();
    let read = db.read("late", |q| q.query("SELECT id FROM notes", params![], |_| Ok(()))).await.unwrap_err();
    assert_eq!((write.code(), read.code()), ("sql.closed", "sql.closed"));
    db.close().await;
}

async fn a_read_sees_one_snapshot(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    db.write("one", |tx| note(tx, 1)).await.unwrap();
    let count = |q: &mut merx_sql::Reader<'_>| -> merx_kernel::Result<i64> {
        q.query_one("SELECT COUNT(*) FROM notes", params![], |row| row.get(0))
    };
    let (read, written) = (Door::new(mode), Door::new(mode));
    let (reading, writing) = (read.clone(), written.clone());
    let reader = start({
        let db: Db = db.clone();
        async move {
            db.read("snapshot", move |q| {
                let before = count(q)?;
                reading.open();
                writing.pass();
                Ok((before, count(q)?))
            })
            .await
        }
    });
    tokio::task::spawn_blocking(move || read.pass()).await.unwrap();
    db.write("two", |tx| note(tx, 2)).await.unwrap();
    let after = db.read("after", move |q| count(q)).await.unwrap();
    written.open();
    assert_eq!(reader.await.unwrap(), (1, 1), "the snapshot does not move");
    assert_eq!(after, 2, "a read that begins after a write has been answered sees it");
}

async fn overload_is_refused_early(mode: Mode) {
    let mut options = options();
    (options.queue_max, options.writers) = (3, 1);
    let db = Place::new(mode).with_notes(options).await;
    let door = Door::new(mode);
    let inside = Door::new(mode);
    let (behind, entered) = (door.clone(), inside.clone());
    let holder = {
        let db = db.clone();
        start(async move {
            db.write("hold", move |_| {
                entered.open();
                behind.pass();
                Ok(())
            })
            .await
        })
    };
    tokio::task::spawn_blocking(move || inside.pass()).await.unwrap();
    let queued: Vec<_> = (0..5)
        .map(|id| {
            let db = db.clone();
            start(async move { db.write("queued", move |tx| note(tx, id)).await })
        })
        .collect();
    door.open();
    holder.await.unwrap();
    let mut refused = 0;
    for one in queued {
        if let Err(error) = one.await {
            assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "sql.overloaded"));
            refused += 1;
        }
    }
    assert_eq!((refused, note_ids(&db).await), (2, vec![0, 1, 2]));
}
