//! What only a file can show: other owners, full disks, dead processes.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use merx_kernel::ErrorKind;
use merx_sql::{Db, Query, params};

use crate::{
    Case, cases, child,
    fixture::{Door, FILE, Mode, Place, SMALL_DISK, note, note_ids, options, start},
};

pub fn cases() -> Vec<Case> {
    let mut all = cases![SMALL_DISK => a_disk_that_fills_up_at_the_commit];
    all.extend(cases![FILE =>
        a_locked_file_is_refused,
        foreign_files_are_refused,
        a_missing_folder_is_said,
        a_bad_url_is_said_without_its_password,
        reading_beside_a_live_shop,
        closing_empties_the_log,
        the_log_is_kept_small,
        a_long_read_does_not_stop_the_writer,
        files_are_for_their_owner_only,
        a_full_disk_in_the_middle_of_a_batch,
        a_killed_writer_keeps_what_it_acknowledged,
        an_io_error_on_commit_stops_the_process,
    ]);
    all
}

async fn a_locked_file_is_refused(mode: Mode) {
    let place = Place::new(mode);
    let db = place.open(options(), &[]).unwrap();
    let error = place.open(options(), &[]).err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "sql.locked"));
    let pid = format!("(process {})", std::process::id());
    assert!(error.message().contains(&pid) && error.message().contains("another data folder"), "{error}");
    db.close().await;
    place.open(options(), &[]).unwrap();
}

async fn foreign_files_are_refused(mode: Mode) {
    let place = Place::new(mode);
    let conn = rusqlite::Connection::open(place.path()).unwrap();
    conn.execute_batch("CREATE TABLE theirs (id INTEGER)").unwrap();
    drop(conn);
    for text in [None, Some("this is not a database, it is a letter to a friend".repeat(40))] {
        if let Some(text) = text {
            std::fs::write(place.path(), text).unwrap();
        }
        let before = std::fs::read(place.path()).unwrap();
        for read_only in [false, true] {
            let mut options = options();
            options.read_only = read_only;
            let error = place.open(options, &[]).err().unwrap();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Rejected, "sql.foreign_file"), "{error:?}");
        }
        assert_eq!(std::fs::read(place.path()).unwrap(), before, "it was left as it is");
    }
}

async fn a_missing_folder_is_said(_: Mode) {
    let error = Db::open("sqlite:/nowhere/at/all/merx.db", options(), &[]).err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "sql.cannot_open"));
    assert!(error.message().contains("/nowhere/at/all/merx.db"), "{error}");
}

async fn a_bad_url_is_said_without_its_password(_: Mode) {
    for url in [
        "postgres://me:hunter2@host/db",
        "sqlite:",
        "merx.db",
        "mysql://me:hunter2@host",
        "mysql://a:hunter2@h/x;y",
    ] {
        let error = Db::open(url, options(), &[]).err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Rejected, "sql.bad_url"), "{url}");
        assert!(!error.chain().contains("hunter2"), "{}", error.chain());
    }
}

async fn reading_beside_a_live_shop(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    db.write("one", |tx| note(tx, 1)).await.unwrap();
    let mut options = options();
    options.read_only = true;
    let beside = db.place.open(options, &[]).unwrap();
    assert_eq!(note_ids(&beside).await, [1]);
    db.write("two", |tx| note(tx, 2)).await.unwrap();
    assert_eq!(note_ids(&beside).await, [1, 2]);
    let error = beside.write("no", |tx| note(tx, 3)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Rejected, "sql.read_only"));
    let error = beside.read("no", |q| q.query("DELETE FROM notes", params![], |_| Ok(()))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

fn log_length(place: &Place) -> u64 {
    let mut path = place.path().into_os_string();
    path.push("-wal");
    std::fs::metadata(path).map_or(0, |m| m.len())
}

async fn closing_empties_the_log(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    for id in 0..50 {
        db.write("one", move |tx| note(tx, id)).await.unwrap();
    }
    assert!(log_length(&db.place) > 0);
    db.close().await;
    assert_eq!(log_length(&db.place), 0);
    let again = db.place.open(options(), &[]).unwrap();
    assert_eq!(note_ids(&again).await.len(), 50);
}

async fn the_log_is_kept_small(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    // 2,000 rows of 2,000 bytes in 40 commits, each of some 50 pages and more.
    for chunk in 0..40i64 {
        let rows = (0..50i64).map(|n| params![chunk * 50 + n, "x".repeat(2000)]).collect::<Vec<_>>();
        db.write("much", move |tx| tx.insert_rows("INSERT INTO notes (id, text) VALUES", 2, rows.clone()))
            .await
            .unwrap();
    }
    let pages = log_length(&db.place) / 4096;
    assert!(pages < 1_400, "the log has {pages} pages: no checkpoint was made");
}

/// A megabyte a commit until the log has some 10,500 pages, while a snapshot keeps it from beginning anew.
async fn a_long_read_does_not_stop_the_writer(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    db.write("first", |tx| note(tx, -1)).await.unwrap();
    let (door, (reading, read)) = (Door::new(mode), tokio::sync::oneshot::channel());
    let (behind, reader) = (door.clone(), db.clone());
    let long = start(async move {
        let count = |q: &mut merx_sql::Reader<'_>| {
            q.query_one("SELECT COUNT(*) FROM notes", params![], |row| row.get::<i64>(0))
        };
        reader
            .read("long", move |q| {
                let before = count(q)?;
                let _ = reading.send(());
                behind.pass();
                Ok((before, count(q)?))
            })
            .await
    });
    read.await.unwrap();
    let much = async |ids: std::ops::Range<i64>| {
        for id in ids {
            let insert = "INSERT INTO notes (id, text) VALUES (?, ?)";
            db.write("much", move |tx| tx.execute(insert, params![id, "x".repeat(1 << 20)])).await.unwrap();
        }
    };
    much(0..40).await;
    let held = db.stats();
    assert!((1..=3).contains(&held.checkpoints_held_back), "once in 1,000 pages from 8,000 on: {held:?}");
    assert!(log_length(&db.place) / 4096 > 8_000);
    // All of it was written while the reader still read: nobody waited for it.
    door.open();
    assert_eq!(long.await.unwrap(), (1, 1), "one snapshot all the time");
    much(40..50).await;
    let after = db.stats();
    assert_eq!(after.checkpoints_held_back, held.checkpoints_held_back);
    assert!(after.checkpoints > held.checkpoints, "and the log begins anew");
}

