//! This program run again as a child that may be killed.

use std::{io::Write, process::ExitCode, sync::Arc};

use merx_sql::{Db, Query, params};
use tokio::task::JoinSet;

use crate::fixture::{block_on, note, note_ids, notes, options};

pub const ROLE: &str = "MERX_SQL_TEST_ROLE";
pub const URL: &str = "MERX_SQL_TEST_URL";
/// How the child ends when a commit has an unknown outcome.
pub const FATAL: i32 = 42;

pub fn run_if_asked() -> Option<ExitCode> {
    let role = std::env::var(ROLE).ok()?;
    let url = std::env::var(URL).unwrap();
    match role.as_str() {
        "write" => block_on(Box::pin(write_forever(url))),
        "fill" => block_on(Box::pin(fill(url))),
        other => panic!("no role {other}"),
    }
    Some(ExitCode::SUCCESS)
}

/// Writes notes and prints the id of each once it is kept.
async fn write_forever(url: String) {
    let mut options = options();
    options.on_fatal = Arc::new(|error| {
        let _ = writeln!(std::io::stderr(), "{}", error.chain());
        std::process::exit(FATAL);
    });
    let db = Db::open(&url, options, &[]).unwrap();
    db.migrate("notes", &[notes()]).await.unwrap();
    let last = "SELECT COALESCE(MAX(id), 0) FROM notes";
    let last: i64 = db.read("last", move |q| q.query_one(last, params![], |row| row.get(0))).await.unwrap();
    let first = last + 1;
    let mut writers = JoinSet::new();
    for lane in 0..8 {
        let db = db.clone();
        writers.spawn(async move {
            let mut id = first + lane;
            loop {
                db.write("one", move |tx| note(tx, id)).await.unwrap();
                // One write call a line, so that a kill never leaves half of one.
                let line = format!("{id}\n");
                if std::io::stdout().write_all(line.as_bytes()).is_err() {
                    return;
                }
                id += 8;
            }
        });
    }
    while writers.join_next().await.is_some() {}
}

/// Writes until the disk is full, frees some space, and goes on. Ends well when every row answered with success is
/// there and no other.
async fn fill(url: String) {
    let folder = std::path::Path::new(url.strip_prefix("sqlite:").unwrap()).parent().unwrap().to_owned();
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![1u8; 400_000]).unwrap();
    let db = Db::open(&url, options(), &[]).unwrap();
    db.migrate("notes", &[notes()]).await.unwrap();
    let (mut kept, mut lost) = (Vec::new(), 0);
    for round in 0..40i64 {
        let mut batch = JoinSet::new();
        for id in round * 100..round * 100 + 30 {
            let db = db.clone();
            batch.spawn(async move {
                let row = params![id, "x".repeat(1500)];
                db.write("fill", move |tx| {
                    tx.execute("INSERT INTO notes (id, text) VALUES (?, ?)", row.clone())
                })
                .await
                .map(|_| id)
            });
        }
        for outcome in batch.join_all().await {
            match outcome {
                Ok(id) => kept.push(id),
                Err(e) => {
                    assert_eq!(e.code(), "sql.disk_full", "{e:?}");
                    lost += 1;
                }
            }
        }
    }
    assert!(lost > 0 && !kept.is_empty(), "{} kept, {lost} lost", kept.len());
    kept.sort_unstable();
    assert_eq!(note_ids(&db).await, kept, "reads go on and show what was acknowledged");
    std::fs::remove_file(ballast).unwrap();
    db.write("again", |tx| note(tx, 1_000_000)).await.unwrap();
    db.close().await;
    kept.push(1_000_000);
    let db = Db::open(&url, options(), &[]).unwrap();
    assert_eq!(note_ids(&db).await, kept);
    let sql = "PRAGMA integrity_check";
    let check: String =
        db.read("check", move |q| q.query_one(sql, params![], |row| row.get(0))).await.unwrap();
    assert_eq!(check, "ok");
}
