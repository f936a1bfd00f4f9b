//! This program run again as a child that may be killed: writes notes and prints the id of each once it is kept.

use std::{io::Write, process::ExitCode, sync::Arc};

use merx_sql::{Db, Query, params};
use tokio::task::JoinSet;

use crate::fixture::{block_on, note, notes, options};

pub const ROLE: &str = "MERX_SQL_TEST_ROLE";
pub const URL: &str = "MERX_SQL_TEST_URL";
/// How the child ends when a commit has an unknown outcome.
pub const FATAL: i32 = 42;

pub fn run_if_asked() -> Option<ExitCode> {
    let role = std::env::var(ROLE).ok()?;
    assert_eq!(role, "write");
    let url = std::env::var(URL).unwrap();
    block_on(Box::pin(write_forever(url)));
    Some(ExitCode::FAILURE)
}

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