async fn files_are_for_their_owner_only(mode: Mode) {
    use std::os::unix::fs::PermissionsExt as _;
    let db = Place::new(mode).with_notes(options()).await;
    for end in ["", "-wal", "-shm", ".lock"] {
        let mut path = db.place.path().into_os_string();
        path.push(end);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path:?}");
    }
}

/// Whatever is answered with success is there, whatever is answered with an error is not, and the writer goes on.
async fn a_full_disk_in_the_middle_of_a_batch(mode: Mode) {
    let mut options = options();
    options.pages_max = Some(120);
    let db = Place::new(mode).with_notes(options).await;
    let (mut kept, mut lost) = (Vec::new(), 0);
    for round in 0..6i64 {
        let door = Door::new(mode);
        let behind = door.clone();
        let mut batch = vec![start({
            let db = db.clone();
            async move {
                db.write("hold", move |_| {
                    behind.pass();
                    Ok(-1)
                })
                .await
            }
        })];
        batch.extend((0..40).map(|n| {
            let db = db.clone();
            let id = round * 100 + n;
            start(async move {
                db.write("fill", move |tx| {
                    let insert = "INSERT INTO notes (id, text) VALUES (?, ?)";
                    tx.execute(insert, params![id, "x".repeat(2000)]).map(|_| id)
                })
                .await
            })
        }));
        door.open();
        for one in batch {
            match one.await {
                Ok(-1) => {}
                Ok(id) => kept.push(id),
                Err(e) => {
                    assert_eq!((e.kind(), e.code()), (ErrorKind::Unavailable, "sql.disk_full"), "{e:?}");
                    lost += 1;
                }
            }
        }
    }
    assert!(!kept.is_empty() && lost > 0, "{} kept, {lost} lost", kept.len());
    assert_eq!(note_ids(&db).await, kept);
    // Space returns, and so does writing.
    db.write("free", |tx| tx.execute("DELETE FROM notes WHERE id < 20", params![])).await.unwrap();
    db.write("again", |tx| note(tx, 5000)).await.unwrap();
    let check: String = db
        .write("check", |tx| tx.query_one("PRAGMA integrity_check", params![], |row| row.get(0)))
        .await
        .unwrap();
    assert_eq!(check, "ok");
}

/// Kills the child when it has acknowledged some rows, and opens its file again.
async fn a_killed_writer_keeps_what_it_acknowledged(mode: Mode) {
    let place = Place::new(mode);
    for round in 1..=5usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(child::ROLE, "write")
            .env(child::URL, place.url())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged: Vec<i64> = Vec::new();
        for line in lines.by_ref().take(round * 37) {
            acknowledged.push(line.unwrap().parse().unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What was in the pipe when it died was acknowledged too.
        acknowledged.extend(lines.map_while(Result::ok).filter_map(|line| line.parse::<i64>().ok()));
        assert!(acknowledged.len() >= round * 37);
        let db = place.open(options(), &[]).unwrap();
        let stored = note_ids(&db).await;
        let missing: Vec<_> = acknowledged.iter().filter(|id| stored.binary_search(id).is_err()).collect();
        assert!(missing.is_empty(), "acknowledged and lost: {missing:?}");
        db.close().await;
    }
}

/// A limit on the size of files makes the write of the log fail in the middle of a commit.
async fn an_io_error_on_commit_stops_the_process(mode: Mode) {
    let place = Place::new(mode);
    let output = Command::new("bash")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 300; exec \"$0\"",
            &std::env::current_exe().unwrap().to_string_lossy(),
        ])
        .env(child::ROLE, "write")
        .env(child::URL, place.url())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(child::FATAL), "{said}");
    assert!(said.contains("sql.outcome_unknown"), "{said}");
    let acknowledged: Vec<i64> =
        String::from_utf8_lossy(&output.stdout).lines().filter_map(|l| l.parse().ok()).collect();
    assert!(!acknowledged.is_empty());
    let db = place.open(options(), &[]).unwrap();
    let stored = note_ids(&db).await;
    assert!(acknowledged.iter().all(|id| stored.binary_search(id).is_ok()));
    db.write("again", |tx| note(tx, 1_000_000)).await.unwrap();
}

/// The child has a file system of its own, gone when it ends.
async fn a_disk_that_fills_up_at_the_commit(mode: Mode) {
    let place = Place::new(mode);
    let folder = place.path().parent().unwrap().to_owned();
    let script = "mount -t tmpfs -o size=2m tmpfs \"$1\" && exec \"$0\"";
    let output = Command::new("unshare")
        .args(["--mount", "bash", "-c", script])
        .args([std::env::current_exe().unwrap(), folder])
        .env(child::ROLE, "fill")
        .env(child::URL, place.url())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
