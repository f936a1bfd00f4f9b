//! Copies an SQLite file beside whoever writes it, and looks whether a file is sound.
//!
//! The copy is made through one read transaction: it is the file of one moment, however long it takes, and no writer
//! waits for it. The price is that the write-ahead log cannot begin anew meanwhile.

use std::{fs::File, path::Path};

use merx_kernel::{Error, Result};
use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use crate::{
    error,
    sqlite::{meaning, open_own, open_reader},
};

/// Pages copied at a time: four megabytes.
const CHUNK_PAGES: i32 = 1_024;

/// How far a copy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupProgress {
    /// Pages copied.
    pub done: u64,
    /// Pages of the file.
    pub pages: u64,
}

/// Copies the database in the file `from` into the new file `to`, readable by its owner only, and makes it durable. A
/// file that is not complete is removed. Blocks the thread.
///
/// # Errors
/// `sql.cannot_open`, `sql.foreign_file`: `from` is no database of ours, or `to` is there or cannot be made; `sql.disk_full`;
/// `sql.io`.
pub fn back_up_file(from: &Path, to: &Path, progress: &mut dyn FnMut(BackupProgress)) -> Result<()> {
    if to.exists() {
        return Err(error::cannot_open(
            &to.display().to_string(),
            "it is there already, and is not written over",
        ));
    }
    let copied = copy(from, to, progress);
    if copied.is_err() {
        let _ = std::fs::remove_file(to);
    }
    copied
}

fn copy(from: &Path, to: &Path, progress: &mut dyn FnMut(BackupProgress)) -> Result<()> {
    let shown = to.display().to_string();
    let cannot = |e: std::io::Error| error::cannot_open(&shown, &e.to_string()).with_source(e);
    let source = open_reader(from)?;
    // One read transaction from here to the end: what is committed meanwhile is not in it, and starts nothing anew.
    source
        .execute_batch("BEGIN")
        .and_then(|()| source.query_row("SELECT COUNT(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0)))
        .map_err(|e| meaning(e, "begin the back-up"))?;
    let file = open_own(to).map_err(cannot)?;
    let mut target = Connection::open(to).map_err(|e| meaning(e, "open the copy"))?;
    // Nobody reads a copy that is not complete: its log would only write everything twice.
    target
        .execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
        .map_err(|e| meaning(e, "open the copy"))?;
    let backup = Backup::new(&source, &mut target).map_err(|e| meaning(e, "begin the back-up"))?;
    loop {
        let step = backup.step(CHUNK_PAGES).map_err(|e| meaning(e, "copy pages"))?;
        let state = backup.progress();
        let count = |pages: i32| u64::try_from(pages).unwrap_or(0);
        let pages = count(state.pagecount);
        progress(BackupProgress { done: pages.saturating_sub(count(state.remaining)), pages });
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            // Both files are ours alone: a source in a snapshot and a target nobody knows.
            _ => return Err(error::contention("the file that is copied is locked")),
        }
    }
    drop(backup);
    target.close().map_err(|(_, e)| meaning(e, "close the copy"))?;
    leave_alone(to)?;
    file.sync_all().map_err(cannot)?;
    drop(file);
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(cannot)
}

/// Makes the copy one that can be read without a log beside it: whoever opens it to write gives it one again.
fn leave_alone(file: &Path) -> Result<()> {
    let conn = Connection::open(file).map_err(|e| meaning(e, "open the copy"))?;
    let mode: String = conn
        .query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))
        .map_err(|e| meaning(e, "end the log of the copy"))?;
    if mode != "delete" {
        return Err(Error::internal(format!("the copy keeps the journal mode `{mode}`")));
    }
    conn.close().map_err(|(_, e)| meaning(e, "close the copy"))
}

/// Reads every page and index of a database file of ours; it is only read. Blocks the thread.
///
/// # Errors
/// `sql.damaged` naming what is wrong first; `sql.cannot_open`, `sql.foreign_file`.
pub fn check_file(path: &Path) -> Result<()> {
    let damaged = |found: &str| {
        let text = format!("The database {} is damaged: {found}. Use another back-up.", path.display());
        Error::rejected("sql.damaged", text)
    };
    let conn = open_reader(path)?;
    let found = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
    match found {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(damaged(&answer)),
        Err(e) => Err(damaged("it cannot be read to its end").with_source(e)),
    }
}
